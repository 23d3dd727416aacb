"""The upstream's side of a client's connection: it is asked, and what it says goes on to the client.

What the upstream does to its connection (an end, a reset, a word before the end) happens to the client's, as without a proxy.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from functools import partial

from chaos.proxy import wire
from chaos.proxy.delivering import Delivering
from chaos.proxy.exchange import Exchange
from chaos.proxy.route import Upstream
from chaos.proxy.upstream import CONNECT_S, HANDSHAKE_S, UpstreamAddress, addressed, why_unreachable

LARGEST_EDITED = 256 * 1024
"""Answers above this are passed on untouched and counted: a fault must eat neither the memory nor everybody else's time."""


class Answering(Delivering):
    """How a client gets its answers: from the upstream, or from the proxy itself."""

    # --- from the upstream ------------------------------------------------------------------------------------------

    def _ask_upstream(self, exchange: Exchange) -> None:
        """The route's upstream is asked, on the connection that the client has to it, or gets now."""
        upstream = self.upstream
        if upstream is None:
            upstream = self.route.pooled()
            if upstream is None:
                asyncio.get_running_loop().create_task(self._connect(exchange, self.route.upstream, self.route.tls))
                return
            self._keep(upstream)
        self._send(exchange, upstream)

    def _ask_elsewhere(self, exchange: Exchange, where: tuple[str, int]) -> None:
        """Somebody else is asked, for this request alone; the client's own upstream connection waits meanwhile."""
        self._set_aside()
        address = UpstreamAddress(*where)
        asyncio.get_running_loop().create_task(self._connect(exchange, address, None))

    async def _connect(self, exchange: Exchange, address: UpstreamAddress, tls: ssl.SSLContext | None) -> None:
        route = self.route
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S if tls is None else HANDSHAKE_S):
                _, upstream = await loop.create_connection(lambda: Upstream(route), address.host, address.port, ssl=tls)
        except (OSError, TimeoutError, UnicodeError) as error:  # the last: a name that no server can have
            if self.exchange is exchange and not self.finished:
                self._unreachable(exchange, *why_unreachable(error, address))
            return
        if self.exchange is not exchange or self.finished:
            if exchange.redirected:
                upstream.close()
            else:
                route.give_back(upstream)
            return
        self._keep(upstream)
        self._send(exchange, upstream)

    def _send(self, exchange: Exchange, upstream: Upstream) -> None:
        """The request goes out as it came: the head, and as much of the body as there is."""
        whole, exchange.pending = exchange.pending, b""
        if self.route.tls is not None and not exchange.redirected:
            head = exchange.head
            whole = addressed(head, self.route.upstream.authority).raw + whole[len(head.raw) :]
        exchange.sent = True
        exchange.asked_s = time.monotonic()
        self._mirrors = not exchange.redirected
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
        if exchange is None or not exchange.sent or exchange.answer_whole or exchange.going_out:
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
        passes = exchange.answered(head, LARGEST_EDITED, self.route)
        if passes and head.length is not None:
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
            self._give(exchange, head.raw)
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
            self._give(exchange, exchange.stream_ended(self.route, "broken"))
            self._once_out(exchange, partial(self._break_off, exchange, reset=True))
            return b""
        piece, rest = (data, b"") if end == len(data) else (data[:end], data[end:])
        if exchange.editing:
            exchange.kept.append(piece)
            exchange.kept_size += len(piece)
            if exchange.kept_size > LARGEST_EDITED:
                exchange.give_up_editing()
                self._give(exchange, exchange.let_go())
        elif exchange.streaming:
            self._give(exchange, exchange.stream(piece, self.route))
        else:
            self._give(exchange, piece)
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
            self._give(exchange, exchange.edited(self.route))
        elif exchange.streaming:
            self._give(exchange, exchange.stream_ended(self.route, "whole"))
        if exchange.apart:
            if exchange.delivery is not None:
                exchange.editing = False
                self._once_out(exchange, partial(self._went_out, exchange, rest))
                return
            if exchange.redirected and exchange.request_body.done:
                rest = b""  # who has said too much is left anyway
                self._come_back()
        exchange.count_answer(self.route, head.status)
        if exchange.looking:
            # Not now: what was written goes out when the event loop comes around, and the client waits for it.
            asyncio.get_running_loop().call_soon(exchange.look, self.route)
        self._streamed = head.streams
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

    def _went_out(self, exchange: Exchange, rest: bytes) -> None:
        """All of an answer that faults held up is out: what would have come after it without them comes now."""
        self._finish(exchange, rest)
        if exchange.orphaned and not self.finished:
            self._close(linger=self.exchange is not None)

    def _break_off(self, exchange: Exchange, *, reset: bool) -> None:
        """The upstream's answer has broken off, and so does the client's."""
        exchange.count_answer(self.route, 502)
        if reset:
            self._reset()
        else:
            self._close()

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
        elif exchange.going_out:
            exchange.orphaned = self._mirrors
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
                self._give(exchange, exchange.let_go())
            self._give(exchange, exchange.stream_ended(self.route, "broken"))
            self._once_out(exchange, partial(self._break_off, exchange, reset=upstream.broken))

    # --- of the proxy's own -----------------------------------------------------------------------------------------

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
        if exchange.redirected:
            self._come_back()
        if keep:
            self._next()
        else:
            self._close(linger=not exchange.request_body.done)

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
