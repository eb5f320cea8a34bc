"""SCTP through a director: both directions with their checksums, and the state machine."""

from pathlib import Path

from harness import ONE_ARM, ONE_WORKER, TWO_WORKERS, case, expect_equal
from nlvslab.measure import within

PEER = Path(__file__).resolve().parent / "sctp_peer.py"
METHODS, FAMILIES = ("nat", "dr", "tun"), (4, 6)


@case((ONE_WORKER, TWO_WORKERS, ONE_ARM), METHODS, FAMILIES)
def an_sctp_association_is_set_up(bench, method, family):
    virtual = bench.virtual(method, family, 9090)
    target = 7070 if method == "nat" else 9090
    forwarding = {"nat": "-m", "dr": "-g", "tun": "-i"}[method]
    bench.director.ipvsadm("-A", "--sctp-service", virtual, "-s", "rr")
    bench.director.ipvsadm(
        "-a", "--sctp-service", virtual, "-r", bench.server("rs1", family, target), forwarding
    )
    role = f"sctp-{family}-{target}"
    bench.lab.start(
        "rs1", role, bench.lab.namespace("rs1").command(PEER, "serve", family, target, "rs1")
    )
    try:
        ports = iter(range(41000, 42000))

        def asked():
            return bench.lab.client.run(
                PEER, "ask", bench.address(method, family), 9090, next(ports)
            ).split()

        within(10, lambda: asked() == ["rs1", "rs1"], "both answers, with good checksums")
        for _ in range(4):
            expect_equal(asked(), ["rs1", "rs1"], "answers to INIT and COOKIE ECHO")
        listed = bench.director.ipvsadm("-Lcn").splitlines()
        states = {row.split()[2] for row in listed if row.startswith("SCTP")}
        expect_equal(states - {"INIT1", "INIT"}, {"ESTABLISHED"}, "states")
    finally:
        bench.lab.processes.stop("rs1", role)
