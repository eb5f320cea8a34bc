#!/usr/bin/python3
"""Frames of no known protocol to a group of stations.

usage: group_frames.py send DEVICE GROUP
       group_frames.py receive DEVICE GROUP SECONDS

"receive" says "ready" when it listens, and at the first such frame "received", or at the end "nothing".
"""

import socket
import sys
import time

EXPERIMENTAL = 0x88B5  # IEEE 802: local experiments
FRAME_LENGTH = 60


def station(text):
    return bytes.fromhex(text.replace(":", ""))


def receive(wire, group, seconds):
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            frame = wire.recv(2048)
        except TimeoutError:
            return False
        if frame[:6] == group:
            return True
    return False


def main():
    job, device, group = sys.argv[1], sys.argv[2], station(sys.argv[3])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((device, EXPERIMENTAL))
    if job == "send":
        source = wire.getsockname()[4]
        frame = group + source + EXPERIMENTAL.to_bytes(2, "big")
        wire.send(frame.ljust(FRAME_LENGTH, b"\0"))
        return
    print("ready", flush=True)
    print("received" if receive(wire, group, float(sys.argv[4])) else "nothing")


if __name__ == "__main__":
    main()
