#!/usr/bin/python3
"""The receiving end of IP-in-IP tunnels where the kernel has no ipip and ip6tnl driver: reads
protocol 4 and 41 packets from raw sockets and hands what is inside to a tun device.

usage: decapsulate.py DEVICE
"""

import fcntl
import os
import selectors
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
IPPROTO_IPIP, IPPROTO_IPV6 = 4, 41


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return tun


def inner_packet(packet, family):
    """What follows the outer header. IPv6 raw sockets deliver without it (RFC 3542 3)."""
    if family == socket.AF_INET6:
        return packet
    return packet[(packet[0] & 15) * 4 :]


def main():
    tun = open_tun(sys.argv[1])
    selector = selectors.DefaultSelector()
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (IPPROTO_IPIP, IPPROTO_IPV6):
            raw = socket.socket(family, socket.SOCK_RAW, protocol)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            selector.register(raw, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            inner = inner_packet(key.fileobj.recv(65536), key.fileobj.family)
            if inner:
                try:
                    os.write(tun, inner)
                except OSError as error:
                    print(f"tun refused {len(inner)} bytes: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
