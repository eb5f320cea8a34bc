"""The lab's networks: which nodes exist, on which segments, with which addresses.

two-arm                                        one-arm

 client                                         client
   | outside 10.1.0.0/24                          | outside
 router                                         router
   | outer 10.2.0.0/24                            | lan 10.2.0.0/24
   +-------------+                                +------------+------------+
 director1   director2                          director1   director2    rs1 rs2 rs3
   | inner 10.3.0.0/24
   +-------------+------ rs1 rs2 rs3, router

IPv6 is fd00:N::/64 with the same last number. The router has a leg on the segment of the real
servers, because direct-routing and tunnel replies go around the director. Real servers send what
they answer from their own address to the directors' gateway address (masquerading needs it) and
what they answer from a virtual address to the router.

Every lab has these same addresses; only its namespaces carry its name.
"""

from dataclasses import dataclass, field

VARIANTS = ("two-arm", "one-arm")
# Host numbers on every segment.
ROUTER, CLIENT, GATEWAY = 1, 2, 10
DIRECTORS = {"director1": 11, "director2": 12}
REAL_SERVERS = {"rs1": 21, "rs2": 22, "rs3": 23}
# Virtual addresses by forwarding method; the real servers own those of dr and tun on lo.
VIRTUAL = {"nat": 100, "dr": 101, "tun": 102}
HTTP_PORT, ECHO_PORT = 80, 5300
# A real server behind two masqueraded services on one port of its own would see the same client
# port twice, from kernel LVS as from nlvs; each service gets a port that nginx listens on.
WEIGHTED_PORT = 8080
SPARE_PORTS = (8094, 8095, 8096, 8097, 8098)
# By family; "default" would mean IPv4 to 'ip -batch'.
DEFAULT_ROUTE = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class Segment:
    name: str
    number: int

    def ipv4(self, host):
        return f"10.{self.number}.0.{host}"

    def ipv6(self, host):
        return f"fd00:{self.number}::{host}"

    def address(self, host, family):
        return self.ipv4(host) if family == 4 else self.ipv6(host)


@dataclass(frozen=True)
class Attachment:
    """One end of a virtual cable: a device of a node on a segment."""

    device: str
    segment: Segment
    host: int


@dataclass
class Node:
    name: str
    attachments: list = field(default_factory=list)


OUTSIDE = Segment("outside", 1)
LAN = Segment("lan", 2)
OUTER = Segment("outer", 2)
INNER = Segment("inner", 3)


class Topology:
    """Where everything is, for one variant and number of directors."""

    def __init__(self, variant="two-arm", directors=2, real_servers=3):
        if variant not in VARIANTS:
            raise ValueError(f"no variant '{variant}' (there are: {' '.join(VARIANTS)})")
        self.variant = variant
        two_arm = variant == "two-arm"
        self.front = OUTER if two_arm else LAN
        self.back = INNER if two_arm else LAN
        self.directors = list(DIRECTORS)[:directors]
        self.real_servers = list(REAL_SERVERS)[:real_servers]
        self.segments = [OUTSIDE, OUTER, INNER] if two_arm else [OUTSIDE, LAN]
        self.nodes = self._nodes(two_arm)

    def _nodes(self, two_arm):
        client = Node("client", [Attachment("eth0", OUTSIDE, CLIENT)])
        router = Node("router", [Attachment("eth0", OUTSIDE, ROUTER)])
        router.attachments.append(Attachment("eth1", self.front, ROUTER))
        if two_arm:
            router.attachments.append(Attachment("eth2", self.back, ROUTER))
        nodes = [client, router]
        for name in self.directors:
            node = Node(name, [Attachment("nic0", self.front, DIRECTORS[name])])
            if two_arm:
                node.attachments.append(Attachment("nic1", self.back, DIRECTORS[name]))
            nodes.append(node)
        for name in self.real_servers:
            nodes.append(Node(name, [Attachment("eth0", self.back, REAL_SERVERS[name])]))
        return {node.name: node for node in nodes}

    def is_director(self, node):
        return node in self.directors

    def shadow(self, attachment):
        """The name of the kernel-side twin of a director's port: nic0 has dp0."""
        return attachment.device.replace("nic", "dp")

    def back_shadow(self):
        return "dp1" if self.variant == "two-arm" else "dp0"

    def virtual_address(self, method, family):
        return self.front.address(VIRTUAL[method], family)

    def real_address(self, name, family):
        return self.back.address(REAL_SERVERS[name], family)

    def gateway(self, family):
        return self.back.address(GATEWAY, family)

    def client_address(self, family):
        return OUTSIDE.address(CLIENT, family)
