#!/usr/bin/python3
"""A session like one of ssh: a byte to the server and back, ten times a second.

usage: tcp_session.py serve ADDRESS PORT
       tcp_session.py talk ADDRESS PORT SECONDS    prints how many came back, and the longest wait
"""

import socket
import sys
import time


def serve(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while byte := connection.recv(1):
                    connection.sendall(byte)


def talk(address, port, seconds):
    answered, longest = 0, 0.0
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("connected", flush=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = time.monotonic()
            connection.sendall(b"x")
            if not connection.recv(1):
                break
            answered += 1
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.1)
    print(f"{answered} answered, longest wait {longest:.3f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        talk(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
