"""Schedulers, persistence, weights: who gets the next connection, as the client sees it."""

from harness import ONE_WORKER, TWO_WORKERS, case, expect, expect_equal, expect_shares
from nlvslab.measure import BackgroundTraffic, ipvs_connections, traffic
from nlvslab.topology import HTTP_PORT, SPARE_PORTS

BOTH = (ONE_WORKER, TWO_WORKERS)
WEIGHTS = {"rs1": 1, "rs2": 2, "rs3": 3}


@case(BOTH, (4, 6))
def weighted_round_robin_follows_weights(bench, family):
    bench.serve("nat", family, scheduler="wrr", weights=WEIGHTS)
    seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 60)
    expect_shares(bench, seen, WEIGHTS)


@case(BOTH, ("lc", "wlc", "sed", "nq"))
def held_connections_are_balanced(bench, scheduler):
    """Connections that stay open: the least loaded server in proportion to its weight is next.
    With several workers each decides with figures of the others that may be some milliseconds
    old, so their shares are near and not exact."""
    weights = {} if scheduler == "lc" else WEIGHTS
    bench.serve(scheduler=scheduler, weights=weights)
    with BackgroundTraffic(
        bench.lab, "hold", bench.address(), HTTP_PORT, 30, interval=0.01
    ) as held:
        seen = held.first_result()
        expect_equal(seen.failed, 0, seen.describe())
        total = sum(weights.get(n, 1) for n in bench.topology.real_servers)
        tolerance = 2 if bench.kind.workers == 1 else 6
        for name in bench.topology.real_servers:
            ideal = 30 * weights.get(name, 1) / total
            share = seen.answers.get(name, 0)
            expect(abs(share - ideal) <= tolerance, f"{name}: {share}, ideal {ideal:.0f}")
        after = held.stop()
    expect_equal(after.failed, 0, after.describe())


@case(BOTH, ("sh", "mh"))
def one_source_has_one_server(bench, scheduler):
    bench.serve(scheduler=scheduler)
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 20)
    expect_equal((seen.failed, len(seen.answers)), (0, 1), seen.describe())


@case(BOTH, ("sh", "mh"))
def many_sources_have_many_servers(bench, scheduler):
    bench.serve(scheduler=scheduler)
    client, sources = bench.lab.client, [f"10.1.0.{n}" for n in range(100, 124)]
    client.batch([f"addr add {source}/24 dev eth0" for source in sources])
    try:
        answers = {
            client.run("curl", "-sS", "--interface", source, f"http://{bench.virtual()}/").strip()
            for source in sources
        }
    finally:
        client.batch([f"addr del {source}/24 dev eth0" for source in sources])
    expect_equal(answers, set(bench.topology.real_servers), "servers that answered 24 sources")


@case(BOTH)
def destination_hash_keeps_one_server(bench):
    bench.serve(scheduler="dh")
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 20)
    expect_equal((seen.failed, len(seen.answers)), (0, 1), seen.describe())


@case(BOTH, (4, 6))
def persistence_keeps_the_server(bench, family):
    bench.serve("nat", family, options=("-p", "60"))
    address = bench.address("nat", family)
    seen = traffic(bench.lab, "http", address, HTTP_PORT, 20)
    expect_equal((seen.failed, len(seen.answers)), (0, 1), seen.describe())
    client = bench.topology.client_address(family)
    virtual = bench.virtual("nat", family)
    templates = [
        e for e in ipvs_connections(bench.director)
        if e["virtual"] == virtual and e["source"] in (f"{client}:0", f"[{client}]:0")
    ]
    expect_equal(len(templates), 1, "template entries of ipvsadm -Lcn")


@case(BOTH)
def weight_zero_drains(bench):
    virtual = bench.serve()
    with BackgroundTraffic(bench.lab, "hold", bench.address(), HTTP_PORT, 9) as held:
        opened = held.first_result()
        expect_shares(bench, opened, bench.equal(), "held connections")
        bench.director.ipvsadm("-e", "-t", virtual, "-r", bench.server("rs1"), "-m", "-w", 0)
        seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 20)
        expect_shares(bench, seen, {"rs2": 1, "rs3": 1}, "new connections")
        expect("rs1" not in seen.answers, f"new connections: {seen.describe()}")
        after = held.stop()
    expect_equal(after.answers, opened.answers, "the held ones, asked again")


@case(BOTH)
def a_server_removed_and_readded_keeps_its_connections(bench):
    virtual = bench.serve()
    with BackgroundTraffic(bench.lab, "hold", bench.address(), HTTP_PORT, 6) as held:
        opened = held.first_result()
        bench.director.ipvsadm("-d", "-t", virtual, "-r", bench.server("rs1"))
        seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 10)
        expect_shares(bench, seen, {"rs2": 1, "rs3": 1}, "new connections meanwhile")
        expect("rs1" not in seen.answers, f"new connections meanwhile: {seen.describe()}")
        bench.director.ipvsadm("-a", "-t", virtual, "-r", bench.server("rs1"), "-m")
        after = held.stop()
    expect_equal(after.answers, opened.answers, "the held ones, asked again")


@case(BOTH)
def a_changed_scheduler_takes_effect(bench):
    virtual = bench.serve(scheduler="dh")
    bench.director.ipvsadm("-E", "-t", virtual, "-s", "rr")
    seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
    expect_shares(bench, seen, bench.equal())


@case(BOTH)
def a_threshold_holds_connections_off(bench):
    # Connections still timing out count too: a port that no other case uses.
    virtual = bench.serve(port=SPARE_PORTS[1])
    bench.director.ipvsadm(
        "-e", "-t", virtual, "-r", bench.server("rs1", port=SPARE_PORTS[1]), "-m", "-x", 2, "-y", 1
    )
    with BackgroundTraffic(
        bench.lab, "hold", bench.address(), SPARE_PORTS[1], 12, interval=0.02
    ) as held:
        opened = held.first_result()
        expect_equal(opened.answers.get("rs1", 0), 2, "connections of the server with -x 2")
        expect_equal(opened.failed, 0, opened.describe())
        held.stop()
