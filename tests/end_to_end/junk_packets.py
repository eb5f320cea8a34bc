#!/usr/bin/python3
"""Sends junk to a host's own addresses as fast as one process can: datagrams and connection attempts
to closed ports, echo requests, unknown protocols and EtherTypes. Prints how many packets it sent.

usage: junk_packets.py SECONDS INTERFACE {DESTINATION-MAC,IPV4,IPV6}...
"""

import random
import socket
import sys
import time

from scapy.all import ICMP, IP, TCP, UDP, Ether, IPv6, Raw

SOURCE4, SOURCE6 = "10.2.0.66", "fd00:2::66"
FRAMES = 64


def frames(mac, ipv4, ipv6):
    ether = Ether(src="02:66:66:66:66:66", dst=mac)
    for _ in range(FRAMES):
        port, source = random.randrange(20000, 60000), random.randrange(1024, 60000)
        ip, ip6 = IP(src=SOURCE4, dst=ipv4), IPv6(src=SOURCE6, dst=ipv6)
        yield bytes(ether / ip / UDP(sport=source, dport=port) / Raw(bytes(18)))
        yield bytes(ether / ip / TCP(sport=source, dport=port, flags="S"))
        yield bytes(ether / ip6 / UDP(sport=source, dport=port) / Raw(bytes(18)))
        yield bytes(ether / ip / ICMP(id=source) / Raw(bytes(18)))
        yield bytes(ether / IP(src=SOURCE4, dst=ipv4, proto=253) / Raw(bytes(26)))
        yield bytes(Ether(src="02:66:66:66:66:66", dst=mac, type=0x88B5) / Raw(bytes(46)))


def main():
    seconds, interface, *targets = sys.argv[1:]
    packets = [frame for target in targets for frame in frames(*target.split(","))]
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
