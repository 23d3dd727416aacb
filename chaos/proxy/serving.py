"""The data side of a proxy process: its routes on their listening sockets, and how it stops without cutting anybody off."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.drivers.serving import split_address
from chaos.proxy.counters import Counters
from chaos.proxy.observe import Observer
from chaos.proxy.plane import factory
from chaos.proxy.registry import Registry
from chaos.proxy.route import Route
from chaos.proxy.shadow import Consumer
from chaos.proxy.sharing import Share, SharedListener
from chaos.proxy.upstream import UpstreamAddress, parse_upstream, tls_context

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DRAIN_S = 2.0
"""How long answers under way may still go out when the process ends."""
BACKLOG = 1024


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes the fastest event loop that is installed."""
    with suppress(ImportError):
        import uvloop

        made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return made
    return asyncio.new_event_loop


@dataclass(frozen=True, slots=True)
class RouteText:
    """`NAME=LISTEN>UPSTREAM`, taken apart."""

    name: str
    listen: tuple[str, int]
    upstream: UpstreamAddress
    text: str
    """As it was written."""


def parse_route(text: str) -> RouteText:
    """One route. Raises ValueError that says what to write."""
    name, equals, rest = text.partition("=")
    listen, arrow, upstream = rest.partition(">")
    if equals and not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a route; write up to 64 letters, digits, dots, dashes and underscores"
        )
    if not (name and equals and arrow):
        raise ValueError(
            f"{text!r} is no route; write NAME=LISTEN>UPSTREAM, such as replica-1=127.0.0.1:9000>127.0.0.1:8080"
        )
    return RouteText(name, split_address(listen), parse_upstream(upstream), text)


def listening(listen: tuple[str, int]) -> list[socket.socket]:
    """Sockets that accept on every address of the host: more than one where a name has several. Raises OSError."""
    host, port = listen
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, number, _, where in dict.fromkeys(found):
            opened = socket.socket(family, kind, number)
            made.append(opened)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind(where)
            opened.listen(BACKLOG)
            opened.setblocking(False)
            if port == 0:
                break  # the next address of this host would get another port
    except OSError as error:
        for opened in made:
            opened.close()
        raise OSError(error.errno, f"{host}:{port}: {error.strerror or error}") from error
    return made


def address_of(listener: socket.socket) -> str:
    """`HOST:PORT` that it accepts at."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What serving the routes depends on, besides which runs hold the proxy."""

    record_bodies: bool = False
    protocol: str = "auto"
    upstream_ca: Path | None = None
    observe: float = 0.0
    """Share of predictions that are looked at in passing."""
    shadow_to: str | None = None
    """Where hurt copies of answers are posted to in shadow mode."""


class DataSide:
    """Every route of this process, from `start` on served, after `stop` no more."""

    def __init__(self, registry: Registry, counters: Counters, options: DataOptions) -> None:
        self._registry = registry
        self._counters = counters
        self._options = options
        self._tls: ssl.SSLContext | None = None
        self._tls_http2: ssl.SSLContext | None = None
        self._servers: list[asyncio.Server | SharedListener] = []
        self._routes: list[Route] = []
        self._observer = Observer(options.observe, counters, options.protocol) if options.observe else None
        self._consumer = Consumer(options.shadow_to, counters, self._holds) if options.shadow_to is not None else None

    def _holds(self, run: str) -> bool:
        return any(armed.run == run for armed in self._registry.current())

    def connections(self) -> int:
        """How many clients are connected."""
        return sum(len(route.clients) for route in self._routes)

    async def start(self, route: RouteText, listeners: Sequence[socket.socket], share: Share | None = None) -> None:
        """The route is served on these sockets; with a `share`, other processes accept from them, too.

        Raises ValueError when the certificate authorities cannot be read.
        """
        if route.upstream.tls and self._tls is None:
            self._tls = tls_context(self._options.upstream_ca)
            self._tls_http2 = tls_context(self._options.upstream_ca, "h2")
        made = Route(
            route.name,
            route.upstream.host,
            route.upstream.port,
            self._registry,
            self._counters,
            record_bodies=self._options.record_bodies,
            tls=self._tls if route.upstream.tls else None,
        )
        if route.upstream.tls:
            made.upstream = replace(made.upstream, http2=self._tls_http2)
        made.observer, made.consumer = self._observer, self._consumer
        self._routes.append(made)
        loop = asyncio.get_running_loop()
        for listener in listeners:
            if share is not None:
                self._servers.append(SharedListener(listener, factory(made), share, self.connections))
            else:
                self._servers.append(await loop.create_server(factory(made), sock=listener, backlog=BACKLOG))

    def _busy(self) -> bool:
        return any(client.busy for route in self._routes for client in route.clients)

    def accept_nobody(self) -> None:
        """Nobody new is accepted. An event loop must hear of it before its listening sockets are closed."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self) -> None:
        """Nobody new is accepted; answers under way go out for at most DRAIN_S; then every connection is closed."""
        loop = asyncio.get_running_loop()
        self.accept_nobody()
        for client in [one for route in self._routes for one in route.clients]:
            client.leave()
        deadline_s = loop.time() + DRAIN_S
        # The event loop has no word for "every connection is idle"; a look every 20 ms at the very end costs nothing.
        while self._busy() and loop.time() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for route in self._routes:
            for client in list(route.clients):
                if client.transport is not None:
                    client.transport.abort()
            route.close()
        if self._consumer is not None:
            await self._consumer.close()
