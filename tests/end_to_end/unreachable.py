#!/usr/bin/python3
"""Sends one datagram, or one SYN, and waits for the ICMP error about it; prints JSON: the error
that the socket's owner gets, who sent it, its type and code, and after how many seconds; null where
nothing came.

usage: unreachable.py tcp|udp ADDRESS PORT SECONDS
"""

import json
import select
import socket
import struct
import sys
import time

IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h


def main():
    protocol, address = sys.argv[1:3]
    port, seconds = int(sys.argv[3]), float(sys.argv[4])
    v6 = ":" in address
    family = socket.AF_INET6 if v6 else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    endpoint = socket.socket(family, kind)
    endpoint.setsockopt(
        socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, IPV6_RECVERR if v6 else IP_RECVERR, 1
    )
    endpoint.setblocking(False)
    started = time.monotonic()
    seen = {"error": None, "from": None, "type": None, "after": None}
    endpoint.connect_ex((address, port))
    if protocol == "udp":
        endpoint.send(b"hello")
    poller = select.poll()
    poller.register(endpoint, select.POLLERR)
    if poller.poll(seconds * 1000):
        seen["after"] = time.monotonic() - started
        try:
            _, ancillary, _, _ = endpoint.recvmsg(1500, 512, socket.MSG_ERRQUEUE)
        except OSError:
            ancillary = []
            seen["error"] = endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        for _, _, data in ancillary:
            seen["error"], _, icmp_type, code = struct.unpack_from("IBBB", data)
            seen["type"] = [icmp_type, code]
            at = 16 + (8 if v6 else 4)  # sock_extended_err, then the address of who sent it
            length = 16 if v6 else 4
            seen["from"] = socket.inet_ntop(family, data[at : at + length])
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
