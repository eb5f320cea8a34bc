"""What several workers must have in common, with two of them and with four; and the most telling
of the other cases with four, more than most machines that run these have processors for."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import forwarding_cases
import ftp_cases
import listing_cases
import mark_cases
import scheduling_cases
from harness import FOUR_WORKERS, TWO_WORKERS, case, expect, expect_equal
from nlvslab.measure import PATIENCE, ipvs_connections, traffic, within
from nlvslab.topology import ECHO_PORT, HTTP_PORT, WEIGHTED_PORT

SEVERAL = (TWO_WORKERS, FOUR_WORKERS)
HERE = Path(__file__).resolve().parent

# Each with the values of its axes.
for function, *axes in (
    (forwarding_cases.every_server_gets_its_turn, ("nat", "dr"), ("tcp", "udp"), (4,)),
    (forwarding_cases.every_server_gets_its_turn, ("nat",), ("tcp",), (6,)),
    (scheduling_cases.weighted_round_robin_follows_weights, (4,)),
    (scheduling_cases.persistence_keeps_the_server, (4,)),
    (scheduling_cases.a_threshold_holds_connections_off,),
    (mark_cases.a_range_of_ports_is_one_service, ("nat",), (4,)),
    (mark_cases.persistence_holds_across_ports_and_protocols,),
    (listing_cases.statistics_equal_the_traffic, ("nat",), ("tcp",), (4,)),
    (ftp_cases.ftp_transfers_files, ("EPSV 4",)),
    (ftp_cases.announced_data_connections_are_listed, (4,)),
):
    case((FOUR_WORKERS,), *axes)(function)


def datagrams(bench, address, port, sockets, count, size=8, source=0):
    text = bench.lab.client.run(
        sys.executable, HERE / "datagrams.py", address, port, sockets, count, size,
        *([source] if source else []), timeout=60,
    )
    return json.loads(text)


def entries(bench, virtual):
    return [e for e in ipvs_connections(bench.director) if e["virtual"] == virtual]


@case(SEVERAL, (4, 6))
def every_datagram_is_scheduled_by_itself(bench, family):
    """All of a socket's by one worker: its turn is exact, and nothing is remembered."""
    virtual = bench.serve("dr", family, "udp", ECHO_PORT, options=("-o",))
    before = entries(bench, virtual)
    answers = datagrams(bench, bench.address("dr", family), ECHO_PORT, 12, 9)
    for one in answers:
        expect_equal(Counter(one), {name: 3 for name in bench.topology.real_servers}, "answers")
    expect_equal(len(entries(bench, virtual)), len(before), "connections that are listed")


@case(SEVERAL, ("nat", "dr"), (4, 6))
def fragments_meet_their_flow(bench, method, family):
    """Questions and answers in pieces; whoever collects them, one worker has the flow. Those of
    IPv4 the kernel puts together for packet sockets, which take what is not much larger than a
    frame."""
    bench.serve(method, family, "udp", ECHO_PORT)
    size, sockets = 4000 if family == 6 else 1800, 24
    answers = datagrams(bench, bench.address(method, family), ECHO_PORT, sockets, 2, size)
    expect_equal([one for one in answers if len(set(one)) != 1], [], "sockets with two servers")
    shares = Counter(one[0] for one in answers)
    expect_equal(set(shares), set(bench.topology.real_servers), "servers that answered, whole")
    off = max(abs(share - sockets / 3) for share in shares.values())
    expect(off <= bench.kind.workers, f"shares of {sockets}: {dict(shares)}")


@case(SEVERAL, (4, 6))
def every_port_of_an_address_is_one_service(bench, family):
    """Whichever worker has a port, one client has one server, and its answers find the way back."""
    virtual = bench.virtual("nat", family, 0)
    bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr", "-p", 60)
    for name in bench.topology.real_servers:
        bench.director.ipvsadm("-a", "-t", virtual, "-r", bench.server(name, family, 0), "-m")
    answers = Counter()
    for port in (HTTP_PORT, WEIGHTED_PORT):
        seen = traffic(bench.lab, "http", bench.address("nat", family), port, 12)
        expect_equal(seen.failed, 0, seen.describe())
        answers.update(seen.answers)
    expect_equal(list(answers.values()), [24], f"one server for all: {dict(answers)}")


@case(SEVERAL)
def a_server_with_thresholds_is_left_alone_in_time(bench):
    """-x and -y count what all workers have: at the upper one it gets no more, below the lower one
    it is back; in between it stays as it was."""
    upper, lower, seconds = 4, 2, 3 * PATIENCE
    port = ECHO_PORT + 1
    virtual, address = bench.virtual("nat", 4, port), bench.address()
    timeouts = re.search(
        r"\(tcp tcpfin udp\): (\d+) (\d+) (\d+)", bench.director.ipvsadm("-L", "--timeout")
    ).groups()
    bench.director.ipvsadm("-A", "-u", virtual, "-s", "rr")
    for name in bench.topology.real_servers:
        bench.director.ipvsadm("-a", "-u", virtual, "-r", bench.server(name, 4, ECHO_PORT), "-m")
    server = bench.server("rs1", 4, ECHO_PORT)
    bench.director.ipvsadm("-e", "-u", virtual, "-r", server, "-m", "-x", upper, "-y", lower)

    def got(source, sockets=24):
        answers = [one[0] for one in datagrams(bench, address, port, sockets, 1, source=source)]
        expect(None not in answers, f"every question has an answer: {answers}")
        return answers.count("rs1")

    def of_server():
        return [e for e in entries(bench, virtual) if e["destination"] == server]

    try:
        bench.director.ipvsadm("--set", 0, 0, f"{seconds:.0f}")
        expect_equal(got(17000), upper, "connections of the server with -x")
        expect_equal(got(17100), 0, "those it gets while it has as many")
        kept = sorted(int(e["source"].rsplit(":", 1)[1]) for e in of_server())[:lower]

        def only_kept():
            for source in kept:
                datagrams(bench, address, port, 1, 1, source=source)
            return len(of_server()) == lower

        within(3 * seconds, only_kept, "the others time out")
        expect_equal(got(17200), 0, "those it gets while it has not less than -y")
        within(3 * seconds, lambda: not of_server(), "all of them time out")
        expect_equal(got(17300), upper, "connections of the server that is back")
    finally:
        bench.director.ipvsadm("--set", *timeouts)
