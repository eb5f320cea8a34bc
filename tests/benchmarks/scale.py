#!/usr/bin/python3
"""How nlvsd copes with many services: loads them with the stock ipvsadm and takes the time of what
an operator does then. Needs root, ipvsadm and a finished tools/build; no ports, no packets.

usage: scale.py [SERVICES [DESTINATIONS-PER-SERVICE [WORKERS]]]       (default 100000 10 0)

CPU seconds, of the command and of the daemon, are what to compare on a machine that does other work;
wall-clock seconds are shown beside them. Loading is taken in ten equal parts: time per entry
must not grow from the first to the last. The last lines check what was measured, and fail otherwise.
With workers there is a port without packets, and ip_vs_stats_percpu adds up what each has counted; the
daemon's time is then also theirs, who poll that port, and how it grows is not judged.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("NLVS_BUILD", Path(__file__).resolve().parent.parent.parent / "build"))
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = 10
# Reads a file until its own input ends, then says how often.
READER = """
import select, sys
reads = 0
while not select.select([0], [], [], 0)[0]:
    with open(sys.argv[1]) as file:
        file.read()
    reads += 1
print(reads)
"""


def enter_namespace():
    if not os.environ.get("NLVS_TEST_NAMESPACE"):
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv],
                   {**os.environ, "NLVS_TEST_NAMESPACE": "1"})


class Daemon:
    def __init__(self, directory, workers=0):
        self.directory = directory
        self.configuration = directory / "nlvs.toml"
        self.configuration.write_text(
            f'[[port]]\nvdev = "net_null0,no-rx=1"\nshadow = "null0"\nbackend = "tap"\n'
            f'[workers]\ncount = {workers}\n' if workers else "")
        self.environment = {**os.environ, "NLVS_RUN_DIR": str(directory / "run")}
        self.client = {**self.environment, "LD_PRELOAD": str(BUILD / "netlink-shim/libnlvs-shim.so")}
        self.process = None

    def start(self, *arguments):
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(600)
            self.process = subprocess.Popen(
                [BUILD / "daemon/nlvsd", "-c", self.configuration, *arguments],
                env={**self.environment, "NOTIFY_SOCKET": str(path)}, stderr=subprocess.DEVNULL)
            assert manager.recv(100) == b"READY=1"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) // 1024
        return 0


class Bench:
    def __init__(self, daemon):
        self.daemon = daemon

    def measure(self, title, command, entries, **options):
        """Runs the command, prints a line, returns the daemon's CPU seconds and the output."""
        cpu, start = self.daemon.cpu(), time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run(command, env=self.daemon.client, check=True,
                                stdout=subprocess.PIPE, **options)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        used = self.daemon.cpu() - cpu
        self.line(title, client, used, time.monotonic() - start, entries)
        return used, result.stdout

    @staticmethod
    def line(title, client, daemon, wall, entries):
        each = f"{daemon / entries * 1e6:8.1f}" if entries else " " * 8
        print(f"{title:28} {client:9.2f} {daemon:9.2f} {each} {wall:9.2f}", flush=True)


def rules(services, destinations):
    for i in range(services):
        virtual = f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:80"
        lines = [f"-A -t {virtual} -s wrr\n"]
        lines += [f"-a -t {virtual} -r 172.{16 + j % 16}.{i >> 8 & 255}.{i & 255}:{80 + j // 16} -m -w 1\n"
                  for j in range(destinations)]
        yield "".join(lines)


def stopped_reader(bench, directory):
    """A dump whose reader does not read; meanwhile others are served."""
    with open(directory / "rest", "wb") as rest:
        reader = subprocess.Popen(["ipvsadm", "-Sn"], env=bench.daemon.client, stdout=rest)
        time.sleep(0.3)
        reader.send_signal(signal.SIGSTOP)
        bench.measure("get, beside a stopped dump", ["ipvsadm", "-Ln", "-t", "10.0.0.5:80"], 0)
        reader.send_signal(signal.SIGKILL)
        reader.wait()


def beside_reader(bench, name, seconds=10):
    """Reads the file all the time. Meanwhile a sysctl, which the same thread serves, is read: how long
    that takes is what any client waits."""
    files = next((bench.daemon.directory / "run").glob("*/files"))
    sysctl = files / "sys/net/ipv4/vs/drop_packet"

    def waits(until):
        result = []
        while time.monotonic() < until:
            start = time.monotonic()
            sysctl.read_bytes()
            result.append((time.monotonic() - start) * 1e3)
            time.sleep(0.002)
        result.sort()
        return (f"{result[len(result) // 2]:.2f} ms median, {result[len(result) * 99 // 100]:.1f} of "
                f"one in 100, {result[-1]:.1f} longest")

    print(f"{'a sysctl read by itself':28} {waits(time.monotonic() + seconds)}")
    before = bench.daemon.cpu()
    reader = subprocess.Popen([sys.executable, "-c", READER, files / "net" / name],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(f"{'  beside ' + name:28} {waits(time.monotonic() + seconds)}")
    used = bench.daemon.cpu() - before
    reads = int(reader.communicate()[0])  # which ends its input
    print(f"{'  which was read':28} {reads} times, {used / max(reads, 1) * 1e3:.1f} ms of CPU each")


def main():
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    destinations = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    entries = services * (1 + destinations)
    directory = Path(tempfile.mkdtemp(prefix="nlvs-scale-"))
    daemon = Daemon(directory, workers)
    bench = Bench(daemon)
    try:
        daemon.start("--fresh")
        print(f"{services} services with {destinations} destinations each; load average "
              f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs\n"
              f"{'':28} {'command':>9} {'daemon':>9} {'us/entry':>8} {'wall':>9}")
        loaded = []
        all_rules = list(rules(services, destinations))
        for part in range(PARTS):
            text = "".join(all_rules[services * part // PARTS:services * (part + 1) // PARTS])
            used, _ = bench.measure(f"load, part {part + 1} of {PARTS}", ["ipvsadm", "-R"],
                                    entries // PARTS, input=text.encode())
            loaded.append(used)
        print(f"{'resident memory':28} {daemon.memory()} MB; journal "
              f"{next((directory / 'run').glob('*/journal')).stat().st_size >> 20} MB")
        bench.measure("ten idle seconds", ["sleep", "10"], 0)
        _, saved = bench.measure("dump: ipvsadm -Sn", ["ipvsadm", "-Sn"], entries)
        bench.measure("one service", ["ipvsadm", "-Ln", "-t", "10.0.0.5:80"], 0)
        _, listed = bench.measure("cat /proc/net/ip_vs", ["cat", "/proc/net/ip_vs"], entries)
        bench.measure("ip_vs_stats_percpu", ["cat", "/proc/net/ip_vs_stats_percpu"], 0)
        for name in "ip_vs_stats", "ip_vs_stats_percpu":
            beside_reader(bench, name)
        stopped_reader(bench, directory)
        daemon.kill()
        start = time.monotonic()
        daemon.start()
        bench.line("restart after kill -9", 0, daemon.cpu(), time.monotonic() - start, entries)
        _, again = bench.measure("dump again", ["ipvsadm", "-Sn"], entries)
        bench.measure("flush: ipvsadm -C", ["ipvsadm", "-C"], entries)
        assert saved.count(b"\n") == entries and listed.count(b"\n") == entries + 3
        assert again == saved, "services differ after the restart"
        growth = loaded[-1] / max(loaded[0], 0.01)
        print(f"daemon's time for the last part is {growth:.2f} times that for the first")
        assert workers or growth < 2, "time per entry grows with what is there"
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()
        for one in (directory / "run").iterdir():
            subprocess.run(["umount", "-l", one / "files"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    enter_namespace()
    main()
