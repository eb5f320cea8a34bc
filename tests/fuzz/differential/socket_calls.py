"""The old interface: IP_VS_SO_SET_* and IP_VS_SO_GET_* with right and wrong arguments."""

import ipaddress
import struct

from model import SocketCall

BASE = 1152
(ADD, EDIT, DEL, FLUSH) = (1154, 1155, 1156, 1157)
(ADD_DEST, DEL_DEST, EDIT_DEST, TIMEOUT, START_DAEMON, STOP_DAEMON) = range(1159, 1165)
ZERO = 1167
(GET_VERSION, GET_INFO, GET_SERVICES, GET_SERVICE, GET_DESTS, GET_DEST, GET_TIMEOUT,
 GET_DAEMON) = range(BASE, BASE + 8)
SETS = [ADD] * 6 + [EDIT] * 2 + [DEL] * 2 + [ADD_DEST] * 6 + [EDIT_DEST] * 2 + [DEL_DEST] * 2 + [
    TIMEOUT, TIMEOUT, START_DAEMON, START_DAEMON, STOP_DAEMON, ZERO, FLUSH]
GETS = [GET_VERSION, GET_INFO, GET_TIMEOUT, GET_DAEMON] + [GET_SERVICES, GET_SERVICE, GET_DESTS] * 3
ADDRESSES = ["10.0.0.10", "10.0.0.10", "10.0.0.11", "0.0.0.0"]
SERVERS = ["192.168.1.2", "192.168.1.3", "10.0.0.1", "0.0.0.0", "224.0.0.5", "10.0.0.255"]
PROTOCOLS = [6] * 6 + [17] * 3 + [132, 0, 1, 256]
PORTS = [80, 80, 80, 443, 0]
FORWARDING = [0, 0, 1, 2, 3, 3, 4, 7, 8, 0x100, 0x2000, 0x10000, 0xFFFEDFFF, 0xFFFFFFFF]


def name(source, choices, size):
    value = source.pick(choices).encode()[:size]
    filler = b"\0" if source.chance(0.9) else b"z"
    return value + (b"\0" if len(value) < size else b"") + filler * max(size - len(value) - 1, 0)


def remembered_key(source):
    """An IPv4 service that an earlier step named, by either interface, or a new one."""
    known = [key for key in source.keys if key[0] == 2]
    if known and source.chance(0.7):
        key = source.pick(known)
    else:
        if source.chance(0.15):
            key = (2, source.pick([1, 2, 0xFFFFFFFF]))
        else:
            key = (2, source.pick(PROTOCOLS), source.pick(ADDRESSES), source.pick(PORTS))
        source.keys.append(key)
    if len(key) == 2:
        if source.chance(0.6):
            return 6, bytes(4), 0, key[1]
        place = ipaddress.ip_address(source.pick(ADDRESSES)).packed
        return source.pick(PROTOCOLS), place, source.pick(PORTS), key[1]
    return key[1], ipaddress.ip_address(key[2]).packed, key[3], 0


def service(source):
    protocol, place, port, mark = remembered_key(source)
    schedulers = ["rr", "wrr", "wlc", "sh", "mh", "none", "", "xx", "a" * 15, "b" * 16]
    scheduler = source.pick(schedulers[:6] if source.chance(0.9) else schedulers)
    return struct.pack(
        "=HH4s2sHI16sII4s", protocol, 0, place, struct.pack(">H", port), 0, mark,
        name(source, [scheduler], 16), source.pick([0, 0, 1, 1, 3, 0x18, 0xFFFFFFFF]),
        source.pick([0, 300, 0xFFFFFFFF]), source.pick([b"\xff" * 4, b"\xff\xff\xff\0", bytes(4)]),
    )


def destination(source):
    upper = 0 if source.chance(0.7) else source.number()
    return struct.pack(
        "=4s2sHIIII", ipaddress.ip_address(source.pick(SERVERS)).packed,
        struct.pack(">H", source.pick(PORTS)), 0, source.pick(FORWARDING),
        source.number() if source.chance(0.2) else 1, upper,
        0 if source.chance(0.8) else source.number(),
    )


def daemon(source):
    interfaces = ["eth0", "eth1", "nosuch", "", "lo", "x" * 16]
    return struct.pack(
        "=I16sI", source.pick([1, 1, 2, 2, 0, 3]), name(source, interfaces, 16),
        source.pick([0, 1, 255, 256, 0xFFFFFFFF]),
    )


def set_value(source, option):
    if option in (ADD, EDIT, DEL, ZERO):
        return service(source)
    if option in (ADD_DEST, EDIT_DEST, DEL_DEST):
        return service(source) + destination(source)
    if option == TIMEOUT:
        values = [0, 0, 60, 900, 8589934, 8589935, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
        return struct.pack("=III", *(source.pick(values) for _ in range(3)))
    if option in (START_DAEMON, STOP_DAEMON):
        return daemon(source)
    return b""


def get_value(source, option):
    if option == GET_VERSION:
        return bytes(64)
    if option == GET_INFO:
        return bytes(12)
    if option == GET_SERVICES:
        count = source.pick([0, 1, 2, 3, 8])
        return struct.pack("=II", count, 0) + bytes(104 * count)
    if option == GET_SERVICE:
        protocol, place, port, mark = remembered_key(source)
        return struct.pack("=HH4s2sHI", protocol, 0, place, struct.pack(">H", port), 0, mark) + bytes(88)
    if option == GET_DESTS:
        protocol, place, port, mark = remembered_key(source)
        count = source.pick([0, 1, 1, 2, 4])
        head = struct.pack("=HH4s2sHIII", protocol, 0, place, struct.pack(">H", port), 0, mark, count, 0)
        return head + bytes(96 * count)
    if option == GET_TIMEOUT:
        return bytes(12)
    return bytes(48) if option == GET_DAEMON else b""


def call(source):
    get = source.chance(0.4)
    option = source.pick(GETS if get else SETS)
    value = (get_value if get else set_value)(source, option)
    length = len(value)
    null = False
    if source.chance(source.wrongness / 4):
        kind = int(source.random.random() * 4)
        if kind == 0:
            length = max(length + source.pick([-44, -4, -1, 1, 4, 60, 1000]), 0)
        elif kind == 1:
            length = source.pick([0, 1, -1, -2147483648])
        elif kind == 2:
            option = source.pick(range(BASE, BASE + (8 if get else 16)))
        else:
            null = True
    return SocketCall(get, option, length, value, null)
