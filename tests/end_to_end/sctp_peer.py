#!/usr/bin/python3 -SE
"""Two ends of SCTP on raw sockets, for kernels without it.

sctp_peer.py serve FAMILY PORT NAME         answers INIT and COOKIE ECHO to PORT, any address, by
                                            INIT ACK and COOKIE ACK, with NAME behind the chunk
sctp_peer.py ask ADDRESS PORT SOURCE_PORT   INIT, then COOKIE ECHO; prints what came behind each
                                            answer, or what was wrong with it

Every packet's CRC32c is checked; one that is wrong is not answered.
"""

import socket
import struct
import sys

SCTP = 132
INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 1, 2, 10, 11


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def packet(source, destination, chunk, text):
    # The chunk's own length leaves the padding out.
    body = struct.pack("!BBH", chunk, 0, 4 + len(text)) + text + bytes(-len(text) % 4)
    head = struct.pack("!HHI", source, destination, 0x1234)
    return head + struct.pack("<I", crc32c(head + bytes(4) + body)) + body


def parse(data):
    """(source port, destination port, chunk, text), or None with a wrong checksum."""
    source, destination, _ = struct.unpack_from("!HHI", data)
    if struct.unpack_from("<I", data, 8)[0] != crc32c(data[:8] + bytes(4) + data[12:]):
        return None
    chunk, _, length = struct.unpack_from("!BBH", data, 12)
    return source, destination, chunk, data[16 : 12 + length]


def raw_socket(family):
    opened = socket.socket(family, socket.SOCK_RAW, SCTP)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return opened


def receive(opened, family):
    """The SCTP packet, the sender, the address it was sent to."""
    data, ancillary, _, sender = opened.recvmsg(65535, 256)
    if family == socket.AF_INET:
        return data[(data[0] & 15) * 4 :], sender[0], socket.inet_ntoa(data[16:20])
    info = [value for _, kind, value in ancillary if kind == socket.IPV6_PKTINFO]
    return data, sender[0], socket.inet_ntop(family, info[0][:16])


def serve(family, port, name):
    opened = raw_socket(family)
    while True:
        data, client, own = receive(opened, family)
        seen = parse(data)
        if seen is None or seen[1] != port or seen[2] not in (INIT, COOKIE_ECHO):
            continue
        with socket.socket(family, socket.SOCK_RAW, SCTP) as answering:
            answering.bind((own, 0))
            answering.sendto(packet(port, seen[0], seen[2] + 1, name), (client, 0))


def ask(address, port, source_port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = raw_socket(family)
    opened.settimeout(5)
    for chunk in (INIT, COOKIE_ECHO):
        opened.sendto(packet(source_port, port, chunk, b"hello"), (address, 0))
        while True:
            try:
                data, sender, _ = receive(opened, family)
            except TimeoutError:
                print("timeout")
                return
            if sender == address:
                break
        seen = parse(data)
        if seen is None:
            print("wrong checksum")
        elif seen[:3] != (port, source_port, chunk + 1):
            print(f"unexpected {seen[:3]}")
        else:
            print(seen[3].decode())


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        families = {"4": socket.AF_INET, "6": socket.AF_INET6}
        serve(families[sys.argv[2]], int(sys.argv[3]), sys.argv[4].encode())
    else:
        ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
