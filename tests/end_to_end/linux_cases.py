"""What iproute2 and keepalived make of the shadow interface, and the engine follows."""

import contextlib
import json
import time

from harness import ONE_WORKER, TWO_WORKERS, VIRTUAL_MAC_PAIR, case, expect, expect_equal
from nlvslab.measure import PATIENCE, BackgroundTraffic, traffic, within
from nlvslab.services import VIRTUAL_MAC_DEVICE
from nlvslab.topology import ECHO_PORT, HTTP_PORT

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
