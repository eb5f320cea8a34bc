#!/usr/bin/env python3
"""Records what the kernel answers when asked for its rules: runs the commands of NAME.rules in this
directory in a network namespace of its own and writes every message of the dumps that
kni/nftables/reader.cpp asks for to tests/corpus/nftables/NAME, as the kernel sent them.

usage: unshare -n tests/kni/nftables/record.py NAME...        (as root)
"""

import socket
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent.parent / "corpus" / "nftables"

NETLINK_NETFILTER, SUBSYSTEM = 12, 10
GETTABLE, GETCHAIN, GETRULE, NEWSET, GETSET, GETSETELEM = 1, 4, 7, 9, 10, 13
REQUEST, DUMP, DONE, ERROR = 1, 0x300, 3, 2


def attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def text_attribute(kind, text):
    payload = text + b"\0"
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def dump(link, kind, family=0, payload=b""):
    """The messages of one dump, without the last that only ends it."""
    body = struct.pack("=BBH", family, 0, 0) + payload
    link.send(struct.pack("=IHHII", 16 + len(body), SUBSYSTEM << 8 | kind, REQUEST | DUMP, 1, 0) + body)
    messages = []
    while True:
        data = link.recv(1 << 18)
        while data:
            length, kind_here = struct.unpack_from("=IH", data)
            if kind_here == ERROR:
                raise OSError(-struct.unpack_from("=i", data, 16)[0], "the kernel refused a dump")
            if kind_here == DONE:
                return messages
            padded = (length + 3) & ~3
            messages.append(data[:length] + b"\0" * (padded - length))
            data = data[padded:]


def record(name):
    subprocess.run(["sh", "-e", str(HERE / f"{name}.rules")], check=True)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as link:
        messages = []
        for kind in (GETTABLE, GETCHAIN, GETSET, GETRULE):
            messages += dump(link, kind)
        for message in [one for one in messages if one[4] == NEWSET]:
            named = dict(attributes(message[20:]))
            payload = text_attribute(1, named[1].rstrip(b"\0")) + text_attribute(2, named[2].rstrip(b"\0"))
            messages += dump(link, GETSETELEM, message[16], payload)
    (CORPUS / name).write_bytes(b"".join(messages))
    subprocess.run(["nft", "flush", "ruleset"], check=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        record(wanted)
