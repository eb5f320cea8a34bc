#!/usr/bin/python3
"""Runs the test stages of tools/check and adds up what they report.

unit    the release build: recorded sessions in process, programs of their own, architecture
e2e     the installed tools against nlvsd in network namespaces (root)
kernel  sessions, random command sequences and packets recorded on the kernel's IPVS, replayed
        against nlvsd (root)
san     every unit and property test, and the corpora, under AddressSanitizer and
        UndefinedBehaviorSanitizer (once is enough: they are most of what there is to compile); the
        tests of the code that threads share, services that come and go under traffic among them,
        under ThreadSanitizer
fuzz    the libFuzzer targets of decoders for NLVS_FUZZ_SECONDS (60) seconds each

A step that cannot run counts as failed. Logs stay in build/check-logs. The special builds are made in
the background, on what processor time the tests before them leave, which is most of it.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "check-logs"
FUZZ_SECONDS = int(os.environ.get("NLVS_FUZZ_SECONDS", "60"))

# The pipeline with its control plane makes few inputs a second: minutes of it say nothing that the
# replay of its corpus, a unit test, does not. tests/README.md has the command for hours.
FUZZED_BY_HAND = ("fuzz_pipeline",)
# -O0: instrumented code takes a third of the time to build, and the tests are quick enough.
# b_lundef: the sanitizers' symbols are resolved by the executable, not by the shim library.
INSTRUMENTED = ("-Doptimization=0", "-Ddebug=true", "-Db_lundef=false", "-Dbenchmarks=false")
# Seconds: the special builds take a quarter of it on two free processors.
LONGEST_BUILD = 3600


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Outcome(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )


FAILURE = Outcome(failed=1)
# More failures than these are not the machine's.
MOST_CASES_AGAIN = 5
# The names of end-to-end cases to try once more when the stages are through.
CASES_AGAIN = []


def run_logged(name, command, timeout, environment=None):
    """The command's exit status (None after a timeout) and the path of its output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as output:
        try:
            status = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env={**os.environ, **(environment or {})},
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            output.write(f"\nstopped after {timeout} s\n".encode())
            status = None
    return status, log


def tail(log, lines=40):
    text = log.read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in text[-lines:])


def failures(log, most=20):
    """The lines about failed cases, which the tail of a long log leaves out."""
    text = log.read_text(errors="replace").splitlines()
    lines = [line for line in text if re.match(r"(FAIL|FAILED|not ok)\b", line)]
    return "".join(f"    {line}\n" for line in lines[:most])


def report(name, outcome, started, log=None):
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    print(
        f"{name}: {outcome.passed} passed, {outcome.failed} failed{skipped}"
        f" ({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    if outcome.failed and log is not None:
        print(failures(log) + tail(log), flush=True)
        print(f"    log: {log}", flush=True)
    return outcome


def step(name, command, timeout, environment=None, count=None):
    """Runs one command; count(text) reads an Outcome from its output, else its status is one."""
    started = time.monotonic()
    status, log = run_logged(name, command, timeout, environment)
    outcome = count(log.read_text(errors="replace")) if count else None
    if outcome is None:
        outcome = Outcome(passed=1) if status == 0 else FAILURE
    elif status != 0 and outcome.failed == 0:
        outcome += FAILURE
    return report(name, outcome, started, log)


def boost_cases(text):
    """Boost.Test's short report: one line each for passed and failed cases of every executable."""
    outcome, found = Outcome(), False
    for count, verdict in re.findall(r"(\d+) test cases? out of \d+ (passed|failed)", text):
        found = True
        setattr(outcome, verdict, getattr(outcome, verdict) + int(count))
    return outcome if found else None


def last_summary(text):
    """The closing 'N passed, N failed' of our own scripts."""
    found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.MULTILINE)
    if not found:
        return None
    passed, failed, skipped = found[-1]
    return Outcome(int(passed), int(failed), int(skipped or 0))


def meson_tests(directory, name, arguments=(), timeout=900, environment=None):
    started = time.monotonic()
    status, log = run_logged(
        name,
        ["meson", "test", "-C", str(directory), "--no-rebuild", "--print-errorlogs", *arguments],
        timeout,
        {"BOOST_TEST_REPORT_LEVEL": "short", **(environment or {})},
    )
    results = directory / "meson-logs" / "testlog.json"
    outcome = Outcome()
    if status is not None and results.exists():
        for line in results.read_text().splitlines():
            result = json.loads(line)
            text = result.get("stdout", "") + result.get("stderr", "")
            cases = boost_cases(text) or last_summary(text)
            if result["result"] == "SKIP":
                outcome += Outcome(skipped=1)
            elif cases is None:
                outcome += Outcome(passed=1) if result["result"] == "OK" else FAILURE
            else:
                outcome += cases if result["result"] == "OK" or cases.failed else cases + FAILURE
    if outcome == Outcome() or (status != 0 and outcome.failed == 0):
        outcome += FAILURE
    return report(name, outcome, started, log)


class BackgroundJob:
    """A command on the processor time that others leave, until it is hurried."""

    # A session of its own, because the kernel's autogroups weigh sessions before niceness.
    LEAST = ("sh", "-c", 'echo 19 >/proc/self/autogroup 2>/dev/null; exec nice -n 19 "$@"', "sh")

    def __init__(self, command, log, environment):
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.LEAST, *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def hurry(self):
        """From now on as urgent as anything else."""
        session = self.process.pid
        with contextlib.suppress(OSError):
            Path(f"/proc/{session}/autogroup").write_text("0")
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # After the name in parentheses: state, parent, group, session.
                if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                    os.setpriority(os.PRIO_PROCESS, int(stat.parent.name), 0)

    def wait(self, timeout):
        """The exit status; None after the timeout, when the command was ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
            return None


def configured_build(directory, options, name, environment=None, *, only):
    """Configures a directory of its own and builds it (only the executables whose names begin so);
    None when that worked, else the failure. For the pool of BUILDS."""
    started = time.monotonic()
    shutil.rmtree(directory / "meson-logs", ignore_errors=True)
    setup = ["meson", "setup", *options, str(directory), str(ROOT)]
    if (directory / "build.ninja").exists():
        setup.insert(2, "--reconfigure")
    status, log = run_logged(f"{name}-setup", setup, 300, environment)
    if status != 0:
        return report(f"{name}-setup", FAILURE, started, log)
    targets = [
        str(Path(target["filename"][0]).relative_to(directory))
        for target in json.loads((directory / "meson-info" / "intro-targets.json").read_text())
        if target["type"] == "executable" and target["name"].startswith(only)
    ]
    log = LOGS / f"{name}-build.log"
    log.unlink(missing_ok=True)
    command = ["ninja", "-C", str(directory), "--quiet", *targets]
    status = BUILDS.run(BackgroundJob(command, log, environment)) if targets else None
    if status != 0:
        return report(f"{name}-build", FAILURE, started, log)
    print(f"{name}: built ({time.monotonic() - started:.0f} s)", flush=True)
    return None


def release_build():
    started = time.monotonic()
    status, log = run_logged("build", [str(ROOT / "tools" / "build")], 1500)
    if status != 0:
        return report("build", FAILURE, started, log)
    print(f"build: done ({time.monotonic() - started:.0f} s)", flush=True)
    return None


def unit_stage():
    failure = release_build()
    if failure:
        return failure
    # The packet path as it is installed, optimized, against the kernel's packets.
    target = "tests/test-sessions"
    return (
        step("sessions-build", ["ninja", "-C", str(BUILD), "--quiet", target], 600)
        + step("sessions", [str(BUILD / target), "--report_level=short"], 300, count=boost_cases)
        + meson_tests(BUILD, "programs", ["--no-suite", "unit"])
    )


def end_to_end_stage():
    if os.geteuid() != 0:
        print("e2e: needs root")
        return FAILURE
    failure = release_build()
    if failure:
        return failure
    # Labs mostly wait, so two go on at once. Every case is for a number of workers.
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(end_to_end_part, ("1 worker", "2 workers")))
    outcome = sum((part for part, _ in parts), Outcome())
    failed = [name for _, log in parts for name in cases(log, "FAILED")]
    if outcome.failed == len(failed) and len(failed) <= MOST_CASES_AGAIN:
        CASES_AGAIN.extend(failed)
    return outcome


def cases_again():
    """Beside a second lab and compilers, cases that measure times and shares can be short of
    processors. By themselves, at the end, they are not, and a fault fails there, too. What to add to
    the outcome."""
    again, log = end_to_end_step(
        "e2e-again", [word for name in CASES_AGAIN for word in ("--case", name)]
    )
    if again.failed or not set(CASES_AGAIN) <= set(cases(log, "ok")):
        return Outcome()
    return Outcome(passed=len(CASES_AGAIN), failed=-len(CASES_AGAIN))


def end_to_end_part(words):
    return end_to_end_step(f"e2e-{words.replace(' ', '-')}", ["--only", words])


def end_to_end_step(name, arguments):
    """What came of it, and the log."""
    outcome = step(
        name,
        [str(ROOT / "tests" / "end_to_end" / "run.py"), *arguments],
        1500,
        {"NLVS_BUILD": str(BUILD)},
        count=last_summary,
    )
    return outcome, LOGS / f"{name}.log"


def cases(log, verdict):
    """The names of an end-to-end run's cases with this verdict."""
    text = log.read_text(errors="replace")
    return re.findall(rf"^{verdict} +(.*?\))(?:: .*)?$", text, re.MULTILINE)


def kernel_stage():
    if os.geteuid() != 0:
        print("kernel: needs root")
        return FAILURE
    failure = release_build()
    if failure:
        return failure
    tests = ROOT / "tests"
    recorded = {
        "kernel": [tests / "kernel" / "run.py"],
        "differential": [tests / "fuzz" / "differential" / "run.py"],
        # The rest is replayed in process.
        "datapath": [tests / "kernel" / "datapath" / "run.py", "--replay", "--every", "8"],
    }
    outcomes = (
        step(name, [*map(str, command)], 900, {"NLVS_BUILD": str(BUILD)}, count=last_summary)
        for name, command in recorded.items()
    )
    selftest = [str(ROOT / "tests" / "kernel" / "selftest")]
    return sum(outcomes, step("kernel-selftest", selftest, 300, {"NLVS_BUILD": str(BUILD)}))


def address_sanitizer_build():
    return configured_build(
        ROOT / "build-asan", [*INSTRUMENTED, "-Db_sanitize=address,undefined"], "asan",
        only=("test-", "replay-"),
    )


def thread_sanitizer_build():
    return configured_build(
        ROOT / "build-tsan", [*INSTRUMENTED, "-Doptimization=1", "-Db_sanitize=thread"], "tsan",
        only=("crossings",),
    )


def fuzz_build():
    if os.geteuid() == 0:
        subprocess.run([str(ROOT / "tools" / "install-packages"), "build", "fuzz"], check=True)
    return configured_build(
        ROOT / "build-fuzz",
        [*INSTRUMENTED, "-Doptimization=1", "-Dfuzzers=true", "-Db_sanitize=address,undefined"],
        "fuzz",
        {"CC": "clang-19", "CXX": "clang++-19"},
        only=tuple(
            path.stem.replace("_", "-", 1)
            for path in (ROOT / "tests" / "fuzz").glob("fuzz_*.cpp")
            if path.stem not in FUZZED_BY_HAND
        ),
    )


class BackgroundBuilds:
    """The builds that the chosen stages need, one after the other."""

    NEEDED = {
        "san": (address_sanitizer_build, thread_sanitizer_build),
        "fuzz": (fuzz_build,),
    }

    def __init__(self):
        self.pool = ThreadPoolExecutor(1)
        self.builds = {}
        self.job = None
        self.urgent = False

    def run(self, job):
        """The job's exit status, from a thread of the pool."""
        self.job = job
        if self.urgent:
            job.hurry()
        return job.wait(LONGEST_BUILD)

    def hurry(self):
        """Nothing else goes on any more that a build could disturb."""
        self.urgent = True
        if self.job is not None:
            self.job.hurry()

    def start(self, stages):
        for stage in stages:
            for build in self.NEEDED.get(stage, ()):
                if build not in self.builds:
                    self.builds[build] = self.pool.submit(build)

    def failure(self, build):
        """Waits; None when the build worked."""
        self.hurry()
        return self.builds[build].result()


BUILDS = BackgroundBuilds()


def sanitizer_stage():
    outcome = BUILDS.failure(address_sanitizer_build) or meson_tests(
        ROOT / "build-asan",
        "asan-ubsan",
        ["--suite", "unit", "--timeout-multiplier", "5"],
        environment={
            "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        },
    )
    return outcome + thread_sanitizer()


def thread_sanitizer():
    return BUILDS.failure(thread_sanitizer_build) or step(
        "tsan",
        [str(ROOT / "build-tsan" / "tests" / "crossings"), "--report_level=short"],
        1200,
        {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:suppressions="
                         f"{ROOT / 'tests' / 'thread_sanitizer.supp'}"},
        count=boost_cases,
    )


def fuzz_stage():
    failure = BUILDS.failure(fuzz_build)
    if failure:
        return failure
    directory = ROOT / "build-fuzz"
    targets = sorted(
        path
        for path in (directory / "tests" / "fuzz").glob("fuzz-*")
        if path.is_file() and os.access(path, os.X_OK)
    )
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return sum(pool.map(fuzz_one, targets), Outcome())


def fuzz_one(target):
    # New inputs go to the build directory; the recorded corpus in the tree is only read.
    grown = target.parent / f"{target.name}-corpus"
    grown.mkdir(exist_ok=True)
    recorded = ROOT / "tests" / "corpus" / target.name.removeprefix("fuzz-")
    corpora = [str(grown)] + ([str(recorded)] if recorded.is_dir() else [])
    return step(
        target.name,
        [str(target), f"-max_total_time={FUZZ_SECONDS}", "-timeout=30", "-rss_limit_mb=2048",
         "-print_final_stats=1", f"-artifact_prefix={LOGS}/{target.name}-", *corpora],
        FUZZ_SECONDS + 120,
    )


STAGES = {
    "unit": unit_stage,
    "e2e": end_to_end_stage,
    "kernel": kernel_stage,
    "san": sanitizer_stage,
    "fuzz": fuzz_stage,
}


def main(arguments):
    unknown = [name for name in arguments if name not in STAGES]
    if unknown:
        print(f"check: unknown stage '{unknown[0]}' (there are: {' '.join(STAGES)})",
              file=sys.stderr)
        return 2
    started = time.monotonic()
    outcome = Outcome()
    stages = arguments or list(STAGES)
    for name in stages:
        print(f"== {name}", flush=True)
        if name not in ("unit", "e2e", "kernel"):
            BUILDS.start([name])
        outcome += STAGES[name]()
        if name == "unit":
            BUILDS.start(stages)
    if CASES_AGAIN:
        outcome += cases_again()
    if outcome.skipped:
        print(f"{outcome.skipped} skipped")
    print(f"{time.monotonic() - started:.0f} s, logs in {LOGS}")
    print(f"{outcome.passed} passed, {outcome.failed} failed")
    return 1 if outcome.failed or not outcome.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
