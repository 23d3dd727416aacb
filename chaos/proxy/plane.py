"""The data plane: clients on one side, one upstream on the other, and between them nothing that was not asked for.

    client bytes ─▶ head ─▶ arm? ─ no ─▶ the same bytes ─▶ upstream ─▶ the same bytes ─▶ client
                              │ treatment
                              └▶ wait / answer / reset ─▶ upstream ─▶ whole answer ─▶ rows edited ─▶ client

Idle is the identity: heads and bodies go on as they were received, hop-by-hop headers included. Exceptions, all of them: an
answer of the proxy's own (400 ambiguous framing, 405 CONNECT, 502 upstream unreachable or its answer ambiguous), and answers of
the treatment arm that a fault changed. One request at a time per client connection, in order; what is pipelined waits in a
bounded buffer.

A client keeps its upstream connection for as long as it stays: what the upstream does to the connection (an end, a reset, a word
before the end) happens to the client's, as without a proxy. Nothing is ever asked twice. When a client leaves between two
requests, its upstream connection waits IDLE_S for the next one: not as long as any server would keep it.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import cast

from chaos.proxy import wire
from chaos.proxy.exchange import Exchange, Hurt
from chaos.proxy.route import Route, Upstream
from chaos.proxy.upstream import CONNECT_S, HANDSHAKE_S, addressed, why_unreachable

BUFFERED = 256 * 1024
"""Bytes of pipelined requests that wait before the client is told to slow down."""
LARGEST_EDITED = 8 * 1024 * 1024
"""Answers above this are passed on untouched and counted: a fault must not eat the memory."""
LINGER_S = 2.0
"""How long a connection that ends within a request is still read: a reset would take the answer away from the client."""


class Client(asyncio.Protocol):
    """One connection from a client, the upstream connection that it keeps, and the exchange that is on them now."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.exchange: Exchange | None = None
        self.upstream: Upstream | None = None
        self.tunnel = False
        self.finished = False
        self._begun = False
        self._partial = False
        """Whether the buffer is the beginning of a head, looked at in vain."""
        self._half_closed = False
        self._clogged = False
        self._mirrors = False
        """Whether the last answer was the upstream's own: then the end of its connection is the end of this one."""
        self._linger_timer: asyncio.TimerHandle | None = None
        self._held: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._release: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is owed to the client, or not out."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            return True
        if self.exchange is None:
            return bool(self.buffer) and not self._partial and not self.finished
        return not self.exchange.answer_whole

    def leave(self) -> None:
        """The proxy ends. HTTP/1.1 has no word for that between two answers: the connection just ends."""

    # --- the client's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast(asyncio.Transport, transport)
        self.route.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client is gone: what was done for it ends; an upstream connection at rest may serve another one."""
        clean = not self.finished and self.exchange is None and not self.tunnel and not self._clogged
        self.finished = True
        self.route.clients.discard(self)
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        if self.exchange is not None:
            self._end_wait(self.exchange)
            self.exchange.no_more_actions()
            self.exchange.stream_ended(self.route, "left")
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            if clean:
                self.route.give_back(upstream)
            else:
                upstream.close()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client; what comes after the connection's last answer is dropped."""
        if self.finished:
            return
        if self.tunnel:
            self._to_upstream(data)
            return
        held = self.buffer
        if held:
            self.buffer = held + data
            if self._partial and self.buffer.find(b"\r\n\r\n", max(0, len(held) - 3)) < 0:
                self._incomplete()  # looking at the same bytes again at every read would take for ever
                return
        else:
            self.buffer = data
        self._advance()

    def eof_received(self) -> bool:
        """The client has said everything; its last answers still go out."""
        self._half_closed = True
        if self.finished:
            return False
        if self.tunnel:
            self._pass_end()
            return True
        if self.exchange is None:
            return (
                bool(self.buffer) and not self._partial
            )  # a pipelined request whose turn has come is begun right away
        # A body that will never be whole is no request: nobody may wait for its rest.
        return self.exchange.request_body.done

    def _pass_end(self) -> None:
        """The upstream hears that the client has said everything. Over TLS, nobody can say that."""
        if (
            self.upstream is not None
            and self.upstream.transport is not None
            and self.upstream.transport.can_write_eof()
        ):
            self.upstream.transport.write_eof()

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
        if self.exchange is None and self.buffer and not self.finished:
            self._next()

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
                if self._clogged and not self._mirrors:
                    # The proxy's own answers cost nobody anything but its memory: whoever does not read gets no more of them.
                    self._bound_buffer()
                    return
                if not self._begin():
                    return
            elif not exchange.request_body.done:
                if not self._feed(exchange):
                    return
            else:
                self._bound_buffer()
                return
        if self._half_closed and self.exchange is not None and not self.exchange.request_body.done:
            self._close()  # its body will never be whole

    def _bound_buffer(self) -> None:
        """Pipelined requests wait; of too many, no more are read."""
        if len(self.buffer) > BUFFERED:
            self.hold("pipelined")

    def _begin(self) -> bool:
        """Takes one head off the buffer, and its body where all of it is there; False when nothing more can be done now."""
        data = self.buffer
        try:
            head = wire.request_in(data)
        except wire.BadMessage as error:
            if data.startswith(wire.HTTP2_START) and not self._begun and self.transport is not None:
                self.finished = True
                self.transport.pause_reading()
                asyncio.get_running_loop().create_task(self._hand_over(self.transport, data))
            else:
                self._refuse(400, str(error))
            return False
        if head is None:
            self._incomplete()
            return False
        self._begun, self._partial = True, False
        if head.method == "CONNECT":
            self._refuse(405, "CONNECT is not for a reverse proxy")
            return False
        exchange = self.exchange = Exchange(head, self.route.registry.current(), time.monotonic())
        start = len(head.raw)
        end = start + (head.length or 0)
        if end <= len(data) and not head.chunked:
            if end < len(data):
                data, self.buffer = data[:end], data[end:]
            else:
                self.buffer = b""
            exchange.pending = data
            if exchange.runs or self.route.registry.removals:
                exchange.decide(data[start:], self.route)
            self._act(exchange)
        else:
            self.buffer = data[start:]
            self._begin_parts(exchange)
        return self._under_way()

    def _under_way(self) -> bool:
        """Whether there is an exchange, now: what was called may have ended it."""
        return self.exchange is not None

    async def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """The connection is HTTP/2, and is served as such. Loaded with the first one: nobody else waits for that, or has the weight."""
        loop = asyncio.get_running_loop()
        try:
            grpc = await loop.run_in_executor(None, importlib.import_module, "chaos.proxy.grpc.plane")
        except BaseException:
            transport.abort()  # nobody would ever read from it again
            raise
        if not transport.is_closing():
            self.route.clients.discard(self)
            self.route.clients.add(grpc.hand_over(self.route, transport, data))
            transport.resume_reading()

    def _begin_parts(self, exchange: Exchange) -> None:
        """The body is still to come. Where its content decides about the arm, it is kept until it is whole."""
        exchange.pending = bytearray(exchange.head.raw)
        exchange.collecting = exchange.wants_body()
        exchange.request_body = wire.request_body(exchange.head, collect=exchange.collecting)
        if not exchange.collecting:
            if exchange.runs or self.route.registry.removals:
                exchange.decide(None, self.route)
            self._act(exchange)
        elif exchange.head.expects_continue:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            exchange.continued = True

    def _incomplete(self) -> None:
        """A head that is not whole yet: is it worth waiting for?"""
        self._partial = True
        if len(self.buffer) > wire.LARGEST_HEAD:
            self._refuse(431, "the request's head is too large")
        elif b"\n\n" in self.buffer or self.buffer.startswith(b"\n"):
            self._refuse(400, "bare line feeds")
        elif self._half_closed:
            self._close()  # it will never be whole

    def _feed(self, exchange: Exchange) -> bool:
        """Passes on what belongs to the body; False when it cannot go on."""
        data = self.buffer
        try:
            end = exchange.request_body.take(data, 0)
        except wire.BadMessage as error:
            if exchange.answer_whole:
                self.route.counters.refused += 1
                self._close(linger=True)
            elif exchange.answer_head is not None:
                self.route.counters.refused += 1
                self._reset()  # the answer is on its way: a second head inside it would be read as its body
            else:
                self._refuse(400, str(error))
            return False
        piece, self.buffer = (data, b"") if end == len(data) else (data[:end], data[end:])
        if exchange.proof is not None:
            exchange.prove(piece, self.route)
        if exchange.instead is not None:
            if exchange.request_body.done:
                self._answer_instead(exchange, exchange.instead)
        elif exchange.sent:
            self._to_upstream(piece)
            if exchange.answer_whole and exchange.request_body.done:
                self.exchange = None
                self._next()
        else:
            exchange.pending += piece
            if exchange.collecting:
                if exchange.request_body.done or len(exchange.pending) > LARGEST_EDITED:
                    self._decide(exchange)
            elif len(exchange.pending) > BUFFERED:
                self.hold("waiting")
        return self._under_way()

    def _decide(self, exchange: Exchange) -> None:
        """The body is there (or too large): the arm can be told, and the collected bytes go on as they came."""
        exchange.collecting = False
        exchange.decide(exchange.request_payload(), self.route)
        exchange.request_body.forget()
        self._act(exchange)

    def _act(self, exchange: Exchange) -> None:
        """Performs what request faults ask for, then asks the upstream."""
        hurt = exchange.next_action(self.route)
        if hurt is None:
            self._ask_upstream(exchange)
            return
        match hurt:
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
        exchange.wait_since_s = time.monotonic()
        release = self._release = partial(self._go_on, exchange)
        self._timer = asyncio.get_running_loop().call_later(seconds, release)
        self.route.registry.waiting[release] = exchange.waits_for()

    def _go_on(self, exchange: Exchange) -> None:
        """The delay is over, or its fault is off."""
        if exchange.waiting:
            self._end_wait(exchange)
            if not self.finished:
                self._act(exchange)

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
        if not exchange.request_body.done and not exchange.head.expects_continue:
            exchange.instead = answer
            exchange.pending = b""
            self.release("waiting")
            self.release("upstream")
            return
        keep = exchange.stays_open()
        exchange.count_answer(self.route, exchange.own_status)
        self._mirrors = False
        self._write(answer)
        self.exchange = None
        if keep:
            self._next()
        else:
            self._close(linger=not exchange.request_body.done)

    # --- the upstream's side ------------------------------------------------------------------------------------------

    def _ask_upstream(self, exchange: Exchange) -> None:
        upstream = self.upstream
        if upstream is None:
            upstream = self.route.pooled()
            if upstream is None:
                asyncio.get_running_loop().create_task(self._connect(exchange))
                return
            self._keep(upstream)
        self._send(exchange, upstream)

    def _keep(self, upstream: Upstream) -> None:
        """From here on, this upstream connection is the client's."""
        self.upstream, upstream.client = upstream, self
        if self._clogged and upstream.transport is not None:
            upstream.transport.pause_reading()

    async def _connect(self, exchange: Exchange) -> None:
        route = self.route
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S if route.tls is None else HANDSHAKE_S):
                _, upstream = await loop.create_connection(
                    lambda: Upstream(route), route.host, route.port, ssl=route.tls
                )
        except (OSError, TimeoutError, UnicodeError) as error:  # the last: a name that no server can have
            if self.exchange is exchange and not self.finished:
                self._unreachable(exchange, *why_unreachable(error, route.upstream))
            return
        if self.exchange is not exchange or self.finished:
            route.give_back(upstream)
            return
        self._keep(upstream)
        self._send(exchange, upstream)

    def _send(self, exchange: Exchange, upstream: Upstream) -> None:
        """The request goes out as it came: the head, and as much of the body as there is."""
        whole, exchange.pending = exchange.pending, b""
        if self.route.tls is not None:
            head = exchange.head
            whole = addressed(head, self.route.upstream.authority).raw + whole[len(head.raw) :]
        exchange.sent = True
        exchange.asked_s = time.monotonic()
        self._mirrors = True
        assert upstream.transport is not None
        upstream.transport.write(whole)
        if upstream.clogged:  # perhaps since an earlier request, and then nobody would say so again
            self.hold("upstream")
        if self._held:
            self.release("waiting")

    def _to_upstream(self, data: bytes) -> None:
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.write(data)

    def upstream_data(self, data: bytes) -> None:
        """Bytes from the upstream: of the answer, of a tunnel, or a last word that nobody has asked for."""
        exchange = self.exchange
        if exchange is None or not exchange.sent or exchange.answer_whole:
            self._unasked(data)
            return
        while data and exchange is self.exchange and not self.tunnel:
            take = self._answer_head if exchange.answer_head is None else self._answer_body
            data = take(exchange, data)
        if self.tunnel and data:
            self._write(data)

    def _unasked(self, data: bytes) -> None:
        """The upstream says what nobody has asked for: whatever it is, it is not taken for the next answer."""
        if self._mirrors and (self.exchange is None or self.exchange.answer_whole):
            self._write(data)
            self._close(linger=self.exchange is not None)
        else:  # a request of the client's waits here, or its last answer was the proxy's own: to it, nothing has happened
            self._leave_upstream()

    def _answer_head(self, exchange: Exchange, data: bytes) -> bytes:
        """Takes the answer's head off `data`, and what of the body passes with it; what is left."""
        held = exchange.answer_buffer
        if held:
            data = held + data
        try:
            whole = not held or data.find(b"\r\n\r\n", max(0, len(held) - 3)) >= 0
            head = wire.answer_in(data, exchange.head.method) if whole else None
        except wire.BadMessage:
            self._unreachable(exchange, "upstream-answer-ambiguous")
            return b""
        if (len(data) if head is None else len(head.raw)) > wire.LARGEST_HEAD:
            self._unreachable(exchange, "upstream-answer-too-large")
            return b""
        if head is None:
            exchange.answer_buffer = data
            return b""
        exchange.answer_buffer = b""
        start = len(head.raw)
        if head.status < 200:
            return self._interim(exchange, head, data[start:])
        self.route.counters.upstream_took(self.route.name, time.monotonic() - exchange.asked_s)
        exchange.answered(head, LARGEST_EDITED, self.route.observer)
        if exchange.passes() and head.length is not None:
            end = start + head.length
            if end == len(data):  # most answers, by far
                self._write(data)
                self._finish(exchange, b"")
                return b""
            if end < len(data):
                self._write(data[:end])
                self._finish(exchange, data[end:])
                return b""
            self._write(data)
            exchange.answer_body = wire.LengthBody(end - len(data))
            return b""
        looked_at = exchange.editing or exchange.streaming or exchange.copying
        exchange.answer_body = wire.answer_body(head, collect=looked_at)
        if not exchange.editing:
            self._write(head.raw)
        if exchange.answer_done():
            self._finish(exchange, data[start:])
            return b""
        return data[start:]

    def _interim(self, exchange: Exchange, head: wire.Head, rest: bytes) -> bytes:
        """An answer before the answer, or the beginning of a tunnel; what is left."""
        if head.status != 101:
            if head.status != 100 or not exchange.continued:
                self._write(head.raw)
            return rest
        self.route.counters.upstream_took(self.route.name, time.monotonic() - exchange.asked_s)
        self.tunnel = True
        exchange.count_answer(self.route, 101)
        self._write(head.raw)
        leftover, self.buffer = self.buffer, b""
        if leftover:
            self._to_upstream(leftover)
            self.release("pipelined")
        if self._half_closed:
            self._pass_end()
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
                self._write(exchange.let_go())
        elif exchange.streaming:
            self._write(exchange.stream(piece, self.route))
        else:
            self._write(piece)
            if exchange.copying:
                exchange.copy(piece)
        if exchange.answer_body.done:
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
        stays = exchange.head.keep_alive and head.keep_alive
        if stays and not rest and not exchange.request_body.done:
            exchange.answer_whole = True  # nobody was asked to stop: the rest of the request goes on
            return
        self.exchange = None
        if not (stays and exchange.request_body.done):
            self._close(linger=not exchange.request_body.done)
            return
        if rest:  # more than was asked for: it must not be taken for the next answer
            self._leave_upstream()
        if self._held or self.buffer or self._half_closed:
            self._next()

    def upstream_lost(self, upstream: Upstream) -> None:
        """The upstream is gone: the end of a body that ends so, or the same end for the client that it was for the proxy."""
        exchange = self.exchange
        self.upstream = None
        if self.finished:
            return
        if self.tunnel:
            self._close()
        elif exchange is None:
            if self._mirrors:
                self._end_as(upstream)
        elif exchange.answer_whole:
            self._close(linger=True)  # the client may not have read its answer yet
        elif not exchange.sent:
            pass  # it waits in a delay, or for its body: another connection will be made when it is its turn
        elif exchange.answer_head is None:
            self.route.counters.unreachable[self.route.name] += 1
            self._write(exchange.answer_buffer)
            exchange.count_answer(self.route, 0)
            self._end_as(upstream)
        elif isinstance(exchange.answer_body, wire.EndlessBody) and not upstream.broken:
            self._finish(exchange, b"")
        else:  # the client gets all that came, and then the same end
            if exchange.editing:
                exchange.give_up_editing()
                self._write(exchange.let_go())
            self._write(exchange.stream_ended(self.route, "broken"))
            exchange.count_answer(self.route, 502)
            self._end_as(upstream)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _end_as(self, upstream: Upstream) -> None:
        """The client's connection ends as the upstream's did."""
        if upstream.broken:
            self._reset()
        else:
            self._close()

    def _leave_upstream(self) -> None:
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.close()

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
        exchange.own_status = 502
        self._leave_upstream()
        made = wire.answer(
            502, headers, body, keep_alive=exchange.stays_open(), head_only=exchange.head.method == "HEAD"
        )
        self._answer_instead(exchange, made)

    def _refuse(self, status: int, why: str) -> None:
        """A message that could be read in two ways: nothing of it goes on, and the connection ends."""
        self.route.counters.refused += 1
        self.buffer = b""
        headers = {"content-type": "application/json", "x-chaos-proxy": "refused"}
        self._write(wire.answer(status, headers, b'{"error":"%s"}' % why.encode(), keep_alive=False))
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
        self._leave_upstream()
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
        self._leave_upstream()
        if self.transport is not None:
            connection = self.transport.get_extra_info("socket")
            if connection is not None:  # a mere close would look like an end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


def factory(route: Route) -> Callable[[], Client]:
    """Makes the protocol of each new client of this route."""
    return lambda: Client(route)
