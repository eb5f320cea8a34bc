"""Commands, namespaces and recorded processes: the lab's view of the host."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

NETNS = Path("/run/netns")

# Multiplies every time limit; for slow machines (an emulated one needs 10).
PATIENCE = float(os.environ.get("NLVS_PATIENCE", "1"))


class LabError(Exception):
    """A step of the lab failed; the text is one sentence for the person at the terminal."""


def run(*command, timeout=30, check=True, environment=None, **options):
    """Runs a command and returns its standard output."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout * PATIENCE,
            env={**os.environ, **(environment or {})},
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"'{' '.join(words)}' did not end within {timeout * PATIENCE:.0f} s") from None
    except FileNotFoundError:
        raise LabError(f"'{words[0]}' is not installed (tools/install-packages)") from None
    if check and done.returncode != 0:
        complaint = (done.stderr or done.stdout).strip().splitlines()
        raise LabError(
            f"'{' '.join(words)}' failed with status {done.returncode}: "
            f"{complaint[-1] if complaint else 'no message'}"
        )
    return done.stdout


def wait_until(condition, timeout, what, interval=0.02):
    """Polls until condition() is true and returns its value; LabError after the time limit."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"{what}: not within {timeout * PATIENCE:.0f} s")
        time.sleep(interval)


class Namespace:
    """One network namespace. Commands enter it with nsenter and not with 'ip netns exec', whose
    private mount namespace would hide nlvsd's /proc file system from everybody else."""

    def __init__(self, name):
        self.name = name
        self.path = NETNS / name

    def exists(self):
        return self.path.exists()

    def create(self):
        run("ip", "netns", "add", self.name)
        # Duplicate address detection would delay every IPv6 address by a second.
        self.sysctl(
            {
                "net.ipv6.conf.all.accept_dad": 0,
                "net.ipv6.conf.default.accept_dad": 0,
                "net.ipv6.conf.default.accept_ra": 0,
                "net.ipv4.conf.all.rp_filter": 0,
                "net.ipv4.conf.default.rp_filter": 0,
            }
        )
        self.ip("link", "set", "lo", "up")

    def delete(self):
        if self.exists():
            run("ip", "netns", "del", self.name, check=False)

    def command(self, *words):
        return ["nsenter", f"--net={self.path}", "--", *[str(word) for word in words]]

    def run(self, *words, **options):
        return run(*self.command(*words), **options)

    def ip(self, *words, **options):
        return run("ip", "-n", self.name, *words, **options)

    def batch(self, lines, family=None):
        """Many 'ip' commands in one process; rules need to be told the family."""
        options = [f"-{family}"] if family else []
        done = subprocess.run(
            ["ip", *options, "-n", self.name, "-batch", "-"],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=30 * PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"ip -batch in {self.name}: {done.stderr.strip()}")

    def sysctl(self, settings):
        self.run("sysctl", "-q", "-w", *[f"{key}={value}" for key, value in settings.items()])

    def has_link(self, name):
        return bool(self.ip("-o", "link", "show", "dev", name, check=False))

    def addresses(self, device):
        """Addresses of a device as 'address/length' strings."""
        text = self.ip("-json", "addr", "show", "dev", device, check=False)
        if not text.strip():
            return set()
        return {
            f"{entry['local']}/{entry['prefixlen']}"
            for link in json.loads(text)
            for entry in link.get("addr_info", [])
            if "local" in entry
        }

    def pids(self):
        text = run("ip", "netns", "pids", self.name, check=False)
        return [int(word) for word in text.split()]


def start_time(pid):
    """Kernel start time of a process in ticks, which with the pid names it for ever; None if it
    is gone or a zombie. A first thread that has ended before the others is one of a living process:
    the files and locks are still held."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ended = fields[0] in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return None
    return None if ended else int(fields[19])


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kilobytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def stop_pids(pids, grace=5.0):
    """SIGTERM, then SIGKILL for what is left after the grace period."""
    alive = {pid: start_time(pid) for pid in pids}
    alive = {pid: started for pid, started in alive.items() if started is not None}
    for signal_number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        deadline = time.monotonic() + patience
        while alive and time.monotonic() < deadline:
            reap()
            alive = {pid: s for pid, s in alive.items() if start_time(pid) == s}
            if alive:
                time.sleep(0.02)
        if not alive:
            return


def reap():
    """Collects our own ended children, which would else stay as zombies until we exit."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


class ProcessTable:
    """The processes a lab started, one line each in a file: 'pid start-time node role'. The file
    and not the starting program knows them, so that a later 'down' stops exactly these."""

    def __init__(self, path):
        self.path = path

    def start(self, node, role, command, log, environment=None):
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        with self.path.open("a") as table:
            table.write(f"{process.pid} {start_time(process.pid) or 0} {node} {role}\n")
        # The table outlives this program; its exit must not look like a forgotten child.
        process.returncode = 0
        return process.pid

    def running(self, node=None, role=None):
        """{(node, role): pid} of recorded processes that still run."""
        found = {}
        if not self.path.exists():
            return found
        for line in self.path.read_text().splitlines():
            pid, started, entry_node, entry_role = line.split()
            if node not in (None, entry_node) or role not in (None, entry_role):
                continue
            if start_time(int(pid)) == int(started):
                found[(entry_node, entry_role)] = int(pid)
        return found

    def pid(self, node, role):
        reap()
        return self.running(node, role).get((node, role))

    def stop(self, node=None, role=None, grace=5.0):
        stop_pids(self.running(node, role).values(), grace)

    def kill(self, node, role):
        """SIGKILL, as a crash would: nothing gets the chance to clean up."""
        pid = self.pid(node, role)
        if pid is None:
            raise LabError(f"{role} does not run on {node}")
        started = start_time(pid)
        os.kill(pid, signal.SIGKILL)

        def gone():
            reap()
            return start_time(pid) != started

        wait_until(gone, 5, f"end of {role} on {node}")
