#!/usr/bin/python3
"""UDP echo that answers '<name> <peer address> <payload>' from the address it was asked on.

usage: udp_echo.py NAME PORT
"""

import selectors
import socket
import struct
import sys

IP_PKTINFO = 8  # linux/in.h; the socket module of Python 3.11 lacks it


def open_socket(family, port):
    endpoint = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        endpoint.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        endpoint.bind(("0.0.0.0", port))
    else:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        endpoint.bind(("::", port))
    return endpoint


def source_of(ancillary):
    """Control data that makes the answer leave from the address in the question's: the interface
    is left to the routing table, because the question may have come out of a tunnel."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            address = struct.unpack("I4s4s", data)[2]
            return [(level, kind, struct.pack("I4s4s", 0, address, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return [(level, kind, data[:16] + struct.pack("I", 0))]
    return []


def main():
    name, port = sys.argv[1].encode(), int(sys.argv[2])
    selector = selectors.DefaultSelector()
    for family in (socket.AF_INET, socket.AF_INET6):
        selector.register(open_socket(family, port), selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            payload, ancillary, _, peer = key.fileobj.recvmsg(65536, 256)
            answer = b" ".join((name, peer[0].encode(), payload))
            try:
                key.fileobj.sendmsg([answer], source_of(ancillary), 0, peer)
            except OSError as error:
                print(f"answer to {peer[0]}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
