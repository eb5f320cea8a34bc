"""The network namespaces that a case runs in.

The runner's child enters a new namespace, the director's, and calls enter_director() there.

without traffic   lo, eth0 10.0.0.1/24 2001:db8::1/64, eth1 192.168.1.1/24 2001:db8:1::1/64

with traffic      client 10.0.0.100, .101 -- eth0 10.0.0.1    director  eth1 192.168.1.1 -- rs1 .2
                  2001:db8::100, ::101       2001:db8::1                2001:db8:1::1       ::2
                                             10.0.0.10                  eth2 192.168.2.1 -- rs2 .2
                                             2001:db8::10               2001:db8:2::1       ::2

Under nlvsd the director's eth0.. are the shadows of its ports, and the ports take the veths nic0..
"""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
TENTATIVE_SECONDS = 20
NODES = ("client", "rs1", "rs2")
DIRECTOR_ADDRESSES = {
    "eth0": ("10.0.0.1/24", "2001:db8::1/64"),
    "eth1": ("192.168.1.1/24", "2001:db8:1::1/64"),
    "eth2": ("192.168.2.1/24", "2001:db8:2::1/64"),
}
VIRTUAL_ADDRESSES = ("10.0.0.10/32", "2001:db8::10/128")
CLIENT_ADDRESSES = ("10.0.0.100/24", "2001:db8::100/64", "10.0.0.101/24", "2001:db8::101/64")
libc = ctypes.CDLL(None, use_errno=True)


def enter_new_namespace():
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")


def batch(lines, node=None):
    where = ["-n", node] if node else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                   check=True)


def add_addresses(device, addresses, node=None):
    # Duplicate address detection would keep an IPv6 address from use for a second.
    batch(
        [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}" for a in addresses], node
    )


def without_offload(device, node=None):
    """Every packet one frame with a true checksum."""
    enter = ["ip", "netns", "exec", node] if node else []
    for feature in ("tx", "rx", "sg", "tso", "gso", "gro"):
        subprocess.run([*enter, "ethtool", "-K", device, feature, "off"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Surroundings:
    def __init__(self, prefix, traffic):
        self.prefix = prefix
        self.traffic = traffic
        self.nodes = {name: f"{prefix}-{name}" for name in NODES} if traffic else {}

    def interfaces(self):
        return ("eth0", "eth1", "eth2") if self.traffic else ("eth0", "eth1")

    def make_links(self, device_of):
        """The veths; device_of(eth0..) names the director's end."""
        batch(["link set lo up"])
        for node in self.nodes.values():
            subprocess.run(["ip", "netns", "add", node], check=True)
        peers = list(self.nodes.values()) or [None, None]
        for index, (interface, node) in enumerate(zip(self.interfaces(), peers)):
            device, peer = device_of(interface), "e0" if node else f"peer{index}"
            where = f" netns {node}" if node else ""
            batch([f"link add {device} type veth peer name {peer}{where}"])
            without_offload(device)
            without_offload(peer, node)
            if not node:
                Path(f"/proc/sys/net/ipv6/conf/{peer}/disable_ipv6").write_text("1")
            batch([f"link set {peer} up"], node)
            batch([f"link set {device} up"])

    def configure_director(self):
        for interface in self.interfaces():
            batch([f"link set {interface} up"])
            add_addresses(interface, DIRECTOR_ADDRESSES[interface])
        if self.traffic:
            add_addresses("eth0", VIRTUAL_ADDRESSES)
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
            self.await_addresses()

    def await_addresses(self):
        """Neighbours are solicited from the link-local address, and not while that is tentative."""
        deadline = time.monotonic() + TENTATIVE_SECONDS
        listing = ["ip", "-6", "-o", "addr", "show", "tentative"]
        while subprocess.run(listing, check=True, capture_output=True).stdout:
            if time.monotonic() > deadline:
                raise RuntimeError("an address of the director stays tentative")
            time.sleep(0.1)

    def configure_nodes(self):
        for name, node in self.nodes.items():
            batch(["link set lo up"], node)
            if name == "client":
                add_addresses("e0", CLIENT_ADDRESSES, node)
                continue
            number = name.removeprefix("rs")
            add_addresses("e0", (f"192.168.{number}.2/24", f"2001:db8:{number}::2/64"), node)
            batch([f"route add default via 192.168.{number}.1",
                   f"route add default via 2001:db8:{number}::1"], node)
            subprocess.run([name, "traffic", "serve", name], check=True, stdin=subprocess.DEVNULL)

    def remove(self):
        """Called outside; the director's namespace goes with its last process."""
        for node in self.nodes.values():
            if not os.path.exists(f"/run/netns/{node}"):
                continue
            listed = subprocess.run(["ip", "netns", "pids", node], capture_output=True, text=True,
                                    check=False)
            for pid in listed.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", node], check=False)
