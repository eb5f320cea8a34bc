"""Real servers that are the director itself."""

import contextlib
import hashlib

from harness import ONE_ARM, ONE_WORKER, TWO_WORKERS, case, endpoint, expect, expect_equal
from nlvslab.measure import within
from nlvslab.topology import DIRECTORS

METHODS, FAMILIES = ("nat", "dr", "tun"), (4, 6)
PORT = 8090


@contextlib.contextmanager
def server_on_director(bench, family, port, text):
    """An HTTP server of the director's own, on every address, with `text` as its page."""
    folder = bench.lab.state / f"own-{family}-{port}"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_bytes(text)
    role = f"own-{family}-{port}"
    bench.lab.start(
        bench.director.name, role,
        bench.director.namespace.command(
            "/usr/bin/python3", "-m", "http.server", "--bind", "::" if family == 6 else "0.0.0.0",
            "--directory", folder, port,
        ),
    )
    try:
        listening = ["ss", "-Hltn", f"sport = :{port}"]
        within(10, lambda: bench.director.namespace.run(*listening).strip(), "the server listens")
        yield
    finally:
        bench.lab.processes.stop(bench.director.name, role)


def fetched(bench, virtual):
    text = bench.lab.client.run("sh", "-c", f"curl -sSgf -m 10 http://{virtual}/ | sha256sum")
    return text.split()[0]


def out_packets(bench):
    rows = bench.director.ipvsadm("-Ln", "--stats", "--exact").splitlines()
    return sum(int(row.split()[4]) for row in rows if row.strip().startswith("->") and "Remote" not in row)


@case((ONE_WORKER, TWO_WORKERS, ONE_ARM), METHODS, FAMILIES)
def the_director_itself_is_a_server(bench, method, family):
    """By an address of its own; more data than fits one segment, several clients."""
    own = bench.topology.front.address(DIRECTORS[bench.director.name], family)
    target = PORT if method == "nat" else 8091
    virtual = bench.virtual("nat", family, 8091)
    content = f"{method} {family} ".encode() * 20000
    with server_on_director(bench, family, target, content):
        bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
        forwarding = {"nat": "-m", "dr": "-g", "tun": "-i"}[method]
        bench.director.ipvsadm(
            "-a", "-t", virtual, "-r", endpoint(own, target), forwarding
        )
        for _ in range(2 * bench.kind.workers**2):
            expect_equal(fetched(bench, virtual), hashlib.sha256(content).hexdigest(), "the page")
        # Both directions have been seen, also where nothing had to be translated.
        within(5, lambda: out_packets(bench) > 0, "replies are counted")


@case((ONE_WORKER,), FAMILIES)
def nothing_is_masqueraded_to_loopback(bench, family):
    """As Linux ("stopping DNAT to loopback address"): the connection times out."""
    virtual = bench.virtual("nat", family, 8091)
    loopback = "127.0.0.1" if family == 4 else "::1"
    with server_on_director(bench, family, PORT, b"page"):
        bench.director.ipvsadm("-A", "-t", virtual, "-s", "rr")
        bench.director.ipvsadm("-a", "-t", virtual, "-r", endpoint(loopback, PORT), "-m")
        said = bench.lab.client.run(
            "sh", "-c", f"curl -sSgf -m 2 http://{virtual}/ 2>&1; echo exit $?", check=False
        )
        expect("exit 28" in said, f"curl times out: {said.strip()}")


SORRY = """
global_defs {{
    router_id sorry
}}
virtual_server {address} 8091 {{
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    protocol TCP
    sorry_server {sorry} 8091
    real_server {server} 8091 {{
        TCP_CHECK {{
            connect_port {health}
            connect_timeout 1
            retry 0
            delay_loop 1
        }}
    }}
}}
"""


@case((ONE_WORKER,), FAMILIES)
def keepalived_says_sorry_from_the_loopback_address(bench, family):
    director, folder = bench.director, bench.lab.state
    config = folder / f"sorry-{family}.conf"
    config.write_text(SORRY.format(
        address=bench.address("nat", family),
        sorry="127.0.0.1" if family == 4 else "::1",
        server=bench.topology.real_address("rs1", family),
        health=9,  # discard: nobody listens
    ))
    content = b"sorry" * 1000
    role = f"sorry-{family}"
    with server_on_director(bench, family, 8091, content):
        bench.lab.start(
            director.name, role,
            director.namespace.command(
                "env", *director._assignments(), "keepalived", "--dont-fork", "--log-console",
                "--no-syslog", "--check", "--use-file", config,
                "--pid", folder / f"{role}.pid", "--checkers_pid", folder / f"{role}-check.pid",
            ),
        )
        try:
            virtual = bench.virtual("nat", family, 8091)
            sorry = endpoint("127.0.0.1" if family == 4 else "::1", 8091)

            def is_sorry():
                servers = director.services().get(("TCP", virtual), [])
                return [name for name, _ in servers] == [sorry]

            within(15, is_sorry, "keepalived puts in the sorry server")
            for _ in range(3):
                expect_equal(
                    fetched(bench, virtual), hashlib.sha256(content).hexdigest(), "the page"
                )
        finally:
            bench.lab.processes.stop(director.name, role)
