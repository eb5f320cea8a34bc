"""What demo and tests measure with: counted traffic, ipvsadm's figures, exact packet counts."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .system import PATIENCE, LabError, wait_until

HERE = Path(__file__).resolve().parent
TRAFFIC = HERE / "traffic.py"


@dataclass
class Traffic:
    """What a client saw."""

    requests: int
    answers: dict
    failed: int
    failures: list

    @property
    def answered(self):
        return sum(self.answers.values())

    def describe(self):
        shares = " ".join(f"{name}:{count}" for name, count in sorted(self.answers.items()))
        text = f"{self.requests} requests, {self.failed} failed, {shares or 'no answers'}"
        if self.failures:
            text += f" (first failure: {self.failures[0]['error']})"
        return text


def _words(kind, address, port, count, options):
    words = [sys.executable, TRAFFIC, kind, address, port, count]
    for key, value in options.items():
        words += [f"--{key.replace('_', '-')}"] + ([] if value is True else [value])
    return words


def traffic(lab, kind, address, port, count, **options):
    """Runs count requests on the client and returns what became of them."""
    options.setdefault("timeout", 2.0 * PATIENCE)
    text = lab.client.run(
        *_words(kind, address, port, count, options), timeout=20 + count * 0.5
    )
    return Traffic(**json.loads(text))


class BackgroundTraffic:
    """Requests that go on while something happens to the lab."""

    def __init__(self, lab, kind, address, port, count=0, **options):
        options.setdefault("timeout", 1.0 * PATIENCE)
        self.held = kind == "hold"
        if not self.held:
            options["until_stopped"] = True
        command = lab.client.command(*_words(kind, address, port, count, options))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if not self.held and self.process.stdout.readline().strip() != "ready":
            raise LabError("the client did not start")

    def first_result(self):
        """Of 'hold': once every connection is open."""
        line = self.process.stdout.readline()
        if not line:
            raise LabError("the client ended without a result")
        return Traffic(**json.loads(line))

    def stop(self):
        # The end of its standard input tells "hold" to go on; communicate() closes it.
        if not self.held and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=60 * PATIENCE)
        return Traffic(**json.loads(text.strip().splitlines()[-1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


COUNTERS = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")


def ipvs_table(director, *options):
    """{(protocol, virtual): (figures, {server: figures})} of 'ipvsadm -Ln --exact' with options."""
    table, figures = {}, None
    for line in director.ipvsadm("-Ln", "--exact", *options).splitlines():
        words = line.split()
        if not words or words[0] in ("IP", "Prot") or words[:2] == ["->", "RemoteAddress:Port"]:
            continue
        if words[0] == "->":
            figures[1][words[1]] = [int(word) for word in words[2:7]]
        else:
            figures = ([int(word) for word in words[2:7]], {})
            table[(words[0], words[1])] = figures
    return table


def ipvs_statistics(director):
    """Counters of each service: (protocol, virtual) -> {counter: value} and per server."""
    return {
        key: (dict(zip(COUNTERS, own)), {s: dict(zip(COUNTERS, v)) for s, v in servers.items()})
        for key, (own, servers) in ipvs_table(director, "--stats").items()
    }


def ipvs_connections(director):
    """Entries of 'ipvsadm -Lcn' as dictionaries."""
    entries = []
    for line in director.ipvsadm("-Lcn").splitlines()[2:]:
        protocol, expire, state, source, virtual, destination = line.split()[:6]
        entries.append(
            {
                "protocol": protocol, "expire": expire, "state": state,
                "source": source, "virtual": virtual, "destination": destination,
            }
        )
    return entries


def synced_connections(director):
    """Entries of /proc/net/ip_vs_conn_sync as dictionaries; addresses as the file has them."""
    entries = []
    for line in director.run("cat", "/proc/net/ip_vs_conn_sync").splitlines()[1:]:
        words = line.split()
        entries.append(
            {
                "protocol": words[0], "client": tuple(words[1:3]), "virtual": tuple(words[3:5]),
                "destination": tuple(words[5:7]), "state": words[7], "origin": words[8],
                "expires": int(words[9]),
            }
        )
    return entries


class LastingConnections:
    """Connections to the addresses that are opened once and used until stop(): see lasting.py."""

    def __init__(self, lab, addresses):
        self.process = subprocess.Popen(
            lab.client.command(sys.executable, HERE / "lasting.py", *addresses),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            raise LabError("the lasting connections did not begin")

    def stop(self):
        """{address: {"port", "servers", "answers", "longest", "failure"}}"""
        text, _ = self.process.communicate(timeout=60 * PATIENCE)
        return json.loads(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class PacketCounter:
    """Counts, with nftables on the client, the packets and bytes of one service both ways: what
    the director's statistics must equal. Layer-3 lengths, as IPVS counts."""

    def __init__(self, lab, address, protocol, port):
        self.lab = lab
        family = "ip6" if ":" in address else "ip"
        self.table = f"count_{protocol}_{port}"
        script = f"""
            table inet {self.table} {{
                counter sent {{ }}
                counter received {{ }}
                chain output {{
                    type filter hook output priority 300;
                    {family} daddr {address} {protocol} dport {port} counter name sent
                }}
                chain input {{
                    type filter hook input priority -300;
                    {family} saddr {address} {protocol} sport {port} counter name received
                }}
            }}"""
        lab.client.run("nft", "delete", "table", "inet", self.table, check=False)
        lab.client.run("nft", script)

    def read(self):
        """{in_packets, in_bytes, out_packets, out_bytes} seen from the director."""
        text = self.lab.client.run("nft", "-j", "list", "counters", "table", "inet", self.table)
        result = {}
        for item in json.loads(text)["nftables"]:
            if "counter" in item:
                way = "in" if item["counter"]["name"] == "sent" else "out"
                result[f"{way}_packets"] = item["counter"]["packets"]
                result[f"{way}_bytes"] = item["counter"]["bytes"]
        return result

    def remove(self):
        self.lab.client.run("nft", "delete", "table", "inet", self.table, check=False)


def within(seconds, condition, what):
    """Seconds until condition() held; LabError after the time limit."""
    started = time.monotonic()
    wait_until(condition, seconds, what, interval=0.05)
    return time.monotonic() - started
