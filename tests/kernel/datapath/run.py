#!/usr/bin/python3
"""Packets at a director, compared one by one: what the kernel's IPVS sends, nlvs sends.

usage: run.py --scenarios FILE             writes the scenarios (needs python3-scapy)
       run.py --record FILE DIRECTORY [NAME]...
                                           plays them at the kernel this runs on, as root; in the VM:
    tests/kernel/vm --write DIRECTORY -- tests/kernel/datapath/run.py --record FILE DIRECTORY
       run.py --replay [--every N] [NAME]...
                                           plays what is in tests/corpus/sessions at nlvsd, as root

NAME is the beginning of a scenario's name. tests/daemon/recorded_sessions_test.cpp replays all of
tests/corpus/sessions in process, without links.
"""

import argparse
import itertools
import json
import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from play import Kernel, play  # noqa: E402  pylint: disable=wrong-import-position


def write_scenarios(path):
    from special_scenarios import SCENARIOS  # pylint: disable=import-outside-toplevel
    plain = {
        name: [step if isinstance(step, str) else [step[0], step[1].hex()] for step in steps]
        for name, steps in SCENARIOS.items()
    }
    Path(path).write_text(json.dumps(plain))


def packed(line):
    """Runs of octets that each are one more than the one before, as xx+N."""
    words = line.split()
    if not re.fullmatch("client|server|sent", words[0]):
        return line
    data = bytes.fromhex(words[-1])
    parts, at = [], 0
    while at < len(data):
        end = at + 1
        while end < len(data) and data[end] == (data[end - 1] + 1) & 255:
            end += 1
        if end - at >= 12:
            parts.append(f" {data[at]:02x}+{end - at - 1} ")
        else:
            parts.append(data[at:end].hex())
        at = end
    return " ".join([*words[:-1], "".join(parts).strip().replace("  ", " ")])


def chosen(scenarios, names):
    return {
        name: steps for name, steps in scenarios.items()
        if not names or any(name.startswith(one) for one in names)
    }


def record(path, directory, names):
    scenarios = chosen(json.loads(Path(path).read_text()), names)
    files, failures = {}, 0
    engine = Kernel()
    started = time.monotonic()
    for number, (name, steps) in enumerate(scenarios.items()):
        group = re.match(r"[a-z]+-v[46](in[46])?", name)[0]
        if group not in files:
            files[group] = (Path(directory) / f"{group}.txt").open("w", encoding="ascii")
        try:
            lines = play(engine, steps)
        except Exception as error:  # pylint: disable=broad-except
            detail = getattr(error, "stderr", "")
            print(f"FAIL {name}: {error} {detail}", flush=True)
            failures += 1
            continue
        print(f"\nscenario {name}", *map(packed, lines), sep="\n", file=files[group], flush=True)
        if number % 50 == 49:
            print(f"{number + 1} scenarios, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{len(scenarios)} scenarios, {failures} failed, {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failures else 0


def replay(build, options):
    from replay import replay as replay_at  # pylint: disable=import-outside-toplevel
    numbers = itertools.count()

    def wanted(name):
        named = not options.names or name.startswith(tuple(options.names))
        return named and next(numbers) % options.every == 0

    return replay_at(build, wanted)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenarios", metavar="FILE")
    parser.add_argument("--record", nargs=2, metavar=("FILE", "DIRECTORY"))
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.replay:
        return replay(os.environ.get("NLVS_BUILD", HERE.parents[2] / "build"), options)
    if options.scenarios:
        return write_scenarios(options.scenarios)
    if options.record:
        return record(*options.record, options.names)
    return parser.error("one of --scenarios, --record and --replay")


if __name__ == "__main__":
    sys.exit(main())
