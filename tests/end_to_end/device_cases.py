"""Devices made by iproute2 around the shadow interfaces. Where the kernel at hand lacks a kind, its
cases are skipped here and run by tests/kernel/devices."""

import contextlib
import json
import time
from dataclasses import replace

from harness import LabKind, Skipped, case, expect, expect_equal
from nlvslab.measure import traffic, within
from nlvslab.system import LabError
from nlvslab.topology import HTTP_PORT, Attachment

SMALL = LabKind(real_servers=1)
SMALL_TWO_WORKERS = LabKind(real_servers=1, workers=2)
SMALL_VHOST = LabKind(real_servers=1, workers=2, backend="vhost")
CLIENTS = {4: "10.1.0.0/24", 6: "fd00:1::/64"}


def need(bench, kind, *details, on=None):
    """Skips the case where this kernel has no such device."""
    namespace = bench.lab.namespace("router")
    where = ["link", on] if on else []
    try:
        namespace.ip("link", "add", *where, "name", "probe0", "type", kind, *details)
    except LabError as error:
        raise Skipped(f"this kernel has no {kind}") from error
    namespace.ip("link", "del", "probe0")


class Devices:
    """Devices and routes that are gone again after the block, in reverse order."""

    def __init__(self):
        self.undo = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.undo.close()

    def add(self, namespace, name, kind, *details, on=None, addresses=()):
        where = ["link", on] if on else []
        namespace.ip("link", "add", *where, "name", name, "type", kind, *details)
        self.undo.callback(namespace.ip, "link", "del", name, check=False)
        lines = [f"link set {name} up"]
        for address in addresses:
            lines.append(f"addr add {address} dev {name}{' nodad' if ':' in address else ''}")
        namespace.batch(lines)
        return name

    def configure(self, namespace, add, remove, family=4):
        namespace.batch([add], family)
        self.undo.callback(namespace.ip, f"-{family}", *remove.split(), check=False)


def ask(bench, address, count=5, **options):
    return traffic(bench.lab, "http", address, HTTP_PORT, count, **options)


def drops(bench):
    return {row["reason"]: row["packets"] for row in bench.director.report("drops") if row["packets"]}


def expect_served(bench, address, text, count=5):
    """By the only server, all of them."""
    try:
        within(10, lambda: ask(bench, address, 1).answered, f"an answer {text}")
    except LabError as error:
        neighbours = bench.director.namespace.ip("neigh").splitlines()
        raise LabError(f"{error}; dropped: {drops(bench)}; {'; '.join(neighbours)}") from error
    seen = ask(bench, address, count)
    expect_equal((seen.failed, seen.answers), (0, {"rs1": count}), f"{text}: {seen.describe()}")


def endpoint(address, port=HTTP_PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def reconfigure(bench):
    """Whatever the first and the last moment in a VRF or a bridge took from the shadow interfaces:
    the kernel sets a new member of a VRF down and up, which costs it its IPv6 addresses."""
    bench.director.configure_shadows()
    bench.lab.give_addresses(bench.director)


def serve(bench, virtual, real, method="-m"):
    bench.director.ipvsadm("-A", "-t", endpoint(virtual), "-s", "rr")
    bench.director.ipvsadm("-a", "-t", endpoint(virtual), "-r", endpoint(real), method)


def answer_by(devices, server, real, gateway, family=4, table=108):
    """What the server sends from the address takes its own way."""
    to = {4: "0.0.0.0/0", 6: "::/0"}[family]
    devices.configure(
        server, f"route add {to} {gateway} table {table}", f"route flush table {table}", family
    )
    devices.configure(
        server, f"rule add from {real} lookup {table}", f"rule del from {real} lookup {table}", family
    )


@case((SMALL, SMALL_TWO_WORKERS), ("one tag", "two tags"))
def vlans_on_both_sides(bench, depth):
    """The virtual address in one VLAN, the real server in another."""
    need(bench, "vlan", "id", "100", on="eth1")
    lab, director = bench.lab, bench.director.namespace
    router, server = lab.namespace("router"), lab.namespace("rs1")
    virtual, real = "10.7.0.100", "10.8.0.21"
    front, front_shadow = "eth1", "dp0"
    with Devices() as devices:
        def vlan(namespace, lower, name, tag, address):
            return devices.add(
                namespace, name, "vlan", *tag.split(), on=lower, addresses=[f"{address}/24"]
            )

        if depth == "two tags":
            # Not 802.1ad: from a netdev that tag comes as 802.1Q (docs/linux.md).
            outer = "id 100"
            front = vlan(router, front, f"{front}.100", outer, "10.6.0.1")
            front_shadow = vlan(director, front_shadow, "dp0.100", outer, "10.6.0.11")
        vlan(router, front, "v7", "id 7", "10.7.0.1")
        vlan(director, front_shadow, "v7", "id 7", "10.7.0.11")
        vlan(server, "eth0", "v8", "id 8", real)
        vlan(director, "dp1", "v8", "id 8", "10.8.0.10")
        director.ip("addr", "add", f"{virtual}/32", "dev", "v7")
        devices.configure(
            director, f"route replace {CLIENTS[4]} via 10.7.0.1", f"route del {CLIENTS[4]}"
        )
        answer_by(devices, server, real, "via 10.8.0.10")
        serve(bench, virtual, real)
        expect_served(bench, virtual, f"through VLANs with {depth}")
        lab.client.run("ping", "-q", "-c", "3", "-i", "0.2", "-W", "10", virtual)
        director.ip("link", "set", "v8", "down")
        seen = ask(bench, virtual, 1, timeout=3)
        expect_equal(seen.answered, 0, "answers through a VLAN that is down")


@case((SMALL,))
def a_virtual_address_on_a_dummy(bench):
    need(bench, "dummy")
    virtual = "10.77.0.1"
    director, router = bench.director.namespace, bench.lab.namespace("router")
    with Devices() as devices:
        devices.add(director, "vips", "dummy", addresses=[f"{virtual}/32"])
        via = bench.topology.front.ipv4(11)
        devices.configure(router, f"route add {virtual} via {via}", f"route del {virtual}")
        serve(bench, virtual, bench.topology.real_address("rs1", 4))
        expect_served(bench, virtual, "for an address on a dummy")
        director.ip("addr", "del", f"{virtual}/32", "dev", "vips")
        expect_equal(ask(bench, virtual, 1, timeout=3).answered, 0, "answers without the address")


@case((SMALL,))
def a_virtual_address_on_a_macvlan(bench):
    need(bench, "macvlan", on="eth1")
    virtual = bench.topology.front.ipv4(150)
    with Devices() as devices:
        devices.add(
            bench.director.namespace, "mv0", "macvlan", "mode", "private", on="dp0",
            addresses=[f"{virtual}/32"],
        )
        serve(bench, virtual, bench.topology.real_address("rs1", 4))
        expect_served(bench, virtual, "for an address on a macvlan")


@case((SMALL,))
def clients_in_a_vrf(bench):
    """The front interface is a member of a VRF; its table leads back to the clients."""
    need(bench, "vrf", "table", "10")
    director = bench.director.namespace
    virtual, router = bench.topology.front.ipv4(150), bench.topology.front.ipv4(1)
    with Devices() as devices:
        devices.add(director, "red", "vrf", "table", "10")
        director.ip("link", "set", "dp0", "master", "red")
        devices.undo.callback(reconfigure, bench)
        devices.undo.callback(director.ip, "link", "set", "dp0", "nomaster")
        director.batch([
            f"addr replace {bench.topology.front.ipv4(11)}/24 dev dp0",
            f"addr add {virtual}/32 dev dp0", f"route replace 0.0.0.0/0 via {router} table 10",
            f"route replace 0.0.0.0/0 via {router} dev dp0",
        ], 4)
        serve(bench, virtual, bench.topology.real_address("rs1", 4))
        expect_served(bench, virtual, "for an address in a VRF")


@case((SMALL,), (4, 6))
def servers_behind_the_kernels_own_tunnel_end(bench, family):
    """IPVS tunnelling to a real server whose kernel unpacks."""
    need(bench, "ipip", "remote", "10.3.0.99")
    server = bench.lab.namespace("rs1")
    bench.lab.processes.stop("rs1", "decapsulate")
    server.ip("link", "set", "tunl0" if family == 4 else "ip6tnl0", "up")
    bench.serve("tun", family)
    expect_served(bench, bench.address("tun", family), f"through an IPv{family} tunnel")


# Outer family, inner family.
KINDS = {
    "ipip": (4, 4, ()), "sit": (4, 6, ()),
    "gre": (4, 4, ()), "gre with key": (4, 4, ("key", "77")), "gre of IPv6": (4, 6, ()),
    "ip6tnl": (6, 6, ("mode", "any")), "ip6tnl of IPv4": (6, 4, ("mode", "any")),
    "ip6gre": (6, 4, ()), "ip6gre of IPv6": (6, 6, ()),
}


@contextlib.contextmanager
def tunnel(bench, name):
    """A tunnel device between director and server; yields what the director and the server have
    inside it and the family of that."""
    outer, inner, options = KINDS[name]
    kind = name.split()[0]
    ends = [bench.topology.back.address(host, outer) for host in (11, 21)]
    need(bench, kind, "local", ends[0], "remote", ends[1], *options)
    inside = {4: ("10.50.0.1", "10.50.0.2"), 6: ("fd50::1", "fd50::2")}[inner]
    length = {4: 30, 6: 64}[inner]
    bench.lab.processes.stop("rs1", "decapsulate")
    with Devices() as devices:
        for namespace, local, remote, own in (
            (bench.director.namespace, ends[0], ends[1], inside[0]),
            (bench.lab.namespace("rs1"), ends[1], ends[0], inside[1]),
        ):
            devices.add(
                namespace, "tn0", kind, "local", local, "remote", remote, *options,
                addresses=[f"{own}/{length}"],
            )
        yield devices, inside, inner


def routed_through(bench, devices, inner, virtual):
    """Another address of the server's, reached by a route into the tunnel."""
    real = {4: "10.51.0.1", 6: "fd51::1"}[inner]
    length = {4: 32, 6: 128}[inner]
    server = bench.lab.namespace("rs1")
    devices.configure(
        server, f"addr add {real}/{length} dev lo", f"addr del {real}/{length} dev lo", inner
    )
    devices.configure(
        bench.director.namespace, f"route add {real}/{length} dev tn0",
        f"route del {real}/{length} dev tn0", inner,
    )
    return real


@case((SMALL, SMALL_TWO_WORKERS), tuple(KINDS))
def servers_behind_a_tunnel_device(bench, name):
    """Requests go into the tunnel and answers come out of it; neither passes the kernel's stack:
    it has no forwarding."""
    with tunnel(bench, name) as (devices, _, inner):
        virtual = bench.address("nat", inner)
        real = routed_through(bench, devices, inner, virtual)
        answer_by(devices, bench.lab.namespace("rs1"), real, "dev tn0", inner)
        serve(bench, virtual, real)
        expect_served(bench, virtual, f"through {name}")


@case((SMALL,))
def direct_routing_through_a_tunnel_device(bench):
    with tunnel(bench, "ipip") as (devices, _, inner):
        virtual = bench.address("dr", inner)
        real = routed_through(bench, devices, inner, virtual)
        serve(bench, virtual, real, "-g")
        expect_served(bench, virtual, "by direct routing through ipip")


@case((SMALL, SMALL_TWO_WORKERS))
def requests_that_come_out_of_a_tunnel_device(bench):
    """The router reaches the virtual address through a tunnel to the director; the director's own
    end of it still answers pings."""
    ends = [bench.topology.front.ipv4(host) for host in (11, 1)]
    need(bench, "ipip", "local", ends[1], "remote", ends[0])
    director, router = bench.director.namespace, bench.lab.namespace("router")
    virtual = "10.77.0.2"
    with Devices() as devices:
        devices.add(director, "tn1", "ipip", "local", ends[0], "remote", ends[1],
                    addresses=["10.52.0.1/30"])
        devices.add(router, "tn1", "ipip", "local", ends[1], "remote", ends[0],
                    addresses=["10.52.0.2/30"])
        devices.configure(
            director, f"addr add {virtual}/32 dev dp0", f"addr del {virtual}/32 dev dp0"
        )
        devices.configure(router, f"route add {virtual} dev tn1", f"route del {virtual}")
        serve(bench, virtual, bench.topology.real_address("rs1", 4))
        expect_served(bench, virtual, "for requests out of a tunnel")
        router.run("ping", "-q", "-c", "2", "-W", "10", "10.52.0.1")


@contextlib.contextmanager
def more_ports(bench, count):
    """Further cables between director and router; nlvsd has a port on each from now on."""
    director, router = bench.director, bench.lab.namespace("router")
    attachments = director.attachments
    numbers = range(len(attachments), len(attachments) + count)
    bench.restarted = {director.name}
    bench.lab.processes.stop(director.name, "nlvsd")
    with contextlib.ExitStack() as undo:
        for number in numbers:
            nic, peer = f"nic{number}", f"cable{number}"
            router.ip("link", "add", peer, "up", "type", "veth", "peer", "name", nic,
                      "netns", director.namespace.name)
            undo.callback(router.ip, "link", "del", peer, check=False)
            for namespace, name in ((router, peer), (director.namespace, nic)):
                namespace.run(
                    "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"
                )
        extra = [replace(attachments[0], device=f"nic{number}") for number in numbers]
        try:
            director.attachments = extra
            director._prepare_ports()
            director.attachments = [*attachments, *extra]
            director.start_nlvsd()
            director.attachments = attachments
            director.configure_shadows()
            yield [(f"dp{number}", f"cable{number}") for number in numbers]
        finally:
            director.attachments = attachments
            bench.lab.processes.stop(director.name, "nlvsd")
            undo.close()
            director.start_nlvsd()
            reconfigure(bench)


BOND_MODES = {
    "active-backup": (), "balance-xor": ("xmit_hash_policy", "layer3+4"),
    "802.3ad": ("xmit_hash_policy", "layer2+3", "lacp_rate", "fast"), "balance-rr": (),
}


def port_counts(bench, members):
    """Frames that left by each member's NIC."""
    rows = {row["shadow"]: row for row in bench.director.report("ports")}
    return [rows[shadow]["transmitted"] for shadow, _ in members]


@case((SMALL,), tuple(BOND_MODES))
def a_bond_of_two_ports(bench, mode):
    """Clients come by a bond; a cable is pulled, and the other carries everything."""
    need(bench, "bond")
    director, router = bench.director.namespace, bench.lab.namespace("router")
    virtual = "10.9.0.100"
    with more_ports(bench, 2) as members, Devices() as devices:
        for namespace, end, address in ((director, 0, "10.9.0.11"), (router, 1, "10.9.0.1")):
            devices.add(namespace, "bond0", "bond", "mode", mode, "miimon", "100",
                        *BOND_MODES[mode])
            for member in members:
                namespace.batch([f"link set {member[end]} down",
                                 f"link set {member[end]} master bond0"])
            namespace.batch(["link set bond0 up", f"addr add {address}/24 dev bond0"])
        director.ip("addr", "add", f"{virtual}/32", "dev", "bond0")
        devices.configure(
            director, f"route replace {CLIENTS[4]} via 10.9.0.1", f"route del {CLIENTS[4]}"
        )
        serve(bench, virtual, bench.topology.real_address("rs1", 4))
        within(20, lambda: ask(bench, virtual, 1, timeout=5).answered, f"an answer by {mode}")
        expect_served(bench, virtual, f"by {mode}", 8)
        counts = port_counts(bench, members)
        if mode in ("balance-xor", "balance-rr"):
            expect(min(counts) > 0, f"frames by each member of {mode}: {counts}")
        pulled = members[0]
        if mode == "active-backup":
            text = json.loads(director.ip("-json", "-details", "link", "show", "bond0"))
            active = text[0]["linkinfo"]["info_data"]["active_slave"]
            pulled = next(member for member in members if member[0] == active)
        router.ip("link", "set", pulled[1], "down")
        time.sleep(1)
        within(20, lambda: ask(bench, virtual, 1, timeout=5).answered, "an answer by the other cable")
        before = port_counts(bench, members)
        expect_served(bench, virtual, f"by {mode} over one cable", 4)
        after = port_counts(bench, members)
        silent = members.index(pulled)
        expect(after[1 - silent] > before[1 - silent], f"frames by the other: {before}, {after}")


@case((SMALL_VHOST,))
def the_shadow_interface_by_vhost_net(bench):
    """virtio_user: traffic, ping, and what a crash leaves."""
    director = bench.director
    text = director.namespace.ip("-json", "-details", "link", "show", "dp0")
    details = json.loads(text)[0]["linkinfo"]["info_data"]
    expect(details.get("vnet_hdr"), f"dp0 is a tap with virtio headers: {details}")
    bench.serve()
    expect_served(bench, bench.address(), "by vhost-net")
    bench.lab.client.run("ping", "-q", "-c", "3", "-i", "0.2", "-W", "10", bench.address())
    bench.restarted = {director.name}
    before = director.namespace.addresses("dp0")
    bench.lab.processes.kill(director.name, "nlvsd")
    expect_equal(director.namespace.addresses("dp0"), before, "addresses without a daemon")
    director.start_nlvsd()
    expect_equal(director.namespace.addresses("dp0"), before, "addresses with the next one")
    expect_served(bench, bench.address(), "by vhost-net after a crash")


@case((SMALL,))
def a_bridge_is_refused_in_words(bench):
    need(bench, "bridge")
    director = bench.director.namespace
    with Devices() as devices:
        devices.add(director, "br0", "bridge")
        director.ip("link", "set", "dp0", "master", "br0")
        devices.undo.callback(reconfigure, bench)
        devices.undo.callback(director.ip, "link", "set", "dp0", "nomaster")

        def refused():
            rows = bench.director.report("mirror", "devices")
            return [row for row in rows if row["device"] == "br0" and row["reason"]]

        within(3, refused, "nlvsctl mirror names the bridge")
        log = (bench.director.state / "nlvsd.log").read_text()
        expect("br0" in log, f"the log names the bridge: {log[-300:]}")
