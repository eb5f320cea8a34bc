"""Routes that refuse or narrow, and neighbours that move, fail or are the administrator's."""

import errno
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

from harness import ONE_WORKER, TWO_WORKERS, case, endpoint, expect, expect_equal
from linux_cases import Straight, configured
from nlvslab.measure import PATIENCE, traffic, within
from nlvslab.topology import ECHO_PORT, HTTP_PORT

HERE = Path(__file__).resolve().parent
NOBODY = {4: "198.18.7.1", 6: "2001:db8:7::1"}
# What ping says to an answer, by type of route; a blackhole gives none.
REFUSALS = {
    "unreachable": {4: "Destination Host Unreachable", 6: "No route"},
    "prohibit": {4: "Packet filtered", 6: "Administratively prohibited"},
    "blackhole": {4: None, 6: None},
}


def through_director(bench, family, address):
    """The client's packets to the address are routed by the director, as those of real servers."""
    router = bench.lab.namespace("router")
    prefix = f"{address}/{32 if family == 4 else 128}"
    via = bench.topology.front.address(11, family)
    return configured_on(router, [f"route replace {prefix} via {via}"], [f"route del {prefix}"])


def configured_on(namespace, setup, undo):
    class Node:
        pass

    node = Node()
    node.namespace = namespace
    return configured(node, setup, undo)


def ping_text(bench, *options):
    return bench.lab.client.run("ping", "-n", "-c", "1", "-W", "2", *options, check=False)


@case((ONE_WORKER,), tuple(REFUSALS), (4, 6))
def a_route_that_refuses_answers_as_the_kernel(bench, kind, family):
    address = NOBODY[family]
    with Straight(bench, family) as straight, through_director(bench, family, address):
        within(3, straight.by_engine, "the engine knows that the host is a router")
        with configured(
            bench.director, [f"route add {kind} {address}"], [f"route del {kind} {address}"]
        ):
            text = ping_text(bench, address)
        expected = REFUSALS[kind][family]
        if expected is None:
            expect("From" not in text and " 0 received" in text, f"no answer at all: {text}")
        else:
            expect(expected in text, f"'{expected}' for {kind}: {text}")


@case((ONE_WORKER,), (4, 6))
def a_next_hop_that_does_not_answer_is_reported(bench, family):
    address = bench.topology.back.address(77, family)
    with Straight(bench, family) as straight, through_director(bench, family, address):
        within(3, straight.by_engine, "the engine knows that the host is a router")
        own = {entry.split("/")[0] for entry in bench.director.namespace.addresses("dp0")}
        text = ping_text(bench, "-w", "5", "-c", "5", address)
        answers = [line.split()[1] for line in text.splitlines() if "nreachable" in line]
        expect(answers and set(answers) <= own, f"unreachable, from one of {own}: {text}")


@case((ONE_WORKER,), (4, 6))
def a_route_with_an_mtu_narrows_what_is_routed(bench, family):
    with Straight(bench, family) as straight:
        within(3, straight.by_engine, "the engine knows that the host is a router")
        size = 1300
        expect(" 1 received" in ping_text(bench, "-M", "do", "-s", size, straight.address), "wide")
        lines = [f"route add {straight.address} dev dp1 mtu 1280"]
        with configured(bench.director, lines, [f"route del {straight.address} dev dp1"]):
            text = ping_text(bench, "-M", "do", "-s", size, straight.address)
            expect("mtu=1280" in text.replace(" = ", "=").replace(": ", "="), f"too big: {text}")
            expect(" 1 received" in ping_text(bench, "-s", 1000, straight.address), "small ones")
        flush = "route flush cache"
        bench.lab.client.batch([flush], family)
        bench.lab.namespace("router").batch([flush], family)


@case((ONE_WORKER,), (4, 6))
def a_route_with_an_mtu_narrows_what_is_balanced(bench, family):
    """The client learns the MTU of the way to the real server from the director."""
    bench.serve("nat", family, "udp", ECHO_PORT)
    address = bench.address("nat", family)
    servers = [bench.topology.real_address(name, family) for name in bench.topology.real_servers]
    probe = [sys.executable, HERE / "path_mtu.py", address, ECHO_PORT, 1350]
    expect_equal(bench.lab.client.run(*probe).strip(), "1500", "MTU on the whole way")
    with configured(
        bench.director,
        [f"route add {server} dev dp1 mtu 1280" for server in servers],
        [f"route del {server} dev dp1" for server in servers],
    ):
        within(3, lambda: bench.lab.client.run(*probe).strip() == "1280", "MTU learnt")
    bench.lab.client.batch(["route flush cache"], family)


@case((ONE_WORKER, TWO_WORKERS), (4, 6))
def the_client_of_a_server_that_is_gone_is_told(bench, family):
    """By an ICMP host unreachable, from whom the kernel would send it; only of an IPv6 tunnel by
    nobody. The director counts what it dropped."""

    def unresolved():
        rows = bench.director.report("drops")
        return next(r["packets"] for r in rows if r["reason"] == "neighbour_unresolved")

    before, waiting = unresolved(), {}
    ways = list(itertools.product(("nat", "dr", "tun"), ("tcp", "udp")))
    for number, (method, protocol) in enumerate(ways):
        # A server for each, that none waits for what another has begun.
        gone = endpoint(bench.topology.back.address(70 + number, family), ECHO_PORT)
        flag, virtual = f"-{protocol[0]}", bench.virtual(method, family, ECHO_PORT)
        bench.director.ipvsadm("-A", flag, virtual, "-s", "rr")
        way = {"nat": "-m", "dr": "-g", "tun": "-i"}[method]
        bench.director.ipvsadm("-a", flag, virtual, "-r", gone, way)
    for method, protocol in ways:
        waiting[method, protocol] = subprocess.Popen(
            bench.lab.client.command(
                sys.executable, HERE / "unreachable.py", protocol, bench.address(method, family),
                ECHO_PORT, 6 * PATIENCE,
            ),
            stdout=subprocess.PIPE, text=True,
        )
    own = bench.topology.front.address(11, family)
    for (method, protocol), process in waiting.items():
        seen = json.loads(process.communicate(timeout=20 * PATIENCE)[0])
        name = f"{method} {protocol}: {seen}"
        if (method, family) == ("tun", 6):
            expect_equal(seen["error"], None, f"the client hears nothing, {name}")
            continue
        expect_equal(seen["error"], errno.EHOSTUNREACH, f"what the client hears, {name}")
        expect(seen["after"] > 2, f"not before the neighbour had its time, {name}")
        speaker = own if (method, family) == ("dr", 4) else bench.address(method, family)
        # Who spoke is told of datagrams, and of connections by some kernels.
        if protocol == "udp" or seen["from"]:
            expect_equal(seen["from"], speaker, f"who speaks, {name}")
            expect_equal(seen["type"], [1, 3] if family == 6 else [3, 1], f"type and code, {name}")
    expect(unresolved() >= before + len(ways), "what was dropped is counted")


def neighbour(bench, address):
    text = bench.director.namespace.ip("-json", "neigh", "show", address, "dev", "dp1")
    return next(iter(json.loads(text or "[]")), {})


@case((ONE_WORKER,), (4, 6))
def real_servers_in_use_are_kept_resolved(bench, family):
    address = bench.topology.real_address("rs1", family)
    bench.serve("nat", family)
    traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 6)
    director = bench.director.namespace
    within(5, lambda: "managed" in director.ip("neigh", "show", address), "the kernel keeps it")
    director.ip("neigh", "del", address, "dev", "dp1", check=False)
    within(
        5, lambda: neighbour(bench, address).get("lladdr"), "resolved again without any packet"
    )


@case((ONE_WORKER,), (4, 6))
def a_neighbour_with_another_address_is_followed_at_once(bench, family):
    """First by its own word, then by the administrator's, who is believed even if wrong."""
    server = bench.lab.namespace("rs1")
    address = bench.topology.real_address("rs1", family)
    was = json.loads(server.ip("-json", "link", "show", "eth0"))[0]["address"]
    virtual = bench.virtual("nat", family)
    bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
    bench.director.ipvsadm("-a", "-t", virtual, "-r", bench.server("rs1", family), "-m")

    def served(count=5, timeout=2):
        seen = traffic(
            bench.lab, "http", bench.address("nat", family), HTTP_PORT, count, timeout=timeout
        )
        return seen.answered

    expect_equal(served(), 5, "answers before")
    director = bench.director.namespace
    moved = "02:00:00:00:77:01"
    try:
        server.ip("link", "set", "eth0", "address", moved)
        director.ip("neigh", "replace", address, "lladdr", moved, "dev", "dp1", "nud", "reachable")
        time.sleep(0.05)
        expect_equal(served(), 5, "answers after the move")
        director.ip(
            "neigh", "replace", address, "lladdr", "02:00:00:00:77:02", "dev", "dp1",
            "nud", "permanent",
        )
        expect_equal(served(1), 0, "answers by a wrong permanent entry")
        expect("PERMANENT" in neighbour(bench, address)["state"], "the entry is left alone")
        director.ip("neigh", "replace", address, "lladdr", moved, "dev", "dp1", "nud", "permanent")
        expect_equal(served(), 5, "answers by a right permanent entry")
        bench.director.ipvsadm("-C")
        expect("PERMANENT" in neighbour(bench, address)["state"], "also when nobody needs it")
    finally:
        server.ip("link", "set", "eth0", "address", was)
        director.ip("neigh", "del", address, "dev", "dp1", check=False)
