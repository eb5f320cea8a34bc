"""Deaths, returns and hostile input."""

import json
import sys
import time
from pathlib import Path

from harness import (
    ONE_WORKER, PAIR, TWO_WORKERS, Skipped, case, expect, expect_equal, expect_shares,
)
from nlvslab.measure import PATIENCE, BackgroundTraffic, traffic, within
from nlvslab.system import cpu_seconds, resident_kilobytes
from nlvslab.topology import HTTP_PORT

HERE = Path(__file__).resolve().parent


@case((PAIR,), (4, 6))
def a_dead_server_is_removed_and_taken_back(bench, family):
    master, victim = bench.director, bench.lab.real_servers["rs3"]
    key = ("TCP", bench.virtual("nat", family))
    server = bench.server("rs3", family)

    def in_service():
        return server in [name for name, _ in master.services()[key]]

    victim.kill_nginx()
    try:
        within(5, lambda: not in_service(), "keepalived removes the dead server")
        seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 100)
        expect_equal((seen.failed, set(seen.answers)), (0, {"rs1", "rs2"}), seen.describe())
    finally:
        victim.start_nginx()
    within(5, in_service, "keepalived takes the server back")
    bench.lab.wait_for_services()
    seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 30)
    expect_equal(seen.answers.get("rs3"), 10, seen.describe())


@case((PAIR,), ("dp0", "dp1"))
def a_pulled_cable_moves_the_addresses(bench, shadow):
    """The shadow interface follows the carrier of its port, and keepalived follows it."""
    master = bench.director
    backup = next(d for d in bench.lab.directors.values() if d is not master)
    cable = f"{master.name}-{shadow.replace('dp', 'nic')}"
    switch = bench.lab.namespace("switch")
    switch.ip("link", "set", cable, "down")
    try:
        within(10, lambda: backup.is_master() and not master.is_master(), "take-over")
        seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
        expect_equal(seen.failed, 0, seen.describe())
    finally:
        switch.ip("link", "set", cable, "up")
    within(20, lambda: bench.lab.master() is master, "the old master takes over again")
    bench.lab.wait_for_services()


@case((PAIR,))
def a_dead_director_is_replaced(bench):
    master = bench.director
    backup = next(d for d in bench.lab.directors.values() if d is not master)
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
    master.revive()
    within(20, lambda: bench.lab.master() is master, "the old master takes over again")
    bench.lab.wait_for_services()
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
    expect_equal(seen.failed, 0, seen.describe())


@case((PAIR,))
def two_idle_directors_leave_the_cpu_alone(bench):
    pids = [d.nlvsd_pid() for d in bench.lab.directors.values()]
    if None in pids:
        raise Skipped("the kernel has no process")
    time.sleep(1)
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(6)
    shares = [(cpu_seconds(pid) - was) / 6 * 100 for pid, was in zip(pids, before)]
    expect(max(shares) < 5, f"CPU of the daemons: {' '.join(f'{s:.1f} %' for s in shares)}")


@case((ONE_WORKER, TWO_WORKERS))
def the_daemon_is_small_and_fast_to_start(bench):
    if bench.director.nlvsd_pid() is None:
        raise Skipped("the kernel has no process")
    bench.restarted = {bench.director.name}
    bench.lab.processes.stop(bench.director.name, "nlvsd")
    started = time.monotonic()
    pid = bench.director.start_nlvsd()
    seconds = time.monotonic() - started
    bench.director.configure_shadows()
    bench.lab.give_addresses(bench.director)
    bench.director.ipvsadm("-C")
    expect(resident_kilobytes(pid) < 512 * 1024, f"{resident_kilobytes(pid)} kB resident")
    expect(seconds < 1 * PATIENCE, f"ready after {seconds:.2f} s")
    bench.serve()
    within(5, lambda: traffic(bench.lab, "http", bench.address(), HTTP_PORT, 1).answered,
           "an answer after the restart")
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
    expect_equal(seen.failed, 0, seen.describe())


def kill_and_restart(bench, director):
    """SIGKILL, and the next daemon where the last one was."""
    if director.nlvsd_pid() is None:
        raise Skipped("the kernel has no process")
    bench.restarted = {director.name}
    bench.lab.processes.kill(director.name, "nlvsd")
    director.start_nlvsd()
    director.configure_shadows()


@case((ONE_WORKER, TWO_WORKERS))
def a_killed_daemon_comes_back_with_its_services(bench):
    for method in ("nat", "dr", "tun"):
        for family in (4, 6):
            bench.serve(method, family, scheduler="wrr", weights={"rs1": 3, "rs2": 0})
    bench.serve(protocol="udp", port=53, scheduler="sh", options=("-p", 77))
    director = bench.director
    director.ipvsadm("--set", 1000, 0, 200)
    before = director.ipvsadm("-Sn"), director.ipvsadm("-Ln", "--timeout")
    with BackgroundTraffic(bench.lab, "http", bench.address(), HTTP_PORT, interval=0.02) as stream:
        time.sleep(0.5)
        kill_and_restart(bench, director)
        bench.lab.give_addresses(director)
        after = director.ipvsadm("-Sn"), director.ipvsadm("-Ln", "--timeout")
        within(10, lambda: traffic(bench.lab, "http", bench.address(), HTTP_PORT, 1).answered,
               "an answer after the restart")
        stream.stop()
    expect_equal(after, before, "services and timeouts")
    for family in (4, 6):
        seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 40)
        expect_shares(bench, seen, {"rs1": 3, "rs3": 1})
    director.ipvsadm("--set", 900, 120, 300)


@case((ONE_WORKER, TWO_WORKERS))
def a_killed_daemon_leaves_the_interfaces_as_they_are(bench):
    """Nobody configures them again: addresses, routes and rules outlive a SIGKILL, and the netdev is
    the same for whoever has it open."""
    director = bench.director
    if director.nlvsd_pid() is None:
        raise Skipped("the kernel has no process")
    bench.serve()

    def configuration():
        def ip(*words):
            return json.loads(director.namespace.ip("-json", *words) or "[]")

        links = {link["ifname"]: (link["ifindex"], link.get("address")) for link in ip("link")}
        addresses = {d: director.namespace.addresses(d) for d in links if d.startswith("dp")}
        routes = [
            (r["dst"], r.get("gateway"), r["dev"]) for family in ("-4", "-6")
            for r in ip(family, "route") if r["dev"].startswith("dp")
        ]
        return links, addresses, routes

    before = configuration()
    bench.restarted = {director.name}
    bench.lab.processes.kill(director.name, "nlvsd")
    expect_equal(configuration(), before, "interfaces without a daemon")
    director.start_nlvsd()
    expect_equal(configuration(), before, "interfaces with the next daemon")
    for family in (4, 6):
        address = bench.address("nat", family)
        if family == 6:
            bench.serve("nat", 6)
        within(10, lambda: traffic(bench.lab, "http", address, HTTP_PORT, 1).answered, "an answer")
        seen = traffic(bench.lab, "http", address, HTTP_PORT, 10)
        expect_equal(seen.failed, 0, seen.describe())


@case((PAIR,))
def keepalived_goes_on_after_its_daemon_was_killed(bench):
    """keepalived does not push its services again: the next daemon must have them."""
    bench.lab.wait_for_services()
    master, victim = bench.director, bench.lab.real_servers["rs3"]
    checkers = bench.lab.processes.pid(master.name, "keepalived")
    before = master.ipvsadm("-Sn")
    kill_and_restart(bench, master)
    expect_equal(master.ipvsadm("-Sn"), before, "services after the restart")
    within(30, lambda: bench.lab.master() is master, "the director is master again")
    bench.lab.wait_for_services()
    expect_equal(bench.lab.processes.pid(master.name, "keepalived"), checkers, "keepalived is the same")
    key = ("TCP", bench.virtual("nat", 4))
    server = bench.server("rs3")

    def in_service():
        return server in [name for name, _ in master.services()[key]]

    victim.kill_nginx()
    try:
        within(10, lambda: not in_service(), "keepalived removes the dead server")
    finally:
        victim.start_nginx()
    within(10, in_service, "keepalived takes the server back")
    bench.lab.wait_for_services()
    within(10, lambda: not traffic(bench.lab, "http", bench.address(), HTTP_PORT, 3).failed, "traffic")
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
    expect_equal(seen.failed, 0, seen.describe())


@case((ONE_WORKER, TWO_WORKERS))
def malformed_packets_do_no_harm(bench):
    bench.serve()
    bench.serve("nat", 6)
    bench.serve(protocol="udp", port=53)
    router = bench.lab.namespace("router")
    router.run("ping", "-c", "1", "-W", "5", bench.topology.front.ipv4(11))
    neighbour = router.ip("neigh", "show", bench.topology.front.ipv4(11), "dev", "eth1").split()
    target = neighbour[neighbour.index("lladdr") + 1]
    with BackgroundTraffic(bench.lab, "http", bench.address(), HTTP_PORT, interval=0.02) as stream:
        text = router.run(
            sys.executable, HERE / "malformed_packets.py", "eth1", target,
            bench.address("nat", 4), bench.address("nat", 6), timeout=120,
        )
        seen = stream.stop()
    expect("packets sent" in text, f"the generator said '{text.strip()}'")
    expect_equal(seen.failed, 0, f"{text.strip()}; meanwhile {seen.describe()}")
    for family in (4, 6):
        seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 30)
        expect_equal(seen.failed, 0, seen.describe())
