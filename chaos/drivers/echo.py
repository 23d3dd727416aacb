"""How long a packet takes to a container and back, and whether it comes back at all: ICMP echoes, from outside."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence

ECHO_REQUEST, ECHO_REPLY = 8, 0


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def round_trips(address: str, count: int, *, gap_s: float = 0.005, wait_s: float = 0.5) -> list[float] | None:
    """Seconds of each echo that came back within `wait_s` of the last one that was sent; None when none may be sent from here."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except OSError:
        return None
    identity = int.from_bytes(os.urandom(2), "big")
    with raw:
        try:
            return _echoes(raw, address, identity, count, gap_s, wait_s)
        except OSError:
            return None


def _echoes(raw: socket.socket, address: str, identity: int, count: int, gap_s: float, wait_s: float) -> list[float]:
    sent: list[float] = []
    back: dict[int, float] = {}
    next_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if len(sent) < count and now_s >= next_s:
            sent.append(now_s)
            raw.sendto(_request(identity, len(sent) - 1), (address, 0))
            next_s = now_s + gap_s
        elif len(back) == count or (len(sent) == count and now_s > sent[-1] + wait_s):
            return list(back.values())
        until_s = next_s if len(sent) < count else sent[-1] + wait_s
        if select.select([raw], [], [], max(0.0, until_s - now_s) + 0.0005)[0]:
            number = _number(raw.recv(2048), identity)
            if number is not None and number < len(sent):
                back.setdefault(number, time.monotonic() - sent[number])


def _request(identity: int, number: int) -> bytes:
    body = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identity, number) + b"chaos round trip"
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def _number(packet: bytes, identity: int) -> int | None:
    """Which of our requests this IPv4 packet answers; None when it is somebody else's."""
    start = (packet[0] & 0x0F) * 4
    if len(packet) < start + 8:
        return None
    kind, _, _, whose, number = struct.unpack("!BBHHH", packet[start : start + 8])
    return int(number) if kind == ECHO_REPLY and whose == identity else None


def median_ms(seconds: Sequence[float]) -> str:
    """The median in words: `50.3 ms`, or `none came back`."""
    if not seconds:
        return "none came back"
    return f"{sorted(seconds)[len(seconds) // 2] * 1000:.1f} ms"
