"""Ports of this machine that nobody listens on."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on. They are held together while they are picked, so all differ.

    Between this and the moment at which somebody listens there, any connection of this machine may be given a port of the kernel's own
    range; so they lie below that, where only whoever asks for a port by its number gets it.
    """
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            one = socket.socket()
            held.append(one)
            try:
                one.bind(("127.0.0.1", _somewhere_below(_first_of_the_kernel())))
            except OSError:
                held.pop().close()
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _first_of_the_kernel() -> int:
    """The lowest port that the kernel gives to connections; Linux' own default where nobody says."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


def _somewhere_below(limit: int) -> int:
    """A port that is worth a try; any that the kernel picks where it leaves no room below."""
    return 10_000 + secrets.randbelow(limit - 10_000) if limit > 12_000 else 0
