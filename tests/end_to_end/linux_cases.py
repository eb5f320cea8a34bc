"""What iproute2 and keepalived make of the shadow interface, and the engine follows."""

import json
import time

from harness import VIRTUAL_MAC_PAIR, case, expect, expect_equal
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
