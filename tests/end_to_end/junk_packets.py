#!/usr/bin/python3
"""Sends junk to a host's own addresses as fast as one process can: datagrams and connection attempts
to closed ports, echo requests, unknown protocols and EtherTypes. Prints how many packets it sent.

usage: junk_packets.py SECONDS INTERFACE {DESTINATION-MAC,IPV4,IPV6}...
"""

import random
import socket
import struct
import sys
import time

SOURCE4, SOURCE6 = "10.2.0.66", "fd00:2::66"
FRAMES = 64
ICMP, TCP, UDP, UNKNOWN = 1, 6, 17, 253


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Target:
    """Frames to one host. All payloads have an even length."""

    def __init__(self, mac, ipv4, ipv6):
        self.stations = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("026666666666")
        self.pair4 = socket.inet_aton(SOURCE4) + socket.inet_aton(ipv4)
        self.pair6 = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (SOURCE6, ipv6))

    def ipv4(self, protocol, payload):
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        header += self.pair4
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return self.stations + b"\x08\x00" + header + payload

    def ipv6(self, protocol, payload):
        header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return self.stations + b"\x86\xdd" + header + self.pair6 + payload

    @staticmethod
    def transport(pair, protocol, segment, offset):
        pseudo = pair + struct.pack("!II", len(segment), protocol)
        return (
            segment[:offset] + struct.pack("!H", checksum(pseudo + segment)) + segment[offset + 2:]
        )

    def frames(self):
        for _ in range(FRAMES):
            ports = random.randrange(1024, 60000), random.randrange(20000, 60000)
            datagram = struct.pack("!HHHH", *ports, 26, 0) + bytes(18)
            syn = struct.pack("!HHIIHHHH", *ports, 1, 0, 0x5002, 1024, 0, 0)
            echo = struct.pack("!BBHHH", 8, 0, 0, ports[0], 0) + bytes(18)
            echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
            yield self.ipv4(UDP, self.transport(self.pair4, UDP, datagram, 6))
            yield self.ipv4(TCP, self.transport(self.pair4, TCP, syn, 16))
            yield self.ipv6(UDP, self.transport(self.pair6, UDP, datagram, 6))
            yield self.ipv4(ICMP, echo)
            yield self.ipv4(UNKNOWN, bytes(26))
            yield self.stations + b"\x88\xb5" + bytes(46)


def main():
    seconds, interface, *targets = sys.argv[1:]
    packets = [frame for target in targets for frame in Target(*target.split(",")).frames()]
    random.shuffle(packets)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    sent = refused = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for packet in packets:
            try:
                wire.send(packet)
                sent += 1
            except OSError:
                refused += 1
    print(f"{sent} packets sent, {refused} refused")


if __name__ == "__main__":
    main()
