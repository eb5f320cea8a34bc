#!/usr/bin/python3
"""Loading, listing and flushing services by the stock ipvsadm: nlvsd beside the kernel's own ip_vs, on
the same machine in turns. Needs root and a kernel with ip_vs: run it in the project's VM.

usage: sudo tests/kernel/vm -- tests/benchmarks/against_kernel.py [SERVICES [DESTINATIONS [ROUNDS]]]
                                                              (default 10000 10 3)

Shown are seconds of user and system time: of ipvsadm, with what the kernel does in its name, and
beside nlvsd of both processes. The median of the rounds; the ratio of the two is what counts, because
the machine is an emulated one. What was listed must be the same.
"""

import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from scale import BUILD, Daemon, rules

STEPS = {"load": ["ipvsadm", "-R"], "list": ["ipvsadm", "-Sn"], "flush": ["ipvsadm", "-C"]}


class KernelSide:
    """ip_vs of the running kernel, in the namespace of this process."""

    client = dict(os.environ)

    def cpu(self):
        return 0.0


def seconds_of(side, command, text):
    before, daemon = resource.getrusage(resource.RUSAGE_CHILDREN), side.cpu()
    result = subprocess.run(command, env=side.client, input=text, check=True,
                            stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return client + side.cpu() - daemon, result.stdout


def play(side, text, rounds):
    """Prints one line for the parent: seconds by step, and what was listed."""
    taken = {name: [] for name in STEPS}
    listing = b""
    for _ in range(rounds):
        for name, command in STEPS.items():
            seconds, output = seconds_of(side, command, text if name == "load" else None)
            taken[name].append(seconds)
            listing = output if name == "list" else listing
    lines = sorted(listing.splitlines())
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    print(*(statistics.median(taken[name]) for name in STEPS), len(lines), digest)


def play_in_namespace(engine, arguments):
    services, destinations, rounds = arguments
    text = "".join(rules(services, destinations)).encode()
    # Without any address the kernel takes every destination for a broadcast.
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if engine == "kernel":
        play(KernelSide(), text, rounds)
        return
    directory = Path(tempfile.mkdtemp(prefix="nlvs-against-"))
    daemon = Daemon(directory)
    try:
        daemon.start("--fresh")
        play(daemon, text, rounds)
    finally:
        daemon.kill()
        for one in (directory / "run").iterdir():
            subprocess.run(["umount", "-l", one / "files"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(directory, ignore_errors=True)


def main():
    arguments = [int(word) for word in sys.argv[1:]]
    arguments += [10_000, 10, 3][len(arguments):]
    if os.environ.get("NLVS_ENGINE"):
        play_in_namespace(os.environ["NLVS_ENGINE"], arguments)
        return
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_wrr", "fuse"], check=True)
    words = {}
    for engine in "kernel", "nlvsd":
        result = subprocess.run(
            ["unshare", "--net", sys.executable, __file__, *map(str, arguments)], check=True,
            env={**os.environ, "NLVS_ENGINE": engine}, stdout=subprocess.PIPE, text=True)
        words[engine] = result.stdout.split()
    entries = arguments[0] * (1 + arguments[1])
    print(f"{entries} entries, median of {arguments[2]}; {os.uname().release}, {BUILD.name}\n"
          f"{'':8} {'kernel':>9} {'nlvsd':>9} {'ratio':>7}")
    for index, name in enumerate(STEPS):
        kernel, nlvsd = (float(words[engine][index]) for engine in ("kernel", "nlvsd"))
        print(f"{name:8} {kernel:9.2f} {nlvsd:9.2f} {nlvsd / max(kernel, 0.005):7.2f}")
    assert words["kernel"][-2:] == words["nlvsd"][-2:], "what was listed differs"
    assert int(words["kernel"][-2]) == entries, "not everything was listed"


if __name__ == "__main__":
    main()
