#!/usr/bin/python3
"""Datagrams to the lab's UDP echo, from the client's namespace; prints JSON: for each socket who
answered it, in order, None for nobody and for an answer that is not what was sent.

usage: datagrams.py ADDRESS PORT SOCKETS DATAGRAMS SIZE [FIRST-SOURCE-PORT]
"""

import json
import socket
import sys


def ask(endpoint, size, number):
    question = f"{number}-".encode() + bytes(97 + (number + i) % 26 for i in range(size))
    question = question[: max(size, 8)]
    try:
        endpoint.send(question)
        name, _, echoed = endpoint.recv(65536).split(b" ", 2)
    except OSError:
        return None
    return name.decode() if echoed == question else None


def main():
    address, port, sockets, datagrams, size = sys.argv[1], *map(int, sys.argv[2:6])
    source = int(sys.argv[6]) if len(sys.argv) > 6 else 0
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answers = []
    for index in range(sockets):
        with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
            endpoint.settimeout(2)
            if source:
                endpoint.bind(("", source + index))
            endpoint.connect((address, port))
            answers.append([ask(endpoint, size, number) for number in range(datagrams)])
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
