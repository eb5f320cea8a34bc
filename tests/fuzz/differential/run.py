#!/usr/bin/python3
"""Plays random command sequences to the kernel's IPVS and to nlvsd; whatever comes back must agree.

usage: run.py                        the recorded slice against nlvsd
       run.py --vm FIRST COUNT       live: sequences FIRST.. to the kernel in QEMU and to nlvsd;
                                     a difference is shrunk and printed
       run.py --record COUNT         record the slice: regressions/ and sequences 1..COUNT
       run.py ... --file FILE        with another record than recorded.xz
       run.py --show NUMBER|FILE     print a sequence

Needs root, the build in build/ (or $NLVS_BUILD) and, for the kernel, QEMU. README.md says more.
"""

import argparse
import difflib
import hashlib
import json
import lzma
import os
import signal
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import answers  # noqa: E402
import generator  # noqa: E402
import model  # noqa: E402
from shrink import shrink  # noqa: E402
from sides import Daemon, Machine, encoded  # noqa: E402

RECORDED = HERE / "recorded.xz"
BATCH = 250
MOST_DIFFERENCES = 10


def regressions():
    return {
        path.stem: model.from_text(path.read_text())
        for path in sorted((HERE / "regressions").glob("*.sequence"))
    }


def slice_of(count):
    """Names and sequences of what is recorded."""
    found = regressions()
    found.update((str(number), generator.sequence(number)) for number in range(1, count + 1))
    return found


def difference(steps, kernel, daemon):
    return list(
        difflib.unified_diff(
            answers.to_text(steps, kernel), answers.to_text(steps, daemon), "kernel", "nlvsd", n=8
        )
    )


def print_difference(name, steps, kernel, daemon):
    print(f"FAIL {name}")
    print("    " + "    ".join(model.to_text(steps).splitlines(keepends=True)), end="")
    print("    " + "    ".join(difference(steps, kernel, daemon)), flush=True)


def report(passed, failed):
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def check_slice(build, file):
    recorded = lzma.decompress(file.read_bytes())
    header, _, body = recorded.partition(b"\n")
    header = json.loads(header)
    sequences = slice_of(header["count"])
    names, steps = list(sequences), list(sequences.values())
    if digest(steps) != header["sequences"]:
        print("the generator or regressions/ changed: record the slice again")
        return report(0, 1)
    wanted = answers.split(body)
    with Daemon(build) as daemon:
        played = daemon.play(steps)
    failed = [i for i in range(len(steps)) if wanted[i] != played[i]]
    for i in failed[:MOST_DIFFERENCES]:
        print_difference(names[i], steps[i], wanted[i], played[i])
    return report(len(steps) - len(failed), len(failed))


def digest(steps):
    return hashlib.sha256(encoded(steps)).hexdigest()


def record_slice(build, count, file, niceness):
    steps = list(slice_of(count).values())
    header = json.dumps({"count": count, "sequences": digest(steps)}).encode() + b"\n"
    body = b""
    with Machine(build, niceness) as machine:
        for start in range(0, len(steps), BATCH):
            for answer in machine.play(steps[start : start + BATCH]):
                body += len(answer).to_bytes(4, sys.byteorder) + answer
            print(f"{min(start + BATCH, len(steps))} recorded", file=sys.stderr)
    file.write_bytes(lzma.compress(header + body, preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(steps)} sequences, {file.stat().st_size} bytes")
    return 0


def compare_live(build, first, count, options):
    passed = failed = 0
    most = options.differences
    started = time.monotonic()
    with Machine(build, options.nice) as machine, Daemon(build) as daemon:
        for start in range(first, first + count, BATCH):
            numbers = range(start, min(start + BATCH, first + count))
            sequences = [generator.sequence(number) for number in numbers]
            machine.begin(sequences)
            played = daemon.play(sequences)
            wanted = machine.end()
            different = [i for i in range(len(sequences)) if wanted[i] != played[i]]
            passed += len(sequences) - len(different)
            failed += len(different)
            for i in different[: most]:
                most -= 1
                small = shrink(machine, daemon, sequences[i])
                print_difference(f"{numbers[i]}, shrunk to", *small)
            if most <= 0:
                break
            rate = (passed + failed) / (time.monotonic() - started)
            print(f"{passed + failed} played, {failed} differ, {rate:.0f}/s", flush=True)
    return report(passed, failed)


def show(what):
    path = Path(what)
    steps = model.from_text(path.read_text()) if path.exists() else generator.sequence(int(what))
    print(model.to_text(steps), end="")
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vm", nargs=2, type=int, metavar=("FIRST", "COUNT"))
    parser.add_argument("--record", type=int, metavar="COUNT")
    parser.add_argument("--show", metavar="NUMBER|FILE")
    parser.add_argument("--differences", type=int, default=MOST_DIFFERENCES, metavar="COUNT",
                        help="stop --vm after so many")
    parser.add_argument("--file", type=Path, default=RECORDED, metavar="FILE")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="of the virtual machine")
    options = parser.parse_args()
    if options.show:
        return show(options.show)
    if os.geteuid() != 0:
        sys.exit("run.py: needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    build = Path(os.environ.get("NLVS_BUILD", HERE.parents[2] / "build")).resolve()
    if options.vm:
        return compare_live(build, *options.vm, options)
    if options.record:
        return record_slice(build, options.record, options.file, options.nice)
    return check_slice(build, options.file)


if __name__ == "__main__":
    sys.exit(main())
