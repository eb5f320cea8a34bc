"""Cases, the labs they share, and what they assert with.

A case is a function of a lab (and a parameter), registered with the labs it runs in. Cases of one lab
run one after another in it; each starts from an empty service table.
"""

import itertools
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tools"))

from nlvslab.lab import Lab  # noqa: E402
from nlvslab.system import LabError  # noqa: E402


class Failed(Exception):
    """An expectation that did not hold."""


class Skipped(Exception):
    """What the case is about does not exist here."""


def expect(held, text):
    if not held:
        raise Failed(text)


def expect_equal(actual, expected, text):
    expect(actual == expected, f"{text}: expected {expected}, got {actual}")


def expect_shares(bench, seen, weights, text="shares"):
    """What round robin gives: every worker goes round by itself, so that shares are exact with one
    worker and off by at most the heaviest weight for each further one."""
    tolerance = max(weights.values()) * (bench.kind.workers - 1)
    total = sum(weights.values())
    expect_equal(seen.failed, 0, f"{text}: {seen.describe()}, failed")
    for name, weight in weights.items():
        ideal = seen.requests * weight / total
        off = abs(seen.answers.get(name, 0) - ideal)
        expect(off <= tolerance, f"{text} by weights {weights}: {seen.describe()}")


@dataclass(frozen=True)
class LabKind:
    variant: str = "two-arm"
    directors: int = 1
    workers: int = 1
    keepalived: bool = False
    virtual_mac: bool = False
    sync: bool = False
    real_servers: int = 3
    backend: str = "auto"

    def __str__(self):
        plural = "s" if self.workers > 1 else ""
        text = f"{self.variant}, {self.workers} worker{plural}"
        text += ", keepalived" if self.keepalived else ""
        text += ", sync daemons" if self.sync else ""
        text += f", {self.backend}" if self.backend != "auto" else ""
        return f"{text}, virtual MAC" if self.virtual_mac else text


ONE_WORKER = LabKind()
TWO_WORKERS = LabKind(workers=2)
FOUR_WORKERS = LabKind(workers=4)
ONE_ARM = LabKind(variant="one-arm", workers=2)
PAIR = LabKind(directors=2, keepalived=True)
SYNC_PAIR = LabKind(directors=2, keepalived=True, sync=True)
SYNC_PAIR_TWO_WORKERS = LabKind(directors=2, workers=2, keepalived=True, sync=True)
VIRTUAL_MAC_PAIR = LabKind(directors=2, keepalived=True, virtual_mac=True)


@dataclass
class Case:
    title: str
    function: object
    kind: LabKind
    parameters: tuple = ()
    long: bool = False

    def name(self):
        words = " ".join(str(p) for p in self.parameters)
        return f"{self.title}{f' [{words}]' if words else ''} ({self.kind})"


@dataclass
class Registry:
    cases: list = field(default_factory=list)

    def case(self, labs, *axes, long=False):
        """Registers the function once for each lab and each combination of the axes' values. Its
        title is its name."""

        def register(function):
            title = function.__name__.replace("_", " ")
            for kind in labs:
                for parameters in itertools.product(*axes):
                    self.cases.append(Case(title, function, kind, parameters, long))
            return function

        return register


REGISTRY = Registry()
case = REGISTRY.case


class Bench:
    """A lab while cases run in it, with the verbs they share."""

    def __init__(self, lab, kind):
        self.lab = lab
        self.kind = kind
        self.topology = lab.topology

    @property
    def director(self):
        if self.kind.keepalived:
            return self.lab.wait_for_master()
        return next(iter(self.lab.directors.values()))

    def equal(self):
        return {name: 1 for name in self.topology.real_servers}

    def virtual(self, method="nat", family=4, port=80):
        return endpoint(self.topology.virtual_address(method, family), port)

    def address(self, method="nat", family=4):
        return self.topology.virtual_address(method, family)

    def server(self, name, family=4, port=80):
        return endpoint(self.topology.real_address(name, family), port)

    def serve(self, method="nat", family=4, protocol="tcp", port=80, target=None,
              scheduler="rr", weights=None, options=()):
        """One service with the real servers at the given weights, by ipvsadm."""
        virtual = self.virtual(method, family, port)
        flag = "-t" if protocol == "tcp" else "-u"
        self.director.ipvsadm("-A", flag, virtual, "-s", scheduler, *options)
        forwarding = {"nat": "-m", "dr": "-g", "tun": "-i"}[method]
        for name in self.topology.real_servers:
            weight = (weights or {}).get(name, 1)
            self.director.ipvsadm(
                "-a", flag, virtual, "-r", self.server(name, family, target or port),
                forwarding, "-w", weight,
            )
        return virtual


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Runner:
    def __init__(self, options):
        self.options = options
        self.passed = self.failed = self.skipped = 0

    def record(self, verdict, name, reason=""):
        setattr(self, verdict, getattr(self, verdict) + 1)
        shown = {"passed": "ok     ", "failed": "FAILED ", "skipped": "skipped"}[verdict]
        print(f"{shown} {name}{f': {reason}' if reason else ''}", flush=True)

    def run(self, cases):
        for index, (kind, group) in enumerate(_by_lab(cases)):
            if kind.backend == "vhost" and not Path("/dev/vhost-net").exists():
                for one in group:
                    self.record("skipped", one.name(), "there is no /dev/vhost-net")
                continue
            name = f"{self.options.name}{index}"
            lab = Lab(
                name, variant=kind.variant, directors=kind.directors, workers=kind.workers,
                engine=self.options.engine, virtual_mac=kind.virtual_mac, sync=kind.sync,
                real_servers=kind.real_servers, backend=kind.backend,
                megabytes=64 * max(2, kind.workers),
            )
            failed_before = self.failed
            try:
                lab.up(keepalived=kind.keepalived)
            except LabError as error:
                print(f"FAILED  {len(group)} cases: no lab ({kind}): {error}", flush=True)
                self.failed += len(group)
                continue
            try:
                bench = Bench(lab, kind)
                for one in group:
                    self.run_case(one, bench)
                if not self.options.keep and self.options.engine == "nlvs":
                    self.check_clean_end(bench)
            finally:
                if not self.options.keep:
                    lab.down(keep_logs=self.failed > failed_before)

    def run_case(self, one, bench):
        try:
            before = {n: d.nlvsd_pid() for n, d in bench.lab.directors.items()}
            if not bench.kind.keepalived:
                bench.director.ipvsadm("-C")
            one.function(bench, *one.parameters)
            self.check_daemons(bench, before)
        except Skipped as reason:
            self.record("skipped", one.name(), str(reason))
        except (Failed, LabError) as error:
            self.record("failed", one.name(), str(error))
        except Exception as error:  # a mistake in a case must not hide the other cases
            traceback.print_exc()
            self.record("failed", one.name(), f"{type(error).__name__}: {error}")
        else:
            self.record("passed", one.name())

    def check_daemons(self, bench, before):
        """A case that restarts a daemon on purpose says so in bench.restarted."""
        restarted = getattr(bench, "restarted", set())
        for name, director in bench.lab.directors.items():
            if self.options.engine == "nlvs" and name not in restarted:
                expect_equal(director.nlvsd_pid(), before[name], f"nlvsd of {name} is the same")
        bench.restarted = set()

    def check_clean_end(self, bench):
        """SIGTERM ends nlvsd with what it created gone."""
        name = f"nlvsd ends cleanly ({bench.kind})"
        try:
            for director in bench.lab.directors.values():
                bench.lab.processes.stop(director.name, "keepalived")
                bench.lab.processes.stop(director.name, "nlvsd")
                expect(not director.namespace.has_link("dp0"), "dp0 is gone after SIGTERM")
                rules = director.namespace.run("nft", "list", "ruleset")
                expect(not rules.strip(), f"nftables rules are left: {rules.strip()}")
        except (Failed, LabError) as error:
            self.record("failed", name, str(error))
        else:
            self.record("passed", name)


def _by_lab(cases):
    groups = {}
    for one in cases:
        groups.setdefault(one.kind, []).append(one)
    return groups.items()
