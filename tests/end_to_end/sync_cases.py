"""The sync daemons of two directors: connections outlive the director that they began on."""

from harness import SYNC_PAIR, SYNC_PAIR_TWO_WORKERS, case, expect, expect_equal
from nlvslab.measure import LastingConnections, synced_connections, within

FLUSH_SECONDS = 3  # a message that is not full waits two seconds, looked at once a second


@case((SYNC_PAIR, SYNC_PAIR_TWO_WORKERS))
def connections_outlive_their_director(bench):
    """Masqueraded, direct and tunnelled, of both families: established on one director, they go on
    over the other one after its death."""
    master = bench.director
    backup = next(d for d in bench.lab.directors.values() if d is not master)
    within(10, lambda: roles(master) == {"master"}, "the sync master runs")
    within(10, lambda: roles(backup) == {"backup"}, "the sync backup runs")
    addresses = [bench.address(method, family) for method in ("nat", "dr", "tun") for family in (4, 6)]
    bench.restarted = {master.name}
    with LastingConnections(bench.lab, addresses) as lasting:
        within(FLUSH_SECONDS + 7, lambda: has_all(backup, addresses), "the backup knows them all")
        local = {entry["virtual"]: entry for entry in synced_connections(master)}
        for entry in synced_connections(backup):
            own = local[entry["virtual"]]
            expect_equal(entry["origin"], "SYNC", f"origin of {entry}")
            expect_equal(own["origin"], "LOCAL", f"origin of {own}")
            for key in ("protocol", "client", "destination", "state"):
                expect_equal(entry[key], own[key], f"{key} of {entry['virtual']}")
        master.crash()
        within(10, backup.is_master, "take-over")
        within(10, lambda: roles(backup) == {"master"}, "the backup is sync master now")
        told = counters(backup)["announced"]
        within(20, lambda: counters(backup)["announced"] > told, "it tells of them")
        seen = lasting.stop()
    for address, one in seen.items():
        expect(not one["failure"], f"{address}: {one}")
        expect_equal(len(one["servers"]), 1, f"real servers of {address}")
    master.revive()
    within(30, lambda: bench.lab.master() is master, "the old master takes over again")
    bench.lab.wait_for_services()


def roles(director):
    """Which sync daemons ipvsadm lists."""
    return {
        line.split()[0] for line in director.ipvsadm("--list", "--daemon").splitlines() if line
    }


def has_all(director, addresses):
    return len(synced_connections(director)) == len(addresses)


def counters(director):
    return director.report("sync")
