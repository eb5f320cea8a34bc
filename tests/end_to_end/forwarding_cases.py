"""Packets through a director: methods, protocols, families, sizes; and what is not a service."""

import hashlib
import time

from harness import ONE_ARM, ONE_WORKER, TWO_WORKERS, case, expect, expect_equal, expect_shares
from nlvslab.measure import PATIENCE, BackgroundTraffic, traffic, within
from nlvslab.topology import ECHO_PORT, HTTP_PORT, SPARE_PORTS

FORWARDING = (ONE_WORKER, TWO_WORKERS, ONE_ARM)
METHODS, FAMILIES = ("nat", "dr", "tun"), (4, 6)


@case(FORWARDING, METHODS, ("tcp", "udp"), FAMILIES)
def every_server_gets_its_turn(bench, method, protocol, family):
    kind, port = ("http", HTTP_PORT) if protocol == "tcp" else ("udp", ECHO_PORT)
    bench.serve(method, family, protocol, port)
    seen = traffic(bench.lab, kind, bench.address(method, family), port, 30)
    expect_shares(bench, seen, bench.equal())


@case(FORWARDING, METHODS, FAMILIES)
def large_answers_arrive_unharmed(bench, method, family):
    bench.serve(method, family)
    expected = hashlib.sha256(
        (bench.lab.real_servers["rs1"].state / "www" / "big").read_bytes()
    ).hexdigest()
    for _ in range(6):
        text = bench.lab.client.run(
            "sh", "-c",
            f"curl -sSgf -m {20 * PATIENCE:.0f} http://{bench.virtual(method, family)}/big"
            " | sha256sum",
        )
        expect_equal(text.split()[0], expected, "hash of the body")


@case(FORWARDING, METHODS, FAMILIES)
def large_requests_arrive_unharmed(bench, method, family):
    """Full-size segments towards the servers; a tunnel has to make them smaller."""
    bench.serve(method, family)
    blob = bench.lab.state / "upload"
    blob.write_bytes(bytes(range(256)) * 4096)
    url = f"http://{bench.virtual(method, family)}/store/{method}{family}"
    # Often enough that every worker has gone round.
    for _ in range(bench.kind.workers**2 * len(bench.topology.real_servers)):
        bench.lab.client.run("curl", "-sSgf", "-m", f"{20 * PATIENCE:.0f}", "-T", blob, url)
    for server in bench.lab.real_servers.values():
        stored = server.state / "www" / "store" / f"{method}{family}"
        expect(stored.exists(), f"{server.name} has the upload")
        expect(stored.read_bytes() == blob.read_bytes(), f"{server.name} has the same bytes")
        stored.unlink()


@case(FORWARDING, FAMILIES)
def the_server_sees_the_client_address(bench, family):
    bench.serve("nat", family)
    text = bench.lab.client.run("curl", "-sSgf", f"http://{bench.virtual('nat', family)}/source")
    expect_equal(text.split()[1], bench.topology.client_address(family), "source at the server")


@case(FORWARDING, FAMILIES)
def a_masqueraded_port_is_translated(bench, family):
    bench.serve("nat", family, port=8088, target=SPARE_PORTS[4])
    seen = traffic(bench.lab, "http", bench.address("nat", family), 8088, 9)
    expect_shares(bench, seen, bench.equal())


@case((ONE_WORKER, TWO_WORKERS), FAMILIES)
def a_service_without_servers_refuses(bench, family):
    bench.director.ipvsadm("-A", "-t", bench.virtual("nat", family), "-s", "rr")
    seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 1, timeout=5)
    expect_equal(seen.answered, 0, "answers")
    expect("refused" in seen.failures[0]["error"],
           f"port unreachable reaches the client: {seen.failures[0]['error']}")


@case(FORWARDING, FAMILIES)
def ping_is_answered_by_the_kernel(bench, family):
    for address in (bench.address("nat", family),
                    bench.topology.front.address(11, family)):
        bench.lab.client.run("ping", "-q", "-c", "20", "-i", "0.01", "-W", "2", address)


@case(FORWARDING, FAMILIES)
def other_ports_of_the_address_belong_to_the_kernel(bench, family):
    """A program of the director on a virtual address, with more data than fits one segment."""
    bench.serve("nat", family)
    folder = bench.lab.state / "local"
    folder.mkdir(exist_ok=True)
    content = bytes(range(256)) * 2048
    (folder / "file").write_bytes(content)
    role = f"local-{family}"
    bench.lab.start(
        bench.director.name, role,
        bench.director.namespace.command(
            "/usr/bin/python3", "-m", "http.server", "--bind", "::" if family == 6 else "0.0.0.0",
            "--directory", folder, 8000,
        ),
    )
    try:
        url = f"http://{bench.virtual('nat', family, 8000)}/file"
        fetch = f"curl -sgf '{url}' >/dev/null && echo yes"
        within(10, lambda: bench.lab.client.run("sh", "-c", fetch, check=False), "local server")
        got = bench.lab.client.run("sh", "-c", f"curl -sSgf '{url}' | sha256sum")
        expect_equal(got.split()[0], hashlib.sha256(content).hexdigest(), "hash of the file")
    finally:
        bench.lab.processes.stop(bench.director.name, role)


@case((ONE_WORKER, TWO_WORKERS), FAMILIES)
def an_address_takes_effect_when_added_and_removed(bench, family):
    address = bench.topology.front.address(150, family)
    prefix = f"{address}/{32 if family == 4 else 128}"
    virtual = f"[{address}]:80" if family == 6 else f"{address}:80"
    bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
    bench.director.ipvsadm("-a", "-t", virtual, "-r", bench.server("rs1", family), "-m")

    def answered():
        return traffic(bench.lab, "http", address, 80, 1, timeout=0.3 * PATIENCE).answered

    expect(not answered(), "no answer before the address exists")
    options = ["nodad"] if family == 6 else []
    bench.director.namespace.ip("addr", "add", prefix, "dev", "dp0", *options)
    within(3, answered, "an answer once the address exists")
    seen = traffic(bench.lab, "http", address, 80, 20)
    expect_equal(seen.failed, 0, seen.describe())
    bench.director.namespace.ip("addr", "del", prefix, "dev", "dp0")
    within(3, lambda: not answered(), "silence once the address is gone")


@case(FORWARDING, FAMILIES)
def a_lost_route_to_a_server_comes_back(bench, family):
    """A neighbour entry removed under load is resolved again by the kernel."""
    bench.serve("nat", family)
    with BackgroundTraffic(
        bench.lab, "http", bench.address("nat", family), HTTP_PORT, interval=0.01
    ) as stream:
        device = bench.topology.back_shadow()
        for name in bench.topology.real_servers:
            address = bench.topology.real_address(name, family)
            bench.director.namespace.ip("neigh", "del", address, "dev", device, check=False)
        seen = traffic(bench.lab, "http", bench.address("nat", family), HTTP_PORT, 30)
        background = stream.stop()
    expect_equal(seen.failed, 0, seen.describe())
    expect_equal(background.failed, 0, background.describe())


@case((ONE_WORKER,), FAMILIES)
def a_permanent_neighbour_stays_so_behind_a_new_route(bench, family):
    """The engine has the kernel keep gateways resolved, and must not take over an entry that the
    administrator makes in the same moment."""
    director = bench.director.namespace
    device = bench.topology.back_shadow()
    gateways = [bench.topology.back.address(200 + n, family) for n in range(20)]
    nets = ("198.51.{}.0/24" if family == 4 else "2001:db8:ffff:{}::/64")
    lines = []
    for n, gateway in enumerate(gateways):
        lines.append(f"route add {nets.format(n)} via {gateway} dev {device}")
        lines.append(f"neigh replace {gateway} lladdr 02:00:00:00:99:{n:02x} dev {device} nud permanent")
    try:
        director.batch(lines, family)
        time.sleep(1)
        shown = director.ip("neigh", "show", "nud", "permanent", "dev", device).split()
        expect_equal([g for g in gateways if g not in shown], [], "no longer permanent")
    finally:
        director.batch([f"route del {nets.format(n)}" for n in range(len(gateways))], family)
        director.batch([f"neigh del {g} dev {device}" for g in gateways], family)
