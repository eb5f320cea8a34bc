#!/usr/bin/env python3
"""Records what the schedulers of a real kernel choose, for recorded_choices_test.cpp.

Run it as root on a machine (or VM) with ip_vs that nobody needs otherwise; it writes random but
reproducible scenarios to standard output, one event per line:

    scenario SCHEDULER FLAGS ADDRESS     a new service, no destinations yet
    add NAME ADDRESS WEIGHT UPPER LOWER  set NAME WEIGHT UPPER LOWER      del NAME
    bind SCHEDULER                       the service changes its scheduler
    pick ADDRESS PORT NAME               a new client, and where it went ("-": nowhere)

usage: record_choices.py tcp|udp

A TCP connection gets no further than its SYN and counts as active, a UDP connection never does. All
stay open until the scenario ends; one that takes longer than a connection lives is dropped.
"""

import random
import re
import socket
import subprocess
import sys
import time

FLAGS = {"sh": (0, 8, 16, 24), "mh": (0, 8, 16, 24)}
FLAG_NAMES = {"sh": {8: "sh-fallback", 16: "sh-port"}, "mh": {8: "mh-fallback", 16: "mh-port"}}
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "mh", "lblc", "lblcr", "wrr")
ROUNDS = 3
SHORTEST_LIFE = 55  # seconds; a connection in SYN_RECV has 60

PROTOCOL = sys.argv[1] if len(sys.argv) == 2 else None
SERVICE = {"tcp": "-t", "udp": "-u"}
SOCKET = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def run(*command):
    subprocess.run(command, check=True)


class Scenario:
    """One service, and what has been done to it."""

    def __init__(self, number, rng):
        self.rng = rng
        self.scheduler = SCHEDULERS[number % len(SCHEDULERS)]
        self.flags = rng.choice(FLAGS.get(self.scheduler, (0,)))
        self.address = f"10.0.{number}.1"
        self.number = number
        self.destinations = {}  # name -> address
        self.events = []
        self.clients = 0
        run("ipvsadm", "-A", SERVICE[PROTOCOL], f"{self.address}:80", "-s", self.scheduler, *self.flag_options())
        self.log("scenario", self.scheduler, self.flags, self.address)

    def flag_options(self):
        names = [n for bit, n in FLAG_NAMES.get(self.scheduler, {}).items() if self.flags & bit]
        return ["-b", ",".join(names)] if names else []

    def log(self, *words):
        self.events.append(" ".join(str(word) for word in words))

    def configure(self, verb, name, *options):
        run(
            "ipvsadm", verb, SERVICE[PROTOCOL], f"{self.address}:80", "-r", f"{self.destinations[name]}:80", *options
        )

    def settings(self):
        upper = self.rng.choice((0, 0, 0, 2, 5))
        return self.rng.choice((0, 1, 1, 2, 3, 4, 6, 10)), upper, self.rng.randint(0, upper)

    def add(self):
        free = [name for name in "ABCDEFGH" if name not in self.destinations]
        if not free:
            return
        name = self.rng.choice(free)
        self.destinations[name] = f"10.1.{self.number}.{self.rng.randint(1, 30) * 8 + ord(name) - 65}"
        weight, upper, lower = self.settings()
        self.configure("-a", name, "-m", "-w", str(weight), "-x", str(upper), "-y", str(lower))
        self.log("add", name, self.destinations[name], weight, upper, lower)

    def set(self):
        if not self.destinations:
            return
        name = self.rng.choice(sorted(self.destinations))
        weight, upper, lower = self.settings()
        self.configure("-e", name, "-m", "-w", str(weight), "-x", str(upper), "-y", str(lower))
        self.log("set", name, weight, upper, lower)

    def remove(self):
        if not self.destinations:
            return
        name = self.rng.choice(sorted(self.destinations))
        self.configure("-d", name)
        self.log("del", name)
        # A name that comes back is a new destination: the old one may live on in the trash.
        del self.destinations[name]

    def bind(self):
        if self.scheduler in FLAGS:
            return
        self.scheduler = self.rng.choice([s for s in ("rr", "wrr", "wlc") if s != self.scheduler])
        run("ipvsadm", "-E", SERVICE[PROTOCOL], f"{self.address}:80", "-s", self.scheduler)
        self.log("bind", self.scheduler)

    def pick(self, count):
        clients = []
        for _ in range(count):
            self.clients += 1
            client = (f"192.168.{self.number}.{self.rng.randint(1, 250)}", 1024 + self.clients)
            with socket.socket(socket.AF_INET, SOCKET[PROTOCOL]) as opener:
                opener.setblocking(False)
                opener.bind(client)
                opener.connect_ex((self.address, 80))
                if PROTOCOL == "udp":
                    send(opener)
            clients.append(client)
        chosen = read_connections()
        names = {address: name for name, address in self.destinations.items()}
        for client in clients:
            self.log("pick", *client, names.get(chosen.get(client), "-"))


def send(opener):
    try:
        opener.send(b"x")
    except OSError:
        pass  # dropped: no destination


def read_connections():
    """(client address, port) -> destination address. The table is read twice because an entry that
    expires between two pages of it makes the kernel skip another one."""
    result = {}
    for _ in range(2):
        with open("/proc/net/ip_vs_conn", encoding="ascii") as table:
            for line in table:
                fields = re.match(PROTOCOL.upper() + r" (\w{8}) (\w{4}) \w{8} \w{4} (\w{8})", line)
                if fields:
                    client, port, destination = (bytes.fromhex(field) for field in fields.groups())
                    key = socket.inet_ntoa(client), int.from_bytes(port, "big")
                    result[key] = socket.inet_ntoa(destination)
    return result


def main():
    if PROTOCOL not in SERVICE:
        sys.exit(__doc__)
    rng = random.Random(20230610)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "dummy0", "type", "dummy")
    run("ip", "address", "add", "10.255.0.1/8", "dev", "dummy0")
    run("ip", "link", "set", "dummy0", "up")
    run("ip", "route", "add", "local", "192.168.0.0/16", "dev", "lo")
    for number in range(ROUNDS * len(SCHEDULERS)):
        start = time.monotonic()
        scenario = Scenario(number, rng)
        for _ in range(rng.randint(1, 4)):
            scenario.add()
        for _ in range(8):
            scenario.pick(rng.randint(1, 7))
            rng.choices((scenario.add, scenario.set, scenario.remove, scenario.bind), (4, 4, 2, 1))[0]()
        scenario.pick(12)
        if time.monotonic() - start < SHORTEST_LIFE:
            print("\n".join(scenario.events), flush=True)
        else:
            print(f"scenario {number} took too long, dropped", file=sys.stderr)
        run("ipvsadm", "-C")
    release = open("/proc/sys/kernel/osrelease", encoding="ascii").read().strip()
    print(f"recorded with Linux {release}", file=sys.stderr)


if __name__ == "__main__":
    main()
