"""Plays scenarios at a director between two links and says what it sent, packet by packet.

Only the standard library, so that a virtual machine starts it fast. The director is a namespace with
eth0 towards clients and eth1 towards servers; the other ends are packet sockets: nobody but the
director ever speaks. What IPVS leaves to the host's own stack is dropped behind it and counted.
"""

import contextlib
import ctypes
import fcntl
import itertools
import os
import select
import socket
import struct
import subprocess
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
SIDES = {"client": ("eth0", "c0"), "server": ("eth1", "s0")}
DIRECTOR_MAC, OTHER_MAC = "02:00:00:00:00:d0", "02:00:00:00:00:c1"
NEIGHBOURS = {
    "eth0": [f"10.0.0.{n}" for n in (100, 101, 102, 103, 254)]
    + [f"2001:db8::{n}" for n in (100, 101, 102, 103, 254)],
    "eth1": [f"192.168.1.{n}" for n in (2, 3, 4, 5, 254)]
    + [f"2001:db8:1::{n}" for n in (2, 3, 4, 5, 254)],
}
ADDRESSES = {
    "eth0": ["10.0.0.1/24", "2001:db8::1/64", "10.0.0.10/32", "2001:db8::10/128"],
    "eth1": ["192.168.1.1/24", "2001:db8:1::1/64"],
}
ROUTES = {
    "client": [("", "10.0.0.0/24", "eth0 src 10.0.0.1"), ("-6 ", "2001:db8::/64", "eth0 metric 256")],
    "server": [("", "192.168.1.0/24", "eth1 src 192.168.1.1"),
               ("-6 ", "2001:db8:1::/64", "eth1 metric 256")],
}
SYSCTLS = {
    "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1, "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0, "net/ipv4/icmp_ratelimit": 0, "net/ipv6/icmp/ratelimit": 0,
    "net/ipv4/conf/all/send_redirects": 0, "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/router_solicitations": 0,
}
# The priority of IPVS at the input hook is 99: what comes by here is the host's.
BEHIND_IPVS = """table inet behind {
  counter host {}
  chain input { type filter hook input priority 200; iif lo accept; counter name host drop; }
}
"""
MARK = """table inet marking {
  chain pre { type filter hook prerouting priority mangle; meta mark set MARK; }
}
"""
LONGEST = 3
libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace that lives as long as this and what runs in it."""

    def __init__(self):
        with own_namespace() as own:
            check(libc.unshare(CLONE_NEWNET), "unshare")
            self.file = open("/proc/self/ns/net", "rb")  # pylint: disable=consider-using-with
            check(libc.setns(own.fileno(), CLONE_NEWNET), "setns")

    @contextlib.contextmanager
    def inside(self):
        with own_namespace() as own:
            check(libc.setns(self.file.fileno(), CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                check(libc.setns(own.fileno(), CLONE_NEWNET), "setns")

    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.file.fileno()}"

    def close(self):
        self.file.close()


def check(result, what):
    if result:
        raise OSError(ctypes.get_errno(), what)


def own_namespace():
    return open("/proc/self/ns/net", "rb")


def run(*words, text=None, environment=None):
    return subprocess.run(words, input=text, text=True, check=True, capture_output=True,
                          env={**os.environ, **(environment or {})}).stdout


class Wire:
    """The far ends of the director's links."""

    def __init__(self):
        self.sockets = {}
        for side, (_, device) in SIDES.items():
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            one.bind((device, 3))
            self.sockets[side] = one
        # Nobody is slow: what is not read at once was not sent.
        self.ends = [bytes.fromhex(mac.replace(":", "")) for mac in (DIRECTOR_MAC, OTHER_MAC)]

    def send(self, side, packet):
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        self.sockets[side].send(self.ends[0] + self.ends[1] + kind + packet)

    def drain(self, patience, wanted=0):
        """What arrives until nothing has for so long: [side, packet]. As long as there are less than
        wanted, the patience is LONGEST."""
        found = []
        by_socket = {one: side for side, one in self.sockets.items()}
        while True:
            wait = patience if len(found) >= wanted else LONGEST
            ready, _, _ = select.select(list(by_socket), [], [], wait)
            if not ready:
                return found
            for one in ready:
                frame, (_, _, kind, _, _) = one.recvfrom(65536)
                if kind != socket.PACKET_OUTGOING and self.is_traffic(frame):
                    found.append([by_socket[one], ip_packet(frame[14:]).hex()])

    @staticmethod
    def is_traffic(frame):
        """Not the director's own neighbour discovery and multicast."""
        kind = frame[12:14]
        if kind == b"\x08\x00":
            return frame[14 + 9] != 2 and frame[14 + 16] < 224
        return kind == b"\x86\xdd" and frame[14 + 24] != 0xFF and not (
            frame[14 + 6] == 58 and 130 <= frame[14 + 40] <= 143
        )

    def close(self):
        for one in self.sockets.values():
            one.close()


def ip_packet(rest):
    """Without what a link adds to short frames."""
    length = int.from_bytes(rest[2:4], "big") if rest[0] >> 4 == 4 else 40 + int.from_bytes(rest[4:6], "big")
    return rest[:length]


def without_offload(device):
    """Checksums are finished before a packet leaves. ioctl, as ethtool would be a process more."""
    set_transmit_checksum, ethtool_ioctl = 0x17, 0x8946
    off = ctypes.create_string_buffer(struct.pack("II", set_transmit_checksum, 0))
    request = struct.pack("16sP16x", device.encode(), ctypes.addressof(off))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, ethtool_ioctl, request)


class HostCounter:
    """Reads the counter that BEHIND_IPVS keeps, from nf_tables itself: no process, no parsing."""

    GET_OBJECT = (10 << 8) | 19  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETOBJ
    FAMILY_INET, KIND_COUNTER = 1, 1
    TABLE, NAME, KIND, DATA, PACKETS = 1, 2, 3, 4, 2

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER

    def read(self):
        attributes = (
            self.attribute(self.TABLE, b"behind\0") + self.attribute(self.NAME, b"host\0")
            + self.attribute(self.KIND, struct.pack(">I", self.KIND_COUNTER))
        )
        body = struct.pack(">BBH", self.FAMILY_INET, 0, 0) + attributes
        self.socket.send(struct.pack("IHHII", 16 + len(body), self.GET_OBJECT, 1, 1, 0) + body)
        answer = self.socket.recv(65536)
        data = self.find(answer[20:], self.DATA)
        return int.from_bytes(self.find(data, self.PACKETS), "big")

    @staticmethod
    def attribute(kind, value):
        return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)

    @staticmethod
    def find(attributes, wanted):
        while attributes:
            length, kind = struct.unpack_from("HH", attributes)
            if kind & 0x3FFF == wanted:
                return attributes[4:length]
            attributes = attributes[(length + 3) & ~3:]
        raise ValueError(f"no attribute {wanted}")

    def close(self):
        self.socket.close()


class Director:
    """One director for one scenario. `engine` brings up IPVS or nlvsd."""

    def __init__(self, engine):
        self.engine = engine
        self.near, self.far = Namespace(), Namespace()
        with self.far.inside():
            # Before the links, so that they are born with it.
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
            run("ip", "-batch", "-", text=self.links())
        with self.near.inside():
            for name, value in SYSCTLS.items():
                if (path := Path("/proc/sys") / name).exists():
                    path.write_text(str(value))
            for near, _ in SIDES.values():
                without_offload(engine.device(near))
            engine.start(self)
            run("ip", "-batch", "-", text=self.configuration())
            run("nft", "-f", "-", text=BEHIND_IPVS)
            self.counter = HostCounter()
        with self.far.inside():
            self.wire = Wire()
        self.wire.drain(engine.settle)

    def links(self):
        lines = []
        for near, far in SIDES.values():
            device = self.engine.device(near)
            lines.append(f"link add {far} address {OTHER_MAC} type veth "
                         f"peer name {device} address {DIRECTOR_MAC} netns {self.near.path()}")
            lines.append(f"link set {far} up")
        return "\n".join(lines) + "\n"

    @staticmethod
    def configuration():
        lines = ["link set lo up"] + [f"link set {near} up" for near, _ in SIDES.values()]
        for device, addresses in ADDRESSES.items():
            lines += [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}" for a in addresses]
        for device, neighbours in NEIGHBOURS.items():
            lines += [f"neigh replace {n} dev {device} lladdr {OTHER_MAC} nud permanent"
                      for n in neighbours]
        return "\n".join(lines) + "\n"

    def commands(self, lines):
        """In order; those of ipvsadm that follow each other with one process."""
        with self.near.inside():
            while lines:
                count = 0
                while count < len(lines) and lines[count].startswith("ipvsadm "):
                    count += 1
                if count:
                    text = "".join(line.removeprefix("ipvsadm ") + "\n" for line in lines[:count])
                    run("ipvsadm", "-R", text=text, environment=self.engine.environment())
                else:
                    self.command(*lines[0].split(None, 1))
                    count = 1
                lines = lines[count:]
        self.engine.settled_commands()

    def command(self, verb, rest):
        if verb == "sysctl":
            self.engine.set_sysctl(*rest.split())
        elif verb == "mtu":
            side, mtu = rest.split()
            for family, prefix, way in ROUTES[side]:
                run("ip", *f"{family}route replace {prefix} dev {way} mtu {mtu}".split())
        elif verb == "link":
            side, mtu = rest.split()
            run("ip", *f"link set {SIDES[side][0]} mtu {mtu}".split())
        elif verb == "mark":
            run("nft", "-f", "-", text=MARK.replace("MARK", rest))
        else:
            raise ValueError(f"{verb} {rest}")

    def close(self):
        self.wire.close()
        self.counter.close()
        with self.near.inside():
            self.engine.end()
        self.near.close()
        self.far.close()


class Kernel:
    settle = 0.004

    def __init__(self):
        subprocess.run(["modprobe", "-a", "ip_vs", "nf_tables"], check=False, capture_output=True)

    def device(self, interface):
        return interface

    def start(self, director):
        """It is there."""

    def environment(self):
        return {}

    def set_sysctl(self, name, value):
        Path("/proc/sys/net/ipv4/vs", name).write_text(value)

    def settled_commands(self):
        """Commands take effect before they return."""

    def end(self):
        """It goes with its namespace."""


def play(engine, steps, expected=()):
    """Lines of a recording: each step, and below a packet what became of it. `expected`: for each packet
    how many are to be sent and whether the host is to get it, to wait for no less; without it the
    director is as quick as engine.settle."""
    director = Director(engine)
    lines = []
    host = 0
    expectations = itertools.chain(expected, itertools.repeat((0, False)))
    try:
        while steps:
            commands = list(itertools.takewhile(lambda step: isinstance(step, str), steps))
            director.commands(commands)
            lines += commands
            steps = steps[len(commands):]
            if not steps:
                break
            (side, packet), *steps = steps
            director.wire.send(side, bytes.fromhex(packet))
            lines.append(f"{side} {packet}")
            wanted, for_host = next(expectations)
            sent = director.wire.drain(engine.settle, wanted)
            lines += [f"sent {to} {content}" for to, content in sent]
            now = director.counter.read()
            give_up = time.monotonic() + LONGEST
            while for_host and now == host and time.monotonic() < give_up:
                time.sleep(0.01)
                now = director.counter.read()
            if now != host:
                lines.append(f"host {now - host}")
            host = now
    finally:
        director.close()
    return lines
