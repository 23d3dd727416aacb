"""The data plane: clients on one side, one upstream on the other, and between them nothing that was not asked for.

    client bytes ─▶ head ─▶ arm? ─ no ─▶ the same bytes ─▶ upstream ─▶ the same bytes ─▶ client
                              │ treatment
                              └▶ wait / answer / reset ─▶ inputs edited ─▶ upstream ─▶ whole answer ─▶ rows edited ─▶ client
                                                                         or another    or part by part, with waits and ends

Idle is the identity: heads and bodies go on as they were received, hop-by-hop headers included. Exceptions, all of them: an
answer of the proxy's own (400 ambiguous framing, 405 CONNECT, 502 upstream unreachable or its answer ambiguous), and requests and
answers of the treatment arm that a fault changed, which then have a Content-Length, chunked before or not. One request at a time
per client connection, in order; what is pipelined waits in a bounded buffer.

A client keeps its upstream connection for as long as it stays: what the upstream does to the connection (an end, a reset, a word
before the end) happens to the client's, as without a proxy. Nothing is ever asked twice. When the client leaves, the upstream
connection ends, too: another client would be the one to find out that the server had wanted to end it. Over TLS, where a connection
is dear, it waits IDLE_S for the next client, unless a stream came last: after those, servers like to end it without a word.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import cast

from chaos.proxy import wire
from chaos.proxy.answering import LARGEST_EDITED, Answering
from chaos.proxy.exchange import Exchange
from chaos.proxy.handed import Hurt
from chaos.proxy.route import Route, notice_death

BUFFERED = 256 * 1024
"""Bytes of pipelined requests that wait before the client is told to slow down."""


class Client(Answering):
    """How a client asks: heads and bodies are taken off what it sends, and go on when the faults let them."""

    # --- what it sends ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast(asyncio.Transport, transport)
        notice_death(transport)
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
            self.exchange.no_more_delivery()
        if self._own is not None:
            own, self._own = self._own, None
            own.close()
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            if clean and self.route.tls is not None and not self._streamed:
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

    # --- requests ---------------------------------------------------------------------------------------------------

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
        """The body is still to come. Where its content decides about the arm, or may change, it is kept until it is whole."""
        exchange.pending = bytearray(exchange.head.raw)
        exchange.collecting = exchange.wants_body()
        if not exchange.collecting and (exchange.runs or self.route.registry.removals):
            exchange.decide(None, self.route)
            exchange.collecting = exchange.collects(LARGEST_EDITED)
        exchange.request_body = wire.request_body(exchange.head, collect=exchange.collecting)
        if not exchange.collecting:
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
                if exchange.redirected:
                    self._come_back()
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
        """The body is there (or too large): the arm can be told, and the collected bytes go on, as they came where no fault hurts them."""
        exchange.collecting = False
        exchange.read(exchange.request_payload(), self.route)
        exchange.request_body.forget()
        self._act(exchange)

    def _act(self, exchange: Exchange) -> None:
        """Performs what request faults ask for, then asks the upstream."""
        hurt = exchange.next_action(self.route)
        if exchange.armed is not None and (hurt is None or hurt.elsewhere is not None):
            exchange.ask_otherwise(self.route, LARGEST_EDITED)  # whoever is asked
        if hurt is None:
            self._ask_upstream(exchange)
            return
        match hurt:
            case Hurt(wait_s=float(wait_s)):
                self._wait(exchange, wait_s, self._act)
            case Hurt(answer=bytes(answer)):
                exchange.own_status = hurt.status
                self._answer_instead(exchange, answer)
            case Hurt(elsewhere=tuple(elsewhere)):
                self._ask_elsewhere(exchange, elsewhere)
            case _:
                exchange.count_answer(self.route, 0)
                self._reset()

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


def factory(route: Route) -> Callable[[], Client]:
    """Makes the protocol of each new client of this route."""
    return lambda: Client(route)
