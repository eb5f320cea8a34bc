"""Devices made by iproute2 around the shadow interfaces. Where the kernel at hand lacks a kind, its
cases are skipped here and run by tests/kernel/devices."""

import contextlib
import json

from harness import LabKind, Skipped, case, expect, expect_equal
from nlvslab.measure import traffic, within
from nlvslab.system import LabError
from nlvslab.topology import HTTP_PORT

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
            outer = "id 100 protocol 802.1ad"
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
        devices.undo.callback(bench.director.configure_shadows)
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


@case((SMALL_VHOST,))
def the_shadow_interface_by_vhost_net(bench):
    """virtio_user: traffic, ping, and what a crash leaves."""
    director = bench.director
    if director.nlvsd_pid() is None:
        raise Skipped("the kernel has no shadow interface")
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
