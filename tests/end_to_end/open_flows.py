#!/usr/bin/python3
"""Opens HTTP connections that stay open. For each line on stdin it asks again on every one of them and
prints who answered, a JSON list.

usage: open_flows.py ADDRESS PORT COUNT
"""

import http.client
import json
import sys


def main():
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    flows = [http.client.HTTPConnection(address, port, timeout=10) for _ in range(count)]
    for flow in flows:
        # Without this a lost connection would be opened again unnoticed.
        flow.auto_open = 0
        flow.connect()
    for _ in sys.stdin:
        answers = []
        for flow in flows:
            flow.request("GET", "/")
            answers.append(flow.getresponse().read().decode().strip())
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
