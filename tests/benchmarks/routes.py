#!/usr/bin/python3
"""A full Internet table in a live daemon: routes loaded with the stock 'ip -batch', time, memory, what a
flapping table costs packets, and what a daemon that does not read costs 'ip'. Needs root and a
finished tools/build.

usage: routes.py [IPV4-ROUTES [IPV6-ROUTES [CHANGES-PER-SECOND]]]    (default 1000000 200000 10000)
       routes.py --bird [IPV4-ROUTES [IPV6-ROUTES]]

--bird: the routes come from BIRD, which has them configured, at once, and go when it ends.

Packets are measured by the processor time that the worker's thread spends on one, so that other work
on the machine does not count. The last lines check what was measured, and fail otherwise.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tools"))

from nlvslab.lab import Lab  # noqa: E402
from nlvslab.measure import BackgroundTraffic  # noqa: E402
from nlvslab.system import cpu_seconds, resident_kilobytes  # noqa: E402
from nlvslab.topology import ECHO_PORT, ROUTER  # noqa: E402

GATEWAYS = 64  # next hops that the routes share, as a full table has
WINDOW = 5  # seconds of each measurement of packets
PATIENCE = 600


def prefixes4(count):
    """Distinct prefixes with about the lengths of the Internet: most are /24."""
    drawn, seen = random.Random(4), set()
    while len(seen) < count:
        length = drawn.choices((24, 22, 23, 20, 21, 19, 16), (60, 12, 10, 6, 5, 4, 3))[0]
        first = drawn.randrange(11, 223)
        if first in (127, 169, 172, 192):
            continue
        value = (first << 24 | drawn.randrange(1 << 24)) >> (32 - length) << (32 - length)
        seen.add((value, length))
    for value, length in seen:
        yield ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"


def prefixes6(count):
    drawn, seen = random.Random(6), set()
    while len(seen) < count:
        length = drawn.choices((48, 32, 44, 40, 36, 29), (45, 20, 13, 10, 7, 5))[0]
        value = (0x2400 << 48 | drawn.randrange(1 << 56)) >> (64 - length) << (64 - length)
        seen.add((value, length))
    for value, length in seen:
        yield ":".join(f"{value >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)) + f"::/{length}"


class Bench:
    def __init__(self, lab):
        self.lab = lab
        self.director = next(iter(lab.directors.values()))
        self.pid = self.director.nlvsd_pid()
        self.shown = None

    def mirror(self):
        return self.director.report("mirror")

    def until(self, condition):
        """Waits for the mirror; returns its report."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            now = self.mirror()
            if condition(now):
                return now
            time.sleep(0.1)
        raise SystemExit(f"FAILED: the mirror does not get there: {self.mirror()}")

    def batch(self, family, lines):
        """Seconds of 'ip -batch', by the clock and of processor time."""
        before = os.times()
        subprocess.run(
            self.director.namespace.command("ip", f"-{family}", "-batch", "-"),
            input="\n".join(lines) + "\n", text=True, check=True,
        )
        after = os.times()
        used = after.children_user + after.children_system
        used -= before.children_user + before.children_system
        return after.elapsed - before.elapsed, used

    def load(self, family, prefixes, base):
        gateway = [
            self.lab.topology.front.address(30 + n, family) for n in range(GATEWAYS)
        ]
        lines = [
            f"route add {prefix} via {gateway[i % GATEWAYS]} dev dp0"
            for i, prefix in enumerate(prefixes)
        ]
        resident, cpu = resident_kilobytes(self.pid), cpu_seconds(self.pid)
        memory, start = self.mirror()["memory_mb"], time.monotonic()
        wall, used = self.batch(family, lines)
        now = self.until(
            lambda m: m["synchronised"] and m[f"routes_v{family}"] == base + len(lines)
        )
        print(
            f"{len(lines)} IPv{family} routes: ip {wall:.1f} s ({used:.1f} s of processor), all "
            f"published after {time.monotonic() - start:.1f} s, daemon "
            f"{(cpu_seconds(self.pid) - cpu) / len(lines) * 1e6:.1f} us of processor a route, resident "
            f"+{(resident_kilobytes(self.pid) - resident) >> 10} MB of which tables of workers "
            f"{now['memory_mb'] - memory:.0f} MB; overflows {now['overflows']}", flush=True,
        )
        return lines

    def load_by_bird(self, tables):
        """`tables`: for each family what it has. Everything that BIRD announces to the kernel, and takes
        back."""
        directory = self.director.state
        text = ["router id 10.2.0.11;", "protocol device {}"]
        for family, prefixes in tables.items():
            gateway = self.lab.topology.front.address(30, family)
            text += [
                f"protocol kernel {{ ipv{family} {{ export all; import none; }}; }}",
                f"protocol static {{ ipv{family};",
                *(f"route {prefix} via {gateway};" for prefix in prefixes), "}",
            ]
        (directory / "bird.conf").write_text("\n".join(text) + "\n")
        first, total = self.mirror(), {f: len(p) for f, p in tables.items()}

        def has(mirror, part):
            return mirror["synchronised"] and all(
                mirror[f"routes_v{family}"] == first[f"routes_v{family}"] + part * count
                for family, count in total.items()
            )

        resident, cpu, start = resident_kilobytes(self.pid), cpu_seconds(self.pid), time.monotonic()
        with subprocess.Popen(
            self.director.namespace.command("bird", "-f", "-c", directory / "bird.conf",
                                            "-s", directory / "bird.ctl"),
        ) as bird:
            now = self.until(lambda mirror: has(mirror, 1))
            spent, grown = time.monotonic() - start, resident_kilobytes(self.pid) - resident
            of_bird, of_daemon = cpu_seconds(bird.pid), cpu_seconds(self.pid) - cpu
            start = time.monotonic()
            bird.terminate()
            bird.wait()
        self.until(lambda mirror: has(mirror, 0))
        routes = sum(total.values())
        print(
            f"{routes} routes from BIRD: all published after {spent:.1f} s (BIRD {of_bird:.1f} s of "
            f"processor, daemon {of_daemon / routes * 1e6:.1f} us a route), resident +{grown >> 10} MB, "
            f"overflows {now['overflows'] - first['overflows']}; gone {time.monotonic() - start:.1f} s "
            "after BIRD was told to end", flush=True,
        )

    def worker(self):
        """(packets of the worker, seconds its thread has run)"""
        # Of the threads that are not the control thread, the one that has run most.
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        ran = max(
            int((task / "schedstat").read_text().split()[0])
            for task in tasks if task.name != str(self.pid)
        )
        received = sum(row["received"] for row in self.director.report("ports"))
        return received, ran / 1e9

    def cost(self):
        """Microseconds of the worker's processor a packet, over a window."""
        packets, ran = self.worker()
        time.sleep(WINDOW)
        more, then = self.worker()
        return (then - ran) / max(more - packets, 1) * 1e6


class Flapping:
    """Routes that go and come at a rate, by one 'ip -batch' that is fed line by line."""

    def __init__(self, bench, lines, rate):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--feed", str(rate), str(WINDOW + 2)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.ip = subprocess.Popen(
            bench.director.namespace.command("ip", "-4", "-force", "-batch", "-"),
            stdin=self.process.stdout, stderr=subprocess.DEVNULL,
        )
        self.process.stdin.write("\n".join(lines))
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.wait()
        self.process.stdout.close()
        self.ip.wait()


def feed(rate, seconds):
    """Writes the routes of stdin to stdout, each deleted and added again, at a rate; ends with
    everything in place."""
    lines = sys.stdin.read().splitlines()
    done, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        part = [lines[(done // 2 + i) % len(lines)] for i in range(50)]
        print("".join(f"{line.replace(' add ', ' del ')}\n{line}\n" for line in part), flush=True)
        done += 100
        time.sleep(max(0.0, start + done / rate - time.monotonic()))


def flap(bench, lines, rate):
    director = bench.director
    director.ipvsadm("-A", "-u", f"{bench.lab.topology.virtual_address('nat', 4)}:{ECHO_PORT}")
    for name in bench.lab.topology.real_servers:
        server = f"{bench.lab.topology.real_address(name, 4)}:{ECHO_PORT}"
        director.ipvsadm(
            "-a", "-u", f"{bench.lab.topology.virtual_address('nat', 4)}:{ECHO_PORT}",
            "-r", server, "-m",
        )
    calm, flapping, changes = [], [], []
    address = bench.lab.topology.virtual_address("nat", 4)
    with BackgroundTraffic(bench.lab, "udp", address, ECHO_PORT, interval=0.0002):
        time.sleep(1)
        for _ in range(3):
            calm.append(bench.cost())
            with Flapping(bench, lines, rate):
                time.sleep(1)
                messages, start = bench.mirror()["messages"], time.monotonic()
                flapping.append(bench.cost())
                done = bench.mirror()["messages"] - messages
                changes.append(done / (time.monotonic() - start))
    print(
        f"flapping {min(changes):.0f} to {max(changes):.0f} changes a second: the worker's processor "
        f"time a packet is {min(calm):.1f} us calm, {min(flapping):.1f} us flapping "
        f"(the least of three windows; all: {[round(c, 1) for c in calm]}, "
        f"{[round(c, 1) for c in flapping]})", flush=True,
    )
    return min(flapping) / min(calm)


def stopped_daemon(bench, lines):
    """The daemon does not read: 'ip' must not notice, and afterwards everything must be right."""
    removal = [line.replace(" add ", " del ") for line in lines]
    total = bench.mirror()["routes_v4"]
    running, _ = bench.batch(4, removal)
    bench.until(lambda m: m["routes_v4"] == total - len(lines))
    bench.batch(4, lines)
    bench.until(lambda m: m["routes_v4"] == total)
    before = bench.mirror()
    os.kill(bench.pid, signal.SIGSTOP)
    try:
        stopped, _ = bench.batch(4, removal)
    finally:
        os.kill(bench.pid, signal.SIGCONT)
    start = time.monotonic()
    after = bench.until(
        lambda m: m["synchronised"] and m["routes_v4"] == total - len(lines)
    )
    print(
        f"{len(lines)} removals: ip {running:.1f} s with a running daemon, {stopped:.1f} s with a stopped "
        f"one; overflows {after['overflows'] - before['overflows']}, full dumps "
        f"{after['resyncs'] - before['resyncs']}, right again {time.monotonic() - start:.1f} s later",
        flush=True,
    )
    return running, stopped, after["overflows"] - before["overflows"]


def main():
    by_bird = sys.argv[1:2] == ["--bird"]
    if by_bird:
        del sys.argv[1]
    v4 = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    v6 = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    rate = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    lab = Lab(f"routes{os.getpid()}-", directors=1, megabytes=256)
    lab.up(keepalived=False)
    try:
        bench = Bench(lab)
        lab.namespace(bench.director.name).sysctl({"net.ipv6.route.max_size": 1 << 22})
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
        if by_bird:
            return bench.load_by_bird({4: list(prefixes4(v4)), 6: list(prefixes6(v6))})
        first = bench.mirror()
        lines4 = bench.load(4, prefixes4(v4), first["routes_v4"])
        bench.load(6, prefixes6(v6), first["routes_v6"])
        ratio = flap(bench, lines4[:5000], rate)
        running, stopped, overflows = stopped_daemon(bench, lines4[: v4 // 2])
        assert ratio < 1.3, f"a flapping table costs packets: {ratio:.2f}"
        assert stopped < 2 * running + 1, "a daemon that does not read slows ip down"
        assert overflows or v4 < 500_000, "the socket did not overflow: nothing was shown"
    finally:
        lab.down()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--feed"]:
        feed(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
