#!/usr/bin/python3
"""The body of tools/demo: each step says what it does, does it with real traffic, and checks it.

With --kernel Linux's own IPVS takes nlvsd's place (needs the ip_vs module): the same steps must
hold there, which is how this script is itself checked.
"""

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from nlvslab.lab import STATE_ROOT, Lab  # noqa: E402
from nlvslab.measure import (  # noqa: E402
    PATIENCE,
    BackgroundTraffic,
    ipvs_connections,
    ipvs_statistics,
    ipvs_table,
    traffic,
    within,
)
from nlvslab.system import LabError  # noqa: E402
from nlvslab.topology import ECHO_PORT, HTTP_PORT, WEIGHTED_PORT  # noqa: E402

NAME = "demo"
METHODS = {"nat": "NAT", "dr": "direct routing", "tun": "IP-in-IP tunnel"}


def bracketed(address):
    return f"[{address}]" if ":" in address else address


class Demonstration:
    def __init__(self, lab):
        self.lab = lab
        self.topology = lab.topology
        self.passed = self.failed = 0

    # -- telling and checking ---------------------------------------------------------------

    def say(self, text):
        print(f"\n{text}", flush=True)

    def check(self, held, text):
        if held:
            self.passed += 1
        else:
            self.failed += 1
        print(f"  {'ok    ' if held else 'FAILED'} {text}", flush=True)
        return held

    def show(self, node, *words):
        """Runs a command a user would type, and prints both."""
        print(f"  {node}# {' '.join(words)}")
        for line in self.lab.directors[node].run(*words).splitlines():
            print(f"    {line}")

    def step(self, title, method):
        self.say(title)
        try:
            method()
        except LabError as error:
            self.check(False, str(error))

    def vip(self, method, family):
        return self.topology.virtual_address(method, family)

    # -- the steps --------------------------------------------------------------------------

    def spread(self, family):
        """Round robin gives every server the same number; weights 1:2:3 their proportion."""
        names = self.topology.real_servers
        address = self.vip("nat", family)
        seen = traffic(self.lab, "http", address, HTTP_PORT, 30)
        self.check(
            seen.answers == {name: 10 for name in names},
            f"rr, {bracketed(address)}:{HTTP_PORT}: {seen.describe()}",
        )
        seen = traffic(self.lab, "http", address, WEIGHTED_PORT, 60)
        expected = {name: 10 * weight for weight, name in enumerate(names, start=1)}
        self.check(
            seen.answers == expected,
            f"wrr with weights 1:2:3, {bracketed(address)}:{WEIGHTED_PORT}: {seen.describe()}",
        )

    def udp(self):
        for family in (4, 6):
            address = self.vip("nat", family)
            seen = traffic(self.lab, "udp", address, ECHO_PORT, 30)
            expected = {name: 10 for name in self.topology.real_servers}
            self.check(
                seen.answers == expected,
                f"UDP {bracketed(address)}:{ECHO_PORT}: {seen.describe()}",
            )

    def methods(self):
        expected = {name: 8 for name in self.topology.real_servers}
        for method, title in METHODS.items():
            for family in (4, 6):
                for kind, port in (("http", HTTP_PORT), ("udp", ECHO_PORT)):
                    seen = traffic(self.lab, kind, self.vip(method, family), port, 24)
                    self.check(
                        seen.answers == expected,
                        f"{title}, {kind} over IPv{family}: {seen.describe()}",
                    )

    def statistics(self):
        master = self.lab.wait_for_master()
        address = self.vip("nat", 4)
        key = ("TCP", f"{address}:{HTTP_PORT}")
        # As with the kernel, ipvsadm shows and clears the counters of the last estimation, which is
        # made every two seconds.
        time.sleep(2.5)
        master.ipvsadm("-Z")
        seen = traffic(self.lab, "http", address, HTTP_PORT, 60)
        with suppress(LabError):
            within(
                4, lambda: ipvs_statistics(master)[key][0]["connections"] == 60, "statistics"
            )
        self.show(master.name, "ipvsadm", "-Ln", "--stats", "-t", key[1])
        own, servers = ipvs_statistics(master)[key]
        self.check(
            own["connections"] == seen.answered == 60,
            f"{own['connections']} connections counted, {seen.answered} requests answered",
        )
        self.check(
            {s: v["connections"] for s, v in servers.items()}
            == {f"{self.topology.real_address(n, 4)}:{HTTP_PORT}": 20
                for n in self.topology.real_servers},
            "each server was counted its 20 connections",
        )
        with BackgroundTraffic(self.lab, "http", address, HTTP_PORT, interval=0.02):
            within(20, lambda: ipvs_table(master, "--rate")[key][0][0] >= 5, "a rate to show")
            self.show(master.name, "ipvsadm", "-Ln", "--rate", "-t", key[1])
            rates = ipvs_table(master, "--rate")[key][0]
        self.check(
            all(rates), f"--rate: {rates[0]} connections/s, {rates[1]} and {rates[2]} packets/s"
        )

    def connections(self):
        master = self.lab.wait_for_master()
        address = self.vip("nat", 4)
        virtual = f"{address}:{HTTP_PORT}"
        ports = {f"{self.topology.client_address(4)}:{port}" for port in range(50000, 50006)}
        with BackgroundTraffic(
            self.lab, "hold", address, HTTP_PORT, 6, source_port=50000
        ) as held:
            held.first_result()
            entries = [e for e in ipvs_connections(master) if e["virtual"] == virtual]
            established = {e["source"] for e in entries if e["state"] == "ESTABLISHED"}
            self.show(master.name, "sh", "-c", "ipvsadm -Lcn | grep -E 'source|ESTABLISHED'")
            self.check(
                established == ports,
                "ipvsadm -Lcn shows as ESTABLISHED exactly the 6 connections the client holds",
            )
            after = held.stop()
        self.check(after.failed == 0, f"and they still work: {after.describe()}")

    def dead_server(self):
        master = self.lab.wait_for_master()
        address, victim = self.vip("nat", 4), self.lab.real_servers["rs2"]
        server = f"{self.topology.real_address('rs2', 4)}:{HTTP_PORT}"
        key = ("TCP", f"{address}:{HTTP_PORT}")

        def in_service():
            return server in [name for name, _ in master.services()[key]]

        victim.kill_nginx()
        seconds = within(5, lambda: not in_service(), "keepalived removes the dead server")
        self.check(True, f"nginx of rs2 killed; keepalived removed it after {seconds:.1f} s")
        seen = traffic(self.lab, "http", address, HTTP_PORT, 300)
        self.check(
            seen.failed == 0 and set(seen.answers) == {"rs1", "rs3"},
            f"from then on: {seen.describe()}",
        )
        victim.start_nginx()
        seconds = within(5, in_service, "keepalived takes the server back")
        self.check(True, f"nginx of rs2 started; back in service after {seconds:.1f} s")
        self.lab.wait_for_services()
        seen = traffic(self.lab, "http", address, HTTP_PORT, 30)
        self.check(seen.answers.get("rs2") == 10, f"and served: {seen.describe()}")

    def failover(self):
        master = self.lab.wait_for_master()
        backup = next(d for d in self.lab.directors.values() if d is not master)
        address = self.vip("nat", 4)
        with BackgroundTraffic(self.lab, "http", address, HTTP_PORT, interval=0.02) as stream:
            time.sleep(1)
            killed = time.time()
            master.crash()
            seconds = within(10, backup.is_master, "the backup takes the addresses")
            self.check(
                True, f"{master.name} killed; {backup.name} has the addresses after {seconds:.1f} s"
            )
            taken = time.time()
            time.sleep(2 * PATIENCE)
            seen = stream.stop()
        # A request that was under way at the take-over ends with its own time limit.
        late = [f for f in seen.failures if f["time"] > taken + 1 * PATIENCE]
        early = [f for f in seen.failures if f["end"] < killed]
        outage = max((f["end"] for f in seen.failures), default=killed) - killed
        self.check(
            not late and not early,
            f"a client that never stopped asking: {seen.requests} requests, {seen.failed} failed,"
            f" all during {outage:.1f} s around the failure",
        )
        for family in (4, 6):
            for method in METHODS:
                seen = traffic(self.lab, "http", self.vip(method, family), HTTP_PORT, 30)
                self.check(
                    seen.failed == 0 and len(seen.answers) == len(self.topology.real_servers),
                    f"{METHODS[method]} over IPv{family} through {backup.name}: {seen.describe()}",
                )
        self.say(f"{master.name} comes back: keepalived's priorities make it master again.")
        master.revive()
        seconds = within(15, lambda: self.lab.master() is master, "the old master takes over")
        self.lab.wait_for_services()
        seen = traffic(self.lab, "http", address, HTTP_PORT, 30)
        self.check(
            seen.failed == 0, f"{master.name} is master after {seconds:.1f} s: {seen.describe()}"
        )

    def addresses_by_hand(self):
        master = self.lab.wait_for_master()
        address = self.topology.front.ipv4(150)
        virtual = f"{address}:{HTTP_PORT}"
        server = f"{self.topology.real_address('rs1', 4)}:{HTTP_PORT}"
        self.show(master.name, "ipvsadm", "-A", "-t", virtual, "-s", "rr")
        self.show(master.name, "ipvsadm", "-a", "-t", virtual, "-r", server, "-m")
        seen = traffic(self.lab, "http", address, HTTP_PORT, 1, timeout=0.5)
        self.check(seen.answered == 0, "a service without its address: nobody answers")
        self.show(master.name, "ip", "addr", "add", f"{address}/32", "dev", "dp0")

        def answers():
            return traffic(self.lab, "http", address, HTTP_PORT, 1, timeout=0.3).answered

        within(5, answers, f"an answer from {address}")
        seen = traffic(self.lab, "http", address, HTTP_PORT, 10)
        self.check(seen.answers == {"rs1": 10}, f"with its address: {seen.describe()}")
        self.show(master.name, "ip", "addr", "del", f"{address}/32", "dev", "dp0")
        within(5, lambda: not answers(), f"silence of {address}")
        seen = traffic(self.lab, "http", address, HTTP_PORT, 2, timeout=0.5)
        self.check(seen.answered == 0, "and without it again: nobody answers")
        self.show(master.name, "ipvsadm", "-D", "-t", virtual)

    def run(self):
        self.step("HTTP over IPv4, spread by round robin and by weight.", lambda: self.spread(4))
        self.step("The same over IPv6.", lambda: self.spread(6))
        self.step("UDP, a question and an answer.", self.udp)
        self.step("Three ways to forward: NAT, direct routing, tunnel.", self.methods)
        self.step("The statistics count what passed.", self.statistics)
        self.step("The connections are listed.", self.connections)
        self.step("A real server dies; keepalived's health check notices.", self.dead_server)
        self.step("An address added with ip takes effect, and removed.", self.addresses_by_hand)
        self.step("The master director dies; VRRP moves the addresses.", self.failover)


def main(arguments):
    keep, engine = "--keep" in arguments, "kernel" if "--kernel" in arguments else "nlvs"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if (STATE_ROOT / NAME).exists():
        print(f"removing the lab '{NAME}' of an earlier run")
        try:
            Lab.load(NAME).down()
        except LabError:
            Lab(NAME).down()
    lab = Lab(NAME, engine=engine)
    print("bringing up a client, a router, two directors and three real servers...", flush=True)
    demonstration = Demonstration(lab)
    try:
        lab.up()
        master = lab.wait_for_master()
        demonstration.show(master.name, "ip", "-brief", "addr", "show", "dev", "dp0")
        demonstration.show(master.name, "ipvsadm", "-Ln")
        demonstration.run()
    except LabError as error:
        demonstration.check(False, str(error))
    except KeyboardInterrupt:
        demonstration.check(False, "interrupted")
    finally:
        if keep and lab.state.exists():
            print(f"\nThe lab stays up. Try: tools/lab exec -n {NAME} director1 -- ipvsadm -Ln")
            print(f"Remove it with: tools/lab down {NAME}")
        elif lab.state.exists():
            lab.down(keep_logs=demonstration.failed > 0)
    print(f"\n{demonstration.passed} passed, {demonstration.failed} failed")
    return 1 if demonstration.failed or not demonstration.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
