"""FRR on the directors, BIRD on the router, BGP with BFD and OSPF between them over the shadow
interface: what is learnt takes effect in the engine, what is announced brings the traffic."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from harness import LabKind, case, expect, expect_equal
from nlvslab.measure import PATIENCE, within
from nlvslab.topology import DIRECTORS, HTTP_PORT, ROUTER

HERE = Path(__file__).resolve().parent
FRR = Path("/usr/lib/frr")
ROUTED_PAIR = LabKind(directors=2)
ROUTER_AS, DIRECTORS_AS = 65000, 65001
ELSEWHERE = {4: "198.18.9.2", 6: "2001:db8:9::2"}  # the client's, known by routing alone


def host_route(address):
    return f"{address}/{128 if ':' in address else 32}"


def bird_configuration(topology, directors):
    lines = [
        f"router id {topology.front.ipv4(ROUTER)};",
        "protocol device {}",
        "protocol bfd { interface \"eth1\" { interval 300 ms; multiplier 6; }; }",
        *(
            f"protocol kernel kernel{family} {{ merge paths on; ipv{family} {{ import none; "
            "export where source ~ [RTS_BGP, RTS_STATIC]; }; }"
            for family in (4, 6)
        ),
    ]
    for family in (4, 6):
        client = topology.client_address(family)
        lines += [
            f"protocol static elsewhere{family} {{",
            f"  ipv{family};",
            f"  route {host_route(ELSEWHERE[family])} via {client};",
            "}",
        ]
        for name in directors:
            lines += [
                f"protocol bgp {name}_{family} {{",
                f"  local as {ROUTER_AS};",
                f"  neighbor {topology.front.address(DIRECTORS[name], family)} as {DIRECTORS_AS};",
                "  bfd on; hold time 9;",
                "  connect retry time 1; connect delay time 1; error wait time 1, 2;",
                f"  ipv{family} {{",
                "    import all; next hop self;",
                f"    export where proto = \"elsewhere{family}\";",
                "  };",
                "}",
            ]
    lines += [
        "protocol ospf v2 inner {",
        "  ipv4 { export where proto = \"elsewhere4\"; };",
        "  area 0 { interface \"eth2\" { type pointopoint; hello 1; dead 4; }; };",
        "}",
    ]
    return "\n".join(lines) + "\n"


def frr_configuration(topology, host):
    router = {family: topology.front.address(ROUTER, family) for family in (4, 6)}
    peers = [
        line
        for family in (4, 6)
        for line in (
            f" neighbor {router[family]} remote-as {ROUTER_AS}",
            f" neighbor {router[family]} timers 3 9",
            f" neighbor {router[family]} timers connect 1",
            f" neighbor {router[family]} bfd 6 300 300",
        )
    ]
    families = [
        line
        for family in (4, 6)
        for line in (
            f" address-family ipv{family} unicast",
            "  redistribute connected route-map virtual",
            f"  neighbor {router[family]} activate",
            " exit-address-family",
        )
    ]
    return "\n".join([
        "route-map virtual permit 10",
        " match interface lo",
        "route-map virtual deny 20",
        f"router bgp {DIRECTORS_AS}",
        f" bgp router-id {topology.front.ipv4(host)}",
        " no bgp ebgp-requires-policy",
        " no bgp default ipv4-unicast",
        *peers,
        *families,
        "interface dp1",
        f" ip ospf area 0 {topology.back.ipv4(host)}",  # and not on the gateway address
        " ip ospf network point-to-point",
        " ip ospf hello-interval 1",
        " ip ospf dead-interval 4",
        "router ospf",
        f" ospf router-id {topology.front.ipv4(host)}",
        "",
    ])


class Routers:
    """The routing daemons of a lab, started once."""

    def __init__(self, bench):
        self.bench, self.lab, self.topology = bench, bench.lab, bench.topology
        directory = self.lab.state / "router"
        directory.mkdir(exist_ok=True)
        config = directory / "bird.conf"
        self.control = directory / "bird.ctl"
        config.write_text(bird_configuration(self.topology, self.topology.directors))
        router = self.lab.namespace("router")
        router.sysctl({
            "net.ipv4.fib_multipath_hash_policy": 1, "net.ipv6.fib_multipath_hash_policy": 1,
        })
        self.lab.start(
            "router", "bird", router.command("bird", "-f", "-c", config, "-s", self.control)
        )
        for director in self.lab.directors.values():
            self.start_frr(director)

    def start_frr(self, director):
        directory = director.state / "frr"
        directory.mkdir(exist_ok=True)
        shutil.chown(directory, "frr", "frr")  # the daemons give up being root
        config = directory / "frr.conf"
        config.write_text(frr_configuration(self.topology, DIRECTORS[director.name]))
        sockets = [
            "--vty_socket", directory, "-z", directory / "zserv.api", "-P", "0", "-f", config,
        ]
        # On the inner segment only one speaks OSPF, point to point with the router.
        first = director is next(iter(self.lab.directors.values()))
        for daemon in ("zebra", "bfdd", "bgpd", *(["ospfd"] if first else [])):
            further = ["--bfdctl", directory / "bfdd.sock"] if daemon == "bfdd" else []
            if daemon == "bgpd":
                # Sessions asked for before bfdd has joined zebra are never made; it joins as soon as
                # it has opened its terminal.
                within(10, (directory / "bfdd.vty").exists, "bfdd runs")
                time.sleep(0.5 * PATIENCE)
            self.lab.start(
                director.name, daemon,
                director.namespace.command(
                    FRR / daemon, *sockets, "-i", directory / f"{daemon}.pid", *further
                ),
            )

    def routes(self, family, address):
        """How many ways the router has to exactly this address by BGP."""
        text = self.lab.namespace("router").ip(
            "-json", f"-{family}", "route", "show", host_route(address), "proto", "bird"
        )
        entries = json.loads(text or "[]")
        return sum(len(entry.get("nexthops", [entry])) for entry in entries)

    def watched(self, family):
        """The directors that BFD finds alive."""
        text = self.lab.namespace("router").run("birdc", "-s", self.control, "show bfd sessions")
        rows = [line.split() for line in text.splitlines() if " eth1 " in line]
        up = {row[0] for row in rows if row[2] == "Up"}
        return [
            name for name in self.topology.directors
            if self.topology.front.address(DIRECTORS[name], family) in up
        ]


def routers(bench):
    if not hasattr(bench, "routers"):
        bench.routers = Routers(bench)
        client = bench.lab.client
        client.batch([f"addr add {host_route(ELSEWHERE[f])} dev lo" for f in (4, 6)])
    return bench.routers


@contextlib.contextmanager
def announced(bench, directors, address):
    """The address on the loopback device of directors, as BGP sites have it."""
    for director in directors:
        director.namespace.ip("addr", "del", host_route(address), "dev", "dp0", check=False)
        director.namespace.ip("addr", "add", host_route(address), "dev", "lo")
    try:
        yield
    finally:
        for director in directors:
            director.namespace.ip("addr", "del", host_route(address), "dev", "lo", check=False)


def without_default_routes(bench):
    for director in bench.lab.directors.values():
        for family in (4, 6):
            director.namespace.ip(f"-{family}", "route", "del", "default", check=False)


def answer_from_elsewhere(bench, family, address):
    url = f"http://[{address}]/" if family == 6 else f"http://{address}/"
    return bench.lab.client.run(
        "curl", "-gsS", "--max-time", "3", "--interface", ELSEWHERE[family], url, check=False
    ).strip()


@case((ROUTED_PAIR,), (4, 6))
def what_bgp_announces_and_learns_carries_the_traffic(bench, family):
    director, address = bench.director, bench.address("nat", family)
    speakers = routers(bench)
    without_default_routes(bench)
    bench.serve("nat", family)
    expect_equal(speakers.routes(family, address), 0, "ways before the announcement")
    with announced(bench, [director], address):
        within(20, lambda: speakers.routes(family, address) == 1, "the router has learnt it")
        within(
            20, lambda: answer_from_elsewhere(bench, family, address).startswith("rs"),
            "an answer by a learnt route",
        )
    within(10, lambda: speakers.routes(family, address) == 0, "the router has lost it")
    expect_equal(answer_from_elsewhere(bench, family, address), "", "answer after the withdrawal")


@case((ROUTED_PAIR,))
def what_ospf_learns_carries_the_answers(bench):
    """BGP is gone for the moment: only OSPF, on the other shadow interface, knows the client."""
    director, address = bench.director, bench.address("nat")
    routers(bench)
    without_default_routes(bench)
    bench.serve()
    bench.lab.processes.stop(director.name, "bgpd")
    within(
        20,
        lambda: "dp1" in director.namespace.ip("route", "show", host_route(ELSEWHERE[4])),
        "a route by OSPF",
    )
    router = bench.lab.namespace("router")
    director.namespace.ip("addr", "replace", host_route(address), "dev", "dp0")
    router.ip("route", "replace", host_route(address), "via", bench.topology.front.ipv4(11))
    try:
        within(
            10, lambda: answer_from_elsewhere(bench, 4, address).startswith("rs"),
            "an answer by a route of OSPF",
        )
    finally:
        router.ip("route", "del", host_route(address))
        bench.lab.processes.stop(director.name, "ospfd")
        for daemon in ("bfdd", "zebra"):
            bench.lab.processes.stop(director.name, daemon)
        bench.routers.start_frr(director)


class Flows:
    """Connections of the client that stay open; each can be asked who serves it."""

    def __init__(self, bench, address, count):
        self.process = subprocess.Popen(
            bench.lab.client.command(
                sys.executable, HERE / "open_flows.py", address, HTTP_PORT, count
            ),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def ask(self):
        self.process.stdin.write("ask\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@case((ROUTED_PAIR,), (4, 6))
def flows_outlive_one_of_two_directors(bench, family):
    """Equal-cost ways to both directors, which choose alike by mh: when one goes, its flows go on
    by the other to the same servers."""
    address = bench.address("dr", family)
    speakers = routers(bench)
    without_default_routes(bench)
    directors = list(bench.lab.directors.values())
    for director in directors:
        director.run("sysctl", "-q", "-w", "net.ipv4.vs.sloppy_tcp=1")
        director.ipvsadm("-C")
        service = bench.virtual("dr", family)
        director.ipvsadm("-A", "-t", service, "-s", "mh", "-b", "mh-port")
        for name in bench.topology.real_servers:
            director.ipvsadm("-a", "-t", service, "-r", bench.server(name, family), "-g")
    with announced(bench, directors, address):
        within(20, lambda: speakers.routes(family, address) == 2, "ways over both directors")
        within(20, lambda: len(speakers.watched(family)) == 2, "BFD with both directors")
        with Flows(bench, address, 24) as flows:
            before = flows.ask()
            expect_equal(len(set(before)), 3, f"servers: {before}")
            within(5, lambda: all(packets(d) > 0 for d in directors), "packets by each director")
            directors[0]._cables("down")
            try:
                within(20, lambda: speakers.routes(family, address) == 1, "BFD has noticed")
                expect_equal(flows.ask(), before, "servers of the same flows by the other director")
            finally:
                directors[0]._cables("up")
        within(30, lambda: speakers.routes(family, address) == 2, "both ways again")
    for director in directors[1:]:
        director.ipvsadm("-C")


def packets(director):
    text = director.ipvsadm("-Ln", "--stats", "--exact")
    row = next(line for line in text.splitlines() if line.startswith("TCP"))
    return int(row.split()[3])
