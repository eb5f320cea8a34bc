#!/usr/bin/python3
"""The receiving end of IP-in-IP, GRE and GUE tunnels where the kernel has no drivers for them: reads
from raw sockets and UDP port 6080 and hands what is inside to a tun device. Checksums are verified, by
the kernel (UDP) or here (GRE); GUE's remote checksum offload is completed. The first packet of each
kind is told on standard error.

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
IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_GRE = 4, 41, 47
UDP_NO_CHECK6_RX = 102
GUE_PORT = 6080
GUE_PRIVATE_FLAGS, GUE_REMOTE_CHECKSUM = 0x0001, 0x80000000
GRE_CHECKSUM = 0x8000


class Refused(Exception):
    """A packet that no receiver would take."""


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return tun


def open_sockets():
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_GRE):
            yield socket.socket(family, socket.SOCK_RAW, protocol)
        gue = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            gue.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            gue.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        gue.bind(("", GUE_PORT))
        yield gue


def checksum(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def out_of_gre(packet):
    flags, protocol = struct.unpack_from("!HH", packet)
    if flags & ~GRE_CHECKSUM or protocol not in (0x0800, 0x86DD):
        raise Refused(f"GRE flags {flags:#x} protocol {protocol:#x}")
    if not flags:
        return "gre", packet[4:]
    if checksum(packet) != 0:
        raise Refused("GRE checksum")
    return "gre with checksum", packet[8:]


def out_of_gue(packet):
    first, protocol, flags = struct.unpack_from("!BBH", packet)
    length = 4 + (first & 31) * 4
    if first >> 5 or protocol not in (IPPROTO_IPIP, IPPROTO_IPV6):
        raise Refused(f"GUE version or control {first:#x}, protocol {protocol}")
    if not flags:
        if length != 4:
            raise Refused("GUE options without flags")
        return "gue", packet[length:]
    private, start, field = struct.unpack_from("!IHH", packet, 4)
    if (flags, private, length) != (GUE_PRIVATE_FLAGS, GUE_REMOTE_CHECKSUM, 12):
        raise Refused(f"GUE flags {flags:#x} {private:#x}, {length} bytes")
    inner = bytearray(packet[length:])
    struct.pack_into("!H", inner, field, checksum(inner[start:]))
    return "gue with remote checksum", bytes(inner)


def inner_packet(sock, packet):
    """The kind of tunnel and what is in it."""
    if sock.type == socket.SOCK_DGRAM:
        return out_of_gue(packet)
    # IPv6 raw sockets deliver without the outer header (RFC 3542 3).
    if sock.family == socket.AF_INET:
        packet = packet[(packet[0] & 15) * 4 :]
    return out_of_gre(packet) if sock.proto == IPPROTO_GRE else ("ipip", packet)


def main():
    tun = open_tun(sys.argv[1])
    selector = selectors.DefaultSelector()
    for sock in open_sockets():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        selector.register(sock, selectors.EVENT_READ)
    seen = set()
    while True:
        for key, _ in selector.select():
            try:
                kind, inner = inner_packet(key.fileobj, key.fileobj.recv(65536))
                if inner:
                    os.write(tun, inner)
            except (Refused, struct.error, OSError) as error:
                kind = f"refused: {error}"
            if kind not in seen:
                seen.add(kind)
                print(kind, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
