#!/usr/bin/env python3
"""A port, its shadow interface and the mirror against the kernel's own tools.

    kni_test.py KNI_FORWARDER MIRROR_WATCHER

Needs root. Works in network namespaces of its own and removes them. Prints each expectation that
did not hold and ends with 1 if there was any.
"""

import json
import os
import random
import subprocess
import sys
import time

PREFIX = f"kni-{os.getpid()}"
DIRECTOR, CLIENT, MIRROR = (f"{PREFIX}-{name}" for name in ("d", "c", "m"))
failures = []


def expect(held, text):
    if not held:
        failures.append(text)
        print(f"FAILED: {text}", flush=True)


def run(namespace, *command, check=True, timeout=30):
    result = subprocess.run(
        ["ip", "netns", "exec", namespace, *command],
        capture_output=True, text=True, timeout=timeout, check=False,
    )
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr or result.stdout}")
    return result.stdout


def ip(namespace, text, check=True):
    return run(namespace, "ip", *text.split(), check=check)


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Program:
    """One of the test programs, asked by lines and answering by lines."""

    def __init__(self, namespace, *command):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"it died: {self.process.stderr.read()}")
        return line

    def ask(self, line):
        self.tell(line)
        return json.loads(self.read())

    def end(self):
        try:
            _, errors = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        expect(self.process.returncode == 0, f"it ended with {self.process.returncode}: {errors}")
        return errors


def make_pair():
    for namespace in (DIRECTOR, CLIENT):
        subprocess.run(["ip", "netns", "add", namespace], check=True)
    ip(DIRECTOR, "link add eth0 numtxqueues 2 numrxqueues 2 type veth peer name c0")
    ip(DIRECTOR, f"link set c0 netns {CLIENT}")
    ip(CLIENT, "addr add 10.9.0.1/24 dev c0")
    ip(CLIENT, "addr add fd09::1/64 dev c0 nodad")
    ip(CLIENT, "link set c0 up")
    # The wire takes checksums and segments as they are, a real one would not.
    run(CLIENT, "ethtool", "-K", "c0", "tx", "off", "tso", "off", "gso", "off")


def delete(*namespaces):
    for namespace in namespaces:
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


def start_forwarder(program, workers, huge, keep):
    forwarder = Program(DIRECTOR, program, "eth0", "dp0", str(workers), str(huge), str(keep))
    expect(forwarder.read().startswith("ready"), "the forwarder starts")
    return forwarder


def pings(namespace, address, count=3):
    output = run(namespace, "ping", "-c", str(count), "-i", "0.2", "-W", "1", address, check=False)
    return f" {count} received" in output, output


SERVER = """
import socket
listener = socket.create_server(('', 80), family=socket.{family})
print('listening', flush=True)
connection, _ = listener.accept()
total = 0
while data := connection.recv(65536):
    total += len(data)
connection.sendall(str(total).encode())
"""

CLIENT_CODE = """
import socket
connection = socket.create_connection(('{address}', 80), timeout=15)
connection.sendall(b'x' * {size})
connection.shutdown(socket.SHUT_WR)
print(connection.recv(100).decode())
"""


def transfer(server, client, address, size):
    """Sends bytes over TCP; what the server has counted."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    listener = Program(server, "python3", "-c", SERVER.format(family=family))
    try:
        listener.read()
        code = CLIENT_CODE.format(address=address, size=size)
        return run(client, "python3", "-c", code, check=False).strip()
    finally:
        listener.process.kill()
        listener.process.communicate()


def cpu_seconds(process):
    # "ip netns exec" becomes the program, so the process id is its own.
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bad_checksums(namespace, interface, action):
    """How many packets with a wrong checksum an action makes appear on an interface."""
    capture = subprocess.Popen(
        ["ip", "netns", "exec", namespace, "tcpdump", "-nvvl", "-i", interface, "ip", "or", "ip6"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    while "listening" not in capture.stderr.readline():
        if capture.poll() is not None:
            raise RuntimeError("tcpdump does not run")
    action()
    time.sleep(0.3)
    capture.terminate()
    output, _ = capture.communicate(timeout=10)
    expect("seq" in output, f"something was captured on {interface}")
    return output.count("incorrect") + output.count("bad cksum") + output.count("bad udp cksum")


def check_wire(program, workers, huge):
    print(f"wire, {workers} workers, {'hugepages' if huge else 'no hugepages'}", flush=True)
    make_pair()
    try:
        forwarder = start_forwarder(program, workers, huge, keep=0)
        ip(DIRECTOR, "addr add 10.9.0.2/24 dev dp0")
        ip(DIRECTOR, "addr add fd09::2/64 dev dp0 nodad")
        for namespace, address in (
            (CLIENT, "10.9.0.2"), (CLIENT, "fd09::2"), (DIRECTOR, "10.9.0.1"), (DIRECTOR, "fd09::1"),
        ):
            held, output = pings(namespace, address)
            expect(held, f"ping {address}: {output}")
        for server, client, address in (
            (DIRECTOR, CLIENT, "10.9.0.2"), (CLIENT, DIRECTOR, "10.9.0.1"), (DIRECTOR, CLIENT, "fd09::2"),
        ):
            counted = transfer(server, client, address, 3_000_000)
            expect(counted == "3000000", f"TCP to {address}: {counted!r} of 3000000")
        wrong = bad_checksums(
            CLIENT, "c0", lambda: transfer(CLIENT, DIRECTOR, "10.9.0.1", 20_000)
        )
        expect(wrong == 0, f"the kernel hands over complete checksums: {wrong} are not")

        neighbours = ip(DIRECTOR, "neigh show dev eth0")
        expect(not neighbours, f"the kernel does not speak on the NIC itself: {neighbours}")
        before, slept = cpu_seconds(forwarder.process), forwarder.ask("status")["sleeps"]
        time.sleep(2)
        used = cpu_seconds(forwarder.process) - before
        status = forwarder.ask("status")
        expect(used < 0.1, f"idle workers use {used / 2:.1%} of a core")
        expect(status["sleeps"] > slept, "idle workers sleep")
        expect(status["mtu"] == 1500 and status["link"] == 1, f"the port's state: {status}")
        if workers > 1:
            expect(sum(1 for n in status["queues"] if n > 0) > 1, f"queues share: {status}")

        forwarder.tell("carrier 0")
        down = wait_for(lambda: "NO-CARRIER" in ip(DIRECTOR, "link show dp0"))
        expect(down, "the shadow interface follows the NIC's link down")
        forwarder.tell("carrier 1")
        up = wait_for(lambda: "LOWER_UP" in ip(DIRECTOR, "link show dp0"))
        expect(up, "and up again")

        forwarder.end()
        expect("dp0" not in ip(DIRECTOR, "link show"), "the shadow interface goes with the daemon")
        expect("nlvs" not in run(DIRECTOR, "nft", "list", "ruleset"), "the NIC is the kernel's again")
    finally:
        delete(DIRECTOR, CLIENT)


def check_wake_up(program):
    print("first packet after idle", flush=True)
    make_pair()
    try:
        forwarder = start_forwarder(program, 1, 1, keep=0)
        ip(DIRECTOR, "addr add 10.9.0.2/24 dev dp0")
        pings(CLIENT, "10.9.0.2")
        output = run(CLIENT, "ping", "-c", "10", "-i", "0.25", "-W", "1", "10.9.0.2", check=False)
        times = sorted(
            float(line.split("time=")[1].split()[0]) for line in output.splitlines() if "time=" in line
        )
        # There and back are two wake-ups. The best of ten: other work on the machine is not ours.
        expect(bool(times) and times[0] < 0.4, f"round trips in ms after idling: {times}")
        forwarder.end()
    finally:
        delete(DIRECTOR, CLIENT)


def check_restart(program):
    print("restart", flush=True)
    make_pair()
    try:
        start_forwarder(program, 1, 1, keep=1).end()
        ip(DIRECTOR, "addr add 10.9.0.2/24 dev dp0")
        ip(DIRECTOR, "addr add fd09::2/64 dev dp0 nodad")
        ip(DIRECTOR, "route add 10.8.0.0/16 via 10.9.0.1")
        ip(DIRECTOR, "route add fd08::/64 via fd09::1")

        def configuration():
            return [
                {key: entry.get(key) for key in ("dst", "gateway", "dev", "local", "prefixlen")}
                for what in ("addr show dev dp0 scope global", "route show", "-6 route show")
                for entry in json.loads(ip(DIRECTOR, f"-j {what}"))
            ]

        before = configuration()
        index = json.loads(ip(DIRECTOR, "-j link show dp0"))[0]["ifindex"]
        # This one would take the netdev with it, but dies before.
        second = start_forwarder(program, 2, 1, keep=0)
        expect(configuration() == before, f"configuration with a new daemon: {configuration()}")
        expect(json.loads(ip(DIRECTOR, "-j link show dp0"))[0]["ifindex"] == index, "the same netdev")
        expect(pings(CLIENT, "10.9.0.2")[0], "the address works again")
        second.process.kill()
        second.process.communicate()
        expect(configuration() == before, f"configuration after a crash: {configuration()}")
        expect("nlvs" not in run(DIRECTOR, "nft", "list", "ruleset"), "a crash gives the NIC back")
        ip(DIRECTOR, "link set dp0 down")
        third = start_forwarder(program, 1, 1, keep=1)
        flags = json.loads(ip(DIRECTOR, "-j link show dp0"))[0]["flags"]
        expect("UP" not in flags, f"what was set down stays down: {flags}")
        third.end()
        ip(DIRECTOR, "link del dp0")
    finally:
        delete(DIRECTOR, CLIENT)


def check_refusals(program):
    print("refusals", flush=True)
    make_pair()
    try:
        ip(DIRECTOR, "link add taken type veth peer name other")
        ip(DIRECTOR, "tuntap add mode tap multi_queue name framed")
        first = start_forwarder(program, 1, 1, keep=0)
        for device, shadow, reason in (
            ("eth0", "dp1", "already taken"), ("eth9", "dp1", "no netdev named eth9"),
            ("c9,iface=x", "dp1", "no netdev named"), ("net_none0", "dp1", "librte_net_none"),
        ):
            result = subprocess.run(
                ["ip", "netns", "exec", DIRECTOR, program, device, shadow, "1", "0", "0"],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False,
            )
            said = result.stderr.strip()
            expect(result.returncode == 1 and reason in said and "\n" not in said, f"{device}: {said}")
        first.end()
        for shadow in ("taken", "framed", "much-too-long-a-name"):
            result = subprocess.run(
                ["ip", "netns", "exec", DIRECTOR, program, "eth0", shadow, "1", "0", "0"],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False,
            )
            said = result.stderr.strip()
            expect(result.returncode == 1 and shadow in said and "\n" not in said, f"{shadow}: {said}")
    finally:
        delete(DIRECTOR, CLIENT)


class RandomConfiguration:
    """Makes random changes with ip(8), many of which the kernel refuses, as with people."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = 0

    def command(self):
        pick = self.random.choice
        link = pick(("a0", "b0", "a1"))
        self.made += 1
        octet = self.random.randrange(1, 6)
        prefix4 = pick(("10.20.0.0/16", "10.21.0.0/16", "10.20.7.0/24", "default", "192.0.2.1/32"))
        prefix6 = pick(("fd20::/32", "fd21::/48", "default", "2001:db8::1/128"))
        via4, via6 = f"10.1.0.{octet}", f"fd01::{octet}"
        return pick((
            f"addr {pick(('add', 'del'))} 10.1.{pick((0, 0, 1))}.{octet}/24 dev {link}",
            f"addr {pick(('add', 'del'))} 10.99.0.{octet}/32 dev {link}",
            f"addr {pick(('add', 'del'))} fd01::{octet}0/64 dev {link} nodad",
            f"link set {link} {pick(('up', 'up', 'down'))}",
            f"link set {link} mtu {pick((1400, 1500))}",
            f"link add extra{octet} type veth peer name peer{octet}",
            f"link del extra{octet}",
            f"neigh replace 10.1.0.{octet + 100} lladdr 02:00:00:00:00:0{octet} dev {link}",
            f"neigh del 10.1.0.{octet + 100} dev {link}",
            f"route {pick(('add', 'append', 'replace', 'prepend', 'del'))} {prefix4} via {via4}",
            f"route {pick(('add', 'append', 'replace', 'del'))} {prefix4} dev {link} metric {octet}",
            f"route {pick(('add', 'replace'))} {prefix4} src 10.99.0.{octet} dev {link}",
            f"route replace {prefix4} nexthop via {via4} weight {octet} nexthop via 10.1.0.9",
            f"route {pick(('add', 'del'))} blackhole 10.30.{octet}.0/24",
            f"-6 route {pick(('add', 'append', 'replace', 'del'))} {prefix6} via {via6}",
            f"-6 route {pick(('add', 'replace', 'del'))} {prefix6} dev {link} metric {octet}",
            f"-6 route replace {prefix6} nexthop via {via6} nexthop via fd01::9",
            f"nexthop {pick(('add', 'replace'))} id {octet} via {via4} dev {link}",
            f"nexthop del id {octet}",
            f"nexthop replace id {octet + 10} group {octet}/{octet + 1}",
            f"route {pick(('replace', 'del'))} 10.40.{octet}.0/24 nhid {pick((octet, octet + 10))}",
            f"rule {pick(('add', 'del'))} from 10.0.0.{octet} table {100 + octet} prio {100 + octet}",
        ))


def kernel_routes(namespace, indices):
    def way(entry):
        gateway = entry.get("gateway") or entry.get("via", {}).get("host", "")
        return [indices.get(entry["dev"], 0), gateway, entry.get("weight", 1)]

    routes = []
    for family, any_address, bits in (("-4", "0.0.0.0/0", 32), ("-6", "::/0", 128)):
        for entry in json.loads(ip(namespace, f"{family} -j -N -d route show table all")):
            destination = entry["dst"]
            if destination == "default":
                destination = any_address
            elif "/" not in destination:
                destination = f"{destination}/{bits}"
            ways = [way(hop) for hop in entry.get("nexthops", [])]
            if not ways and "dev" in entry:
                ways = [way(entry)]
            table = int(entry.get("table", 254))
            routes.append([destination, table, int(entry.get("metric", 0)), ways])
    return routes


def kernel_state(namespace):
    links = json.loads(ip(namespace, "-j link show"))
    indices = {link["ifname"]: link["ifindex"] for link in links}
    return {
        "links": sorted(
            [link["ifindex"], link["ifname"], link["mtu"], "UP" in link["flags"], link["address"]]
            for link in links
        ),
        "addresses": sorted(
            [link["ifindex"], address["local"], address["prefixlen"]]
            for link in json.loads(ip(namespace, "-j addr show"))
            for address in link["addr_info"]
            # The kernel announces an IPv6 address when it has found it to be unique.
            if not address.get("tentative")
        ),
        "neighbours": sorted(
            [indices[entry["dev"]], entry["dst"], entry["lladdr"]]
            for entry in json.loads(ip(namespace, "-j neigh show nud permanent"))
        ),
        "routes": sorted(kernel_routes(namespace, indices)),
        "rules": len(json.loads(ip(namespace, "-4 -j rule show")))
        + len(json.loads(ip(namespace, "-6 -j rule show"))),
    }


def mirror_state(said):
    state = {name: sorted(said[name]) for name in ("links", "addresses", "routes")}
    permanent = [entry for entry in said["neighbours"] if entry[1].startswith("10.1.0.10")]
    state["neighbours"] = sorted(permanent)
    state["rules"] = said["rules"]
    return state


def compare(namespace, watcher, text):
    # The kernel still changes by itself (addresses, carriers), and the mirror finds out about routes
    # that went without a message only by its next dump: another look must agree soon.
    end = time.monotonic() + 5
    while True:
        mirrored, actual = mirror_state(watcher.ask("")), kernel_state(namespace)
        if mirrored == actual:
            return
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    for name, expected in actual.items():
        if mirrored[name] != expected:
            surplus = [entry for entry in mirrored[name] if entry not in expected] \
                if isinstance(expected, list) else mirrored[name]
            missing = [entry for entry in expected if entry not in mirrored[name]] \
                if isinstance(expected, list) else expected
            expect(False, f"{text}: {name}: not in the kernel {surplus}, not in the mirror {missing}")


def check_mirror(program, receive_buffer, rounds, seed):
    small = receive_buffer is not None
    print(f"mirror, {'small' if small else 'normal'} buffer, seed {seed}", flush=True)
    subprocess.run(["ip", "netns", "add", MIRROR], check=True)
    try:
        ip(MIRROR, "link set lo up")
        ip(MIRROR, "link add a0 type veth peer name a1")
        ip(MIRROR, "link add b0 type veth peer name b1")
        for link in ("a0", "a1", "b0", "b1"):
            ip(MIRROR, f"link set {link} up")
        ip(MIRROR, "addr add 10.1.0.200/24 dev a0")
        ip(MIRROR, "addr add fd01::200/64 dev a0 nodad")
        watcher = Program(MIRROR, program, *([str(receive_buffer)] if small else []))
        compare(MIRROR, watcher, "at the start")
        configuration = RandomConfiguration(seed)
        for number in range(rounds):
            batch = "\n".join(configuration.command() for _ in range(40)) + "\n"
            subprocess.run(
                ["ip", "-n", MIRROR, "-force", "-batch", "-"],
                input=batch, capture_output=True, text=True, timeout=60, check=False,
            )
            compare(MIRROR, watcher, f"round {number}")
        if small:
            # More than any such buffer holds, whatever the rounds were about.
            for change in ("add", "del"):
                batch = "".join(
                    f"route {change} 10.9.{i // 256}.{i % 256} dev lo\n" for i in range(2000)
                )
                subprocess.run(
                    ["ip", "-n", MIRROR, "-batch", "-"], input=batch, text=True, timeout=60,
                    check=True,
                )
                compare(MIRROR, watcher, f"2000 routes, {change}")
        said = watcher.ask("")
        if small:
            expect(said["overflows"] > 0 and said["resyncs"] > 1, f"the buffer overflowed: {said['overflows']}")
        else:
            expect(said["resyncs"] == 1, f"one dump was enough: {said['resyncs']}")
        watcher.end()
    finally:
        delete(MIRROR)


def main():
    if os.geteuid() != 0:
        print("needs root")
        return 77
    forwarder, watcher = (os.path.abspath(path) for path in sys.argv[1:3])
    seed = int(os.environ.get("NLVS_SEED", time.time_ns() % 100_000))
    check_mirror(watcher, None, 12, seed)
    check_mirror(watcher, 4096, 6, seed + 1)
    check_wire(forwarder, 1, 1)
    check_wire(forwarder, 2, 0)
    check_wake_up(forwarder)
    check_restart(forwarder)
    check_refusals(forwarder)
    print(f"{len(failures)} expectations did not hold" if failures else "all expectations held")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
