"""wrk against a virtual address: nothing fails, nothing is left behind."""

import re
import time

from harness import TWO_WORKERS, case, expect, expect_equal
from nlvslab.measure import PATIENCE, ipvs_connections, ipvs_statistics, within
from nlvslab.system import resident_kilobytes
from nlvslab.topology import SPARE_PORTS

# Connections of other cases may still be timing out: a port of its own.
PORT = SPARE_PORTS[3]


def wrk(bench, seconds, *options):
    """Completed requests; every failed one is a failure of the case."""
    text = bench.lab.client.run(
        "wrk", "-t", 1, "-d", f"{seconds}s", "--timeout", "5s", *options,
        f"http://{bench.virtual(port=PORT)}/", timeout=seconds + 60,
    )
    errors = re.search(r"Socket errors: (.*)", text)
    expect(not errors, f"wrk: {errors.group(0) if errors else ''}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    expect(not bad, f"wrk: {bad.group(0) if bad else ''}")
    return int(re.search(r"(\d+) requests in", text).group(1))


def entries(bench):
    virtual = bench.virtual(port=PORT)
    return [e for e in ipvs_connections(bench.director) if e["virtual"] == virtual]


@case((TWO_WORKERS,))
def ten_seconds_of_wrk_lose_no_request(bench):
    virtual = bench.serve(port=PORT)
    requests = wrk(bench, 10, "-c", 32)
    expect(requests > 500, f"only {requests} requests in 10 s")
    # One more than asked for: wrk first tries whether the address answers.
    expect_equal(len(entries(bench)), 33, "connections")
    within(3, lambda: ipvs_statistics(bench.director)[("TCP", virtual)][0]["connections"] == 33,
           "connections counted")


@case((TWO_WORKERS,))
def new_connections_under_load_lose_no_request(bench):
    bench.serve(port=PORT)
    requests = wrk(bench, 5, "-c", 8, "-H", "Connection: close")
    expect(requests > 100, f"only {requests} requests in 5 s")


@case((TWO_WORKERS,), long=True)
def ten_minutes_of_wrk_lose_no_request_and_leave_nothing(bench):
    bench.serve(port=PORT)
    pid = bench.director.nlvsd_pid()
    wrk(bench, 30, "-c", 64)
    early = resident_kilobytes(pid) if pid else 0
    total = wrk(bench, 570, "-c", 64)
    late = resident_kilobytes(pid) if pid else 0
    expect(late - early < 4096, f"memory grew from {early} to {late} kB")
    expect(total > 10000, f"only {total} requests")
    # wrk closes its connections; TIME_WAIT lasts two minutes.
    started = time.monotonic()
    within(150, lambda: not entries(bench), "no connection left")
    print(f"    {total} requests, memory {early} then {late} kB, "
          f"table empty after {time.monotonic() - started:.0f} s")
