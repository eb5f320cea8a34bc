#!/usr/bin/python3
"""Sends UDP datagrams that must not be fragmented and prints the path MTU that the kernel knows then.

usage: path_mtu.py ADDRESS PORT PAYLOAD-SIZE
"""

import socket
import sys
import time

IP_MTU_DISCOVER, IP_MTU, DO = 10, 14, 2
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24


def main():
    address, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    v6 = ":" in address
    wire = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    wire.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, DO)
    wire.connect((address, port))
    for _ in range(3):
        try:
            wire.send(bytes(size))
        except OSError:
            break  # the kernel knows by now
        time.sleep(0.3)
    print(wire.getsockopt(level, IPV6_MTU if v6 else IP_MTU))


if __name__ == "__main__":
    main()
