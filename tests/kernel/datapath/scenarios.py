"""What is recorded at a kernel director and expected of nlvs: scenarios of commands and packets.

A scenario is a name and steps. A step is a command of the director, a tuple (side, packet) that
arrives there, or a list of those. Sides: client, server.
"""

import functools

from packets import (
    ICMP, IP, MARKED, SCTP, TCP, UDP, ICMPv6EchoRequest, IPOption_NOP, IPOption_RR, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw,
    SCTPChunkAbort, SCTPChunkCookieAck, SCTPChunkCookieEcho, SCTPChunkData, SCTPChunkInit,
    SCTPChunkInitAck, SCTPChunkShutdown, SCTPChunkShutdownAck, SCTPChunkShutdownComplete, World,
)

METHODS = {
    "nat": "-m",
    "dr": "-g",
    "ipip": "-i",
    "gre": "-i --tun-type gre",
    "grecsum": "-i --tun-type gre --tun-csum",
    "gue": "-i --tun-type gue --tun-port 6080",
    "guecsum": "-i --tun-type gue --tun-port 6080 --tun-csum",
    "guerem": "-i --tun-type gue --tun-port 6080 --tun-remcsum",
}
TUNNELS = [name for name in METHODS if name not in ("nat", "dr")]
FLAGS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
PORT = 80
FROM = 4000
PLAIN_PORT = 8080  # of masqueraded servers, so that ports change too


def filler(size):
    """Octets that a recording writes in a few characters."""
    return Raw(bytes(i & 255 for i in range(size)))


class Stage:
    """A director with one service, as most scenarios have it."""

    def __init__(self, method, family, server_family=None):
        self.method = method
        self.world = World(family)
        self.servers = World(server_family or family)
        self.server_port = PLAIN_PORT if method == "nat" else PORT

    def at(self, address, port):
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def service(self, protocol, options="-s rr", servers=2, extra="", port=PORT):
        virtual = f"{FLAGS[protocol]} {self.at(self.world.service, port)}"
        steps = [f"ipvsadm -A {virtual} {options}"]
        for address in (self.servers.server, self.servers.other_server)[:servers]:
            real = self.at(address, self.server_port if port else 0)
            steps.append(f"ipvsadm -a {virtual} -r {real} {METHODS[self.method]} {extra}".rstrip())
        return steps

    def one_server(self, protocol, **options):
        return self.service(protocol, servers=1, **options)

    def asks(self, layers, **fields):
        return self.world.asks(layers, **fields)

    def answers(self, layers, **fields):
        """What the server answers, where the director sees it at all."""
        return [self.world.answers(layers, **fields)] if self.method == "nat" else []

    def tcp(self, flags, source=FROM, **fields):
        fields.setdefault("window", 8192)
        return TCP(sport=source, dport=PORT, flags=flags, seq=1000, ack=2000, **fields)

    def tcp_answer(self, flags, to=FROM):
        return TCP(sport=self.server_port, dport=to, flags=flags, seq=2000, ack=1001, window=8192)

    def udp(self, source=FROM, **fields):
        return UDP(sport=source, dport=PORT, **fields)

    def udp_answer(self, to=FROM, **fields):
        return UDP(sport=self.server_port, dport=to, **fields)

    def sctp(self, *chunks):
        return functools.reduce(lambda a, b: a / b, chunks, SCTP(sport=FROM, dport=PORT, tag=7))

    def sctp_answer(self, *chunks):
        return functools.reduce(
            lambda a, b: a / b, chunks, SCTP(sport=self.server_port, dport=FROM, tag=9)
        )


SCENARIOS = {}


def scenario(name, *steps):
    flat = []

    def add(step):
        if isinstance(step, list):
            for one in step:
                add(one)
        else:
            flat.append(step)

    add(list(steps))
    assert name not in SCENARIOS, name
    SCENARIOS[name] = flat


def for_each(methods, families=(4, 6)):
    """The function describes its scenarios for each method and family, v4 and v6 by itself."""

    def decorate(function):
        for method in methods:
            for family in families:
                function(Stage(method, family), f"{method}-v{family}-")
        return function

    return decorate


ALL = tuple(METHODS)
FEW = ("nat", "dr", "ipip", "gue")


@for_each(ALL)
def exchanges(s, prefix):
    """Whole connections of each protocol."""
    text = Raw(MARKED)
    scenario(
        prefix + "tcp", s.one_server("tcp"),
        s.asks(s.tcp("S", options=[("MSS", 1460)]), ttl=40, tos=0x28), s.answers(s.tcp_answer("SA")),
        s.asks(s.tcp("A"), ttl=40), s.asks(s.tcp("PA") / text), s.answers(s.tcp_answer("PA") / text),
        s.asks(s.tcp("FA")), s.answers(s.tcp_answer("FA")), s.asks(s.tcp("A")),
        s.asks(s.tcp("R")), s.answers(s.tcp_answer("RA")),
    )
    scenario(
        prefix + "udp", s.one_server("udp"), s.asks(s.udp() / text, tos=0x2B),
        s.answers(s.udp_answer() / text, tos=0x2E), s.asks(s.udp() / Raw(MARKED[:1])),
    )
    scenario(
        prefix + "sctp", s.one_server("sctp"),
        s.asks(s.sctp(SCTPChunkInit(init_tag=1))), s.answers(s.sctp_answer(SCTPChunkInitAck(init_tag=2))),
        s.asks(s.sctp(SCTPChunkCookieEcho(cookie=b"cook"))), s.answers(s.sctp_answer(SCTPChunkCookieAck())),
        s.asks(s.sctp(SCTPChunkData(data=MARKED))), s.answers(s.sctp_answer(SCTPChunkData(data=MARKED))),
        s.asks(s.sctp(SCTPChunkShutdown())), s.answers(s.sctp_answer(SCTPChunkShutdownAck())),
        s.asks(s.sctp(SCTPChunkShutdownComplete())), s.asks(s.sctp(SCTPChunkAbort())),
    )


@for_each(ALL)
def header_fields(s, prefix):
    """TTL, type of service and identification on their way through."""
    steps = [s.asks(s.udp() / Raw(MARKED), ttl=ttl) for ttl in (255, 2, 1, 0)]
    steps += [s.asks(s.udp() / Raw(MARKED), tos=tos) for tos in (0, 1, 2, 3, 0xB8, 0xFF)]
    if s.world.family == 4:
        steps += [s.asks(s.udp(), flags="DF", id=0), s.asks(s.udp(), flags="DF", id=9),
                  s.asks(s.udp(), id=0), s.asks(s.udp(), flags="evil")]
    scenario(prefix + "header-fields", s.one_server("udp"), steps)
    scenario(
        prefix + "reply-ttl", s.one_server("udp"), s.asks(s.udp()),
        *[s.answers(s.udp_answer(), ttl=ttl) for ttl in (255, 2, 1)],
    )


@for_each(ALL)
def sizes(s, prefix):
    """Around the MTU, with and without "don't fragment"."""
    head = 28 if s.world.family == 4 else 48
    for mtu in (1500, 1400):
        steps = [f"mtu server {mtu}"] if mtu != 1500 else []
        for size in (mtu - 70, mtu - 57, mtu - 40, mtu - 29, mtu - 20, mtu - 1, mtu, mtu + 1):
            if size > 1500:
                continue
            data = filler(size - head)
            steps.append(s.asks(s.udp() / data, flags="DF"))
            if s.world.family == 4:
                steps.append(s.asks(s.udp() / data))
        scenario(f"{prefix}sizes-{mtu}", s.one_server("udp"), steps)
    if s.method != "nat":
        return
    data = filler(1400)
    scenario(
        prefix + "reply-sizes-link", "link client 1300", s.one_server("udp"), s.asks(s.udp()),
        s.answers(s.udp_answer() / data, flags="DF"), s.answers(s.udp_answer() / data),
        s.answers(s.udp_answer() / filler(1200)),
    )
    scenario(
        prefix + "reply-sizes", "mtu client 1300", s.one_server("udp"), s.asks(s.udp()),
        s.answers(s.udp_answer() / data, flags="DF"), s.answers(s.udp_answer() / data),
        s.answers(s.udp_answer() / filler(1200)),
    )
    scenario(
        prefix + "reply-sizes-tcp", "mtu client 1300", s.one_server("tcp"), s.asks(s.tcp("S")),
        s.answers(s.tcp_answer("A") / data, flags="DF"), s.answers(s.tcp_answer("A") / data),
    )


@for_each(FEW)
def fragments(s, prefix):
    data = filler(1200)
    whole = s.asks(s.udp() / data, id=0x2222)
    cut = s.world.pieces(whole, 512)
    again = s.world.pieces(s.asks(s.udp() / data, id=0x3333), 256)
    late = s.world.pieces(s.asks(s.udp(FROM + 1) / data, id=0x4444), 512)
    if s.world.family == 6:  # the identification tells datagrams apart
        again = [(side, p[:44] + b"\0\0\0\x4e" + p[48:]) for side, p in again]
        late = [(side, p[:44] + b"\0\0\0\x4f" + p[48:]) for side, p in late]
    scenario(prefix + "fragments", s.one_server("udp"), cut, list(reversed(again)), late[1:], late[:1])
    scenario(prefix + "fragments-incomplete", s.one_server("udp"), cut[:1], cut[2:])
    scenario(prefix + "fragments-twice", s.one_server("udp"), cut[:1], cut[:1], cut[1:])
    scenario(prefix + "fragments-no-service", s.one_server("tcp"), cut)
    if s.method == "nat":
        answer = s.answers(s.udp_answer() / data, id=0x5555)[0]
        scenario(
            prefix + "fragments-back", s.one_server("udp"), s.asks(s.udp()), s.world.pieces(answer, 512),
            list(reversed(s.world.pieces((answer[0], answer[1]), 256))) if s.world.family == 4 else [],
        )
    segment = s.asks(s.tcp("S") / data, id=0x6666)
    scenario(prefix + "fragments-tcp", s.one_server("tcp"), s.world.pieces(segment, 512))
    scenario(
        prefix + "fragments-sctp", s.one_server("sctp"),
        s.world.pieces(s.asks(s.sctp(SCTPChunkInit(init_tag=1)) / data, id=0x7777), 512),
    )


@for_each(FEW, (4,))
def options(s, prefix):
    """IPv4 options."""
    chosen = {
        "nop": [IPOption_NOP()] * 4,
        "record-route": [IPOption_RR(pointer=4, routers=["0.0.0.0"] * 3)],
    }
    for name, words in chosen.items():
        scenario(
            f"{prefix}options-{name}", s.one_server("udp"), s.asks(s.udp() / Raw(MARKED), options=words),
            s.answers(s.udp_answer() / Raw(MARKED), options=words),
        )
    scenario(
        prefix + "zero-checksum", s.one_server("udp"), s.asks(s.udp(chksum=0) / Raw(MARKED)),
        s.answers(s.udp_answer(chksum=0) / Raw(MARKED)),
    )


@for_each(FEW, (6,))
def extension_headers(s, prefix):
    chosen = {
        "hop-by-hop": [IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])],
        "destination": [IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])],
        "routing": [IPv6ExtHdrRouting(type=4, segleft=0, addresses=["2001:db8::77"])],
        "atomic-fragment": [IPv6ExtHdrFragment(id=5)],
        "three": [IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
                  IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]), IPv6ExtHdrFragment(id=6)],
    }
    for name, headers in chosen.items():
        def within(layer, headers=headers):
            return functools.reduce(lambda a, b: a / b, [*headers, layer])
        scenario(
            f"{prefix}extension-{name}", s.one_server("udp"), s.asks(within(s.udp() / Raw(MARKED))),
            s.answers(within(s.udp_answer() / Raw(MARKED))),
        )


@for_each(FEW)
def wrong_checksums(s, prefix):
    """They are the receiver's to judge."""
    scenario(
        prefix + "wrong-checksums", s.one_server("tcp"), s.one_server("udp"),
        s.asks(s.tcp("S", chksum=0x1234)), s.answers(s.tcp_answer("SA")),
        s.asks(s.udp(chksum=0x1234) / Raw(MARKED)),
    )
    scenario(
        prefix + "wrong-checksums-sctp", s.one_server("sctp"),
        s.asks(SCTP(sport=FROM, dport=PORT, tag=7, chksum=1) / SCTPChunkInit(init_tag=1)),
    )


def errors_of(s):
    return ("net", "host", "protocol", "port", "big", "admin", "quench", "redirect", "ttl", "reassembly",
            "parameter") if s.world.family == 4 else ("net", "host", "port", "admin", "big", "ttl",
                                                        "reassembly", "parameter")


def lan_side(s, layers):
    """The request as the masqueraded server got it."""
    return ("server", bytes(s.world.ip(s.world.client, s.world.server, ttl=63) / layers))


def wan_side(s, layers):
    """The answer as the client got it."""
    return ("client", bytes(s.world.ip(s.world.service, s.world.client, ttl=63) / layers))


@for_each(("nat",))
def errors_through_nat(s, prefix):
    """ICMP errors of both ends and of routers, about each protocol."""
    there = {
        "udp": (s.udp(), UDP(sport=FROM, dport=PLAIN_PORT), s.udp_answer(), UDP(sport=PORT, dport=FROM)),
        "tcp": (s.tcp("S"), TCP(sport=FROM, dport=PLAIN_PORT, flags="S", seq=1000, ack=2000, window=8192),
                s.tcp_answer("SA"), TCP(sport=PORT, dport=FROM, flags="SA", seq=2000, ack=1001, window=8192)),
        "sctp": (s.sctp(SCTPChunkInit(init_tag=1)),
                 SCTP(sport=FROM, dport=PLAIN_PORT, tag=7) / SCTPChunkInit(init_tag=1),
                 s.sctp_answer(SCTPChunkInitAck(init_tag=2)),
                 SCTP(sport=PORT, dport=FROM, tag=9) / SCTPChunkInitAck(init_tag=2)),
    }
    for protocol, (ask, asked, answer, answered) in there.items():
        request = lan_side(s, asked / Raw(MARKED))
        reply = wan_side(s, answered / Raw(MARKED))
        begin = [*s.one_server(protocol), s.asks(ask / Raw(MARKED)), *s.answers(answer / Raw(MARKED))]
        w = s.world
        scenario(
            f"{prefix}errors-of-server-{protocol}", begin,
            [w.error("server", w.server, request, kind, mtu=1400) for kind in errors_of(s)],
        )
        scenario(
            f"{prefix}errors-of-client-{protocol}", begin,
            [w.error("client", w.client, reply, kind, mtu=1400) for kind in errors_of(s)],
        )
        scenario(
            f"{prefix}errors-of-routers-{protocol}", begin,
            w.error("server", w.lan_router, request, "ttl"), w.error("client", w.wan_router, reply, "ttl"),
            w.error("server", w.lan_router, request, "port", quoted=8),
            w.error("client", w.wan_router, reply, "port", quoted=8),
            w.error("server", w.lan_router, request, "port", quoted=4),
            w.error("server", w.lan_router, request, "host", ttl=1),
            w.error("client", w.wan_router, reply, "host", ttl=1),
        )
        stranger = wan_side(s, answered.copy() / Raw(MARKED))
        for setting in (0, 1):
            scenario(
                f"{prefix}errors-of-nothing-{protocol}-{setting}", f"sysctl schedule_icmp {setting}",
                s.one_server(protocol), w.error("client", w.client, stranger, "port"),
                w.error("client", w.wan_router, stranger, "ttl", quoted=8),
            )
    inner = lan_side(s, UDP(sport=FROM, dport=PLAIN_PORT) / Raw(MARKED))
    broken = w.error("server", w.server, inner, "port")
    at = 22 if w.family == 4 else 42
    scenario(
        prefix + "errors-wrong-checksum", s.one_server("udp"), s.asks(s.udp() / Raw(MARKED)),
        (broken[0], broken[1][:at] + b"\x12\x34" + broken[1][at + 2:]),
    )


@for_each(("dr", "ipip"))
def errors_passing_by(s, prefix):
    """About answers that went around the director."""
    reply = wan_side(s, UDP(sport=PORT, dport=FROM) / Raw(MARKED))
    w = s.world
    scenario(
        prefix + "errors-of-client", s.one_server("udp"), s.asks(s.udp()),
        [w.error("client", w.client, reply, kind, mtu=1400) for kind in errors_of(s)],
        w.error("client", w.wan_router, reply, "ttl", ttl=1),
    )


@for_each(("ipip", "gre", "gue"), (4,))
def errors_about_tunnels(s, prefix):
    """Routers on the way to the tunnel's end quote what the director sent."""
    w = s.world
    inner = bytes(w.ip(w.client, w.service, ttl=63, flags="DF") / s.udp() / Raw(MARKED))
    inner_nodf = bytes(w.ip(w.client, w.service, ttl=63) / s.udp() / Raw(MARKED))
    between = {
        "ipip": (4, b""),
        "gre": (47, b"\0\0\x08\0"),
        "gue": (17, None),
    }[s.method]

    def outer(packet):
        number, shim = between
        if shim is None:
            gue = bytes(UDP(sport=0xC001, dport=6080, chksum=0, len=8 + 4 + len(packet))) + b"\0\x04\0\0"
            shim = gue
        return ("server", bytes(IP(src=w.director, dst=w.server, proto=number, ttl=63, flags="DF")
                                / Raw(shim + packet)))

    for name, packet in (("df", inner), ("nodf", inner_nodf)):
        scenario(
            f"{prefix}errors-about-tunnel-{name}", s.one_server("udp"), s.asks(s.udp() / Raw(MARKED)),
            w.error("server", w.lan_router, outer(packet), "host"),
            w.error("server", w.lan_router, outer(packet), "ttl"),
            w.error("server", w.server, outer(packet), "protocol"),
            w.error("server", w.lan_router, outer(packet), "big", mtu=1400),
            w.error("server", w.lan_router, outer(packet), "host", quoted=8),
            s.asks(s.udp() / filler(1380), flags="DF"), s.asks(s.udp() / filler(1380)),
        )


@for_each(FEW)
def tcp_oddities(s, prefix):
    first = ("A", "R", "RA", "F", 0, "SA", "SF", "SR", 0xFF, "PA", "S")
    for setting in (0, 1):
        scenario(
            f"{prefix}first-{setting}", f"sysctl sloppy_tcp {setting}", s.service("tcp"),
            [[s.asks(s.tcp(flags, FROM + i)), s.asks(s.tcp("A", FROM + i))]
             for i, flags in enumerate(first)],
        )
    scenario(
        prefix + "two-clients", s.service("tcp"),
        [s.asks(s.tcp("S", FROM + i)) for i in range(4)], [s.asks(s.tcp("A", FROM + i)) for i in range(4)],
    )


@for_each(("nat", "dr"))
def reuse(s, prefix):
    """A port used again: conn_reuse_mode, with the scheduler's choice telling whether it was new."""
    shut = [s.asks(s.tcp("S")), *s.answers(s.tcp_answer("SA", FROM)), s.asks(s.tcp("A")),
            s.asks(s.tcp("FA")), *s.answers(s.tcp_answer("FA")), s.asks(s.tcp("A"))]
    half = [s.asks(s.tcp("S")), s.asks(s.tcp("A")), s.asks(s.tcp("FA"))]
    reset = [s.asks(s.tcp("S")), *s.answers(s.tcp_answer("SA")), s.asks(s.tcp("A")), s.asks(s.tcp("R"))]
    for mode in (0, 1, 2, 3):
        for name, steps in {"closed": shut, "half": half, "reset": reset}.items():
            scenario(
                f"{prefix}reuse-{mode}-{name}", f"sysctl conn_reuse_mode {mode}", s.service("tcp"), steps,
                s.asks(s.tcp("S")), s.asks(s.tcp("A")), s.asks(s.tcp("S", FROM + 1)),
            )


@for_each(FEW)
def servers_that_go(s, prefix):
    virtual = {p: f"{FLAGS[p]} {s.at(s.world.service, PORT)}" for p in FLAGS}
    first = s.at(s.servers.server, s.server_port)
    for setting in (0, 1):
        scenario(
            f"{prefix}removed-{setting}", f"sysctl expire_nodest_conn {setting}", s.service("udp"),
            s.asks(s.udp()), s.asks(s.udp(FROM + 1)),
            f"ipvsadm -d {virtual['udp']} -r {first}",
            s.asks(s.udp()), s.asks(s.udp(FROM + 1)), s.asks(s.udp()), s.asks(s.udp(FROM + 1)),
        )
        scenario(
            f"{prefix}weight-zero-{setting}", f"sysctl expire_nodest_conn {setting}", s.service("tcp"),
            s.asks(s.tcp("S")), s.asks(s.tcp("A")), s.asks(s.tcp("S", FROM + 1)),
            f"ipvsadm -e {virtual['tcp']} -r {first} {METHODS[s.method]} -w 0",
            s.asks(s.tcp("A")), s.asks(s.tcp("S")), s.asks(s.tcp("S", FROM + 1)), s.asks(s.tcp("S", FROM + 2)),
        )
    scenario(
        prefix + "removed-and-back", s.one_server("udp"), s.asks(s.udp()),
        f"ipvsadm -d {virtual['udp']} -r {first}", s.asks(s.udp()),
        f"ipvsadm -a {virtual['udp']} -r {first} {METHODS[s.method]}", s.asks(s.udp()),
    )
    scenario(
        prefix + "service-removed", s.one_server("udp"), s.asks(s.udp()), f"ipvsadm -D {virtual['udp']}",
        s.asks(s.udp()), s.asks(s.udp(FROM + 1)),
    )
    scenario(prefix + "no-server", s.service("udp", servers=0), s.service("tcp", servers=0),
             s.asks(s.udp()), s.asks(s.tcp("S")), s.asks(s.tcp("A")))
    if s.method == "nat":
        return  # ipvsadm itself refuses to take the server's port away
    scenario(
        prefix + "method-changes", s.one_server("udp"), s.asks(s.udp()),
        f"ipvsadm -e {virtual['udp']} -r {s.at(s.servers.server, s.server_port)} "
        f"{METHODS['dr' if s.method != 'dr' else 'ipip']}",
        s.asks(s.udp()), s.asks(s.udp(FROM + 1)), s.asks(s.udp(FROM + 1)), s.asks(s.udp(FROM + 2)),
    )


@for_each(("nat", "dr", "ipip"))
def one_packet(s, prefix):
    scenario(
        prefix + "one-packet", s.service("udp", "-s rr -o"), [s.asks(s.udp()) for _ in range(4)],
        s.answers(s.udp_answer()), s.asks(s.udp(FROM + 1)),
    )
    scenario(
        prefix + "one-packet-persistent", s.service("udp", "-s rr -o -p 60"),
        [s.asks(s.udp()) for _ in range(2)], s.asks(s.udp(FROM + 1)),
    )


@for_each(("nat", "dr", "ipip"))
def persistence(s, prefix):
    w = s.world
    other = ("client", bytes(w.ip(w.other_client, w.service) / s.udp()))
    scenario(
        prefix + "persistent", s.service("udp", "-s rr -p 60"), s.asks(s.udp()), s.asks(s.udp(FROM + 1)), other,
        s.asks(s.udp(FROM + 2)),
    )
    mask = "255.255.255.0" if w.family == 4 else "64"
    scenario(
        prefix + "persistent-mask", s.service("udp", f"-s rr -p 60 -M {mask}"), s.asks(s.udp()), other,
        s.asks(s.udp(FROM + 2)),
    )
    scenario(
        prefix + "persistent-any-port", s.service("udp", "-s rr -p 60", port=0),
        s.service("tcp", "-s rr -p 60", port=0), s.asks(UDP(sport=FROM, dport=1000)),
        s.asks(UDP(sport=FROM, dport=1001)), s.asks(TCP(sport=FROM, dport=1002, flags="S")), other,
        s.answers(UDP(sport=1000, dport=FROM)), s.answers(TCP(sport=1002, dport=FROM, flags="SA")),
    )
    virtual = f"-u {s.at(w.service, PORT)}"
    first = s.at(s.servers.server, s.server_port)
    for setting in (0, 1):
        scenario(
            f"{prefix}persistent-quiescent-{setting}", f"sysctl expire_quiescent_template {setting}",
            s.service("udp", "-s rr -p 60"), s.asks(s.udp()), s.asks(s.udp(FROM + 1)),
            f"ipvsadm -e {virtual} -r {first} {METHODS[s.method]} -w 0",
            f"ipvsadm -e {virtual} -r {s.at(s.servers.other_server, s.server_port)} {METHODS[s.method]} -w 1",
            s.asks(s.udp(FROM + 2)), s.asks(s.udp(FROM + 3)),
        )


@for_each(("nat", "dr", "ipip"))
def marks(s, prefix):
    w = s.world
    family = "" if w.family == 4 else " -6"
    at = [address if w.family == 4 else f"[{address}]" for address in (w.server, w.other_server)]

    def by_mark(options):
        return ["mark 7", f"ipvsadm -A -f 7{family} {options}",
                *[f"ipvsadm -a -f 7{family} -r {one}:0 {METHODS[s.method]}" for one in at]]

    scenario(
        prefix + "mark", by_mark("-s rr"), s.asks(s.udp()), s.asks(UDP(sport=FROM, dport=53)),
        s.asks(s.tcp("S")), s.asks(s.tcp("A")), s.answers(UDP(sport=PORT, dport=FROM)),
        s.answers(TCP(sport=PORT, dport=FROM, flags="SA")), s.asks(s.udp(FROM + 1)),
    )
    scenario(
        prefix + "mark-persistent", by_mark("-s rr -p 60"), s.asks(s.udp()), s.asks(UDP(sport=FROM, dport=53)),
        s.asks(s.tcp("S")), ("client", bytes(w.ip(w.other_client, w.service) / s.udp())),
    )


@for_each(("nat", "dr", "ipip"))
def ipsec(s, prefix):
    """AH and ESP follow their hosts' key exchange."""
    exchange = UDP(sport=500, dport=500) / Raw(MARKED)
    esp, ah = (s.world.asks(Raw(b"\0\0\0\1\0\0\0\1" + MARKED), **kw) for kw in
               ({"proto": 50}, {"proto": 51}) if s.world.family == 4) if s.world.family == 4 else (
        s.world.asks(Raw(b"\0\0\0\1\0\0\0\1" + MARKED), nh=50), None)
    packets = [one for one in (esp, ah) if one]
    scenario(prefix + "ipsec-alone", s.service("udp", port=500), packets)
    steps = s.service("udp", port=500)
    if s.method == "nat":
        steps = [step.replace(f":{PLAIN_PORT}", ":500") for step in steps]
    scenario(prefix + "ipsec", steps, s.asks(exchange), packets)


@for_each(("nat", "dr"))
def thresholds(s, prefix):
    scenario(
        prefix + "thresholds", s.service("tcp", extra="-x 1 -y 0"),
        [s.asks(s.tcp("S", FROM + i)) for i in range(3)], s.asks(s.tcp("A")), s.asks(s.tcp("R")),
        s.asks(s.tcp("S", FROM + 7)),
    )


@for_each(("nat",))
def servers_unasked(s, prefix):
    """Packets of a masqueraded server that belong to no connection."""
    for setting in (0, 1):
        scenario(
            f"{prefix}unasked-{setting}", f"sysctl nat_icmp_send {setting}", s.one_server("tcp"),
            s.one_server("udp"), s.answers(s.tcp_answer("SA")), s.answers(s.tcp_answer("R")),
            s.answers(s.udp_answer() / Raw(MARKED)), s.answers(UDP(sport=9, dport=FROM)),
        )


@for_each(FEW)
def not_for_ipvs(s, prefix):
    echo = ICMP(type=8) if s.world.family == 4 else ICMPv6EchoRequest()
    scenario(
        prefix + "others", s.one_server("tcp"), s.one_server("udp"), s.asks(echo / Raw(MARKED)),
        s.asks(UDP(sport=FROM, dport=81)), s.asks(TCP(sport=FROM, dport=81, flags="S")),
        s.asks(SCTP(sport=FROM, dport=PORT) / SCTPChunkInit(init_tag=1)),
        s.asks(UDP(sport=FROM, dport=PORT, len=200) / Raw(MARKED)),
    )


@for_each(FEW)
def sctp_oddities(s, prefix):
    first = (SCTPChunkData(data=b"12345678"), SCTPChunkAbort(), SCTPChunkCookieEcho(cookie=b"cook"))
    for setting in (0, 1):
        scenario(
            f"{prefix}sctp-first-{setting}", f"sysctl sloppy_sctp {setting}", s.one_server("sctp"),
            [[s.asks(SCTP(sport=FROM + i, dport=PORT, tag=7) / chunk)] for i, chunk in enumerate(first)],
            [[s.asks(SCTP(sport=FROM + i, dport=PORT, tag=7) / SCTPChunkData(data=b"1234"))]
             for i in range(len(first))],
        )


def mixed_families():
    """Tunnels whose outer packet is of the other family."""
    for family in (4, 6):
        for method in ("ipip", "gre", "gue", "guecsum"):
            s = Stage(method, family, 10 - family)
            scenario(
                f"{method}-v{family}in{10 - family}-udp", s.one_server("udp"),
                s.asks(s.udp() / Raw(MARKED), tos=0x2B), s.asks(s.udp() / Raw(MARKED), ttl=1),
                s.asks(s.udp() / filler(1430), flags="DF"), s.asks(s.tcp("S")),
                *([s.asks(s.udp() / filler(1430))] if family == 4 else []),
            )


mixed_families()
