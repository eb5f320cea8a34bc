"""Connections that are meant to last: HTTP requests, one after another, on connections that are
opened once. Runs on the client of a lab.

usage: lasting.py ADDRESS... : says "ready" when every connection has been answered a few times,
asks on until its standard input ends, then prints what became of each as one line of JSON.
"""

import http.client
import json
import select
import sys
import time

EARLY_REQUESTS = 5  # more packets than the sync protocol's threshold of three
PAUSE = 0.1
PATIENCE = 30  # seconds for an answer: retransmissions during a take-over


class Lasting:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, 80, timeout=PATIENCE)
        self.connect(address)
        self.port = self.connection.sock.getsockname()[1]
        # A lost connection must show, not be opened anew.
        self.connection.auto_open = 0
        self.servers, self.answers, self.longest, self.failure = set(), 0, 0.0, None

    def connect(self, address):
        """A service whose servers are being checked refuses."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connection.connect()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{address}: {error}") from error
                time.sleep(PAUSE)

    def ask(self):
        if self.failure:
            return
        started = time.monotonic()
        try:
            self.connection.request("GET", "/")
            answer = self.connection.getresponse()
            self.servers.add(answer.read().decode().strip())
            self.answers += 1
        except (OSError, http.client.HTTPException) as error:
            self.failure = f"{type(error).__name__} {error}"
        self.longest = max(self.longest, time.monotonic() - started)


def main():
    all_of_them = {address: Lasting(address) for address in sys.argv[1:]}
    for _ in range(EARLY_REQUESTS):
        for one in all_of_them.values():
            one.ask()
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for one in all_of_them.values():
            one.ask()
    for one in all_of_them.values():
        one.ask()
    print(json.dumps({
        address: {"port": one.port, "servers": sorted(one.servers), "answers": one.answers,
                  "longest": round(one.longest, 2), "failure": one.failure}
        for address, one in all_of_them.items()
    }))


if __name__ == "__main__":
    main()
