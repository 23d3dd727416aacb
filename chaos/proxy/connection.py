"""One connection from a client: what it is written to, what holds it up, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

from chaos.proxy.exchange import Exchange
from chaos.proxy.route import Route, Upstream

LINGER_S = 2.0
"""How long a connection that ends within a request is still read: a reset would take the answer away from the client."""


class Aside:
    """Keeps a client's own upstream connection while somebody else is asked: nothing that it says or does is the answer."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def upstream_data(self, data: bytes) -> None:
        """What it says is taken for nobody's: it is not used any more."""
        del data
        self._upstream.close()

    def upstream_lost(self, upstream: Upstream) -> None:
        """It is not there to come back to; the client will get another one."""

    def hold(self, why: str) -> None:
        """Nobody writes to it."""

    def release(self, why: str) -> None:
        """Nobody writes to it."""


class Connection(asyncio.Protocol):
    """A client's connection, the upstream connection that it keeps, and the exchange that is on them now."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.exchange: Exchange | None = None
        self.upstream: Upstream | None = None
        """Who is asked: the client's own connection to the route's upstream, or for one request somebody else."""
        self._own: Upstream | None = None
        """The client's own connection meanwhile."""
        self._full = False
        """Whether so much of an answer waits for a fault that the upstream is not read."""
        self.tunnel = False
        self.finished = False
        self._begun = False
        self._partial = False
        """Whether the buffer is the beginning of a head, looked at in vain."""
        self._half_closed = False
        self._clogged = False
        self._mirrors = False
        """Whether the last answer was the upstream's own: then the end of its connection is the end of this one."""
        self._streamed = False
        """Whether the last answer was a stream."""
        self._linger_timer: asyncio.TimerHandle | None = None
        self._held: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._release: Callable[[], None] | None = None

    def _advance(self) -> None:
        """Whatever the client has sent meanwhile is taken up."""
        raise NotImplementedError

    def upstream_data(self, data: bytes) -> None:
        """Bytes came from whoever is asked."""
        raise NotImplementedError

    def upstream_lost(self, upstream: Upstream) -> None:
        """Whoever is asked is gone."""
        raise NotImplementedError

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

    def pause_writing(self) -> None:
        """The client reads slowly: so is the upstream read, this one and that of the next request."""
        self._clogged = True
        self._read_upstream()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._clogged = False
        self._read_upstream()
        if self.exchange is None and self.buffer and not self.finished:
            self._next()

    def _read_upstream(self) -> None:
        """The upstream is read while its client reads, and not too much of the answer waits for a fault."""
        if self.upstream is not None and self.upstream.transport is not None:
            if self._clogged or self._full:
                self.upstream.transport.pause_reading()
            else:
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

    # --- who is asked -----------------------------------------------------------------------------------------------

    def _keep(self, upstream: Upstream) -> None:
        """From here on, this upstream connection is the client's."""
        self.upstream, upstream.client = upstream, self
        if (self._clogged or self._full) and upstream.transport is not None:
            upstream.transport.pause_reading()

    def _set_aside(self) -> None:
        """The client's own upstream connection waits while somebody else is asked."""
        if self.upstream is not None:
            self._own, self.upstream = self.upstream, None
            self._own.client = Aside(self._own)

    def _come_back(self) -> None:
        """Whoever else was asked is left; the client has its own upstream connection again, if that is still there."""
        self._leave_upstream()
        own, self._own = self._own, None
        if own is not None and own.open:
            self._keep(own)
            self._read_upstream()
        elif own is not None:
            own.close()

    # --- waits ------------------------------------------------------------------------------------------------------

    def _wait(self, exchange: Exchange, seconds: float, then: Callable[[Exchange], None]) -> None:
        """Nothing happens for so long, or until the fault is disarmed; then this does."""
        exchange.waiting = True
        exchange.wait_since_s = time.monotonic()
        release = self._release = partial(self._go_on, exchange, then)
        self._timer = asyncio.get_running_loop().call_later(seconds, release)
        self.route.registry.waiting[release] = exchange.waits_for()

    def _go_on(self, exchange: Exchange, then: Callable[[Exchange], None]) -> None:
        """The delay is over, or its fault is off."""
        if exchange.waiting:
            self._end_wait(exchange)
            if not self.finished:
                then(exchange)

    def _end_wait(self, exchange: Exchange) -> None:
        """The delay is over, was released, or its client has left; what it took is counted."""
        if self._release is not None:
            self.route.registry.waiting.pop(self._release, None)
            self._release = None
        self._cancel_timer()
        if exchange.waiting:
            exchange.waiting = False
            exchange.waited(self.route, time.monotonic() - exchange.wait_since_s)

    # --- ends -------------------------------------------------------------------------------------------------------

    def _pass_end(self) -> None:
        """The upstream hears that the client has said everything. Over TLS, nobody can say that."""
        if (
            self.upstream is not None
            and self.upstream.transport is not None
            and self.upstream.transport.can_write_eof()
        ):
            self.upstream.transport.write_eof()

    def _next(self) -> None:
        """Ready for the next request on this connection."""
        if self._half_closed and not self.buffer:
            self._close()
            return
        for why in ("pipelined", "waiting", "upstream"):
            self.release(why)
        if self.buffer:
            asyncio.get_running_loop().call_soon(self._advance)

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

    def _leave_everybody(self) -> None:
        """No upstream connection is the client's any more."""
        self._leave_upstream()
        if self._own is not None:
            own, self._own = self._own, None
            own.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self, data: bytes) -> None:
        if data and self.transport is not None and not self.finished:
            self.transport.write(data)

    def _close(self, *, linger: bool = False) -> None:
        """The connection ends; with `linger`, the client may first send the rest of its request, which is dropped."""
        self.finished = True
        self._cancel_timer()
        self._leave_everybody()
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
        self._leave_everybody()
        if self.transport is not None:
            connection = self.transport.get_extra_info("socket")
            if connection is not None:  # a mere close would look like an end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
