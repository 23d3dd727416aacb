"""A load of keep-alive connections: open loop at a fixed rate (latency), or closed loop (where wrk is missing).

`python -m benchmarks.proxy.load PORT MODEL CONNECTIONS SECONDS RATE` prints one JSON object; RATE 0 is the closed loop.

One thread over `select`, whose timeout is exact to microseconds; event loops round theirs to milliseconds, which would be
longer than what is measured. A request is sent when its time has come and a connection is free; its latency counts from the
moment at which this process noticed that it was due, so waiting for a connection counts, and oversleeping does not.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.proxy.cases import MODELS, Model, request, request_ids

SLOWEST_S = 10.0
"""A request without an answer for so long ends the measurement; it counts as an error."""


def answer_size(data: bytes) -> int | None:
    """How many bytes a whole answer has that begins with `data`; None while that cannot be told (chunks: until the last)."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    place = head.find(b"\ncontent-length:")
    if place < 0:
        return len(data) if data.endswith(b"\r\n0\r\n\r\n") else None
    return end + 4 + int(head[place + 16 :].split(b"\r\n", 1)[0])


@dataclass(slots=True)
class Connection:
    """One connection to the peer, and the request that is on it."""

    socket: socket.socket
    since_s: float = 0.0
    received: list[bytes] = field(default_factory=list)
    size: int = 0
    wanted: int | None = None

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def take(self) -> bytes | None:
        """The whole answer, or None while more is to come. Raises ConnectionError when the peer hung up."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the peer hung up")
        self.received.append(data)
        self.size += len(data)
        if self.wanted is None:
            self.received = [b"".join(self.received)]
            self.wanted = answer_size(self.received[0])
        if self.wanted is None or self.size < self.wanted:
            return None
        whole = b"".join(self.received)
        self.received, self.size, self.wanted = [], 0, None
        return whole


@dataclass(slots=True)
class Result:
    """What the load saw. Latencies in seconds, of answers with status 200."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def answered(self, connection: Connection, answer: bytes, now_s: float) -> None:
        """One answer is whole."""
        self.requests += 1
        if answer.startswith(b"HTTP/1.1 200"):
            self.latencies_s.append(now_s - connection.since_s)
        else:
            self.errors += 1

    def quantile_ms(self, share: float) -> float:
        """The latency below which this share of requests lies, in milliseconds; 0 when there was none."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


def _connect(port: int, count: int) -> list[Connection]:
    made = []
    for _ in range(count):
        opened = socket.create_connection(("127.0.0.1", port), 5)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.append(Connection(opened))
    return made


def run(port: int, model: Model, connections: int, seconds: float, rate: float) -> Result:
    """The load has run for so long; `rate` 0 sends as fast as answers come."""
    requests: Iterator[bytes] = itertools.cycle([request(model, one, port) for one in request_ids()])
    opened = _connect(port, connections)
    free, busy, result = deque(opened), set[int](), Result()
    by_number = {one.fileno(): one for one in opened}
    waiting: deque[float] = deque()
    began_s = time.perf_counter()
    ends_s, due, in_all = began_s + seconds, 0, round(seconds * rate)
    while (now_s := time.perf_counter()) < ends_s or due < in_all or ((busy or waiting) and now_s < ends_s + SLOWEST_S):
        if rate:
            while due < in_all and began_s + due / rate <= now_s:
                waiting.append(now_s)
                due += 1
        elif now_s < ends_s:
            waiting.extend([now_s] * (len(free) - len(waiting)))
        while waiting and free:
            connection = free.popleft()
            connection.since_s = waiting.popleft()
            connection.socket.sendall(next(requests))
            busy.add(connection.fileno())
        until_s = began_s + due / rate if due < in_all else ends_s
        pause_s = max(0.0, until_s - time.perf_counter()) if now_s < ends_s else 0.1
        ready, _, _ = select.select(busy, [], [], pause_s)
        for number in ready:
            connection = by_number[number]
            whole = connection.take()
            if whole is not None:
                result.answered(connection, whole, time.perf_counter())
                busy.discard(number)
                free.append(connection)
    result.seconds = time.perf_counter() - began_s
    result.errors += len(busy) + len(waiting)
    for connection in opened:
        connection.socket.close()
    return result


def main(arguments: list[str]) -> None:
    """One load, told on standard output."""
    port, model, connections, seconds, rate = arguments
    result = run(int(port), MODELS[model], int(connections), float(seconds), float(rate))
    told = {
        "requests": result.requests,
        "errors": result.errors,
        "seconds": result.seconds,
        "p50_ms": result.quantile_ms(0.5),
        "p99_ms": result.quantile_ms(0.99),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
