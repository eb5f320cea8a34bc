"""`nlvsctl capture`: packets of the engine, read by the distribution's tcpdump."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager

from harness import ONE_WORKER, TWO_WORKERS, Skipped, case, expect, expect_equal
from nlvslab.measure import PATIENCE, traffic, within
from nlvslab.topology import ECHO_PORT, HTTP_PORT

BOTH = (ONE_WORKER, TWO_WORKERS)


def nlvsctl(bench, *words):
    if bench.lab.engine == "kernel":
        raise Skipped("nlvsctl speaks to nlvsd")
    return bench.director.namespace.command(bench.lab.build / "bin" / "nlvsctl", *words)


class Capture:
    """A running capture; what it says on standard error is kept."""

    def __init__(self, bench, *words, stdout=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            nlvsctl(bench, "capture", *words), stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.PIPE, text=True,
        )
        self.said = self.process.stderr.readline()
        expect_equal(self.said, "nlvsctl: capturing\n", "the first words of nlvsctl capture")

    def end(self, number=signal.SIGINT):
        """Its last words: (packets, lost)."""
        if number is not None:
            # nsenter has become nlvsctl: the process is the one that was started.
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=10 * PATIENCE)
        match = re.fullmatch(r"nlvsctl: (\d+) packets captured, (\d+) lost\n", said)
        expect(match, f"nlvsctl says what there was: {said!r}")
        expect_equal(self.process.returncode, 0, "exit status")
        return tuple(int(word) for word in match.groups())


@contextmanager
def capturing(bench, *words, **options):
    capture = Capture(bench, *words, **options)
    try:
        yield capture
    finally:
        if capture.process.poll() is None:
            capture.process.kill()
        capture.process.wait()
        capture.process.stderr.close()


def tcpdump(file, expression):
    """Lines of tcpdump, addresses as numbers and without times."""
    done = subprocess.run(
        ["tcpdump", "-n", "-t", "-r", file, expression], capture_output=True, text=True,
        timeout=20 * PATIENCE, check=False,
    )
    expect_equal(done.returncode, 0, f"tcpdump: {done.stderr}")
    return done.stdout.splitlines()


def between(lines, source, destination, what=""):
    return [line for line in lines if f" {source} > {destination}: " in line and what in line]


def point(address, port):
    """As tcpdump writes it."""
    return f"{address}.{port}"


@case(BOTH, (4, 6))
def a_capture_has_both_sides_of_a_masqueraded_flow(bench, family):
    bench.serve("nat", family)
    file, port = bench.lab.state / "nat.pcapng", 25000 + family
    virtual, client = bench.address("nat", family), bench.topology.client_address(family)
    with capturing(bench, "-w", file) as capture:
        seen = traffic(bench.lab, "http", virtual, HTTP_PORT, 1, source_port=port)
        expect_equal(seen.failed, 0, seen.describe())
        packets, lost = capture.end()
    expect_equal(lost, 0, "lost packets")
    server = bench.topology.real_address(next(iter(seen.answers)), family)
    lines = tcpdump(file, f"tcp port {HTTP_PORT} and port {port}")
    here, there = point(client, port), point(virtual, HTTP_PORT)
    real = point(server, HTTP_PORT)
    for source, destination, flags in (
        (here, there, "[S]"), (here, real, "[S]"), (real, here, "[S.]"), (there, here, "[S.]"),
        (here, there, "GET /"), (here, real, "GET /"),
        (real, here, "200 OK"), (there, here, "200 OK"),
    ):
        found = between(lines, source, destination, flags)
        expect_equal(len(found), 1, f"{source} > {destination} {flags} in\n" + "\n".join(lines))
    order = [lines.index(between(lines, *way)[0])
             for way in ((here, there, "[S]"), (here, real, "[S]"), (real, here, "[S.]"))]
    expect_equal(order, sorted(order), "as it happened")
    expect(packets >= len(lines), f"{packets} packets, {len(lines)} of them of the flow")


@case(BOTH, (4, 6))
def a_capture_has_what_goes_to_a_server_by_direct_routing(bench, family):
    """Twice, as it came and as it went on; what the server answers goes around the director."""
    bench.serve("dr", family)
    file, port = bench.lab.state / "dr.pcapng", 25100 + family
    virtual, client = bench.address("dr", family), bench.topology.client_address(family)
    with capturing(bench, "-w", file) as capture:
        seen = traffic(bench.lab, "http", virtual, HTTP_PORT, 1, source_port=port)
        expect_equal(seen.failed, 0, seen.describe())
        expect_equal(capture.end()[1], 0, "lost packets")
    lines = tcpdump(file, f"tcp port {HTTP_PORT} and port {port}")
    here, there = point(client, port), point(virtual, HTTP_PORT)
    expect_equal(len(between(lines, here, there, "[S]")), 2, "SYNs in\n" + "\n".join(lines))
    expect_equal(len(between(lines, here, there)), len(lines), "all of them requests")


@case((ONE_WORKER,))
def a_capture_of_one_port_shows_one_side(bench):
    bench.serve()
    client = bench.topology.client_address(4)
    for shadow, port, seen_as in (
        ("dp0", 25201, bench.address()), ("dp1", 25202, bench.topology.real_address("rs1", 4)),
    ):
        bench.director.ipvsadm("-C")
        bench.director.ipvsadm("-A", "-t", bench.virtual(), "-s", "rr")
        bench.director.ipvsadm("-a", "-t", bench.virtual(), "-r", bench.server("rs1"), "-m")
        file = bench.lab.state / "port.pcapng"
        with capturing(bench, "--port", shadow, "-w", file) as capture:
            traffic(bench.lab, "http", bench.address(), HTTP_PORT, 1, source_port=port)
            capture.end()
        lines = tcpdump(file, f"port {port}")
        sides = {point(client, port), point(seen_as, HTTP_PORT)}
        found = {side for line in lines for side in re.match(r"IP (\S+) > (\S+): ", line).groups()}
        expect_equal(found, sides, f"endpoints seen on {shadow}")


@case((ONE_WORKER,))
def a_capture_is_read_while_it_goes_on(bench):
    """tcpdump leaves after two packets, and nlvsctl and the capture with it."""
    bench.serve("nat", 4, "udp", ECHO_PORT)
    with capturing(bench, "-w", "-", stdout=subprocess.PIPE) as capture:
        seen = traffic(bench.lab, "udp", bench.address(), ECHO_PORT, 3)
        expect_equal(seen.failed, 0, seen.describe())
        reader = subprocess.run(
            ["tcpdump", "-n", "-t", "-l", "-r", "-", "-c", "2", f"udp port {ECHO_PORT}"],
            stdin=capture.process.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=20 * PATIENCE, check=False,
        )
        capture.process.stdout.close()
        capture.process.stdout = None
        capture.end(None)
    expect_equal(len(reader.stdout.splitlines()), 2, f"{reader.stdout}{reader.stderr}")


@case((TWO_WORKERS,))
def a_capture_ends_after_a_number_of_packets(bench):
    bench.serve()
    file = bench.lab.state / "few.pcapng"
    with capturing(bench, "--count", 5, "--snap", 60, "-w", file) as capture:
        traffic(bench.lab, "http", bench.address(), HTTP_PORT, 3)
        expect_equal(capture.end(None)[0], 5, "packets")
    expect_equal(len(tcpdump(file, "")), 5, "packets in the file")


@case(BOTH)
def a_capture_ends_with_its_client(bench):
    """However that ends; a second one is refused meanwhile, and has its turn afterwards."""
    bench.serve()
    with capturing(bench) as capture:
        second = subprocess.run(
            nlvsctl(bench, "capture"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=10 * PATIENCE, check=False,
        )
        expect_equal(second.stderr, "nlvsctl: there is another capture\n", "a second capture")
        os.kill(capture.process.pid, signal.SIGKILL)
        capture.process.wait()

    def free():
        done = subprocess.run(
            nlvsctl(bench, "capture", "--count", 1), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10 * PATIENCE, check=False,
        )
        return done.returncode == 0

    with background_packets(bench):
        within(3, free, "the next capture")


@contextmanager
def background_packets(bench):
    process = subprocess.Popen(
        bench.lab.client.command("ping", "-q", "-i", "0.05", bench.address()),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@case((TWO_WORKERS,))
def a_client_that_stands_still_delays_no_packet(bench):
    """More packets than are kept for it: they are lost for the capture, and for nobody else."""
    bench.serve()
    with capturing(bench, "--snap", 65535) as capture:
        capture.process.send_signal(signal.SIGSTOP)
        url = f"http://{bench.virtual()}/big"
        text = bench.lab.client.run(
            "curl", "-sSgf", "-m", f"{20 * PATIENCE:.0f}", "-w", "%{http_code}\n",
            *["-o", "/dev/null", url] * 3,
        )
        expect_equal(set(text.split()), {"200"}, "answers meanwhile")
        capture.process.send_signal(signal.SIGCONT)
        packets, lost = capture.end()
    expect(packets > 0 and lost > 0, f"{packets} captured, {lost} lost")
