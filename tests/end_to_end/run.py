#!/usr/bin/python3
"""End-to-end tests: the distribution's ipvsadm, keepalived and ip against nlvsd in network
namespaces, judged by traffic that the client counts. Needs root and a finished tools/build.

usage: run.py [--only WORDS] [--case NAME]... [--devices] [--list] [--long] [--keep]
              [--engine nlvs|kernel] [--name PREFIX]

--only     cases whose name contains the words
--case     the case of exactly this name
--devices  only the cases about devices that not every kernel has (tests/kernel/devices)
--long     also the cases that take many minutes
--engine   kernel: the same cases against Linux's own IPVS (needs ip_vs), to check the cases
--name     prefix of the labs' names, so that several runs can go on at once
"""

import argparse
import os
import signal
import sys

sys.dont_write_bytecode = True

# Cases run in this order. life_cases comes last: its hostile packets leave half-open connections
# whose retransmissions would be counted for somebody else.
import forwarding_cases  # noqa: E402,F401
import local_cases  # noqa: E402,F401
import sctp_cases  # noqa: E402,F401
import ftp_cases  # noqa: E402,F401
import tunnel_cases  # noqa: E402,F401
import listing_cases  # noqa: E402,F401
import capture_cases  # noqa: E402,F401
import scheduling_cases  # noqa: E402,F401
import workers_cases  # noqa: E402,F401
import load_cases  # noqa: E402,F401
import mark_cases  # noqa: E402,F401
import sync_cases  # noqa: E402,F401
import life_cases  # noqa: E402,F401
import linux_cases  # noqa: E402,F401
import path_cases  # noqa: E402,F401
import routing_cases  # noqa: E402,F401
import device_cases  # noqa: E402
from harness import REGISTRY, Runner  # noqa: E402


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--devices", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--engine", choices=("nlvs", "kernel"), default="nlvs")
    parser.add_argument("--name", default=f"e{os.getpid()}-")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cases = [
        one
        for one in REGISTRY.cases
        if options.only in one.name() and (options.long or not one.long)
        and (not options.case or one.name() in options.case)
    ]
    if options.devices:
        cases = [one for one in cases if one.function.__module__ == device_cases.__name__]
    if options.engine == "kernel":
        # The number of workers means nothing to the kernel: once is enough.
        cases = [one for one in cases if one.kind.workers == 1 or one.kind.variant == "one-arm"]
    if options.list:
        print("\n".join(one.name() for one in cases))
        return 0
    runner = Runner(options)
    runner.run(cases)
    skipped = f", {runner.skipped} skipped" if runner.skipped else ""
    print(f"{runner.passed} passed, {runner.failed} failed{skipped}")
    return 1 if runner.failed or not runner.passed else 0


if __name__ == "__main__":
    sys.exit(main())
