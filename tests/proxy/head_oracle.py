"""Heads read line by line, as RFC 9112 tells it: slow, plain, and the judge of what the proxy's one expression accepts."""

from __future__ import annotations

from dataclasses import dataclass

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Read:
    """What a head says."""

    first: tuple[bytes, ...]
    headers: dict[str, str]
    length: int | None
    chunked: bool
    keep_alive: bool


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    found = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or any(sign not in TOKEN for sign in name) or any(sign in b"\r\n\0" for sign in value):
            return None
        found.append((name.lower(), value.strip(b" \t")))
    return found


def _read(first: tuple[bytes, ...], version: bytes, lines: list[bytes]) -> Read | None:
    fields = _fields(lines)
    if fields is None:
        return None
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(name in (b"content_length", b"transfer_encoding") for name, _ in fields):
        return None
    if lengths and (not lengths[0].isdigit() or len(lengths[0]) > 18):
        return None
    if codings and (codings[0] != b"chunked" or version == b"HTTP/1.0"):
        return None
    headers = {name.decode(): value.decode("latin-1") for name, value in fields}
    said = headers.get("connection", "").lower()
    keep = "close" not in said if version == b"HTTP/1.1" else "keep-alive" in said
    return Read(first, headers, int(lengths[0]) if lengths else None, bool(codings), keep)


def request(raw: bytes) -> Read | None:
    """A request's head; None when it is none, or could be read in two ways."""
    if not raw.endswith(b"\r\n\r\n") or raw.find(b"\r\n\r\n") != len(raw) - 4:
        return None
    first, *lines = raw[:-4].split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not parts[0] or not parts[1]:
        return None
    if any(sign not in TOKEN for sign in parts[0]) or any(sign < 33 or sign == 127 for sign in parts[1]):
        return None
    return _read((parts[0], parts[1]), parts[2], lines)


def answer(raw: bytes) -> Read | None:
    """An answer's head to a request other than HEAD; None when it is none, or could be read in two ways."""
    if not raw.endswith(b"\r\n\r\n") or raw.find(b"\r\n\r\n") != len(raw) - 4:
        return None
    first, *lines = raw[:-4].split(b"\r\n")
    version, status, rest = first[:8], first[9:12], first[12:]
    good = version in (b"HTTP/1.1", b"HTTP/1.0") and first[8:9] == b" " and len(status) == 3
    if not good or any(sign not in b"0123456789" for sign in status) or rest[:1] not in (b"", b" "):
        return None
    if any(sign in b"\r\n" for sign in rest):
        return None
    read = _read((status,), version, lines)
    if read is None:
        return None
    length, chunked = read.length, read.chunked
    if int(status) in (204, 304) or int(status) < 200:
        length, chunked = 0, False
    keep = read.keep_alive and (chunked or length is not None)
    return Read(read.first, read.headers, length, chunked, keep)
