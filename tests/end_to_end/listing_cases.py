"""What ipvsadm shows: counters equal to the traffic, connections as they are."""

import time

from contextlib import suppress

from harness import ONE_ARM, ONE_WORKER, TWO_WORKERS, PAIR, case, expect, expect_equal, expect_shares
from nlvslab.measure import (
    PATIENCE,
    BackgroundTraffic,
    PacketCounter,
    ipvs_connections,
    ipvs_statistics,
    ipvs_table,
    traffic,
    within,
)
from nlvslab.system import LabError
from nlvslab.topology import ECHO_PORT, HTTP_PORT, SPARE_PORTS

BOTH = (ONE_WORKER, TWO_WORKERS)

# Linux: ip_vs_est.c — users see counters as of the last estimation, which is every two seconds.
SNAPSHOT = 2


def first_port(method, protocol, family):
    """Thirty source ports below the ephemeral ones for each kind of service."""
    place = ("nat", "dr", "tun").index(method) * 4 + (protocol == "udp") * 2 + (family == 6)
    return 15000 + 30 * place


@case((ONE_WORKER, TWO_WORKERS, ONE_ARM), ("nat", "dr", "tun"), ("tcp", "udp"), (4, 6))
def statistics_equal_the_traffic(bench, method, protocol, family):
    kind, port = ("http", HTTP_PORT) if protocol == "tcp" else ("udp", ECHO_PORT)
    virtual = bench.serve(method, family, protocol, port)
    counter = PacketCounter(bench.lab, bench.address(method, family), protocol, port)
    try:
        def shown():
            own, servers = ipvs_statistics(bench.director)[(protocol.upper(), virtual)]
            return own, {k: sum(server[k] for server in servers.values()) for k in own}

        # Servers that come back from the trash bring what they counted since their last snapshot.
        time.sleep(SNAPSHOT + 1)
        before, passed_before = shown(), counter.read()
        # Ports that no earlier case used: an old UDP entry would not count as a new connection.
        seen = traffic(
            bench.lab, kind, bench.address(method, family), port, 30,
            source_port=first_port(method, protocol, family),
        )
        expect_equal(seen.failed, 0, seen.describe())

        def expected():
            passed = counter.read()
            figures = {k: passed[k] - passed_before[k] for k in passed}
            figures["connections"] = 30
            if method != "nat":
                # Answers go around the director.
                figures.update(out_packets=0, out_bytes=0)
            return figures

        def counted():
            return tuple(
                {k: now[k] - then[k] for k in now} for now, then in zip(shown(), before)
            )

        with suppress(LabError):
            within(SNAPSHOT + 1, lambda: counted() == (expected(), expected()), "statistics")
        expect_equal(counted()[0], expected(), "ipvsadm --stats, the service")
        expect_equal(counted()[1], expected(), "ipvsadm --stats, sum of its servers")
    finally:
        counter.remove()


@case(BOTH)
def zero_clears_the_counters_and_keeps_counting(bench):
    virtual = bench.serve()
    key = ("TCP", virtual)

    def connections():
        return ipvs_statistics(bench.director)[key][0]["connections"]

    traffic(bench.lab, "http", bench.address(), HTTP_PORT, 10)
    within(SNAPSHOT + 1, lambda: connections() == 10, "connections before -Z")
    time.sleep(SNAPSHOT + 1)  # late acknowledgements are counted before -Z, not after
    bench.director.ipvsadm("-Z", "-t", virtual)
    own, servers = ipvs_statistics(bench.director)[key]
    for counters in (own, *servers.values()):
        expect_equal(set(counters.values()), {0}, "counters after -Z")
    traffic(bench.lab, "http", bench.address(), HTTP_PORT, 7)
    within(SNAPSHOT + 1, lambda: connections() == 7, "connections after -Z")


@case(BOTH)
def rates_follow_the_traffic(bench):
    virtual = bench.serve()
    with BackgroundTraffic(bench.lab, "http", bench.address(), HTTP_PORT, interval=0.02) as stream:
        started = time.monotonic()
        # The kernel's average covers about eight seconds.
        time.sleep(16)
        rate = ipvs_table(bench.director, "--rate")[("TCP", virtual)][0]
        elapsed = time.monotonic() - started
        seen = stream.stop()
    real = seen.answered / elapsed
    expect(0.6 * real <= rate[0] <= 1.4 * real, f"{rate[0]} connections/s shown, {real:.0f} real")
    within(60, lambda: ipvs_table(bench.director, "--rate")[("TCP", virtual)][0][0] == 0,
           "the rate decays to 0")


# ActiveConn and InActConn of a destination outlive its service: ports that no other case uses.
PORTS = {4: SPARE_PORTS[0], 6: SPARE_PORTS[2]}


@case(BOTH, (4, 6))
def established_connections_are_listed(bench, family):
    virtual = bench.serve("nat", family, port=PORTS[family])
    client = bench.topology.client_address(family)
    source = f"[{client}]" if family == 6 else client
    with BackgroundTraffic(
        bench.lab, "hold", bench.address("nat", family), PORTS[family], 9, source_port=51000
    ) as held:
        expect_equal(held.first_result().failed, 0, "failed opens")
        sources = {f"{source}:{51000 + n}" for n in range(9)}
        entries = entries_from(bench.director, virtual, sources)
        expect_equal(
            {s: e["state"] for s, e in entries.items()}, {s: "ESTABLISHED" for s in sources},
            "states in ipvsadm -Lcn",
        )
        by_server = {}
        for entry in entries.values():
            by_server[entry["destination"]] = by_server.get(entry["destination"], 0) + 1
        active = ipvs_active(bench.director, ("TCP", virtual))
        expect_equal(
            active, {server: (count, 0) for server, count in by_server.items()},
            "ActiveConn, InActConn",
        )
        held.stop()

    def closed():
        states = [e["state"] for e in entries_from(bench.director, virtual, sources).values()]
        return len(states) == 9 and set(states) <= {"TIME_WAIT", "FIN_WAIT", "CLOSE", "LAST_ACK"}

    within(3, closed, "closed connections listed in a closing state")
    active = ipvs_active(bench.director, ("TCP", virtual))
    expect_equal(
        active, {server: (0, count) for server, count in by_server.items()},
        "ActiveConn, InActConn after the end",
    )


def entries_from(director, virtual, sources):
    """Entries of ipvsadm -Lcn by source; those of earlier cases may still be timing out."""
    return {
        e["source"]: e for e in ipvs_connections(director)
        if e["virtual"] == virtual and e["source"] in sources
    }


def ipvs_active(director, key):
    table, current = {}, None
    for line in director.ipvsadm("-Ln").splitlines():
        words = line.split()
        if words[:1] in (["TCP"], ["UDP"]):
            current = (words[0], words[1])
        elif words[:1] == ["->"] and current == key:
            table[words[1]] = (int(words[4]), int(words[5]))
    return table


@case(BOTH)
def a_connection_expires_after_its_timeout(bench):
    virtual = bench.serve(protocol="udp", port=ECHO_PORT)
    client = bench.topology.client_address(4)
    sources = {f"{client}:{52000 + n}" for n in range(5)}
    bench.director.ipvsadm("--set", 900, 120, 2)
    try:
        traffic(bench.lab, "udp", bench.address(), ECHO_PORT, 5, source_port=52000)

        def entries():
            return entries_from(bench.director, virtual, sources)

        expect_equal({s: e["state"] for s, e in entries().items()}, {s: "UDP" for s in sources},
                     "states")
        within(10, lambda: not entries(), "expiry two seconds later")
    finally:
        bench.director.ipvsadm("--set", 900, 120, 300)


@case(BOTH)
def a_saved_table_is_restored(bench):
    for method in ("nat", "dr", "tun"):
        for family in (4, 6):
            bench.serve(method, family, scheduler="wrr", weights={"rs1": 1, "rs2": 5, "rs3": 9})
    saved = bench.director.ipvsadm("-Sn")
    expect_equal(len(saved.splitlines()), 24, "lines of ipvsadm -Sn")
    path = bench.lab.state / "saved"
    path.write_text(saved)
    bench.director.ipvsadm("-C")
    expect_equal(bench.director.ipvsadm("-Sn"), "", "the table after -C")
    bench.director.run("sh", "-c", f"ipvsadm -R < {path}")
    expect_equal(
        sorted(bench.director.ipvsadm("-Sn").splitlines()), sorted(saved.splitlines()),
        "the restored table",
    )
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 15)
    expect_shares(bench, seen, {"rs1": 1, "rs2": 5, "rs3": 9}, "and it works")


@case((ONE_WORKER,))
def bad_commands_are_refused_as_by_the_kernel(bench):
    """The texts are ipvsadm's own for the errno of each."""
    virtual = bench.serve()
    for words, message in (
        (("-A", "-t", virtual, "-s", "rr"), "Service already exists"),
        (("-D", "-t", "10.9.9.9:80"), "No such service"),
        (("-d", "-t", virtual, "-r", "10.9.9.9:80"), "No such destination"),
        (("-a", "-t", virtual, "-r", bench.server("rs1"), "-m"), "Destination already exists"),
        (("-A", "-t", "10.9.9.9:80", "-s", "nosuch"), "Scheduler or persistence engine not found"),
    ):
        text = bench.director.run("sh", "-c", "ipvsadm \"$@\" 2>&1; true", "sh", *words)
        expect(message in text, f"ipvsadm {' '.join(words)}: '{text.strip()}', not '{message}'")


@case((PAIR,))
def keepalived_statistics_survive_its_reload(bench):
    """SIGHUP with an unchanged file leaves services, counters and connections alone."""
    master = bench.director
    key = ("TCP", bench.virtual())
    traffic(bench.lab, "http", bench.address(), HTTP_PORT, 12)
    # Counters reach the listing with the next estimation, every two seconds.
    within(6, lambda: ipvs_statistics(master)[key][0]["connections"] >= 12, "the counters show")
    before, _ = ipvs_statistics(master)[key]
    pid = bench.lab.processes.pid(master.name, "keepalived")
    master.namespace.run("kill", "-HUP", pid)
    time.sleep(2 * PATIENCE)
    bench.lab.wait_for_services()
    after, _ = ipvs_statistics(master)[key]
    expect(after["connections"] >= before["connections"], f"{before} then {after}")
