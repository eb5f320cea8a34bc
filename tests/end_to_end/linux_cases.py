"""What iproute2 and keepalived make of the shadow interface, and the engine follows."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness import (
    ONE_WORKER, PAIR, TWO_WORKERS, VIRTUAL_MAC_PAIR, case, expect, expect_equal,
)
from nlvslab.measure import PATIENCE, BackgroundTraffic, traffic, within
from nlvslab.services import VIRTUAL_MAC_DEVICE
from nlvslab.system import run
from nlvslab.topology import ECHO_PORT, HTTP_PORT

HERE = Path(__file__).resolve().parent
JUNK_SOURCES = ("10.2.0.66", "fd00:2::66")  # of junk_packets.py
VIRTUAL_MAC = "00:00:5e:00:01:33"  # RFC 5798: 33 is router 51


def router_neighbour(bench, address):
    """The MAC address by which the router reaches it, or None."""
    router = bench.lab.namespace("router")
    entries = json.loads(router.ip("-json", "neigh", "show", address, "dev", "eth1") or "[]")
    return entries[0].get("lladdr") if entries else None


@case((VIRTUAL_MAC_PAIR,), ("nat", "dr", "tun"))
def packets_for_the_virtual_mac_are_balanced(bench, method):
    address = bench.address(method)
    for kind, port in (("http", HTTP_PORT), ("udp", ECHO_PORT)):
        seen = traffic(bench.lab, kind, address, port, 30)
        expect_equal((seen.failed, len(seen.answers)), (0, 3), seen.describe())
    expect_equal(router_neighbour(bench, address), VIRTUAL_MAC, "address in the router's ARP table")
    text = bench.director.namespace.ip("-json", "-details", "link", "show", VIRTUAL_MAC_DEVICE)
    expect_equal(json.loads(text)[0]["linkinfo"]["info_kind"], "macvlan", "kind of the device")


@case((VIRTUAL_MAC_PAIR,))
def ping_of_an_address_on_the_virtual_mac(bench):
    bench.lab.client.run("ping", "-q", "-c", "5", "-i", "0.05", "-W", "2", bench.address())


@case((VIRTUAL_MAC_PAIR,))
def a_take_over_keeps_the_virtual_mac(bench):
    master = bench.director
    backup = next(d for d in bench.lab.directors.values() if d is not master)
    traffic(bench.lab, "http", bench.address(), HTTP_PORT, 3)
    expect_equal(router_neighbour(bench, bench.address()), VIRTUAL_MAC, "before")
    bench.restarted = {master.name}
    with BackgroundTraffic(bench.lab, "http", bench.address(), HTTP_PORT, interval=0.02) as stream:
        time.sleep(1)
        master.crash()
        within(10, backup.is_master, "take-over")
        taken = time.time()
        time.sleep(2 * PATIENCE)
        seen = stream.stop()
    late = [f for f in seen.failures if f["time"] > taken + PATIENCE]
    expect(not late, f"failures after the take-over: {late[:3]}")
    expect_equal(router_neighbour(bench, bench.address()), VIRTUAL_MAC, "after the take-over")
    master.revive()
    within(20, lambda: bench.lab.master() is master, "the old master takes over again")
    bench.lab.wait_for_services()
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
    expect_equal(seen.failed, 0, seen.describe())
    expect_equal(router_neighbour(bench, bench.address()), VIRTUAL_MAC, "in the end")


class Legs:
    """How many IPv4 packets from a source port reached the router on each of its legs."""

    def __init__(self, bench, address, port):
        self.router = bench.lab.namespace("router")
        self.rules = [
            f"add rule ip legs input iifname {leg} ip saddr {address} tcp sport {port} counter"
            for leg in ("eth1", "eth2")
        ]

    def __enter__(self):
        self.router.run("nft", "add table ip legs")
        self.router.run(
            "nft", "add chain ip legs input { type filter hook prerouting priority 0; }"
        )
        for rule in self.rules:
            self.router.run("nft", rule)
        return self

    def __exit__(self, *_):
        self.router.run("nft", "delete table ip legs")

    def counts(self):
        text = json.loads(self.router.run("nft", "-j", "list table ip legs"))
        return [
            expression["counter"]["packets"]
            for entry in text["nftables"] if "rule" in entry
            for expression in entry["rule"]["expr"] if "counter" in expression
        ]


@contextlib.contextmanager
def configured(director, setup, undo, family=None):
    """iproute2 commands on the director for as long as the block runs."""
    director.namespace.batch(setup, family)
    try:
        yield
    finally:
        director.namespace.batch(undo, family)


def answers_by_leg(bench, legs, connections=12):
    before = legs.counts()
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, connections)
    expect_equal(seen.failed, 0, seen.describe())
    return [after - was for after, was in zip(legs.counts(), before)]


@case((ONE_WORKER, TWO_WORKERS))
def a_rule_by_source_sends_answers_another_way(bench):
    bench.serve()
    inner = bench.topology.back.ipv4(1)
    with Legs(bench, bench.address(), HTTP_PORT) as legs:
        outer_only = answers_by_leg(bench, legs)
        expect(outer_only[0] > 0 and outer_only[1] == 0, f"by main: {outer_only}")
        with configured(
            bench.director,
            [f"route add 0.0.0.0/0 via {inner} table 100",
             f"rule add from {bench.address()} lookup 100 priority 77"],
            [f"rule del from {bench.address()} lookup 100 priority 77", "route flush table 100"],
            family=4,
        ):
            inner_only = answers_by_leg(bench, legs)
            expect(inner_only[0] == 0 and inner_only[1] > 0, f"by table 100: {inner_only}")
        outer_only = answers_by_leg(bench, legs)
        expect(outer_only[0] > 0 and outer_only[1] == 0, f"by main again: {outer_only}")


@case((ONE_WORKER, TWO_WORKERS))
def snat_reroute_says_whose_rules_an_answer_obeys(bench):
    """With it those for the virtual address, as if the director had sent it; without it those for
    the real server, whose packet came in. It counts for connections that are open, too."""
    bench.serve()
    inner, director = bench.topology.back.ipv4(1), bench.director
    by_virtual = f"from {bench.address()} lookup 100 priority 77"
    by_server = f"from {bench.topology.back.ipv4(0)}/24 iif dp1 lookup 100 priority 77"
    with Legs(bench, bench.address(), HTTP_PORT) as legs:
        try:
            for rule, way_of_rule in ((by_virtual, 1), (by_server, 0)):
                with configured(
                    director,
                    [f"route add 0.0.0.0/0 via {inner} table 100", f"rule add {rule}"],
                    [f"rule del {rule}", "route flush table 100"],
                    family=4,
                ), BackgroundTraffic(bench.lab, "hold", bench.address(), HTTP_PORT, 6) as held:
                    expect_equal(held.first_result().failed, 0, "failed opens")
                    for reroute in (0, 1, 0, 1):
                        director.run("sysctl", "-qw", f"net.ipv4.vs.snat_reroute={reroute}")
                        outer_leg, inner_leg = answers_by_leg(bench, legs)
                        by_rule = reroute == way_of_rule
                        expect(
                            (inner_leg if by_rule else outer_leg) > 0
                            and (outer_leg if by_rule else inner_leg) == 0,
                            f"snat_reroute {reroute}, rule {rule}: {outer_leg} answers by main, "
                            f"{inner_leg} by the rule",
                        )
                    director.run("sysctl", "-qw", f"net.ipv4.vs.snat_reroute={1 - way_of_rule}")
                    before = legs.counts()
                    after = held.stop()
                    expect_equal(after.failed, 0, after.describe())
                    used = [now - was for now, was in zip(legs.counts(), before)]
                    expect(
                        used[0] > 0 and used[1] == 0,
                        f"open connections, by main and not by rule {rule}: {used}",
                    )
        finally:
            director.run("sysctl", "-qw", "net.ipv4.vs.snat_reroute=1")


@case((ONE_WORKER,))
def a_suppressed_default_route_is_passed_over(bench):
    """The idiom of VPN tools: main without its default route, then another table."""
    bench.serve()
    inner = bench.topology.back.ipv4(1)
    with Legs(bench, bench.address(), HTTP_PORT) as legs:
        with configured(
            bench.director,
            [f"route add 0.0.0.0/0 via {inner} table 100",
             "rule add lookup main suppress_prefixlength 0 priority 77",
             "rule add lookup 100 priority 78"],
            ["rule del priority 77", "rule del priority 78", "route flush table 100"],
            family=4,
        ):
            inner_only = answers_by_leg(bench, legs)
            expect(inner_only[0] == 0 and inner_only[1] > 0, f"by table 100: {inner_only}")


@case((ONE_WORKER,), ("ways", "objects", "objects without compatibility"))
def answers_spread_over_weighted_ways(bench, form):
    bench.serve()
    outer, inner = bench.topology.front.ipv4(1), bench.topology.back.ipv4(1)
    if form == "ways":
        setup = [f"route add 10.1.0.0/24 nexthop via {outer} weight 1 nexthop via {inner} weight 3"]
        undo = ["route del 10.1.0.0/24"]
    else:
        # Without a family: a group of next hops has none.
        setup = [
            f"nexthop add id 71 via {outer} dev dp0",
            f"nexthop add id 72 via {inner} dev dp1",
            "nexthop add id 73 group 71,1/72,3",
            "route add 10.1.0.0/24 nhid 73",
        ]
        undo = ["nexthop flush"]
    compatible = 0 if form == "objects without compatibility" else 1
    bench.director.namespace.sysctl({"net.ipv4.nexthop_compat_mode": compatible})
    with Legs(bench, bench.address(), HTTP_PORT) as legs, configured(bench.director, setup, undo):
        by_outer, by_inner = answers_by_leg(bench, legs, 200)
        share = by_inner / (by_outer + by_inner)
        expect(0.62 < share < 0.88, f"{by_outer} and {by_inner} packets for weights 1 and 3")


@case((ONE_WORKER, TWO_WORKERS))
def any_address_of_a_local_prefix_can_be_served(bench):
    address = bench.topology.front.ipv4(200)
    router = bench.lab.namespace("router")
    router.ip("route", "add", address, "via", bench.topology.front.ipv4(11))
    server = bench.server("rs1")
    try:
        bench.director.ipvsadm("-A", "-t", f"{address}:80", "-s", "rr")
        bench.director.ipvsadm("-a", "-t", f"{address}:80", "-r", server, "-m")
        with configured(
            bench.director,
            ["route add local 10.2.0.192/26 dev lo"], ["route del local 10.2.0.192/26 dev lo"],
        ):
            seen = traffic(bench.lab, "http", address, HTTP_PORT, 10)
            expect_equal((seen.failed, seen.answers), (0, {"rs1": 10}), seen.describe())
        seen = traffic(bench.lab, "http", address, HTTP_PORT, 1, timeout=2)
        expect_equal(seen.answered, 0, "answers when the prefix is no longer local")
    finally:
        router.ip("route", "del", address)


@case((TWO_WORKERS,))
def workers_tell_where_they_run(bench):
    """Worker n has queue n of every port; which processors it may use is what the kernel says."""
    rows = bench.director.report("workers")
    expect_equal([row["worker"] for row in rows], [0, 1], "workers")
    allowed = set()
    for task in Path(f"/proc/{bench.director.nlvsd_pid()}/task").iterdir():
        status = (task / "status").read_text()
        allowed |= {line.split()[1] for line in status.splitlines() if "Cpus_allowed_list" in line}
    expect({row["cpus"] for row in rows} <= allowed, f"{rows} are not among {allowed}")


class Straight:
    """The client's way to a real server's own address leads through the director, both ways."""

    def __init__(self, bench, family):
        topology = bench.topology
        self.bench, self.family = bench, family
        self.director = bench.director.namespace
        self.router = bench.lab.namespace("router")
        self.server = bench.lab.real_servers["rs2"]
        self.address = topology.real_address("rs2", family)
        self.way = [
            "route", "replace", self.address, "via", topology.front.address(11, family),
        ]

    def __enter__(self):
        self.router.ip(*self.way)
        self.forward(True)
        return self

    def __exit__(self, *_):
        self.router.ip("route", "del", self.address)
        self.forward(False)

    def forward(self, on):
        key = "net.ipv4.ip_forward" if self.family == 4 else "net.ipv6.conf.all.forwarding"
        self.director.sysctl({key: int(on)})

    def pings(self, *options):
        text = self.bench.lab.client.run(
            "ping", "-q", "-c", "20", "-i", "0.02", "-W", "1", *options, self.address, check=False
        )
        return int(text.split(" received")[0].split()[-1])

    def routed(self):
        return sum(row["routed"] for row in self.bench.director.report("workers"))

    def by_engine(self):
        rows = self.bench.director.report("mirror", "routing")
        return next(row["by_engine"] for row in rows if row["family"] == f"ipv{self.family}")


@case((ONE_WORKER, TWO_WORKERS), (4, 6))
def packets_of_no_service_are_routed_by_the_engine(bench, family):
    with Straight(bench, family) as straight:
        within(3, straight.by_engine, "the engine knows that the host is a router")
        straight.pings()
        before = straight.routed()
        expect_equal(straight.pings(), 20, "echo replies")
        routed = straight.routed() - before
        expect(routed >= 36, f"{routed} of 40 packets routed by the engine")
        seen = traffic(bench.lab, "http", straight.address, HTTP_PORT, 20)
        expect_equal((seen.failed, seen.answers), (0, {"rs2": 20}), seen.describe())


@case((ONE_WORKER,), (4, 6))
def the_last_hop_is_answered_as_by_a_router(bench, family):
    with Straight(bench, family) as straight:
        within(3, straight.by_engine, "the engine knows that the host is a router")
        text = bench.lab.client.run(
            "ping", "-n", "-c", "1", "-W", "2", "-t", "2", straight.address, check=False
        )
        own = {entry.split("/")[0] for entry in bench.director.namespace.addresses("dp0")}
        answer = next((line.split() for line in text.splitlines() if "exceeded" in line), None)
        expect(answer and answer[1] in own, f"time exceeded from one of {own}: {text}")


@case((ONE_WORKER,), (4, 6))
def a_host_that_is_no_router_forwards_nothing(bench, family):
    with Straight(bench, family) as straight:
        within(3, straight.by_engine, "the engine knows that the host is a router")
        straight.forward(False)
        within(3, lambda: not straight.by_engine(), "and that it no longer is")
        expect_equal(straight.pings(), 0, "echo replies")


@case((ONE_WORKER,))
def a_firewall_is_not_bypassed(bench):
    with Straight(bench, 4) as straight:
        within(3, straight.by_engine, "the engine routes")
        straight.director.run("nft", "add table ip wall")
        straight.director.run(
            "nft",
            "add chain ip wall forward { type filter hook forward priority 0; policy drop; }",
        )
        try:
            within(3, lambda: not straight.by_engine(), "the engine has seen the chain")
            expect_equal(straight.pings(), 0, "echo replies past the firewall")
            straight.director.run("nft", "add rule ip wall forward ip protocol icmp accept")
            expect_equal(straight.pings(), 20, "echo replies that the firewall lets through")
        finally:
            straight.director.run("nft", "delete table ip wall")
        within(3, straight.by_engine, "the engine routes again")
        expect_equal(straight.pings(), 20, "echo replies without a firewall")


def masters(bench, director):
    """How many VRRP instances the director is master of."""
    front = bench.topology.front
    own = director.namespace.addresses("dp0")
    shown = (bench.address(), front.ipv4(153), front.ipv6(152))
    return sum(any(entry.startswith(f"{address}/") for entry in own) for address in shown)


def tcp_session(bench, director, address, seconds, port=2222):
    """A client on the router speaks to a server on the director from now on; returns its log."""
    router = bench.lab.namespace("router")
    program = (sys.executable, HERE / "tcp_session.py")
    bench.lab.start(
        director.name, "session-server",
        director.namespace.command(*program, "serve", "0.0.0.0", port),
    )
    server = bench.lab.state / director.name / "session-server.log"
    within(10, lambda: "ready" in server.read_text(), "a server on the director")
    bench.lab.start("router", "session", router.command(*program, "talk", address, port, seconds))
    log = bench.lab.state / "router" / "session.log"
    within(10, lambda: "connected" in log.read_text(), "a session with the director")
    return log


@case((PAIR,))
def junk_does_not_make_vrrp_flap(bench):
    """Both directors are flooded at their own addresses. Who is master stays master, by VRRP over
    IPv4, over IPv6 and to a named peer; no director changes its mind in between, ping is still answered,
    and a TCP session with the master goes on, though connection attempts are part of the flood.
    Who floods is elsewhere: it may not take the directors' processors."""
    router, front = bench.lab.namespace("router"), bench.topology.front
    master = bench.director
    targets = []
    for host in (11, 12):
        router.run("ping", "-q", "-c", "1", "-W", "5", front.ipv4(host))
        mac = router_neighbour(bench, front.ipv4(host))
        targets.append(f"{mac},{front.ipv4(host)},{front.ipv6(host)}")

    def changes():
        logs = [d.state / "keepalived.log" for d in bench.lab.directors.values()]
        return sum(log.read_text(errors="replace").count("STATE") for log in logs)

    # Answers to junk vanish: else they would wait for a neighbour, and hold up the kernel's others.
    station = json.loads(router.ip("-json", "link", "show", "eth1"))[0]["address"]
    for source in JUNK_SOURCES:
        router.ip("route", "add", "blackhole", source)
        for director in bench.lab.directors.values():
            director.namespace.ip("neigh", "replace", source, "lladdr", station, "dev", "dp0")
    within(10, lambda: masters(bench, master) == 3, "the master of every instance")
    before, punted = changes(), master.report("drops", "punt")
    session = tcp_session(bench, master, front.ipv4(11), seconds=8)
    bench.lab.start(
        "router", "junk",
        router.command(
            "nice", "-n", "10", sys.executable, HERE / "junk_packets.py", "8", "eth1", *targets
        ),
    )
    time.sleep(2)
    text = router.run("ping", "-q", "-c", "10", "-i", "0.2", "-W", "2", front.ipv4(11), check=False)
    within(30, lambda: bench.lab.processes.pid("router", "junk") is None, "the flood ends")
    sent = (bench.lab.state / "router" / "junk.log").read_text()
    for source in JUNK_SOURCES:
        router.ip("route", "del", "blackhole", source)
        for director in bench.lab.directors.values():
            director.namespace.ip("neigh", "del", source, "dev", "dp0")
    within(30, lambda: "longest" in session.read_text(), "the session ends")
    answered = int(session.read_text().split(" answered")[0].split()[-1])
    now = master.report("drops", "punt")
    handled = sum(row["admitted"] + row["refused"] for row in now) - sum(
        row["admitted"] + row["refused"] for row in punted
    )
    expect(handled > 5000, f"the master saw {handled} packets of junk; {sent}")
    expect_equal(changes(), before, f"changes of VRRP state; {sent}")
    expect(bench.lab.master() is master, "the master is the same")
    refused = {row["class"]: row["refused"] for row in now}
    expect_equal(refused["control"], 0, f"packets of the control class refused; {sent}")
    expect(refused["rest"] > 500, f"the flood is more than what is let through: {refused}; {sent}")
    expect(refused["unsolicited"] > 200, f"so are its connection attempts: {refused}; {sent}")
    expect_equal(refused["health"], 0, f"packets of the session refused; {sent}")
    expect(answered >= 20, f"a session during the flood: {session.read_text()}; {sent}")
    received = int(text.split(" received")[0].split()[-1])
    expect(received >= 5, f"{received} of 10 echo replies during the flood; {sent}")


@case((ONE_WORKER,))
def frames_of_a_group_joined_by_its_address_arrive(bench):
    """`ip maddr` joins groups of stations, which no address stands for and no message announces. The
    NIC is not promiscuous for it."""
    group, receives_all_groups = "33:33:00:00:00:99", 0x200  # IFF_ALLMULTI
    director, router = bench.director.namespace, bench.lab.namespace("router")
    script = (sys.executable, HERE / "group_frames.py")
    director.ip("link", "set", "nic0", "promisc", "off")
    director.ip("maddr", "add", group, "dev", "dp0")
    try:
        # Netlink tells the administrator's flags only; /sys is that of the namespace by "netns exec".
        text = run("ip", "netns", "exec", director.name, "cat", "/sys/class/net/nic0/flags")
        flags = int(text, 16)
        expect(flags & receives_all_groups, f"nic0 receives all groups, by its flags {flags:#x}")
        receiver = subprocess.Popen(
            director.command(*script, "receive", "dp0", group, 5 * PATIENCE),
            stdout=subprocess.PIPE, text=True,
        )
        expect_equal(receiver.stdout.readline().strip(), "ready", "the receiver")
        router.run(*script, "send", "eth1", group)
        said = receiver.communicate(timeout=10 * PATIENCE)[0].strip()
        expect_equal(said, "received", f"a frame to {group} on the shadow interface")
    finally:
        director.ip("maddr", "del", group, "dev", "dp0")
        director.ip("link", "set", "nic0", "promisc", "on")


@case((ONE_WORKER,))
def ethtool_on_the_shadow_interface_shows_the_link(bench):
    director = bench.director.namespace

    def link(device):
        lines = director.run("ethtool", device).splitlines()
        return [line.strip() for line in lines if line.strip().startswith(("Speed:", "Duplex:"))]

    for nic, shadow in (("nic0", "dp0"), ("nic1", "dp1")):
        expect(len(link(nic)) == 2, f"{nic} shows {link(nic)}")
        within(3, lambda n=nic, s=shadow: link(n) == link(s), f"{shadow} shows {link(nic)}")


@case((ONE_WORKER, TWO_WORKERS))
def ip_shows_the_packets_of_the_data_path(bench):
    """Under the library; without it the shadow's own few. Also while the daemon is stopped."""
    bench.serve()
    director = bench.director
    words = ("ip", "-json", "-s", "link", "show", "dp0")

    def received(by):
        return json.loads(by(*words))[0]["stats64"]["rx"]["packets"]

    before, punted = received(director.run), received(director.namespace.run)
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 200)
    expect_equal(seen.failed, 0, seen.describe())
    within(3, lambda: received(director.run) >= before + 1000, "ip shows five packets a request")
    own = received(director.namespace.run) - punted
    expect(own < 100, f"packets of the exception path: {own}")

    def agrees():
        port = next(row for row in director.report("ports") if row["shadow"] == "dp0")
        return abs(port["received"] - received(director.run)) < 20

    within(3, agrees, "ip and nlvsctl ports agree")
    os.kill(director.nlvsd_pid(), signal.SIGSTOP)
    try:
        expect(received(director.run) >= before + 1000, "figures of a stopped daemon")
    finally:
        os.kill(director.nlvsd_pid(), signal.SIGCONT)
