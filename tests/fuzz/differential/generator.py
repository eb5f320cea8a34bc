"""Random command sequences by number: the same number is the same sequence, everywhere.

A third of the sequences is what tools could send, the others have ever more that is wrong. Names
and addresses come from small sets, so that commands meet what earlier ones made.
"""

import ipaddress
import random
import struct

import mutation
import socket_calls
from model import ACK, DUMP, ECHO, FAMILY, NESTED, REQUEST
from model import Attribute, Datagram, Message, NetlinkOption

(NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST,
 NEW_DAEMON, DEL_DAEMON, GET_DAEMON, SET_CONFIG, GET_CONFIG, SET_INFO, GET_INFO, ZERO,
 FLUSH) = range(1, 18)
NETLINK_CAP_ACK, NETLINK_EXT_ACK = 10, 11
INET, INET6 = 2, 10

COMMAND_WEIGHTS = {
    NEW_SERVICE: 22, SET_SERVICE: 8, DEL_SERVICE: 5, GET_SERVICE: 8, NEW_DEST: 24, SET_DEST: 9,
    DEL_DEST: 7, GET_DEST: 8, NEW_DAEMON: 5, DEL_DAEMON: 4, GET_DAEMON: 3, SET_CONFIG: 5,
    GET_CONFIG: 3, SET_INFO: 1, GET_INFO: 2, ZERO: 3, FLUSH: 1,
}  # fmt: skip
DUMPS = {GET_SERVICE, GET_DEST, GET_DAEMON}

SERVICE_ADDRESSES = {
    INET: ["10.0.0.10"] * 4 + ["10.0.0.11"] * 2
    + ["10.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"],
    INET6: ["2001:db8::10"] * 4 + ["2001:db8::11"] * 2 + ["2001:db8::1", "::", "fe80::1", "ff02::1"],
}
DESTINATION_ADDRESSES = {
    INET: ["192.168.1.2", "192.168.1.3", "192.168.1.4"] * 3
    + ["10.0.0.1", "127.0.0.1", "192.168.1.1", "172.16.0.1", "0.0.0.0", "0.1.2.3", "10.0.0.255",
       "192.168.1.255", "127.255.255.255", "224.0.0.5", "240.0.0.1", "255.255.255.255"],
    INET6: ["2001:db8:1::2", "2001:db8:1::3"] * 4
    + ["2001:db8::1", "::1", "::", "fe80::2", "fec0::1", "fc00::1", "ff02::1", "ff0e::1",
       "::ffff:1.2.3.4", "::1.2.3.4", "2002::1", "100::1"],
}  # fmt: skip
PORTS = [80] * 6 + [443, 443, 53, 21, 0, 1, 65535]
PROTOCOLS = [6] * 8 + [17] * 5 + [132] * 2 + [0, 1, 50, 255, 256, 0xFFFF]
SCHEDULERS = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo",
              "ovf", "none"]  # fmt: skip
ODD_SCHEDULERS = ["", "xx", "RR", "rr ", "none ", "a" * 14, "b" * 15, "c" * 16, "d" * 40]
ENGINES = ["sip"] * 4 + ["", "xyz", "SIP", "e" * 15, "f" * 16, "g" * 17]
FLAGS = [(0, 0xFFFFFFFF)] * 5 + [(1, 0xFFFFFFFF)] * 4 + [
    (1, 1), (0, 1), (0x18, 0x18), (0x10, 0x38), (4, 4), (6, 0xFFFFFFFF), (0, 2), (2, 2),
    (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0), (0x80000040, 0x80000040),
]  # fmt: skip
NUMBERS = [0, 0, 1, 1, 2, 3, 300, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
TIMEOUTS = [0, 0, 1, 60, 900, 8589934, 8589935, 2147483, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
INTERFACES = ["eth0"] * 5 + ["eth1"] * 3 + ["lo", "nosuch", "", "eth0 ", "x" * 15, "y" * 16]
GROUPS = ["224.0.0.81", "224.1.2.3", "239.255.255.255", "0.0.0.0", "10.0.0.1", "240.0.0.1"]
GROUPS6 = ["ff02::81", "ff05::81", "ff01::1", "::", "2001:db8::1"]

u8 = struct.Struct("=B").pack
u16 = struct.Struct("=H").pack
u32 = struct.Struct("=I").pack
be16 = struct.Struct(">H").pack


def text(value):
    return value.encode() + b"\0"


def address(family, value, full):
    packed = ipaddress.ip_address(value).packed
    return packed + bytes(16 - len(packed)) if full or family == INET6 else packed


def may_follow(earlier, message):
    """Whether the kernel's answer does not depend on the moment or on the seed of its hashes.

    A dump goes on at the same index after a change behind its back, and a sync daemon that is
    stopped before its thread ran leaves without a word (EINTR).
    """
    command = message.body[:1]
    for one in earlier:
        if one.flags & DUMP == DUMP and one.body[:1] in (b"\4", b"\x08"):
            if command not in (b"\4", b"\x08", b"\x0b", b"\x0c", b"\x0d", b"\x0f"):
                return False
        if one.body[:1] == b"\x09" and command == b"\x0a":
            return False
    return True


class Generator:
    def __init__(self, number):
        self.random = random.Random(number)
        self.sequence_number = 0
        self.keys = []
        self.current = (INET, 1)  # the service of the message that is being made
        self.destinations = []
        # How many mutations a message gets, on average.
        self.wrongness = self.pick([0, 0, 0.15, 0.4, 0.4, 1.2])
        self.mixed = self.chance(0.15)

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, items):
        return items[int(self.random.random() * len(items))]

    def number(self):
        return self.pick(NUMBERS) if self.chance(0.9) else self.random.getrandbits(32)

    def sequence(self):
        steps = []
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            if self.chance(0.1):
                steps.append(NetlinkOption(option, 1))
        length = 3 + int(self.random.random() ** 2 * 20)
        old_interface = self.pick([0, 0, 0.1, 0.7])
        for _ in range(length):
            if self.chance(old_interface):
                steps.append(socket_calls.call(self))
            else:
                steps.append(self.datagram())
        return steps

    def datagram(self):
        count = 1 if self.chance(0.85) else 2 + int(self.random.random() * 4)
        messages = []
        for _ in range(count):
            message = self.message()
            if may_follow(messages, message):
                messages.append(message)
        tail = b""
        if self.chance(0.1 * self.wrongness):
            tail = self.pick([bytes(4), bytes(20), b"\x10\0\0\0", b"\xff" * 16, b"\x11"])
        return Datagram(tuple(messages), tail)

    def message(self):
        self.sequence_number += 1
        commands, weights = zip(*COMMAND_WEIGHTS.items())
        command = self.weighted(commands, weights)
        message = Message(
            flags=self.flags(command),
            sequence=self.sequence_number,
            body=bytes([command, 1, 0, 0]),
            attributes=tuple(self.attributes(command)),
        )
        while self.chance(self.wrongness / (1 + self.wrongness)):
            message = mutation.mutate(self, message)
        return message

    def weighted(self, items, weights):
        position = self.random.random() * sum(weights)
        for item, weight in zip(items, weights):
            position -= weight
            if position < 0:
                return item
        return items[-1]

    def flags(self, command):
        if command in DUMPS and not (command == GET_SERVICE and self.chance(0.3)):
            return REQUEST | DUMP | (ACK if self.chance(0.3) else 0)
        return REQUEST | (ACK if self.chance(0.8) else 0) | (ECHO if self.chance(0.1) else 0)

    def attributes(self, command):
        if command in (NEW_SERVICE, SET_SERVICE):
            return [self.nest(1, self.service(full=True, known=command == SET_SERVICE))]
        if command in (DEL_SERVICE, GET_SERVICE, GET_DEST):
            return [self.nest(1, self.service(full=self.chance(0.2), known=True))]
        if command == ZERO:
            return [self.nest(1, self.service(False, True))] if self.chance(0.7) else []
        if command in (NEW_DEST, SET_DEST, DEL_DEST):
            service = self.service(full=self.chance(0.2), known=True)
            return [self.nest(1, service), self.nest(2, self.destination(command))]
        if command in (NEW_DAEMON, DEL_DAEMON):
            return [self.nest(3, self.daemon(command == NEW_DAEMON))]
        if command == SET_CONFIG:
            return [Attribute(4 + i, u32(self.pick(TIMEOUTS))) for i in range(3) if self.chance(0.6)]
        return []

    def nest(self, number, attributes):
        return Attribute(number | (NESTED if self.chance(0.7) else 0), tuple(attributes))

    def key(self, known):
        """(family, mark) or (family, protocol, address, port); remembered."""
        if known and self.keys and self.chance(0.85):
            self.current = self.pick(self.keys)
            return self.current
        family = self.pick([INET, INET, INET, INET6, INET6])
        if self.chance(0.2):
            key = (family, self.pick([1, 1, 2, 3, 0xFFFFFFFF, 0]))
        else:
            key = (family, self.pick(PROTOCOLS), self.pick(SERVICE_ADDRESSES[family]),
                   self.pick(PORTS))  # fmt: skip
        self.keys.append(key)
        self.current = key
        return key

    def service(self, full, known):
        key = self.key(known)
        family = key[0]
        attributes = [Attribute(1, u16(family))]
        if len(key) == 2:
            attributes.append(Attribute(5, u32(key[1])))
        else:
            attributes += [
                Attribute(2, u16(key[1])),
                Attribute(3, address(family, key[2], self.chance(0.8))),
                Attribute(4, be16(key[3])),
            ]
        return attributes + (self.service_rest(family) if full else [])

    def service_rest(self, family):
        odd = self.chance(0.06)
        scheduler = self.pick(ODD_SCHEDULERS if odd else SCHEDULERS)
        masks = [u32(0xFFFFFFFF)] * 4 + [b"\xff\xff\xff\0", bytes(4), u32(0x12345678)]
        if family == INET6:
            masks = [u32(128)] * 5 + [u32(64), u32(1), u32(0), u32(129), u32(0xFFFFFFFF)]
        attributes = [
            Attribute(6, text(scheduler)),
            Attribute(7, struct.pack("=II", *self.pick(FLAGS))),
            Attribute(8, u32(self.pick(TIMEOUTS))),
            Attribute(9, self.pick(masks)),
        ]
        if self.chance(0.12):
            attributes.append(Attribute(11, text(self.pick(ENGINES))))
        return attributes

    def destination(self, command):
        if self.destinations and self.chance(0.6):
            family, place, port = self.pick(self.destinations)
        else:
            service = self.current[0]
            other = INET6 if service == INET else INET
            family = other if self.mixed and self.chance(0.5) else service
            place = self.pick(DESTINATION_ADDRESSES[family])
            port = self.pick(PORTS)
            self.destinations.append((family, place, port))
        attributes = [Attribute(1, address(family, place, self.chance(0.8))),
                      Attribute(2, be16(port))]  # fmt: skip
        if command != 7 or self.chance(0.2):
            attributes += self.destination_rest()
        if self.chance(0.8):
            attributes.append(Attribute(11, u16(family if self.chance(0.95) else self.pick([0, 1]))))
        return attributes

    def destination_rest(self):
        tunnel = self.mixed or self.chance(0.2)
        forwarding = 2 if tunnel else self.pick([0, 0, 1, 2, 3, 3, 4, 5, 7, 8, 0xFFFFFFFF])
        plain = self.chance(0.7)
        upper = 0 if plain else self.number()
        lower = 0 if plain or self.chance(0.3) else self.pick([0, upper, upper // 2, self.number()])
        attributes = [
            Attribute(3, u32(forwarding)),
            Attribute(4, u32(self.number() if self.chance(0.2) else 1)),
            Attribute(5, u32(upper)),
            Attribute(6, u32(lower)),
        ]
        if tunnel or self.chance(0.1):
            attributes.append(Attribute(13, u8(self.pick([0, 0, 1, 1, 2, 3, 255]))))
            if self.chance(0.7):
                attributes.append(Attribute(14, be16(self.pick([6080, 6080, 0, 1]))))
            if self.chance(0.7):
                attributes.append(Attribute(15, u16(self.pick([0, 0, 1, 2, 3, 0xFFFF]))))
        return attributes

    def daemon(self, start):
        attributes = [Attribute(1, u32(self.pick([1, 1, 1, 2, 2, 2, 0, 3, 0x80000001])))]
        if not start and self.chance(0.8):
            return attributes
        attributes += [
            Attribute(2, text(self.pick(INTERFACES))),
            Attribute(3, u32(self.pick([0, 1, 255, 256, 0xFFFFFFFF]))),
        ]
        optional = [
            Attribute(4, u16(self.pick([0, 1, 500, 1024, 1472, 9000, 65507, 65535]))),
            Attribute(5, ipaddress.ip_address(self.pick(GROUPS)).packed),
            Attribute(6, ipaddress.ip_address(self.pick(GROUPS6)).packed),
            Attribute(7, u16(self.pick([0, 8848, 1, 65535]))),
            Attribute(8, u8(self.pick([0, 1, 64, 255]))),
        ]
        return attributes + [one for one in optional if self.chance(0.25)]


def sequence(number):
    return Generator(number).sequence()
