"""The two sides that sequences are played to. play(sequences) yields the answers to each."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL_TESTS = HERE.parents[1] / "kernel"
sys.path.insert(0, str(KERNEL_TESTS))

from answers import split  # noqa: E402
from engines import Nlvsd  # noqa: E402
from model import encode_sequence  # noqa: E402
from surroundings import Surroundings, enter_new_namespace  # noqa: E402

BOOT_SECONDS = 600
BATCH_SECONDS = 900
VM_SECONDS = 24 * 3600


class SideError(Exception):
    pass


def encoded(sequences):
    return b"".join(encode_sequence(one) for one in sequences)


def first_existing(*paths):
    for path in paths:
        if path.exists():
            return path
    raise SideError(f"there is no {' or '.join(map(str, paths))}: build first, or set NLVS_BUILD")


class Daemon:
    """nlvsd without ports, in a network namespace that this process enters for good."""

    name = "nlvsd"

    def __init__(self, build):
        self.player = build / "tests" / "fuzz" / "differential-player"
        self.engine = Nlvsd(
            first_existing(build / "bin" / "nlvsd", build / "daemon" / "nlvsd"),
            first_existing(build / "lib" / "libnlvs-shim.so",
                           build / "netlink-shim" / "libnlvs-shim.so"),
        )
        self.directory = Path(tempfile.mkdtemp(prefix="nlvs-fuzz-"))

    def __enter__(self):
        enter_new_namespace()
        self.engine.prepare(Surroundings("fuzz", traffic=False), self.directory)
        return self

    def __exit__(self, *_):
        try:
            self.engine.end()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def play(self, sequences):
        done = subprocess.run(
            [self.player], input=encoded(sequences), capture_output=True, check=False,
            timeout=BATCH_SECONDS, env={**os.environ, **self.engine.environment()},
        )
        if done.returncode != 0:
            raise SideError(f"{done.stderr.decode().strip()}\n{self.engine.log()}")
        return split(done.stdout)


class Machine:
    """A Debian kernel with ip_vs in QEMU, which lives until the end.

    `niceness` is that of its processes, and of their group where the scheduler makes groups.
    """

    name = "kernel"

    def __init__(self, build, niceness=0):
        self.niceness = niceness
        self.player = build / "tests" / "fuzz" / "differential-player"
        self.directory = Path(tempfile.mkdtemp(prefix="nlvs-fuzz-vm-"))
        self.number = 0
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [KERNEL_TESTS / "vm", "--seconds", str(VM_SECONDS), "--write", self.directory, "--",
             sys.executable, HERE / "serve.py", self.directory, self.player],
            stdin=subprocess.DEVNULL, preexec_fn=lambda: os.nice(self.niceness),
            start_new_session=True,
        )
        autogroup = Path(f"/proc/{self.process.pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text(str(self.niceness))
        try:
            self.await_file("ready", BOOT_SECONDS)
        except BaseException:
            self.end_now()
            raise
        return self

    def end_now(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __exit__(self, *_):
        (self.directory / "stop").touch()
        try:
            self.process.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.end_now()

    def await_file(self, name, seconds):
        deadline = time.monotonic() + seconds
        failure = self.directory / f"failure-{self.number}"
        while not (self.directory / name).exists():
            if failure.exists():
                raise SideError(f"in the virtual machine: {failure.read_text()}")
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SideError(f"the virtual machine did not answer ({name})")
            time.sleep(0.02)
        return self.directory / name

    def begin(self, sequences):
        """Starts to play; end() has the answers. The machine works while others do."""
        request = self.directory / f"request-{self.number}"
        unfinished = self.directory / "sequences"
        unfinished.write_bytes(encoded(sequences))
        unfinished.rename(request)

    def end(self):
        answer = self.await_file(f"answer-{self.number}", BATCH_SECONDS)
        result = split(answer.read_bytes())
        answer.unlink()
        (self.directory / f"request-{self.number}").unlink()
        self.number += 1
        return result

    def play(self, sequences):
        self.begin(sequences)
        return self.end()
