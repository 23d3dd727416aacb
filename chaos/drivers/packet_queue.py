"""A program of its own: holds back or damages the packets that a firewall rule hands to it (NFQUEUE), where the kernel has no netem.

    nsenter -t PID -n python packet_queue.py --container ID --queue 40101 --pid PID --delay 0.05 --jitter 0.01 --for 60

It needs nothing but Python. It says `ready` once the queue is its own, and ends by itself after `--for` seconds, or when the process
`--pid` is gone. When it is gone the rule lets every packet pass (`--queue-bypass`), so its death hurts nobody.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_NO_ENOBUFS = 270, 5
NLMSG_ERROR, NLM_F_REQUEST, NLM_F_ACK = 2, 1, 4
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302
CONFIG_COMMAND, CONFIG_PARAMETERS, CONFIG_LENGTH, CONFIG_MASK, CONFIG_FLAGS = 1, 2, 3, 4, 5
PACKET_HEADER, VERDICT_HEADER, PAYLOAD = 1, 2, 10
BIND, COPY_META, COPY_PACKET, FAIL_OPEN, ACCEPT = 1, 1, 2, 1, 1
LONGEST_QUEUE = 20_000
"""Packets; those that come while so many wait pass at once (`FAIL_OPEN`)."""


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def message(kind: int, queue: int, payload: bytes, flags: int = NLM_F_REQUEST) -> bytes:
    """A message to the kernel about one queue."""
    body = struct.pack("!BBH", 0, 0, queue) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of every message in what the kernel sent."""
    place = 0
    while place + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, place)
        if length < 16:
            return
        yield kind, data[place + 16 : place + length]
        place += (length + 3) & ~3


def attributes(body: bytes) -> dict[int, bytes]:
    """Kind → payload of a packet message's attributes."""
    found: dict[int, bytes] = {}
    place = 4
    while place + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, place)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[place + 4 : place + length]
        place += (length + 3) & ~3
    return found


def damaged(packet: bytes) -> bytes:
    """The packet with the lowest bit of its last byte turned over: no checksum of one bit fails to see that."""
    return packet[:-1] + bytes([packet[-1] ^ 1]) if packet else packet


def verdict(queue: int, number: int, payload: bytes | None = None) -> bytes:
    """Lets a packet pass; with another content, if there is one."""
    said = attribute(VERDICT_HEADER, struct.pack("!II", ACCEPT, number))
    return message(VERDICT, queue, said + (attribute(PAYLOAD, payload) if payload is not None else b""))


class Queue:
    """A queue of the kernel's, bound by this process."""

    def __init__(self, number: int, *, whole: bool) -> None:
        self.number = number
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
        self.socket.bind((0, 0))
        copy = struct.pack("!IB", 0xFFFF if whole else 0, COPY_PACKET if whole else COPY_META)
        self._configure(attribute(CONFIG_COMMAND, struct.pack("!BBH", BIND, 0, 0)))
        self._configure(attribute(CONFIG_PARAMETERS, copy))
        self._configure(attribute(CONFIG_LENGTH, struct.pack("!I", LONGEST_QUEUE)))
        flags = struct.pack("!I", FAIL_OPEN)
        self._configure(attribute(CONFIG_MASK, flags) + attribute(CONFIG_FLAGS, flags))

    def _configure(self, payload: bytes) -> None:
        self.socket.send(message(CONFIG, self.number, payload, NLM_F_REQUEST | NLM_F_ACK))
        while True:
            for kind, body in messages(self.socket.recv(65536)):
                if kind == NLMSG_ERROR:
                    (number,) = struct.unpack_from("=i", body)
                    if number:
                        raise OSError(-number, f"the kernel refuses the queue: {os.strerror(-number)}")
                    return

    def packets(self, wait_s: float) -> Iterator[tuple[int, bytes]]:
        """Number and content of the packets that have come, after at most `wait_s`."""
        if not select.select([self.socket], [], [], wait_s)[0]:
            return
        for kind, body in messages(self.socket.recv(256 * 1024)):
            found = attributes(body) if kind == PACKET else {}
            if PACKET_HEADER in found:
                (number,) = struct.unpack_from("!I", found[PACKET_HEADER])
                yield number, found.get(PAYLOAD, b"")


def serve(queue: Queue, asked: argparse.Namespace) -> None:
    """Packets wait or are damaged until the time is over or the container is gone."""
    ends_s = time.monotonic() + asked.seconds
    born = _born(asked.pid)
    waiting: list[tuple[float, int]] = []
    while time.monotonic() < ends_s and _born(asked.pid) == born:
        again_s = min(ends_s, time.monotonic() + 0.5)
        while (now_s := time.monotonic()) < again_s:
            wait_s = (min(again_s, waiting[0][0]) if waiting else again_s) - now_s
            for number, payload in queue.packets(max(0.0, wait_s)):
                if asked.damaged and random.random() < asked.damaged:
                    queue.socket.send(verdict(queue.number, number, damaged(payload)))
                    continue
                due_s = time.monotonic() + asked.delay + asked.jitter * random.random()
                heapq.heappush(waiting, (due_s, number))
            while waiting and waiting[0][0] <= time.monotonic():
                queue.socket.send(verdict(queue.number, heapq.heappop(waiting)[1]))


def _born(pid: int) -> str | None:
    """When a process was started, in the kernel's own words; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--container", required=True, help="whose packets these are; found again by it")
    parser.add_argument("--queue", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="ends together with this process")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each packet waits")
    parser.add_argument("--jitter", type=float, default=0.0, help="seconds that a packet may wait beyond that")
    parser.add_argument("--damaged", type=float, default=0.0, help="share of the packets that are damaged")
    parser.add_argument("--for", type=float, dest="seconds", required=True, help="ends after so many seconds")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        queue = Queue(asked.queue, whole=asked.damaged > 0)
    except OSError as error:
        sys.exit(str(error))
    print("ready", flush=True)
    serve(queue, asked)


if __name__ == "__main__":
    main()
