"""Every kind of tunnel, in every pair of families: what the far end takes out, it must be able to use."""

import contextlib

from harness import TWO_WORKERS, case, expect, expect_equal
from nlvslab.measure import traffic
from nlvslab.topology import HTTP_PORT

FAMILIES = (4, 6)
SYSCTL = "net.ipv4.vs.expire_nodest_conn"
KINDS = {
    "ipip": (),
    "gre": ("--tun-type", "gre", "--tun-nocsum"),
    "gre with checksum": ("--tun-type", "gre", "--tun-csum"),
    "gue": ("--tun-type", "gue", "--tun-port", 6080, "--tun-nocsum"),
    "gue with checksum": ("--tun-type", "gue", "--tun-port", 6080, "--tun-csum"),
    "gue with remote checksum": ("--tun-type", "gue", "--tun-port", 6080, "--tun-remcsum"),
}


@contextlib.contextmanager
def served_through(bench, kind, family, underlay):
    """Half-closed connections of the case before, whose servers are gone, would hold the client's
    ports: a packet that meets one is scheduled anew."""
    bench.director.run("sysctl", "-qw", f"{SYSCTL}=1")
    virtual = bench.virtual("tun", family)
    bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
    for name in bench.topology.real_servers:
        bench.director.ipvsadm(
            "-a", "-t", virtual, "-r", bench.server(name, underlay), "-i", *KINDS[kind]
        )
    try:
        yield
    finally:
        bench.director.run("sysctl", "-qw", f"{SYSCTL}=0")


def taken_out(bench, name):
    """The kinds of packets that a real server has met."""
    return (bench.lab.state / name / "decapsulate.log").read_text().splitlines()


@case((TWO_WORKERS,), tuple(KINDS), FAMILIES, FAMILIES)
def a_tunnel_carries_requests(bench, kind, family, underlay):
    with served_through(bench, kind, family, underlay):
        seen = traffic(bench.lab, "http", bench.address("tun", family), HTTP_PORT, 18)
    expect_equal(seen.failed, 0, seen.describe())
    expect_equal(set(seen.answers), set(bench.topology.real_servers), "who answers")
    for name in bench.topology.real_servers:
        said = taken_out(bench, name)
        expect(not any(line.startswith("refused") for line in said), f"{name} says {said}")
        # Checksums of UDP are the receiving kernel's business, and a packet that came whole
        # needs no remote checksum.
        plain = "gue" if kind.startswith("gue") else kind
        expect(plain in said, f"{name} took out {said}")


@contextlib.contextmanager
def unfinished_checksums(bench):
    """Packets of the client keep the partial checksums that they have among virtual devices."""
    client = bench.topology.nodes["client"].attachments[0].device
    router = bench.lab.namespace("router")
    switch = bench.lab.namespace("switch")
    front = bench.topology.front
    to_director = next(
        one.device for one in bench.topology.nodes["router"].attachments if one.segment == front
    )
    from_client = next(
        one.device for one in bench.topology.nodes["router"].attachments if one.segment != front
    )
    director = bench.director.name
    received = next(
        one.device for one in bench.topology.nodes[director].attachments if one.segment == front
    )
    devices = (
        (bench.lab.client, client), (switch, f"router-{from_client}"), (router, to_director),
        (switch, f"{director}-{received}"),
    )
    try:
        for namespace, device in devices:
            namespace.run("ethtool", "-K", device, "tx", "on")
        yield
    finally:
        for namespace, device in devices:
            namespace.run("ethtool", "-K", device, "tx", "off")


@case((TWO_WORKERS,), FAMILIES, FAMILIES)
def unfinished_checksums_are_finished_by_the_far_end(bench, family, underlay):
    kind = "gue with remote checksum"
    with served_through(bench, kind, family, underlay), unfinished_checksums(bench):
        seen = traffic(bench.lab, "http", bench.address("tun", family), HTTP_PORT, 18)
    expect_equal(seen.failed, 0, seen.describe())
    for name in bench.topology.real_servers:
        said = taken_out(bench, name)
        expect(not any(line.startswith("refused") for line in said), f"{name} says {said}")
        expect("gue with remote checksum" in said, f"{name} took out {said}")
