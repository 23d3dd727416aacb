"""A recording tap: a loopback port that passes every byte on and keeps it, and what the bytes of HTTP/2 say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from hpack import Decoder

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20


@dataclass(slots=True)
class Both:
    """What went one way and the other."""

    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


class Tap:
    """Accepts at `port`, passes on to `upstream`. `since` has all bytes since `forget`, `connections` those opened since then."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.since = Both()
        self.connections: list[Both] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Nothing was recorded."""
        self.since, self.connections = Both(), []

    def close(self) -> None:
        """Nobody is accepted any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # `close` alone leaves `accept` waiting
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                near.close()
                continue
            kept = Both()
            self.connections.append(kept)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, way in ((near, far, "asked"), (far, near, "answered")):
                threading.Thread(target=self._pump, args=(source, sink, kept, way), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, kept: Both, way: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                getattr(kept, way).extend(data)
                getattr(self.since, way).extend(data)  # before it goes on: who has the answer finds it recorded
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


# --- what HTTP/2 says -------------------------------------------------------------------------------------------------


def calls(data: bytes) -> list[tuple[object, ...]]:
    """One direction of an HTTP/2 connection: for each stream, in its order, its header lists and its data.

    Framing, header compression, settings, windows and pings belong to a connection, not to a call: they are left out.
    """
    decoder = Decoder(max_header_list_size=1 << 20)
    streams: dict[int, list[object]] = {}
    block = b""
    for kind, flags, stream, payload in _frames(data.removeprefix(_PREFACE)):
        said = streams.setdefault(stream, []) if stream else []
        if kind == _DATA:
            _say(said, _unpadded(flags, payload))
        elif kind in {_HEADERS, _CONTINUATION}:
            if kind == _HEADERS:
                bare = _unpadded(flags, payload)
                block = bare[5:] if flags & _PRIORITY else bare
            else:
                block += payload
            if flags & _END_HEADERS:
                said.append(tuple(sorted((str(name), str(value)) for name, value in decoder.decode(block))))
    return [tuple(said) for _, said in sorted(streams.items()) if said]


def _say(said: list[object], data: bytes) -> None:
    """Data goes behind the data before it: where frames end means nothing."""
    if said and isinstance(said[-1], bytes):
        said[-1] += data
    elif data:
        said.append(data)


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload


def _frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of every whole frame (RFC 9113, section 4.1)."""
    place = 0
    while place + 9 <= len(data):
        length = int.from_bytes(data[place : place + 3], "big")
        if place + 9 + length > len(data):
            return
        stream = int.from_bytes(data[place + 5 : place + 9], "big") & 0x7FFF_FFFF
        yield data[place + 3], data[place + 4], stream, data[place + 9 : place + 9 + length]
        place += 9 + length
