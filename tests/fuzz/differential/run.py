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
import lzma
import os
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import answers  # noqa: E402
import generator  # noqa: E402
import model  # noqa: E402
from shrink import shrink  # noqa: E402
from sides import Daemon, Machine  # noqa: E402

RECORDED = HERE / "recorded.xz"
BATCH = 250
MOST_DIFFERENCES = 10
# A record: how many numbered sequences; then, for regressions and these, the checksum of the
# sequence, the length of the kernel's answers, the answers.
COUNT = struct.Struct("=I")
ANSWER = struct.Struct("=II")


def regressions():
    return {
        path.stem: model.from_text(path.read_text())
        for path in sorted((HERE / "regressions").glob("*.sequence"))
    }


def batches(first, count, *, with_regressions):
    """Names and sequences, some at a time: a run may be longer than memory."""
    named = list(regressions().items()) if with_regressions else []
    for start in range(first, first + count, BATCH):
        for number in range(start, min(start + BATCH, first + count)):
            steps = generator.sequence(number)
            if not model.concerns_others(steps):
                named.append((str(number), steps))
        yield zip(*named)
        named = []


def digest(steps):
    return zlib.crc32(model.encode_sequence(steps))


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
    passed = failed = 0
    with lzma.open(file) as record, Daemon(build) as daemon:
        (count,) = COUNT.unpack(record.read(COUNT.size))
        for names, sequences in batches(1, count, with_regressions=True):
            for name, steps, played in zip(names, sequences, daemon.play(sequences)):
                checksum, size = ANSWER.unpack(record.read(ANSWER.size))
                if checksum != digest(steps):
                    print(f"{name} was recorded from another sequence: record the slice again")
                    return report(passed, failed + 1)
                wanted = record.read(size)
                if wanted != played:
                    played = daemon.play([steps])[0]
                passed += wanted == played
                failed += wanted != played
                if wanted != played and failed <= MOST_DIFFERENCES:
                    print_difference(name, steps, wanted, played)
    return report(passed, failed)


def without_accidents(machine, steps, answer, played):
    """The kernel's answer, another of its answers to the same if they vary and one is nlvsd's: now and
    then it stops a daemon before its thread has run (docs/deviations.md)."""
    for _ in range(20):
        if answer == played:
            break
        machine.begin([steps])
        (answer,) = machine.end()
    return answer


def record_slice(build, count, file, niceness):
    done = 0
    with (
        Machine(build, niceness) as machine,
        Daemon(build) as daemon,
        lzma.open(file, "wb", preset=9) as record,
    ):
        record.write(COUNT.pack(count))

        def write(sequences):
            for steps, answer, played in zip(
                sequences, list(machine.end()), daemon.play(sequences)
            ):
                answer = without_accidents(machine, steps, answer, played)
                record.write(ANSWER.pack(digest(steps), len(answer)) + answer)
            print(f"{done} recorded", file=sys.stderr, flush=True)

        playing = ()
        for _, sequences in batches(1, count, with_regressions=True):
            if playing:
                write(playing)
            machine.begin(sequences)
            playing = sequences
            done += len(sequences)
        write(playing)
    print(f"{done} sequences, {file.stat().st_size} bytes")
    return 0


def compare_live(build, first, count, options):
    passed = failed = 0
    most = options.differences
    started = time.monotonic()
    with Machine(build, options.nice) as machine, Daemon(build) as daemon:
        for names, sequences in batches(first, count, with_regressions=False):
            machine.begin(sequences)
            played = daemon.play(sequences)
            wanted = machine.end()
            different = [
                i
                for i, steps in enumerate(sequences)
                if wanted[i] != played[i] and wanted[i] != daemon.play([steps])[0]
            ]
            passed += len(sequences) - len(different)
            failed += len(different)
            for i in different[:most]:
                most -= 1
                small = shrink(machine, daemon, sequences[i])
                print_difference(f"{names[i]}, shrunk to", *small)
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
