#!/usr/bin/python3
"""A client that counts: sends requests, records who answered and what failed, prints JSON.

    traffic.py http ADDRESS PORT COUNT   each request on a TCP connection of its own
    traffic.py udp  ADDRESS PORT COUNT   each question from a port of its own
    traffic.py hold ADDRESS PORT COUNT   opens COUNT connections, asks on each, prints, waits for
                                         the end of standard input, then asks on each again
Options: --source-port N first source port; --timeout S; --interval S between requests;
--until-stopped: prints "ready", goes on until SIGTERM, COUNT is ignored; --path /P for http.

Runs inside the client's namespace; a separate process, because a namespace is a thread's.
"""

import argparse
import json
import signal
import socket
import sys
import time
from collections import Counter


class Client:
    def __init__(self, options):
        self.options = options
        self.family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
        self.source_port = options.source_port
        self.answers = Counter()
        self.failures = []
        self.requests = 0
        self.stopped = False

    def open(self, kind):
        endpoint = socket.socket(self.family, kind)
        endpoint.settimeout(self.options.timeout)
        if self.source_port:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            endpoint.bind(("::" if self.family == socket.AF_INET6 else "", self.source_port))
            self.source_port += 1
        endpoint.connect((self.options.address, self.options.port))
        return endpoint

    def ask_http(self, connection, last):
        request = (
            f"GET {self.options.path} HTTP/1.1\r\nHost: lab\r\n"
            f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n"
        )
        connection.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.more(connection)
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"answer {head.splitlines()[0]!r}")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            body += self.more(connection)
        return body.decode(errors="replace").split()[0]

    @staticmethod
    def more(connection):
        data = connection.recv(65536)
        if not data:
            raise OSError("connection closed before the answer was complete")
        return data

    def http(self):
        with self.open(socket.SOCK_STREAM) as connection:
            return self.ask_http(connection, last=True)

    def udp(self):
        with self.open(socket.SOCK_DGRAM) as endpoint:
            question = f"question-{self.requests}"
            endpoint.send(question.encode())
            name, _, echoed = endpoint.recv(65536).decode().split(" ", 2)
            if echoed != question:
                raise OSError(f"asked {question}, got {echoed}")
            return name

    def attempt(self, ask):
        started = time.time()
        self.requests += 1
        try:
            self.answers[ask()] += 1
        except (OSError, ValueError, StopIteration) as error:
            self.failures.append({"time": started, "end": time.time(), "error": str(error)})

    def repeat(self, ask):
        while not self.stopped:
            if not self.options.until_stopped and self.requests >= self.options.count:
                break
            self.attempt(ask)
            if self.options.interval:
                time.sleep(self.options.interval)

    def hold(self):
        """Each connection is asked on twice: when opened, and after the caller has looked."""
        connections = []

        def open_and_ask():
            connections.append(self.open(socket.SOCK_STREAM))
            return self.ask_http(connections[-1], last=False)

        for _ in range(self.options.count):
            self.attempt(open_and_ask)
        self.print()
        sys.stdin.read()
        self.answers.clear()
        for connection in connections:
            self.attempt(lambda connection=connection: self.ask_http(connection, last=True))
            connection.close()

    def print(self):
        result = {
            "requests": self.requests,
            "answers": dict(self.answers),
            "failed": len(self.failures),
            "failures": self.failures[:200],
        }
        print(json.dumps(result), flush=True)

    def stop(self, *_):
        self.stopped = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("http", "udp", "hold"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--source-port", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=2.0)
    parser.add_argument("--interval", type=float, default=0.0)
    parser.add_argument("--path", default="/")
    parser.add_argument("--until-stopped", action="store_true")
    options = parser.parse_args()
    client = Client(options)
    signal.signal(signal.SIGTERM, client.stop)
    if options.until_stopped:
        print("ready", flush=True)  # from here on SIGTERM ends with a result
    if options.kind == "hold":
        client.hold()
    else:
        client.repeat(client.http if options.kind == "http" else client.udp)
    client.print()


if __name__ == "__main__":
    main()
