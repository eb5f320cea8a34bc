#!/usr/bin/python3
"""Records what the kernel's sync master sends, one file of messages for each scenario.

usage: sudo tests/kernel/vm --write tests/corpus/sync -- tests/compat/ipvs_sync/record.py

A scenario's file has a line for each datagram, in hexadecimal. Needs ipvsadm, iproute2, nft and a
kernel with ip_vs.
"""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "corpus" / "sync"
VIRTUAL, VIRTUAL6 = "10.0.0.10", "2001:db8::10"
REAL, REAL6 = "192.168.1.2", "2001:db8:1::2"
CLIENT, CLIENT6 = "10.0.0.100", "2001:db8::100"
GROUP, PORT = "224.0.0.81", 8848
FLUSH_SECONDS = 4  # a message that is not full leaves after two to three seconds
CALL = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1234@10.0.0.100\r\nContent-Length: 0\r\n\r\n"
libc = ctypes.CDLL(None, use_errno=True)


def run(command):
    subprocess.run(command, shell=True, check=True)


def inside(node, function):
    """function() in a thread that has entered the node's namespace."""
    result = {}

    def body():
        with open(f"/run/netns/{node}", "rb") as namespace:
            if libc.setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
        result["value"] = function()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    return result["value"]


def surroundings():
    run("modprobe -a ip_vs; ip link set lo up")
    for node, device, addresses in (
        ("client", "eth0", ("10.0.0.1/24", "2001:db8::1/64", f"{VIRTUAL}/32", f"{VIRTUAL6}/128")),
        ("rs", "eth1", ("192.168.1.1/24", "2001:db8:1::1/64")),
        ("peer", "eth2", ("172.16.0.1/24",)),
    ):
        run(f"ip netns add {node}; ip link add {device} type veth peer name e0 netns {node}")
        run(f"ip -n {node} link set lo up; ip -n {node} link set e0 up; ip link set {device} up")
        for address in addresses:
            run(f"ip addr add {address} dev {device}{' nodad' if ':' in address else ''}")
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    run(f"ip -n client addr add {CLIENT}/24 dev e0")
    run(f"ip -n client addr add {CLIENT6}/64 dev e0 nodad")
    run(f"ip -n rs addr add {REAL}/24 dev e0; ip -n rs addr add {REAL6}/64 dev e0 nodad")
    run("ip -n rs route add default via 192.168.1.1; ip -n rs route add default via 2001:db8:1::1")
    run("ip -n peer addr add 172.16.0.2/24 dev e0")
    time.sleep(3)


def serve():
    """In rs: everything that is asked is sent back."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port in (80, 5060, 21):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            listener.listen()
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
            receiver = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            receiver.bind((address, port))
            threading.Thread(target=echo, args=(receiver,), daemon=True).start()
    return True


def accept(listener):
    port = listener.getsockname()[1]
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk if port == 21 else answer, args=(connection,), daemon=True).start()


def answer(connection):
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(4096):
            connection.sendall(data)
    connection.close()


def talk(connection):
    """As much of an FTP server as makes the helper change the length of an answer."""
    connection.sendall(b"220 ready\r\n")
    while data := connection.recv(4096):
        if data.startswith(b"PASV"):
            connection.sendall(b"227 Entering Passive Mode (192,168,1,2,0,80).\r\n")
        else:
            connection.sendall(b"200 fine\r\n")
    connection.close()


def echo(receiver):
    while True:
        data, sender = receiver.recvfrom(4096)
        receiver.sendto(data, sender)


class Client:
    """Sockets in the client's namespace from fixed ports, kept open until the scenario ends."""

    def __init__(self):
        self.open = []

    def tcp(self, address, port, source, requests=4):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = inside("client", lambda: socket.socket(family, socket.SOCK_STREAM))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.bind(("", source))
        one.settimeout(10)
        one.connect((address, port))
        for _ in range(requests):
            one.sendall(b"hello")
            one.recv(100)
        self.open.append(one)
        return one

    def udp(self, address, port, source, requests=4, payload=b"hello"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = inside("client", lambda: socket.socket(family, socket.SOCK_DGRAM))
        one.bind(("", source))
        one.settimeout(10)
        for _ in range(requests):
            one.sendto(payload, (address, port))
            one.recv(4096)
        self.open.append(one)


def listen():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((GROUP, PORT))
    membership = struct.pack("4s4sI", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex("e0"))
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return receiver


def service(flag, virtual, real, options="", method="-m"):
    run(f"ipvsadm -A {flag} {virtual} -s rr {options}")
    run(f"ipvsadm -a {flag} {virtual} -r {real} {method}")


def bracket(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def plain(client, first=40001):
    for flag in ("-t", "-u"):
        service(flag, bracket(VIRTUAL, 80), bracket(REAL, 80))
        service(flag, bracket(VIRTUAL6, 80), bracket(REAL6, 80))
    for source, address in enumerate((VIRTUAL, VIRTUAL6), first):
        client.tcp(address, 80, source)
        client.udp(address, 80, source)


def old_version(client):
    run("sysctl -qw net.ipv4.vs.sync_version=0")
    plain(client, 40005)


def ends(client):
    service("-t", bracket(VIRTUAL, 80), bracket(REAL, 80))
    client.tcp(VIRTUAL, 80, 40011).shutdown(socket.SHUT_WR)
    one = client.tcp(VIRTUAL, 80, 40012)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def persistent(client):
    service("-t", bracket(VIRTUAL, 80), bracket(REAL, 80), "-p 100")
    service("-t", bracket(VIRTUAL6, 80), bracket(REAL6, 80), "-p 200")
    service("-u", bracket(VIRTUAL, 0), bracket(REAL, 0), "-p 300 -M 255.255.255.0")
    client.tcp(VIRTUAL, 80, 40021)
    client.tcp(VIRTUAL6, 80, 40022)
    client.udp(VIRTUAL, 80, 40023)


def marked(client):
    run("nft add table ip m; nft 'add chain ip m p { type filter hook prerouting priority mangle; }'")
    run("nft add rule ip m p ip daddr 10.0.0.10 meta mark set 7")
    service("-f", "7", bracket(REAL, 0), "-p 60")
    client.tcp(VIRTUAL, 80, 40031)
    run("nft delete table ip m")


def calls(client):
    service("-u", bracket(VIRTUAL, 5060), bracket(REAL, 5060), "-p 60 --pe sip")
    client.udp(VIRTUAL, 5060, 40041, payload=CALL)
    client.udp(VIRTUAL, 5060, 40042, payload=CALL.replace(b"1234", b"99999"))


def direct(client):
    """The real server is not there: a segment of no connection is scheduled and goes nowhere."""
    run("sysctl -qw net.ipv4.vs.sync_threshold='0 0' net.ipv4.vs.sync_refresh_period=10")
    service("-u", bracket(VIRTUAL, 80), bracket("192.168.1.9", 80), method="-g")
    service("-u", bracket(VIRTUAL6, 80), bracket("2001:db8:1::9", 80), method="-g")
    service("-u", bracket(VIRTUAL, 5060), bracket("192.168.1.9", 5060), method="-i")
    for address, port in ((VIRTUAL, 80), (VIRTUAL6, 80), (VIRTUAL, 5060)):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = inside("client", lambda: socket.socket(family, socket.SOCK_DGRAM))
        one.bind(("", 40050))
        one.sendto(b"hello", (address, port))
        one.close()


def persistent_direct(client):
    service("-u", bracket(VIRTUAL, 80), bracket("192.168.1.9", 80), "-p 60", method="-g")
    service("-u", bracket(VIRTUAL6, 80), bracket("2001:db8:1::9", 80), "-p 60", method="-i")
    for family, address in ((socket.AF_INET, VIRTUAL), (socket.AF_INET6, VIRTUAL6)):
        one = inside("client", lambda: socket.socket(family, socket.SOCK_DGRAM))
        one.bind(("", 40060))
        for _ in range(3):
            one.sendto(b"hello", (address, 80))
        one.close()


def transfer(client):
    service("-t", bracket(VIRTUAL, 21), bracket(REAL, 21))
    one = client.tcp(VIRTUAL, 21, 40071, requests=0)
    one.recv(100)
    for command in (b"PASV", b"NOOP", b"PASV", *[b"NOOP"] * 50):
        one.sendall(command + b"\r\n")
        one.recv(100)
    client.tcp(VIRTUAL, 80, 40072)


MODULES = "ip_vs_pe_sip ip_vs_ftp ip_vs_rr ip_vs"
DEFAULTS = (
    "sysctl -qw net.ipv4.vs.sync_version=1 net.ipv4.vs.sync_threshold='3 50'"
    " net.ipv4.vs.sync_refresh_period=0"
)


def record(scenario):
    # Without the modules there are no connections from before.
    subprocess.run(f"modprobe -r {MODULES}", shell=True, check=False)
    run(f"modprobe -a {MODULES}; ipvsadm -C; {DEFAULTS}")
    receiver = inside("peer", listen)
    client = Client()
    run("ipvsadm --start-daemon master --mcast-interface eth2 --syncid 21")
    scenario(client)
    receiver.settimeout(FLUSH_SECONDS)
    lines = []
    try:
        while True:
            lines.append(receiver.recv(65536).hex())
    except TimeoutError:
        pass
    run("ipvsadm --stop-daemon master")
    receiver.close()
    name = scenario.__name__.replace("_", "-")
    (TARGET / name).write_text("\n".join(lines) + "\n")
    print(scenario.__name__, len(lines), "messages", flush=True)
    for one in client.open:
        one.close()
    time.sleep(1)


SCENARIOS = (
    plain, old_version, ends, persistent, marked, calls, direct, persistent_direct, transfer,
)


def main():
    surroundings()
    inside("rs", serve)
    names = sys.argv[1:]
    for scenario in SCENARIOS:
        if not names or scenario.__name__ in names:
            record(scenario)


if __name__ == "__main__":
    main()
