"""Packets of the scenarios, made with scapy: who sends them, and the headers they are made of.

The director has 10.0.0.1 and the virtual address 10.0.0.10 towards clients .100 to .103, and
192.168.1.1 towards servers .2 to .5; in IPv6 2001:db8::/64 and 2001:db8:1::/64 with the same ends.
"""

import logging

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, fragment  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    fragment6,
)
from scapy.layers.sctp import (  # noqa: E402
    SCTP,
    SCTPChunkAbort,
    SCTPChunkCookieAck,
    SCTPChunkCookieEcho,
    SCTPChunkData,
    SCTPChunkInit,
    SCTPChunkInitAck,
    SCTPChunkShutdown,
    SCTPChunkShutdownAck,
    SCTPChunkShutdownComplete,
)
from scapy.packet import Raw  # noqa: E402

MARKED = bytes(range(1, 33))


class World:
    """Addresses of one family."""

    def __init__(self, family):
        self.family = family
        wan, lan = ("10.0.0.", "192.168.1.") if family == 4 else ("2001:db8::", "2001:db8:1::")
        self.service = wan + "10"
        self.client = wan + "100"
        self.other_client = wan + "101"
        self.wan_router = wan + "254"
        self.lan_router = lan + "254"
        self.director = lan + "1"
        self.server = lan + "2"
        self.other_server = lan + "3"

    def ip(self, source, destination, **fields):
        """A header with fields by their IPv4 names."""
        if self.family == 4:
            fields.setdefault("ttl", 64)
            fields.setdefault("id", 0x1111)
            return IP(src=source, dst=destination, **fields)
        names = {"ttl": "hlim", "tos": "tc"}
        fields = {names.get(k, k): v for k, v in fields.items() if k not in ("id", "flags", "options")}
        fields.setdefault("hlim", 64)
        return IPv6(src=source, dst=destination, **fields)

    def asks(self, layers, **fields):
        """Of the client, to the service."""
        return ("client", bytes(self.ip(self.client, self.service, **fields) / layers))

    def answers(self, layers, source=None, **fields):
        """Of a server, to the client."""
        return ("server", bytes(self.ip(source or self.server, self.client, **fields) / layers))

    def unreachable(self, kind, mtu=0):
        """An ICMP error's own header: port, host, net, admin, big, ttl, quench, parameter."""
        if self.family == 4:
            kinds = {"net": (3, 0), "host": (3, 1), "protocol": (3, 2), "port": (3, 3), "big": (3, 4),
                     "admin": (3, 13), "quench": (4, 0), "redirect": (5, 1), "ttl": (11, 0),
                     "reassembly": (11, 1), "parameter": (12, 0)}
            number, code = kinds[kind]
            return ICMP(type=number, code=code, **({"nexthopmtu": mtu} if kind == "big" else {}))
        return {
            "net": ICMPv6DestUnreach(code=0), "host": ICMPv6DestUnreach(code=3),
            "port": ICMPv6DestUnreach(code=4), "admin": ICMPv6DestUnreach(code=1),
            "big": ICMPv6PacketTooBig(mtu=mtu or 1280), "ttl": ICMPv6TimeExceeded(code=0),
            "reassembly": ICMPv6TimeExceeded(code=1), "parameter": ICMPv6ParamProblem(code=1, ptr=40),
        }[kind]

    def error(self, side, source, about, kind, quoted=None, mtu=0, **fields):
        """An ICMP error of `source`, on one side, to the sender of the packet `about`."""
        packet = about[1]
        sender = IP(packet).src if self.family == 4 else IPv6(packet).src
        quote = packet if quoted is None else packet[: (20 if self.family == 4 else 40) + quoted]
        if self.family == 6:
            quote = quote[:1232]
        return (side, bytes(self.ip(source, sender, **fields) / self.unreachable(kind, mtu) / Raw(quote)))

    def pieces(self, packet, size):
        """The packet in fragments of at most `size` octets."""
        side, content = packet
        if self.family == 4:
            return [(side, bytes(one)) for one in fragment(IP(content), fragsize=size)]
        whole = IPv6(content)
        upper = whole.payload
        whole.remove_payload()
        kind, whole.nh = whole.nh, 44
        whole = whole / IPv6ExtHdrFragment(id=77, nh=kind) / upper
        return [(side, bytes(one)) for one in fragment6(whole, size + 48)]
