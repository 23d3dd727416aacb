"""One listener and the one upstream behind it: its connections, and those that wait for their next client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from typing import Protocol, cast

from chaos.proxy.counters import Counters
from chaos.proxy.observe import Observer
from chaos.proxy.registry import Registry
from chaos.proxy.shadow import Consumer
from chaos.proxy.upstream import UpstreamAddress

IDLE_CONNECTIONS = 512
IDLE_S = 1.0
"""How long an upstream connection without a client is kept. Servers keep theirs for 2 s (gunicorn), 5 s (uvicorn) or longer: so none
is used that the server is about to close."""


class Connected(Protocol):
    """A client's connection, whatever it speaks."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where it is written to."""
        ...

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        ...

    def leave(self) -> None:
        """The client is told to ask nothing more, where its protocol has a word for it."""
        ...


class Keeper(Protocol):
    """Whoever an upstream connection belongs to."""

    def upstream_data(self, data: bytes) -> None:
        """Bytes came."""
        ...

    def upstream_lost(self, upstream: Upstream) -> None:
        """It is gone."""
        ...

    def hold(self, why: str) -> None:
        """Nothing more can be written for now."""
        ...

    def release(self, why: str) -> None:
        """It can again."""
        ...


def notice_death(transport: asyncio.BaseTransport) -> None:
    """The kernel asks the other side of a silent connection whether it is still there, and ends it when nobody answers."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Route:
    """One listener and the one upstream behind it, with the connections that clients have left."""

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
        self.clients: set[Connected] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def pooled(self) -> Upstream | None:
        """A connection that its client has just left, the latest first; None when there is none."""
        now_s = asyncio.get_running_loop().time()
        while self.idle:
            found = self.idle.pop()
            if found.open and now_s - found.left_s < IDLE_S:
                return found
            found.close()
        return None

    def give_back(self, upstream: Upstream) -> None:
        """The client has left between two requests: the connection may serve another one that comes soon."""
        upstream.client = None
        if not upstream.open or upstream.clogged or len(self.idle) >= IDLE_CONNECTIONS:
            upstream.close()
            return
        loop = asyncio.get_running_loop()
        upstream.left_s = loop.time()
        self.idle.append(upstream)
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_S, self._sweep)

    def _sweep(self) -> None:
        """Whatever has waited for too long is closed."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        while self.idle and loop.time() - self.idle[0].left_s >= IDLE_S:
            self.idle.popleft().close()
        if self.idle:
            self._sweeper = loop.call_later(IDLE_S, self._sweep)

    def close(self) -> None:
        """No connection waits for a client any more."""
        while self.idle:
            self.idle.pop().close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


class Upstream(asyncio.Protocol):
    """One connection to the upstream. It belongs to one client at a time; between two clients it lies in the route's pool."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.client: Keeper | None = None
        self.transport: asyncio.Transport | None = None
        self.open = False
        self.broken = False
        """Whether the connection did not end, but was cut."""
        self.clogged = False
        """Whether the upstream reads slowly: the transport says it once, and nothing more until it reads again."""
        self.left_s = 0.0
        """When the last client left it, on the event loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)
        notice_death(transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; what comes without a client ends the connection."""
        if self.client is None:
            self.close()
        else:
            self.client.upstream_data(data)

    def eof_received(self) -> bool:
        """The upstream has said everything: nobody new is to ask it."""
        self.open = False
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
        self.clogged = True
        if self.client is not None:
            self.client.hold("upstream")

    def resume_writing(self) -> None:
        """The upstream reads again."""
        self.clogged = False
        if self.client is not None:
            self.client.release("upstream")

    def close(self) -> None:
        """The connection ends, and is nobody's any more."""
        self.open = False
        self.client = None
        if self.transport is not None:
            self.transport.close()
