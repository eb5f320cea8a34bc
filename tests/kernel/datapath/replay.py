"""Plays recorded scenarios at a live nlvsd and compares what it sent with what the kernel sent.

The daemon has the director's links as ports and is configured with ip, nft and ipvsadm as the kernel was.
"""

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from play import SIDES, play

KERNEL_TESTS = Path(__file__).resolve().parent.parent
CORPUS = KERNEL_TESTS.parent / "corpus"
sys.path.insert(0, str(KERNEL_TESTS))

from engines import Nlvsd  # noqa: E402  pylint: disable=wrong-import-position

DIRECTORS_OWN = bytes([192, 168, 1, 1])
GUE_PORT = (6080).to_bytes(2, "big")
IPIP, IPV6, ICMP, UDP, GRE, FRAGMENT, ICMPV6 = 4, 41, 1, 17, 47, 44, 58


class Nlvs:
    """An engine for play(), like its Kernel."""

    settle = 0.01

    def __init__(self, build):
        self.build = Path(build)
        self.daemon = self.directory = None

    def device(self, interface):
        return interface.replace("eth", "nic")

    def start(self, _director):
        self.directory = Path(tempfile.mkdtemp(prefix="nlvs-datapath-"))
        self.daemon = Nlvsd(self.build / "bin/nlvsd", self.build / "lib/libnlvs-shim.so")
        self.daemon.directory = self.directory
        for near, _ in SIDES.values():
            Path(f"/proc/sys/net/ipv6/conf/{self.device(near)}/disable_ipv6").write_text("1")
        self.daemon.start([near for near, _ in SIDES.values()])

    def environment(self):
        return self.daemon.environment()

    def set_sysctl(self, name, value):
        files = next((self.directory / "run").glob("*/files"))
        (files / "sys/net/ipv4/vs" / name).write_text(value)

    def settled_commands(self):
        """What the kernel announces is followed a moment later."""
        time.sleep(0.05)

    def end(self):
        try:
            self.daemon.end()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def unpacked(words):
    """The octets of a recorded line: xx+N is xx and N that each are one more than the one before."""
    data = bytearray()
    for word in words:
        digits, _, more = word.partition("+")
        data += bytes.fromhex(digits)
        for _ in range(int(more or 0)):
            data.append((data[-1] + 1) & 255)
    return bytes(data)


def recorded(path):
    """[name, lines] of each scenario of a file."""
    for part in path.read_text().split("\nscenario ")[1:]:
        name, *lines = part.strip().splitlines()
        yield name, [line for line in lines if line and not line.startswith("#")]


def steps_of(lines):
    steps = []
    for line in lines:
        verb, *words = line.split()
        if verb in SIDES:
            steps.append([verb, unpacked(words).hex()])
        elif verb not in ("sent", "host"):
            steps.append(line)
    return steps


def comparable(packet):
    """Takes out what cannot be the same twice, on the kernel neither; tests/support/comparable.hpp has
    the same rules and says why."""
    p = bytearray(packet)
    v4 = p[0] >> 4 == 4
    protocol = p[9] if v4 else p[6]
    first_piece = not v4 and protocol == FRAGMENT and not p[42] and not p[43] & 0xF8
    header = 20 if v4 else 48 if first_piece else 40
    upper = p[40] if first_piece else protocol
    gue = upper == UDP and bytes(p[header + 2:header + 4]) == GUE_PORT
    tunnel = protocol in (IPIP, IPV6, GRE) or gue

    def clear(at, count):
        end = min(at + count, len(p))
        p[at:end] = bytes(max(end - at, 0))

    if v4:
        error_of_director = protocol == ICMP and p[1] & 0xC0 == 0xC0
        if tunnel or error_of_director or p[12:16] == DIRECTORS_OWN:
            clear(4, 2)
            clear(10, 2)
    elif tunnel or protocol in (ICMPV6, FRAGMENT):
        p[1] &= 0xF0
        clear(2, 2)
        if protocol == FRAGMENT:
            clear(44, 4)
    if gue:
        clear(header, 2)
        if any(p[header + 6:header + 8]):
            p[header + 6:header + 8] = b"\xff\xff"
    return bytes(p)


def outcomes(lines):
    """For each packet that arrived: what was sent on which side, and what went to the host."""
    found = []
    for line in lines:
        verb, *words = line.split()
        if verb in SIDES:
            found.append((line, Counter(), Counter()))
        elif verb == "sent":
            found[-1][1][words[0], comparable(unpacked(words[1:]))] += 1
        elif verb == "host":
            # The kernel's stack counts a datagram that came in pieces as one.
            found[-1][2]["host"] = min(int(words[0]), 1)
    return found


def differences(expected, actual):
    for (packet, theirs, their_host), (_, ours, our_host) in zip(outcomes(expected), outcomes(actual)):
        words = [f"only {who} sent to the {side}: {content.hex()[:200]}"
                 for who, some in (("the kernel", theirs - ours), ("nlvs", ours - theirs))
                 for side, content in some.elements()]
        if their_host != our_host:
            words.append(f"for the host: {their_host['host']} in the kernel, {our_host['host']} here")
        if words:
            yield "\n    ".join([packet[:200], *words])


def known_differences():
    lines = (CORPUS / "sessions-that-differ.txt").read_text().splitlines()
    return tuple(line.removeprefix("live ") for line in lines if line and not line.startswith("#"))


def replay(build, chosen):
    """chosen(name): whether to play that scenario. Prints what differs, and a summary."""
    engine, known = Nlvs(build), known_differences()
    passed = failed = 0
    for path in sorted((CORPUS / "sessions").glob("*.txt")):
        for name, lines in recorded(path):
            if not chosen(name):
                continue
            try:
                expected = [(sum(sent.values()), bool(host)) for _, sent, host in outcomes(lines)]
                found = list(differences(lines, play(engine, steps_of(lines), expected)))
            except Exception as error:  # pylint: disable=broad-except
                found = [f"{error} {getattr(error, 'stderr', '')}"]
            good = bool(found) == name.endswith(known)
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok' if good else 'FAIL'} {name}", flush=True)
            if not good:
                print(*(f"  {one}" for one in found or ["does not differ any more"]), sep="\n", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0

