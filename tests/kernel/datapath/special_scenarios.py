"""Scenarios of what IPVS does besides balancing by addresses and ports; they add to SCENARIOS."""

from packets import MARKED, UDP, Raw
from scenarios import FROM, METHODS, PORT, SCENARIOS, for_each, scenario

SIP_PORT = 5060


def call(number, source):
    """A request of a call, from another port each time."""
    text = f"INVITE sip:a@b SIP/2.0\r\nCall-ID: call-{number}@c\r\n\r\n"
    return UDP(sport=source, dport=SIP_PORT) / Raw(text.encode())


@for_each(("nat", "dr", "ipip"))
def sip(s, prefix):
    """Requests of one call stay at one server; what names no call goes nowhere."""
    scenario(
        prefix + "sip", s.service("udp", "-s rr -p 60 --pe sip", port=SIP_PORT),
        s.asks(call(1, FROM)), s.asks(call(2, FROM + 1)), s.asks(call(1, FROM + 2)),
        s.asks(call(2, FROM + 3)), s.asks(call(3, FROM)),
        s.asks(UDP(sport=FROM + 4, dport=SIP_PORT) / Raw(MARKED)),
        s.answers(s.udp_answer()),
    )


@for_each(("nat", "dr", "ipip"))
def local_server(s, prefix):
    """A real server that is the director."""
    for protocol, flag in (("udp", "-u"), ("tcp", "-t")):
        virtual = f"{flag} {s.at(s.world.service, PORT)}"
        asked = s.udp() / Raw(MARKED) if protocol == "udp" else s.tcp("S")
        scenario(
            f"{prefix}local-{protocol}", f"ipvsadm -A {virtual} -s rr",
            f"ipvsadm -a {virtual} -r {s.at(s.world.director, s.server_port)} {METHODS[s.method]}",
            s.asks(asked), s.asks(asked, ttl=1),
        )


@for_each(("nat", "dr", "ipip"))
def dropped_packets(s, prefix):
    """Of packets that would open a connection one in am_droprate is dropped; others pass."""
    scenario(
        prefix + "drop-packet", "sysctl am_droprate 3", "sysctl drop_packet 3", s.one_server("udp"),
        [s.asks(s.udp(FROM + i)) for i in range(8)], [s.asks(s.udp(FROM + i)) for i in range(8)],
        "sysctl drop_packet 0", [s.asks(s.udp(FROM + i)) for i in range(8)],
    )


__all__ = ["SCENARIOS"]
