#!/usr/bin/python3
"""Sends packets that no sane sender makes: lengths that lie, headers cut short, options past the
end, fragments, ICMP errors about nonsense; then random damage to good packets (seed printed).

usage: malformed_packets.py INTERFACE DESTINATION-MAC IPV4 IPV6
"""

import os
import random
import sys

from scapy.all import (
    ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Raw, conf,
)

SOURCE4, SOURCE6 = "10.1.0.77", "fd00:1::77"


def handmade(virtual4, virtual6):
    ip, ip6 = IP(src=SOURCE4, dst=virtual4), IPv6(src=SOURCE6, dst=virtual6)
    syn = TCP(sport=1234, dport=80, flags="S")
    good = bytes(ip / syn)
    for length in (0, 1, 19, 20, 21, len(good) - 1, len(good) + 1, 65535):
        yield IP(src=SOURCE4, dst=virtual4, len=length, proto=6) / syn
    for header_length in (0, 1, 4, 6, 15):
        yield IP(src=SOURCE4, dst=virtual4, ihl=header_length, proto=6) / syn
    for version in (0, 5, 6, 15):
        yield IP(src=SOURCE4, dst=virtual4, version=version, proto=6) / syn
    for cut in range(len(good)):
        yield Raw(good[:cut])
    for offset in (0, 1, 4, 6, 15):
        yield ip / TCP(sport=1235, dport=80, flags="S", dataofs=offset)
    for flags in ("", "SF", "SR", "FPU", "SAFRPU", "F", "R", "A"):
        yield ip / TCP(sport=1236, dport=80, flags=flags)
    for length in (0, 1, 7, 9, 65535):
        yield ip / UDP(sport=1237, dport=53, len=length) / b"x"
        yield ip6 / UDP(sport=1237, dport=53, len=length) / b"x"
    yield ip / TCP(sport=0, dport=80, flags="S")
    yield IP(src=virtual4, dst=virtual4) / TCP(sport=80, dport=80, flags="S")
    yield IP(src="255.255.255.255", dst=virtual4) / syn
    yield IP(src="127.0.0.1", dst=virtual4) / syn
    yield IP(src=SOURCE4, dst=virtual4, ttl=0) / syn
    yield IP(src=SOURCE4, dst=virtual4, ttl=1) / syn
    yield IP(src=SOURCE4, dst=virtual4, chksum=0xDEAD) / syn
    yield ip / TCP(sport=1238, dport=80, flags="S", chksum=0xDEAD)
    option = b"\x83\xff\x04" + bytes(5)  # a source route that claims to be longer than the header
    yield IP(src=SOURCE4, dst=virtual4, ihl=7, proto=6, len=48) / Raw(option + good[20:])
    for offset, more in ((0, 1), (1, 0), (1, 1), (8191, 0), (8191, 1)):
        yield IP(src=SOURCE4, dst=virtual4, frag=offset, flags=more, proto=6) / Raw(good[20:28])
        yield ip6 / IPv6ExtHdrFragment(offset=offset, m=more, nh=6) / Raw(good[20:28])
    for length in (0, 1, 19, 21, 65535):
        yield IPv6(src=SOURCE6, dst=virtual6, plen=length, nh=6) / syn
    for header in (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting):
        for length in (0, 1, 255):
            yield ip6 / header(len=length, nh=6) / Raw(bytes(8))
    chain = ip6
    for _ in range(60):
        chain = chain / IPv6ExtHdrDestOpt()
    yield chain / syn
    for inner in (b"", good[:8], good[:20], good[:24], good[:28], bytes(64), good):
        for kind, code in ((3, 3), (3, 4), (11, 0), (12, 0), (5, 1)):
            yield ip / ICMP(type=kind, code=code) / Raw(inner)
        yield ip6 / ICMPv6DestUnreach(code=4) / Raw(inner)
        yield ip6 / ICMPv6PacketTooBig(mtu=0) / Raw(inner)
    for protocol in (0, 4, 41, 47, 132, 255):
        yield IP(src=SOURCE4, dst=virtual4, proto=protocol) / Raw(bytes(40))


def damaged(rng, virtual4, virtual6, count):
    seeds = [
        bytes(Ether() / IP(src=SOURCE4, dst=virtual4) / TCP(dport=80, flags="S") / (b"x" * 40)),
        bytes(Ether() / IPv6(src=SOURCE6, dst=virtual6) / TCP(dport=80, flags="S") / (b"x" * 40)),
        bytes(Ether() / IP(src=SOURCE4, dst=virtual4) / UDP(dport=53) / (b"x" * 40)),
        bytes(Ether() / IP(src=SOURCE4, dst=virtual4) / ICMP(type=3)
              / IP(src=virtual4, dst=SOURCE4) / TCP(sport=80)),
        bytes(Ether() / Dot1Q(vlan=5) / IP(src=SOURCE4, dst=virtual4) / TCP(dport=80)),
    ]
    for _ in range(count):
        frame = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            # The destination stays an address of the director: nothing may get around it.
            frame[rng.randrange(12, len(frame))] = rng.randrange(256)
        yield bytes(frame[: rng.randint(14, len(frame))] if rng.random() < 0.3 else frame)


def main():
    interface, mac, virtual4, virtual6 = sys.argv[1:]
    seed = int(os.environ.get("NLVS_SEED", "0")) or random.randrange(1, 2**31)
    print(f"seed {seed}", flush=True)
    endpoint = conf.L2socket(iface=interface)
    sent = 0
    for packet in handmade(virtual4, virtual6):
        kind = 0x86DD if IPv6 in packet else 0x0800
        endpoint.send(bytes(Ether(dst=mac, type=kind) / packet))
        sent += 1
    header = bytes(Ether(dst=mac))[:12]
    for frame in damaged(random.Random(seed), virtual4, virtual6, 3000):
        endpoint.send(header + frame[12:])
        sent += 1
    print(f"{sent} packets sent")


if __name__ == "__main__":
    main()
