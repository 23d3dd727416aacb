"""A recording tap: a loopback port that passes every byte on and keeps it, exchange by exchange; and what the bytes of HTTP/2 say."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hpack import Decoder

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked\r\n")
_CHUNKS_END = b"\r\n0\r\n\r\n"
"""How a chunked body ends: the line end of its last piece, and the piece without bytes. None of it is content."""


@dataclass(slots=True)
class Both:
    """What went one way and the other."""

    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)
    left: bool = False
    """Whether the asking side has closed the connection, and not the other one."""


class Tap:
    """Accepts at `port`, passes on to `upstream`, and keeps what it has seen since `forget`.

    `exchanges` are in the order in which they began: one begins with the first bytes that are asked after an answer, so that only
    clients that wait for their answers are told apart. `connections` are those opened since then, each with all of its bytes.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.exchanges: list[Both] = []
        self.connections: list[Both] = []
        self._pumps: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Nothing was recorded. What still comes of an earlier exchange belongs to that one."""
        self.exchanges, self.connections = [], []

    def idle(self) -> bool:
        """Whether every connection so far is over: nothing more of them will be passed on or kept."""
        return not any(pump.is_alive() for pump in self._pumps)

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
            connection = _Connection(self)
            self.connections.append(connection.whole)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, keep in ((near, far, connection.asked), (far, near, connection.answered)):
                pump = threading.Thread(target=self._pump, args=(source, sink, connection, keep), daemon=True)
                self._pumps.append(pump)
                pump.start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, connection: _Connection, keep: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                keep(data)  # before it goes on: who has the answer finds it recorded
                sink.sendall(data)
        connection.ended(by_client=keep == connection.asked)  # before the other way is cut, too
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Connection:
    """What one connection says, as a whole and exchange by exchange."""

    def __init__(self, tap: Tap) -> None:
        self.whole = Both()
        self._tap = tap
        self._now: Both | None = None
        self._over = False

    def asked(self, data: bytes) -> None:
        """More of a request, or the next one."""
        if self._now is None or self._now.answered:
            self._now = Both()
            self._tap.exchanges.append(self._now)
        self._now.asked += data
        self.whole.asked += data

    def answered(self, data: bytes) -> None:
        """More of an answer."""
        if self._now is not None:
            self._now.answered += data
        self.whole.answered += data

    def ended(self, *, by_client: bool) -> None:
        """One side has closed it; the first to do so counts, because the tap closes the other way itself."""
        if self._over:
            return
        self._over = True
        for one in (self.whole, self._now):
            if one is not None:
                one.left = by_client


# --- the same exchange on both sides ----------------------------------------------------------------------------------


def differs(near: Both, far: Both) -> str:
    """What differs between the two sides of one exchange, "" when nothing does.

    A client may leave once it has read what it wants: the official OpenAI client does when it has seen the event `[DONE]`, and then the
    end of the chunked body, which says nothing, may be on its way still. With such a client, that end alone may be missing in front
    of the proxy.
    """
    if near.asked != far.asked:
        return "the bytes that were asked differ"
    got, sent = bytes(near.answered), bytes(far.answered)  # in this order: what is in front was behind before
    if got == sent:
        return ""
    missing = sent.removeprefix(got)
    left_early = near.left and len(missing) < len(sent) and _CHUNKED.search(sent.partition(b"\r\n\r\n")[0] + b"\r\n")
    return "" if left_early and _CHUNKS_END.endswith(missing) else "the bytes that were answered differ"


def paired(near: Sequence[Both], far: Sequence[Both], header: str) -> list[tuple[Both, Both]]:
    """The two sides of each exchange, in the order in front: told by a header whose value no two requests share.

    A request that the proxy sends on over a kept connection just when the server closes it goes out a second time, over another one:
    only the answered one is an exchange. Raises AssertionError when one side has seen an exchange that the other has not, or one twice.
    """
    fronts = [(_value(one, header), one) for one in near]
    answered = [(_value(one, header), one) for one in far if one.answered]
    behind = dict(answered)
    again = [one for one in far if not one.answered]
    assert all(one.asked == getattr(behind.get(_value(one, header)), "asked", None) for one in again), (
        "a request that the server never answered was not sent again as it was"
    )
    assert sorted(name for name, _ in fronts) == sorted(name for name, _ in answered), (
        "the two sides saw other exchanges"
    )
    assert len(behind) == len(answered), "the two sides saw an exchange twice"
    return [(one, behind[name]) for name, one in fronts]


def _value(exchange: Both, header: str) -> bytes:
    found = re.search(rb"(?i)\r\n" + re.escape(header.encode()) + rb": *([^\r\n]*)\r\n", exchange.asked)
    return found[1] if found else b""


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
