#!/usr/bin/python3
"""Plays on the kernel it runs on what it finds in a directory, until there is a file `stop`.

usage: serve.py DIRECTORY PLAYER

Sequences come as request-N, answers go to answer-N (what the player said to failure-N). N counts
from 0. Runs in the virtual machine, where it makes a network namespace as tests/kernel does.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "kernel"))

from engines import Kernel  # noqa: E402
from surroundings import Surroundings, enter_new_namespace  # noqa: E402

SCHEDULERS = "rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf pe_sip".split()
POLL_SECONDS = 0.02


def main():
    directory, player = Path(sys.argv[1]), sys.argv[2]
    enter_new_namespace()
    Kernel().prepare(Surroundings("fuzz", traffic=False), directory)
    subprocess.run(["modprobe", "-a", *(f"ip_vs_{name}" for name in SCHEDULERS)], check=False)
    # With one processor, a thread that was woken runs before a sleeper's next step.
    Path("/sys/devices/system/cpu/cpu1/online").write_text("0")
    # A name nobody knows would start modprobe each time.
    Path("/proc/sys/kernel/modprobe").write_text("\n")
    (directory / "ready").touch()
    number = 0
    while not (directory / "stop").exists():
        request = directory / f"request-{number}"
        if not request.exists():
            time.sleep(POLL_SECONDS)
            continue
        with request.open("rb") as sequences:
            done = subprocess.run([player], stdin=sequences, capture_output=True, check=False)
        name = "answer" if done.returncode == 0 else "failure"
        unfinished = directory / "unfinished"
        unfinished.write_bytes(done.stdout if done.returncode == 0 else done.stderr)
        os.rename(unfinished, directory / f"{name}-{number}")
        number += 1


main()
