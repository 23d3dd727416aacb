"""The data plane: clients on one side, one upstream on the other, and between them nothing that was not asked for.

    client bytes ─▶ head ─▶ arm? ─ no ─▶ the same bytes ─▶ upstream ─▶ the same bytes ─▶ client
                              │ treatment
                              └▶ wait / answer / reset ─▶ upstream ─▶ whole answer ─▶ rows edited ─▶ client

Idle is the identity: heads and bodies go on as they were received, hop-by-hop headers included. Exceptions, all of them: an
answer of the proxy's own (400 ambiguous framing, 405 CONNECT, 502 upstream unreachable), and answers of the treatment arm
that a fault changed. One request at a time per client connection, in order; what is pipelined waits in a bounded buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from chaos.proxy import wire
from chaos.proxy.counters import Counters
from chaos.proxy.exchange import Exchange, Hurt
from chaos.proxy.grpc.frames import HTTP2_START
from chaos.proxy.grpc.plane import Bridge, hand_over
from chaos.proxy.observe import Observer
from chaos.proxy.registry import Registry
from chaos.proxy.shadow import Consumer
from chaos.proxy.upstream import CONNECT_S, HANDSHAKE_S, UpstreamAddress, addressed, why_unreachable

BUFFERED = 256 * 1024
"""Bytes of pipelined requests that wait before the client is told to slow down."""
REPLAYABLE = 64 * 1024
"""A request of at most this size is sent again when a pooled connection turns out to be closed."""
LARGEST_EDITED = 8 * 1024 * 1024
"""Answers above this are passed on untouched and counted: a fault must not eat the memory."""
IDLE_CONNECTIONS = 512
LINGER_S = 2.0
"""How long a connection that ends within a request is still read: a reset would take the answer away from the client."""


class Route:
    """One listener and the one upstream behind it, with its idle connections."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        registry: Registry,
        counters: Counters,
        *,
        record_bodies: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.registry = registry
        self.counters = counters
        self.record_bodies = record_bodies
        self.tls = tls
        """How to verify an upstream over TLS; None: it is spoken to in clear text."""
        self.upstream = UpstreamAddress(host, port, tls=tls is not None)
        self.observer: Observer | None = None
        self.consumer: Consumer | None = None
        self.idle: deque[Upstream] = deque()
        self.clients: set[Client | Bridge] = set()

    def pooled(self) -> Upstream | None:
        """An idle connection that is still open, the latest used first."""
        while self.idle:
            found = self.idle.pop()
            if found.open:
                found.reused = True
                return found
        return None

    def give_back(self, upstream: Upstream) -> None:
        """The connection may serve the next request."""
        upstream.client = None
        if upstream.open and len(self.idle) < IDLE_CONNECTIONS:
            self.idle.append(upstream)
        else:
            upstream.close()


class Upstream(asyncio.Protocol):
    """One connection to the upstream. Serves one exchange at a time; between them it lies in the route's pool."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.client: Client | None = None
        self.transport: asyncio.Transport | None = None
        self.open = False
        self.reused = False
        self.broken = False
        """Whether the connection did not end, but was cut."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; anything unasked for ends the connection."""
        if self.client is None:
            self.close()
        else:
            self.client.upstream_data(data)

    def eof_received(self) -> bool:
        """The upstream has said everything."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.open = False
        self.broken = exc is not None
        if self.client is not None:
            client, self.client = self.client, None
            client.upstream_lost(self)
        else:
            with contextlib.suppress(ValueError):
                self.route.idle.remove(self)

    def pause_writing(self) -> None:
        """The upstream reads slowly: so does its client write."""
        if self.client is not None:
            self.client.hold("upstream")

    def resume_writing(self) -> None:
        """The upstream reads again."""
        if self.client is not None:
            self.client.release("upstream")

    def close(self) -> None:
        """The connection ends."""
        self.open = False
        if self.transport is not None:
            self.transport.close()


class Client(asyncio.Protocol):
    """One connection from a client, and the exchange that is on it now."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.exchange: Exchange | None = None
        self.upstream: Upstream | None = None
        self.tunnel = False
        self.finished = False
        self._begun = False
        self._half_closed = False
        self._clogged = False
        self._linger_timer: asyncio.TimerHandle | None = None
        self._held: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._release: Callable[[], None] | None = None

    # --- the client's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast(asyncio.Transport, transport)
        self.route.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client is gone: what was done for it ends."""
        self.finished = True
        self.route.clients.discard(self)
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        if self.exchange is not None:
            self._end_wait(self.exchange)
            self.exchange.stream_ended(self.route, "left")
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.client = None
            upstream.close()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client; what comes after the connection's last answer is dropped."""
        if self.finished:
            return
        if self.tunnel:
            self._to_upstream(data)
            return
        self.buffer = self.buffer + data if self.buffer else data
        self._advance()

    def eof_received(self) -> bool:
        """The client has said everything; its last answers still go out."""
        self._half_closed = True
        if self.finished:
            return False
        if self.tunnel and self.upstream is not None and self.upstream.transport is not None:
            if self.upstream.transport.can_write_eof():  # over TLS, nobody can say that he has said everything
                self.upstream.transport.write_eof()
            return True
        # A body that will never be whole is no request: nobody may wait for its rest.
        return self.exchange is not None and self.exchange.request_body.done

    def pause_writing(self) -> None:
        """The client reads slowly: so is the upstream read, this one and that of the next request."""
        self._clogged = True
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._clogged = False
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.resume_reading()

    def hold(self, why: str) -> None:
        """Nothing more is read from the client until `release` with the same reason."""
        if not self._held and self.transport is not None:
            self.transport.pause_reading()
        self._held.add(why)

    def release(self, why: str) -> None:
        """The reason is gone; reading goes on when it was the last."""
        if why in self._held:
            self._held.discard(why)
            if not self._held and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    # --- requests -----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Does as much as the buffer allows: the rest of the body of this request, or the head of the next one."""
        while self.buffer and not self.finished:
            exchange = self.exchange
            if exchange is None:
                if not self._begin():
                    return
            elif not exchange.request_body.done:
                if not self._feed(exchange):
                    return
            else:
                if len(self.buffer) > BUFFERED:
                    self.hold("pipelined")
                return

    def _begin(self) -> bool:
        """Takes one head off the buffer; False when there is none yet, or when it is refused."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > wire.LARGEST_HEAD:
                self._refuse(431, "the request's head is too large")
            elif b"\n\n" in self.buffer or self.buffer.startswith(b"\n"):
                self._refuse(400, "bare line feeds")
            elif self._half_closed:
                self._close()  # a head that will never be whole
            return False
        raw, self.buffer = self.buffer[: end + 4], self.buffer[end + 4 :]
        try:
            if len(raw) > wire.LARGEST_HEAD:
                raise wire.BadMessage("the request's head is too large")
            head = wire.parse_request(raw)
        except wire.BadMessage as error:
            if raw == HTTP2_START and not self._begun and self.transport is not None:
                self.finished = True
                self.route.clients.discard(self)
                self.route.clients.add(hand_over(self.route, self.transport, raw + self.buffer))
            else:
                self._refuse(400, str(error))
            return False
        self._begun = True
        if head.method == "CONNECT":
            self._refuse(405, "CONNECT is not for a reverse proxy")
            return False
        exchange = self.exchange = Exchange(head, self.route.registry.current(), time.monotonic())
        if exchange.wants_body():
            if exchange.expects_continue() and not exchange.request_body.done:
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
                exchange.continued = True
            if exchange.request_body.done:
                self._decide(exchange)
        else:
            exchange.decide(b"", self.route)
            self._act(exchange)
        return self.exchange is not None

    def _feed(self, exchange: Exchange) -> bool:
        """Passes on what belongs to the body; False when it cannot go on."""
        data = self.buffer
        try:
            end = exchange.request_body.take(data, 0)
        except wire.BadMessage as error:
            if exchange.answer_head is not None:
                self._reset()  # the answer is on its way: a second head inside it would be read as its body
            else:
                self._refuse(400, str(error))
            return False
        piece, self.buffer = (data, b"") if end == len(data) else (data[:end], data[end:])
        if exchange.collecting:
            exchange.collected.append(piece)
            exchange.collected_size += len(piece)
            if exchange.request_body.done or exchange.collected_size > LARGEST_EDITED:
                self._decide(exchange)
        elif exchange.instead is not None:
            if exchange.request_body.done:
                self._answer_instead(exchange, exchange.instead)
        elif exchange.waiting or self.upstream is None:
            exchange.pending.append(piece)
            exchange.pending_size += len(piece)
            if exchange.pending_size > BUFFERED:
                self.hold("waiting")
        else:
            self._to_upstream(piece)
        return self.exchange is not None

    def _decide(self, exchange: Exchange) -> None:
        """The body is there (or too large): the arm can be told, and the collected bytes go on as they came."""
        exchange.collecting = False
        exchange.decide(exchange.request_payload(), self.route)
        exchange.request_body.forget()
        exchange.pending = exchange.collected
        exchange.collected = []
        self._act(exchange)

    def _act(self, exchange: Exchange) -> None:
        """Performs what request faults ask for, then asks the upstream."""
        hurt = exchange.next_action(self.route)
        match hurt:
            case None:
                self._ask_upstream(exchange)
            case Hurt(wait_s=float(wait_s)):
                exchange.waiting = True
                self._wait(exchange, wait_s)
            case Hurt(answer=bytes(answer)):
                exchange.own_status = hurt.status
                self._answer_instead(exchange, answer)
            case _:
                exchange.count_answer(self.route, 0)
                self._reset()

    def _wait(self, exchange: Exchange, seconds: float) -> None:
        """Nothing happens for so long, or until the fault is disarmed."""
        loop = asyncio.get_running_loop()
        exchange.wait_since_s = time.monotonic()

        def go_on() -> None:
            if self._release is go_on:
                self._end_wait(exchange)
                if not self.finished:
                    self._act(exchange)

        self._release = go_on
        self._timer = loop.call_later(seconds, go_on)
        self.route.registry.waiting[go_on] = exchange.waits_for()

    def _end_wait(self, exchange: Exchange) -> None:
        """The delay is over, was released, or its client has left; what it took is counted."""
        if self._release is not None:
            self.route.registry.waiting.pop(self._release, None)
            self._release = None
        self._cancel_timer()
        if exchange.waiting:
            exchange.waiting = False
            exchange.waited(self.route, time.monotonic() - exchange.wait_since_s)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _answer_instead(self, exchange: Exchange, answer: bytes) -> None:
        """The client gets this once the rest of its request is read and dropped: many read only after sending."""
        if not exchange.request_body.done and not exchange.expects_continue():
            exchange.instead = answer
            exchange.pending, exchange.pending_size = [], 0
            self.release("waiting")
            self.release("upstream")
            return
        keep = exchange.stays_open()
        exchange.count_answer(self.route, exchange.own_status)
        self._write(answer)
        self.exchange = None
        if keep:
            self._next()
        else:
            self._close(linger=not exchange.request_body.done)

    # --- the upstream's side ------------------------------------------------------------------------------------------

    def _ask_upstream(self, exchange: Exchange) -> None:
        if self.route.tls is not None:
            exchange.head = addressed(exchange.head, self.route.upstream.authority)
        pooled = self.route.pooled()
        if pooled is None:
            exchange.connecting = True
            asyncio.get_running_loop().create_task(self._connect(exchange))
        else:
            self._send(exchange, pooled)

    async def _connect(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S if self.route.tls is None else HANDSHAKE_S):
                _, upstream = await loop.create_connection(
                    lambda: Upstream(self.route), self.route.host, self.route.port, ssl=self.route.tls
                )
        except (OSError, TimeoutError) as error:
            if self.exchange is exchange and not self.finished:
                self._unreachable(exchange, *why_unreachable(error, self.route.upstream))
            return
        if self.exchange is not exchange or self.finished:
            self.route.give_back(upstream)
            return
        self._send(exchange, upstream)

    def _send(self, exchange: Exchange, upstream: Upstream) -> None:
        """The request goes out as it came: the head, and as much of the body as there is."""
        exchange.connecting = False
        exchange.asked_s = time.monotonic()
        self.upstream = upstream
        upstream.client = self
        pieces = [exchange.head.raw, *exchange.pending]
        exchange.pending, exchange.pending_size = [], 0
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        exchange.sent = data if len(data) <= REPLAYABLE else None
        assert upstream.transport is not None
        upstream.transport.write(data)
        if self._clogged:
            upstream.transport.pause_reading()
        self.release("waiting")

    def _to_upstream(self, data: bytes) -> None:
        upstream, exchange = self.upstream, self.exchange
        if upstream is None or upstream.transport is None:
            return
        if exchange is not None and exchange.sent is not None:
            exchange.sent = exchange.sent + data if len(exchange.sent) + len(data) <= REPLAYABLE else None
        upstream.transport.write(data)

    def upstream_data(self, data: bytes) -> None:
        """Bytes of the answer."""
        exchange = self.exchange
        if self.tunnel or exchange is None:
            self._write(data)
            return
        while data and exchange is self.exchange and not self.tunnel:
            take = self._answer_head if exchange.answer_head is None else self._answer_body
            data = take(exchange, data)
        if self.tunnel and data:
            self._write(data)

    def _answer_head(self, exchange: Exchange, data: bytes) -> bytes:
        """Takes the answer's head off `data`; what is left of it."""
        exchange.answer_buffer += data
        end = exchange.answer_buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(exchange.answer_buffer) > wire.LARGEST_HEAD:
                self._unreachable(exchange, "upstream-answer-too-large")
            return b""
        raw, rest = exchange.answer_buffer[: end + 4], exchange.answer_buffer[end + 4 :]
        exchange.answer_buffer = b""
        try:
            head = wire.parse_answer(raw, exchange.head.method)
        except wire.BadMessage:
            self._unreachable(exchange, "upstream-answer-ambiguous")
            return b""
        exchange.sent = None
        if 100 <= head.status < 200 and head.status != 101:
            if head.status != 100 or not exchange.continued:
                self._write(raw)
            return rest
        self.route.counters.upstream_took(self.route.name, time.monotonic() - exchange.asked_s)
        if head.status == 101:
            self.tunnel = True
            exchange.count_answer(self.route, 101)
            self._write(raw)
            leftover, self.buffer = self.buffer, b""
            if leftover:
                self._to_upstream(leftover)
            return rest
        exchange.answered(head, LARGEST_EDITED, self.route.observer)
        if exchange.editing:
            exchange.kept = []
        else:
            self._write(raw)
        if exchange.answer_done():
            self._finish(exchange, rest)
            return b""
        return rest

    def _answer_body(self, exchange: Exchange, data: bytes) -> bytes:
        assert exchange.answer_body is not None
        try:
            end = exchange.answer_body.take(data, 0)
        except wire.BadMessage:
            self._write(exchange.stream_ended(self.route, "broken"))
            exchange.count_answer(self.route, 502)
            self._reset()
            return b""
        piece, rest = (data, b"") if end == len(data) else (data[:end], data[end:])
        if exchange.editing:
            exchange.kept.append(piece)
            exchange.kept_size += len(piece)
            if exchange.kept_size > LARGEST_EDITED:
                exchange.give_up_editing()
                self._write(exchange.answer_raw() + b"".join(exchange.kept))
                exchange.kept = []
        elif exchange.streaming:
            self._write(exchange.stream(piece, self.route))
        else:
            self._write(piece)
            if exchange.copying:
                exchange.copy(piece)
        if exchange.answer_done():
            self._finish(exchange, rest)
            return b""
        return rest

    def _finish(self, exchange: Exchange, rest: bytes) -> None:
        """The answer is whole: an edited one goes out now, and the connections are free."""
        head = exchange.answer_head
        assert head is not None
        if exchange.editing:
            self._write(exchange.edited(self.route))
        elif exchange.streaming:
            self._write(exchange.stream_ended(self.route, "whole"))
        exchange.count_answer(self.route, head.status)
        if exchange.looking:
            # Not now: what was written goes out when the event loop comes around, and the client waits for it.
            asyncio.get_running_loop().call_soon(exchange.look, self.route)
        upstream, self.upstream = self.upstream, None
        self.exchange = None
        self.release("upstream")
        if upstream is not None:
            if head.keep_alive and exchange.head.keep_alive and exchange.request_body.done and not rest:
                if upstream.transport is not None:
                    upstream.transport.resume_reading()
                self.route.give_back(upstream)
            else:
                upstream.client = None
                upstream.close()
        if exchange.head.keep_alive and head.keep_alive and exchange.request_body.done:
            self._next()
        else:
            self._close(linger=not exchange.request_body.done)

    def upstream_lost(self, upstream: Upstream) -> None:
        """The upstream is gone: the end of a body that ends so, a pooled connection that had closed, or a failure."""
        exchange = self.exchange
        if self.upstream is upstream:
            self.upstream = None
        if self.finished:
            return
        if self.tunnel or exchange is None:
            self._close()
        elif exchange.answer_head is None:
            if upstream.reused and exchange.sent is not None and not exchange.answer_buffer and not exchange.again:
                exchange.again = True
                exchange.pending = [exchange.sent[len(exchange.head.raw) :]]
                exchange.connecting = True
                asyncio.get_running_loop().create_task(self._connect(exchange))
            else:
                self._unreachable(exchange, "upstream-closed")
        elif isinstance(exchange.answer_body, wire.EndlessBody) and not upstream.broken:
            exchange.ended = True
            self._finish(exchange, b"")
        else:  # the client gets all that came, and then the same end
            self._write(exchange.stream_ended(self.route, "broken"))
            exchange.count_answer(self.route, 502)
            if upstream.broken:
                self._reset()
            else:
                self._close()

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Ready for the next request on this connection."""
        if self._half_closed and not self.buffer:
            self._close()
            return
        for why in ("pipelined", "waiting", "upstream"):
            self.release(why)
        if self.buffer:
            asyncio.get_running_loop().call_soon(self._advance)

    def _unreachable(
        self, exchange: Exchange, why: str, told: str = "the model behind this proxy did not answer"
    ) -> None:
        self.route.counters.unreachable[self.route.name] += 1
        body = b'{"error":"%s"}' % told.encode("ascii", "replace")
        headers = {"content-type": "application/json", "x-chaos-proxy": why}
        keep = exchange.stays_open()
        exchange.own_status = 502
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.client = None
            upstream.close()
        head_only = exchange.head.method == "HEAD"
        self._answer_instead(exchange, wire.answer(502, headers, body, keep_alive=keep, head_only=head_only))

    def _refuse(self, status: int, why: str) -> None:
        """A message that could be read in two ways: nothing of it goes on, and the connection ends."""
        self.route.counters.refused += 1
        self.buffer = b""
        body = b'{"error":"%s"}' % why.encode()
        self._write(
            wire.answer(
                status, {"content-type": "application/json", "x-chaos-proxy": "refused"}, body, keep_alive=False
            )
        )
        if self.exchange is not None:
            self._end_wait(self.exchange)
        self.exchange = None
        self._close(linger=True)

    def _write(self, data: bytes) -> None:
        if data and self.transport is not None and not self.finished:
            self.transport.write(data)

    def _close(self, *, linger: bool = False) -> None:
        """The connection ends; with `linger`, the client may first send the rest of its request, which is dropped."""
        self.finished = True
        self._cancel_timer()
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.client = None
            upstream.close()
        if self.transport is None:
            return
        if linger and not self._half_closed and not self.transport.is_closing():
            self._held.clear()
            self.transport.resume_reading()
            self.transport.write_eof()
            self._linger_timer = asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()

    def _reset(self) -> None:
        """The connection is cut without a goodbye."""
        self.finished = True
        self._cancel_timer()
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.client = None
            upstream.close()
        if self.transport is not None:
            connection = self.transport.get_extra_info("socket")
            if connection is not None:  # a mere close would look like an end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


def factory(route: Route) -> Callable[[], Client]:
    """Makes the protocol of each new client of this route."""
    return lambda: Client(route)
