#!/usr/bin/python3
"""Replays recorded sessions with the kernel's IPVS: same command, same stdout, stderr, exit status.

usage: run.py [CASE...]              the cases (default: all) against nlvsd, in network namespaces
       run.py --kernel [CASE...]     against the kernel this runs on; it must have ip_vs (see vm)
       run.py --record CASE...       write expected.json from the kernel this runs on
       run.py --accept TEXT CASE     note where nlvsd differs in this case as the deviation that has
                                     the heading TEXT in docs/deviations.md

A noted difference must be exactly as noted: one that is gone or has changed fails.
CASE is a directory below cases/ or the start of its name. Needs root. README.md says more.
"""

import argparse
import functools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from comparison import differences  # noqa: E402
from engines import Kernel, Nlvsd  # noqa: E402
from surroundings import Surroundings, enter_new_namespace  # noqa: E402

COMMAND_SECONDS = 120
# Counters reach the listings with the next estimation, every 2 s (Linux: ip_vs_est.c).
ESTIMATION_SECONDS = 3
# Read when the commands are done, whatever they were.
FILES_AFTERWARDS = ("ip_vs", "ip_vs_app", "ip_vs_conn", "ip_vs_conn_sync", "ip_vs_stats")


def documented_deviations():
    text = (HERE.parent.parent / "docs" / "deviations.md").read_text()
    return set(re.findall(r"(?m)^##+ (.*)$", text))


class Case:
    def __init__(self, directory):
        self.directory = directory
        self.name = directory.name
        lines = (directory / "commands").read_text().splitlines()
        self.directives = {line[2:].strip() for line in lines if line.startswith("#!")}
        unknown = self.directives - {"traffic", "sockopt"}
        if unknown:
            sys.exit(f"{self.name}: unknown directive {unknown.pop()}")
        self.commands = [line for line in lines if line.strip() and not line.startswith("#")]

    def final_commands(self):
        return [f"cat /proc/net/{name}" for name in FILES_AFTERWARDS]

    def recorded(self):
        recorded = json.loads((self.directory / "expected.json").read_text())
        if [one["command"] for one in recorded] != self.commands + self.final_commands():
            raise RuntimeError("expected.json was recorded from other commands")
        return recorded

    def deviations(self):
        """Results of nlvsd by the number of the command, with the heading of each."""
        path = self.directory / "deviations.json"
        if not path.exists():
            return {}
        noted = json.loads(path.read_text())
        unknown = {one["deviation"] for one in noted} - documented_deviations()
        if unknown:
            raise RuntimeError(f"docs/deviations.md has no heading '{unknown.pop()}'")
        return {one["number"]: one for one in noted}


class Session:
    """One case on one engine, in a process and network namespace of its own."""

    def __init__(self, case, engine, prefix):
        self.case = case
        self.engine = engine
        self.surroundings = Surroundings(prefix, "traffic" in case.directives)
        self.directory = None

    def run(self, consume):
        """Calls consume(command, result) for each command; afterwards the engine has ended."""
        enter_new_namespace()
        os.environ["KERNEL_CASE_PREFIX"] = self.surroundings.prefix
        with tempfile.TemporaryDirectory(prefix="kernel-case-") as directory:
            self.directory = Path(directory)
            try:
                self.engine.prepare(self.surroundings, self.directory)
                self.surroundings.configure_nodes()
                for command in self.case.commands:
                    consume(command, self.execute(command))
                if self.surroundings.traffic:
                    time.sleep(ESTIMATION_SECONDS)
                for command in self.case.final_commands():
                    consume(command, self.execute(command))
            finally:
                self.engine.end()

    def execute(self, command):
        words = ["bash", "-c", command]
        environment = self.engine.environment()
        if "sockopt" in self.case.directives and command.startswith("ipvsadm"):
            # ipvsadm falls back to the old interface when it gets no netlink socket, which is the
            # first it asks for. The shell stays out of the trace: bash asks for sockets of its own
            # (the user database) where HOME or SHELL is unset.
            variables = " ".join(
                f"-E {shlex.quote(f'{key}={value}')}" for key, value in environment.items()
            )
            trace = "-e trace=socket -e inject=socket:error=EAFNOSUPPORT:when=1"
            words = ["bash", "-c", f"exec strace -f -qq -o /dev/null {trace} {variables} {command}"]
            environment = {}
        work = self.directory / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, cwd=work, check=False,
            timeout=COMMAND_SECONDS, env={**os.environ, **environment},
        )
        return {
            "command": command,
            "stdout": done.stdout.decode("latin1"),
            "stderr": done.stderr.decode("latin1"),
            "exit": done.returncode,
        }


def compare(case, session):
    noted = case.deviations() if session.engine.name == "nlvsd" else {}
    different = []
    for number, command, recorded, result in replay(case, session):
        wanted = noted.get(number, recorded)
        lines = differences(command, wanted, result)
        if number in noted and not differences(command, recorded, result):
            lines = [f"no longer deviates ({noted[number]['deviation']})"]
        if lines:
            different.append("\n".join([f"$ {command}", *lines]))
    return different


def record(case, session):
    results = []
    session.run(lambda _, result: results.append(result))
    text = json.dumps(results, indent=1) + "\n"
    (case.directory / "expected.json").write_text(text)
    return []


def accept(case, session, heading):
    kept = [one for one in case.deviations().values() if one["deviation"] != heading]
    elsewhere = {one["number"] for one in kept}
    found = [
        {"deviation": heading, "number": number, **result}
        for number, command, recorded, result in replay(case, session)
        if number not in elsewhere and differences(command, recorded, result)
    ]
    if not found:
        return ["nothing else differs"]
    if heading not in documented_deviations():
        return [f"docs/deviations.md has no heading '{heading}'"]
    noted = sorted(kept + found, key=lambda one: one["number"])
    (case.directory / "deviations.json").write_text(json.dumps(noted, indent=1) + "\n")
    return []


def replay(case, session):
    """Number, command, recorded and actual result of each command."""
    replayed = []
    recorded = case.recorded()

    def consume(command, result):
        number = len(replayed)
        replayed.append((number, command, recorded[number], result))

    session.run(consume)
    return replayed


def in_child(case, engine, work):
    """The namespace is left by ending; True if there was no difference."""
    session = Session(case, engine, f"kc{os.getpid()}")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            different = work(case, session)
            print(f"{'FAIL' if different else 'ok'} {case.name}")
            for one in different:
                print(re.sub(r"(?m)^", "    ", one))
            status = 1 if different else 0
        except BaseException:  # whatever it was, the parent must go on with the next case
            print(f"FAIL {case.name}")
            print(re.sub(r"(?m)^", "    ", traceback.format_exc()))
        finally:
            sys.stdout.flush()
            os._exit(status)
    try:
        return os.waitpid(child, 0)[1] == 0
    finally:
        session.surroundings.remove()


def chosen_cases(names):
    existing = sorted(path.parent for path in (HERE / "cases").glob("*/commands"))
    if not names:
        return [Case(path) for path in existing]
    chosen = []
    for name in names:
        wanted = Path(name).name
        matching = [path for path in existing if path.name.startswith(wanted)]
        if not matching:
            sys.exit(f"run.py: no case {name}")
        chosen += matching
    return [Case(path) for path in chosen]


def nlvsd_of_build():
    build = Path(os.environ.get("NLVS_BUILD", HERE.parent.parent / "build"))
    for daemon, library in (
        ("bin/nlvsd", "lib/libnlvs-shim.so"),
        ("daemon/nlvsd", "netlink-shim/libnlvs-shim.so"),
    ):
        if (build / daemon).exists() and (build / library).exists():
            return Nlvsd(build / daemon, build / library)
    sys.exit(f"run.py: no nlvsd and libnlvs-shim.so in {build} (set NLVS_BUILD)")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--accept", metavar="TEXT")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("run.py: needs root")
    if (options.record or options.accept) and not options.cases:
        parser.error("which cases?")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["PATH"] = f"{HERE / 'commands'}:/usr/sbin:/sbin:{os.environ['PATH']}"
    os.environ["LC_ALL"] = "C"
    os.environ.pop("LD_PRELOAD", None)
    on_kernel = options.kernel or options.record
    work = compare
    if options.record:
        work = record
    elif options.accept:
        work = functools.partial(accept, heading=options.accept)
    passed = failed = 0
    for case in chosen_cases(options.cases):
        engine = Kernel() if on_kernel else nlvsd_of_build()
        # Packet counts depend on timing (a FIN merged with an ACK, a neighbour that answers late):
        # sessions with traffic have three tries to be as recorded.
        attempts = 3 if work is compare and "traffic" in case.directives else 1
        if any(in_child(case, engine, work) for _ in range(attempts)):
            passed += 1
        else:
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
