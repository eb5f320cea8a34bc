#!/usr/bin/python3
"""A kernel director and nlvsd keep each other's connections. On a kernel with ip_vs, as root:

    sudo tests/kernel/vm --seconds 1500 -- tests/kernel/sync.py [--only WORDS]

Two directors under keepalived with lvs_sync_daemon, one of them Linux's own IPVS, the other nlvsd.
Connections are established through the first; the second must list them as the first does; the
first dies and they go on through the second. In both directions, by both versions of the protocol.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tools"))
sys.dont_write_bytecode = True

from nlvslab.lab import Lab  # noqa: E402
from nlvslab.measure import LastingConnections, synced_connections, within  # noqa: E402
from nlvslab.system import LabError  # noqa: E402

METHODS = ("nat", "dr", "tun")
# Not ipip: it would refuse what the servers' own end of the tunnel takes.
MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "veth", "bridge", "tun", "fuse")
CASES = [
    (first, version) for version in (1, 0) for first in ("kernel", "nlvs")
]
# What /proc/net/ip_vs_conn_sync must show alike on both directors. Not "expires": it runs.
SAME = ("protocol", "client", "virtual", "destination", "state")


class Wrong(Exception):
    """The directors differ, or a connection is lost."""


def by_endpoint(director):
    return {(e["client"], e["virtual"]): e for e in synced_connections(director)}


def compare(first, second):
    """Every connection of the first on the second, as it is on the first."""
    ours, theirs = by_endpoint(first), by_endpoint(second)
    for key, one in ours.items():
        other = theirs.get(key)
        if other is None:
            raise Wrong(f"{second.name} does not know {one}")
        for word in SAME:
            if one[word] != other[word]:
                raise Wrong(f"{word}: {first.name} has {one}, {second.name} {other}")
        if other["origin"] != "SYNC":
            raise Wrong(f"origin of {other}")
        if abs(one["expires"] - other["expires"]) > 60:
            raise Wrong(f"expires: {first.name} has {one}, {second.name} {other}")


def hand_over(lab, version):
    first, second = lab.directors["director1"], lab.directors["director2"]
    for director in (first, second):
        director.run("sysctl", "-q", "-w", f"net.ipv4.vs.sync_version={version}")
    families = (4, 6) if version == 1 else (4,)
    addresses = [lab.topology.virtual_address(m, f) for m in METHODS for f in families]
    with LastingConnections(lab, addresses) as lasting:
        within(
            30, lambda: len(synced_connections(second)) >= len(addresses),
            f"{second.name} knows {len(addresses)} connections",
        )
        compare(first, second)
        first.crash()
        within(30, second.is_master, "take-over")
        time.sleep(2)
        seen = lasting.stop()
    for address, one in seen.items():
        if one["failure"] or len(one["servers"]) != 1:
            raise Wrong(f"{address}: {one}")
    longest = max(one["longest"] for one in seen.values())
    return f"{len(seen)} connections, longest answer {longest} s"


def run(first, version):
    second = "nlvs" if first == "kernel" else "kernel"
    lab = Lab(
        f"sync{os.getpid()}", directors=2, sync=True, slow=True, megabytes=64,
        engines={"director1": first, "director2": second},
    )
    lab.up()
    try:
        return hand_over(lab, version)
    except BaseException:
        for name, director in lab.directors.items():
            print(director.ipvsadm("-Ln"), director.ipvsadm("-Lnc"), flush=True)
            log = lab.state / name / "nlvsd.log"
            if log.exists():
                print(log.read_text(errors="replace")[-2000:], flush=True)
        raise
    finally:
        lab.down()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for module in MODULES:
        subprocess.run(["modprobe", "-q", module], check=False)
    failed = passed = 0
    for first, version in CASES:
        name = f"from {first} to {'nlvs' if first == 'kernel' else 'kernel'}, version {version}"
        if options.only not in name:
            continue
        try:
            print(f"ok     {name}: {run(first, version)}", flush=True)
            passed += 1
        except (Wrong, LabError) as error:
            print(f"FAILED {name}: {error}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
