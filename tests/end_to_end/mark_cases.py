"""Services by firewall mark: the marks are those of the director's own nft and iptables rules."""

import json
import time
from contextlib import contextmanager

from harness import (
    ONE_WORKER,
    TWO_WORKERS,
    Skipped,
    case,
    endpoint,
    expect,
    expect_equal,
    expect_shares,
)
from nlvslab.measure import (
    PATIENCE,
    BackgroundTraffic,
    ipvs_connections,
    ipvs_statistics,
    traffic,
    within,
)
from nlvslab.topology import ECHO_PORT, HTTP_PORT, SPARE_PORTS, WEIGHTED_PORT

BOTH = (ONE_WORKER, TWO_WORKERS)
METHODS, FAMILIES = ("nat", "dr", "tun"), (4, 6)
FORWARDING = {"nat": "-m", "dr": "-g", "tun": "-i"}
MARK = 7
# The director hears of a change of rules from the kernel, after the tool that made it has ended.
FOLLOW = 0.3


def serve(bench, method="nat", family=4, mark=MARK, servers=None, port=0, options=()):
    """A service by mark; port 0 keeps the client's."""
    service = ("-f", mark, *(["-6"] if family == 6 else []))
    bench.director.ipvsadm("-A", *service, "-s", "rr", *options)
    for name in servers or bench.topology.real_servers:
        server = endpoint(bench.topology.real_address(name, family), port)
        bench.director.ipvsadm("-a", *service, "-r", server, FORWARDING[method])


def nft(bench, text):
    bench.director.namespace.run("nft", text)
    time.sleep(FOLLOW * PATIENCE)


@contextmanager
def rules(bench, body, hook="prerouting priority mangle", family="inet", extra=""):
    """A table of its own with one chain."""
    chain = f"chain arriving {{ type filter hook {hook}; {body}; }}"
    nft(bench, f"table {family} marks {{ {extra} {chain}; }}")
    try:
        yield
    finally:
        nft(bench, f"delete table {family} marks")


def daddr(bench, method, family):
    return f"{'ip6' if family == 6 else 'ip'} daddr {bench.address(method, family)}"


def marks_report(bench):
    if bench.lab.engine == "kernel":
        raise Skipped("nlvsctl speaks to nlvsd")
    text = bench.director.run(bench.lab.build / "bin" / "nlvsctl", "marks", "--json")
    return json.loads(text)


def answered(bench, method="nat", family=4, port=HTTP_PORT):
    address = bench.address(method, family)
    return traffic(bench.lab, "http", address, port, 1, timeout=0.5 * PATIENCE).answered


def answering(bench):
    """Who answers on the virtual address."""
    return set(traffic(bench.lab, "http", bench.address(), HTTP_PORT, 6).answers)


@case(BOTH, METHODS, FAMILIES)
def a_range_of_ports_is_one_service(bench, method, family):
    serve(bench, method, family)
    ports = f"tcp dport {{ {HTTP_PORT}, 8000-8099 }}"
    with rules(bench, f"{daddr(bench, method, family)} {ports} meta mark set {MARK}"):
        for port in (HTTP_PORT, WEIGHTED_PORT):
            seen = traffic(bench.lab, "http", bench.address(method, family), port, 12)
            expect_shares(bench, seen, bench.equal())
        entries = ipvs_connections(bench.director)
        ports = {entry["destination"].rsplit(":", 1)[1] for entry in entries}
        # Those of earlier cases may still be timing out.
        expect(ports >= {str(HTTP_PORT), str(WEIGHTED_PORT)}, f"destination ports in -Lcn: {ports}")
    expect(not answered(bench, method, family), "nobody answers without the rule")


@case(BOTH, METHODS, FAMILIES)
def iptables_marks_as_every_howto_says(bench, method, family):
    serve(bench, method, family)
    tool = "ip6tables-nft" if family == 6 else "iptables-nft"
    rule = ("PREROUTING", "-d", bench.address(method, family), "-p", "tcp", "-m", "multiport",
            "--dports", f"{HTTP_PORT},8000:8099", "-j", "MARK", "--set-mark", MARK)
    run = bench.director.namespace.run
    run(tool, "-t", "mangle", "-A", *rule)
    try:
        time.sleep(FOLLOW * PATIENCE)
        for port in (HTTP_PORT, WEIGHTED_PORT):
            seen = traffic(bench.lab, "http", bench.address(method, family), port, 12)
            expect_shares(bench, seen, bench.equal())
    finally:
        run("nft", "delete", "table", "ip6" if family == 6 else "ip", "mangle")
        time.sleep(FOLLOW * PATIENCE)


@case(BOTH, FAMILIES)
def every_protocol_of_the_address_is_served(bench, family):
    serve(bench, "nat", family)
    match = f"{daddr(bench, 'nat', family)} meta l4proto {{ tcp, udp }}"
    with rules(bench, f"{match} meta mark set {MARK}"):
        for kind, port in (("http", HTTP_PORT), ("udp", ECHO_PORT)):
            seen = traffic(bench.lab, kind, bench.address("nat", family), port, 12)
            expect_shares(bench, seen, bench.equal())


@case((ONE_WORKER,))
def ten_thousand_addresses_in_a_set(bench):
    addresses = [f"198.18.{i // 250}.{i % 250}" for i in range(10_000)] + [bench.address()]
    ports = f"{HTTP_PORT}-{HTTP_PORT + 9}"
    script = bench.lab.state / "set.nft"
    script.write_text(
        "table ip marks {\n"
        "  set plain { type ipv4_addr; elements = { %s }; }\n"
        "  map pairs { type ipv4_addr . inet_service : mark; flags interval; elements = { %s }; }\n"
        "  chain arriving { type filter hook prerouting priority mangle;\n"
        "    ip daddr @plain meta mark set 1\n"
        "    meta mark set ip daddr . tcp dport map @pairs\n"
        "  }\n}\n"
        % (", ".join(addresses), ", ".join(f"{one} . {ports} : {MARK}" for one in addresses))
    )
    serve(bench)
    bench.director.namespace.run("nft", "-f", script)
    try:
        within(10, lambda: answered(bench), "an answer by the set")
        seen = traffic(bench.lab, "http", bench.address(), HTTP_PORT, 30)
        expect_shares(bench, seen, bench.equal())
        bench.director.namespace.run(
            "nft", f"delete element ip marks pairs {{ {bench.address()} . {ports} }}"
        )
        within(10, lambda: not answered(bench), "silence once the element is gone")
        bench.director.namespace.run(
            "nft", f"add element ip marks pairs {{ {bench.address()} . {HTTP_PORT} : {MARK} }}"
        )
        within(10, lambda: answered(bench), "an answer once the element is back")
    finally:
        nft(bench, "delete table ip marks")


@case(BOTH)
def rules_change_under_traffic(bench):
    """A transaction that moves the address from one service to another loses no request."""
    serve(bench, mark=1, servers=("rs1",))
    serve(bench, mark=2, servers=("rs2",))
    match = daddr(bench, "nat", 4)
    with rules(bench, f"{match} meta mark set 1"):
        with BackgroundTraffic(
            bench.lab, "http", bench.address(), HTTP_PORT, interval=0.01
        ) as stream:
            for mark in (2, 1, 2):
                nft(bench, "flush chain inet marks arriving; "
                           f"add rule inet marks arriving {match} meta mark set {mark}")
            seen = stream.stop()
        expect_equal(seen.failed, 0, seen.describe())
        expect_equal(set(seen.answers), {"rs1", "rs2"}, seen.describe())
        expect_equal(answering(bench), {"rs2"}, "servers")


@case(BOTH)
def connections_outlive_their_rule(bench):
    serve(bench)
    with rules(bench, f"{daddr(bench, 'nat', 4)} meta mark set {MARK}"):
        stream = BackgroundTraffic(bench.lab, "hold", bench.address(), HTTP_PORT, 6)
        stream.first_result()
    expect(not answered(bench), "no new connection without the rule")
    seen = stream.stop()
    expect_equal(seen.failed, 0, f"held connections: {seen.describe()}")


@case((ONE_WORKER,))
def a_flushed_rule_set_marks_nothing(bench):
    serve(bench)
    with rules(bench, f"{daddr(bench, 'nat', 4)} meta mark set {MARK}"):
        expect(answered(bench), "an answer with the rule")
        nft(bench, "flush table inet marks")
        expect(not answered(bench), "none without")


@case((ONE_WORKER,))
def an_element_leaves_when_its_time_is_over(bench):
    serve(bench)
    seconds = 3 * PATIENCE
    extra = "set guests { type ipv4_addr; flags timeout; elements = " \
            f"{{ {bench.address()} timeout {seconds:.0f}s }}; }};"
    with rules(bench, f"ip daddr @guests meta mark set {MARK}", extra=extra):
        expect(answered(bench), "an answer while the element is there")
        within(seconds + 5, lambda: not answered(bench), "silence afterwards")


@case((ONE_WORKER,))
def many_transactions_end_in_the_last_state(bench):
    """More than the announcements are read between them."""
    serve(bench)
    match = daddr(bench, "nat", 4)
    with rules(bench, f"{match} meta mark set 1"):
        script = bench.lab.state / "many.sh"
        lines = [
            "nft 'flush chain inet marks arriving; "
            f"add rule inet marks arriving {match} meta mark set {n}'"
            for n in (*range(100, 140), MARK)
        ]
        script.write_text("\n".join(lines) + "\n")
        bench.director.namespace.run("sh", "-e", script)
        time.sleep(FOLLOW * PATIENCE)
        expect(answered(bench), "an answer by the last rule")


@case((ONE_WORKER,))
def a_rule_that_cannot_be_followed_is_said_and_left_to_the_kernel(bench):
    serve(bench)
    match = daddr(bench, "nat", 4)
    body = f"{match} tcp dport {HTTP_PORT} meta mark set {MARK}; " \
           f"{match} tcp dport {WEIGHTED_PORT} limit rate 1000/second meta mark set {MARK}"
    with rules(bench, body):
        report = marks_report(bench)
        reasons = [rule["reason"] for rule in report["rules"] if not rule["followed"]]
        expect_equal(reasons, ["limit"], "rules that are not followed")
        expect_equal([rule["followed"] for rule in report["rules"]], [True, False], "followed")
        expect(answered(bench), "the other rule works")
        expect(not answered(bench, port=WEIGHTED_PORT), "the kernel, without such a service, refuses")
        expect(marks_report(bench)["marks"]["packets_undecided"] > 0, "counted")
        log = (bench.lab.state / bench.director.name / "nlvsd.log").read_text()
        told = [line for line in log.splitlines() if "cannot be followed (limit)" in line]
        expect_equal(len(told), 1, "lines in the log")
    expect_equal(marks_report(bench)["rules"], [], "rules once the table is gone")


@case(BOTH)
def persistence_holds_across_ports_and_protocols(bench):
    serve(bench, options=("-p", 60))
    with rules(bench, f"{daddr(bench, 'nat', 4)} meta mark set {MARK}"):
        answers = set()
        for kind, port in (("http", HTTP_PORT), ("http", WEIGHTED_PORT), ("udp", ECHO_PORT)):
            seen = traffic(bench.lab, kind, bench.address(), port, 6)
            expect_equal(seen.failed, 0, seen.describe())
            answers |= set(seen.answers)
        expect_equal(len(answers), 1, f"servers of one client: {answers}")
        templates = [e for e in ipvs_connections(bench.director) if e["protocol"] == "IP"]
        expect_equal([e["virtual"] for e in templates], [f"0.0.0.{MARK}:0"], "templates")


@case((ONE_WORKER,))
def a_mark_wins_over_address_and_port(bench):
    bench.director.ipvsadm("-A", "-t", bench.virtual(), "-s", "rr")
    bench.director.ipvsadm("-a", "-t", bench.virtual(), "-r", bench.server("rs1"), "-m")
    serve(bench, servers=("rs2",))
    match = daddr(bench, "nat", 4)
    with rules(bench, f"{match} ip saddr {bench.topology.client_address(4)} meta mark set {MARK}"):
        expect_equal(answering(bench), {"rs2"}, "marked")
    expect_equal(answering(bench), {"rs1"}, "unmarked")


@case((ONE_WORKER,))
def the_interface_and_the_mark_of_before_count(bench):
    serve(bench)
    match = daddr(bench, "nat", 4)
    body = f'iifname "dp*" {match} meta mark set 0x30{MARK}; ' \
           "meta mark and 0xf00 == 0x300 meta mark set mark and 0xff"
    with rules(bench, body):
        expect(answered(bench), "marked in two steps")
    with rules(bench, f'iifname "dp77" {match} meta mark set {MARK}'):
        expect(not answered(bench), "another interface")


@case((ONE_WORKER,))
def statistics_of_a_marked_service_equal_the_traffic(bench):
    serve(bench)
    with rules(bench, f"{daddr(bench, 'nat', 4)} tcp dport {HTTP_PORT} meta mark set {MARK}"):
        time.sleep(3)
        key = ("FWM", str(MARK))
        before = ipvs_statistics(bench.director)[key][0]["connections"]
        traffic(bench.lab, "http", bench.address(), HTTP_PORT, 9)
        within(5, lambda: ipvs_statistics(bench.director)[key][0]["connections"] - before == 9,
               "nine connections")


@contextmanager
def foreign_network(bench, family):
    """Addresses that no interface has; the router sends their packets to the director."""
    network, addresses = {
        4: ("203.0.113.0/24", ("203.0.113.1", "203.0.113.77")),
        6: ("fd00:113::/64", ("fd00:113::1", "fd00:113::77")),
    }[family]
    router, flag = bench.lab.namespace("router"), f"-{family}"
    router.ip(flag, "route", "add", network, "via", bench.topology.front.address(11, family))
    match = f"{'ip6' if family == 6 else 'ip'} daddr {network}"
    try:
        with rules(bench, f"{match} tcp dport {HTTP_PORT} meta mark set {MARK}"):
            yield network, addresses
    finally:
        router.ip(flag, "route", "del", network)


def expect_service(bench, addresses):
    for address in addresses:
        seen = traffic(bench.lab, "http", address, HTTP_PORT, 12)
        expect_shares(bench, seen, bench.equal())


@case(BOTH, FAMILIES)
def a_network_of_local_addresses_is_one_service(bench, family):
    """A local route makes every address of a network the director's."""
    serve(bench, "nat", family, port=SPARE_PORTS[1])
    ip = bench.director.namespace.ip
    with foreign_network(bench, family) as (network, addresses):
        ip(f"-{family}", "route", "add", "local", network, "dev", "lo")
        try:
            time.sleep(FOLLOW * PATIENCE)
            expect_service(bench, addresses)
        finally:
            ip(f"-{family}", "route", "del", "local", network, "dev", "lo")


@case(BOTH, FAMILIES)
def a_mark_leads_to_the_host_by_a_rule(bench, family):
    """The usual transparent set-up: the address is local for packets with the mark only."""
    serve(bench, "nat", family, port=SPARE_PORTS[2])
    ip, flag = bench.director.namespace.ip, f"-{family}"
    with foreign_network(bench, family) as (_, addresses):
        ip(flag, "route", "add", "local", "default", "dev", "lo", "table", "100")
        ip(flag, "rule", "add", "fwmark", MARK, "lookup", "100")
        try:
            time.sleep(FOLLOW * PATIENCE)
            expect_service(bench, addresses)
        finally:
            ip(flag, "rule", "del", "fwmark", MARK, "lookup", "100")
            ip(flag, "route", "del", "local", "default", "dev", "lo", "table", "100")


@case(BOTH, FAMILIES)
def traffic_goes_where_it_wanted_when_no_cache_is_left(bench, family):
    """sysctl cache_bypass: a cluster of transparent caches without a server."""
    director, flag = bench.director, f"-{family}"
    ip = director.namespace.ip
    origin = bench.lab.namespace("rs3")
    serve(bench, "dr", family, servers=("rs1",))
    with foreign_network(bench, family) as (network, addresses):
        length = 32 if family == 4 else 128
        # Its answers go around the director, which need not be a router.
        around = f"from {network} lookup 100"
        origin.batch(
            [*(f"addr add {a}/{length} dev lo" for a in addresses), f"rule add {around}"], family
        )
        ip(flag, "route", "add", network, "via", bench.topology.real_address("rs3", family))
        ip(flag, "route", "add", "local", "default", "dev", "lo", "table", "100")
        ip(flag, "rule", "add", "fwmark", MARK, "lookup", "100")
        try:
            time.sleep(FOLLOW * PATIENCE)
            service = ("-f", MARK, *(["-6"] if family == 6 else []))
            server = endpoint(bench.topology.real_address("rs1", family), 0)
            director.ipvsadm("-d", *service, "-r", server)
            refused = traffic(bench.lab, "http", addresses[0], HTTP_PORT, 2, timeout=PATIENCE)
            expect_equal(refused.answered, 0, "answers without cache_bypass")
            earlier = {(e["source"], e["virtual"]) for e in ipvs_connections(director)}
            director.run("sysctl", "-qw", "net.ipv4.vs.cache_bypass=1")
            for address in addresses:
                seen = traffic(bench.lab, "http", address, HTTP_PORT, 8)
                expect_equal(seen.answers, {"rs3": 8}, f"the origin answers: {seen.describe()}")
            nowhere = endpoint("0.0.0.0" if family == 4 else "::", 0)
            virtual = endpoint(addresses[0], HTTP_PORT)
            fresh = [
                e["destination"] for e in ipvs_connections(director)
                if e["virtual"] == virtual and (e["source"], virtual) not in earlier
            ]
            expect_equal(fresh, [nowhere] * 8, f"destinations of the connections to {virtual}")
        finally:
            director.run("sysctl", "-qw", "net.ipv4.vs.cache_bypass=0")
            ip(flag, "rule", "del", "fwmark", MARK, "lookup", "100")
            ip(flag, "route", "del", "local", "default", "dev", "lo", "table", "100")
            ip(flag, "route", "del", network)
            origin.batch(
                [*(f"addr del {a}/{length} dev lo" for a in addresses), f"rule del {around}"], family
            )


KEEPALIVED = """
global_defs {{
    nftables_ipvs
    checker_log_all_failures true
}}
virtual_server_group web {{
    {address} {http}
    {address} {weighted}
}}
virtual_server group web {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
{servers}
}}
virtual_server fwmark {mark} {{
    lb_algo rr
    lb_kind NAT
{servers}
}}
"""


@case(BOTH)
def keepalived_marks_its_groups_by_nftables(bench):
    """Its option nftables_ipvs: one service by mark for a group of addresses and ports. Servers
    without a port keep the client's."""
    director = bench.director
    servers = "".join(
        f"    real_server {bench.topology.real_address(name, 4)} {{\n        weight 1\n    }}\n"
        for name in bench.topology.real_servers
    )
    config = director.state / "groups.conf"
    config.write_text(KEEPALIVED.format(
        address=bench.address(), http=HTTP_PORT, weighted=WEIGHTED_PORT, mark=MARK, servers=servers,
    ))
    bench.lab.start(
        director.name, "keepalived",
        director.namespace.command(
            "env", *director._assignments(), "keepalived", "--check", "--dont-fork",
            "--log-console", "--no-syslog", "--use-file", config, "--pid", director.state / "groups.pid",
            "--checkers_pid", director.state / "groups-checkers.pid",
        ),
    )
    try:
        within(20, lambda: ("FWM", "1000") in ipvs_statistics(director), "the group's service")
        within(20, lambda: answered(bench), "an answer from the group")
        for port in (HTTP_PORT, WEIGHTED_PORT):
            seen = traffic(bench.lab, "http", bench.address(), port, 12)
            expect_shares(bench, seen, bench.equal())
        match = f"{daddr(bench, 'nat', 4)} tcp dport {SPARE_PORTS[0]}"
        with rules(bench, f"{match} meta mark set {MARK}"):
            seen = traffic(bench.lab, "http", bench.address(), SPARE_PORTS[0], 12)
            expect_shares(bench, seen, bench.equal())
    finally:
        bench.lab.processes.stop(director.name, "keepalived")
    within(10, lambda: not answered(bench), "silence when keepalived has gone")
