"""The proxy as a process: listeners, control port, lease timer, signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from chaos.drivers.serving import split_address, write_ports
from chaos.proxy.armed import Registry
from chaos.proxy.control import application
from chaos.proxy.counters import Counters
from chaos.proxy.plane import Route, factory

EXPIRY_S = 0.1
"""How often leases are looked at besides at every request; releases those who wait in a delay."""
DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class RouteText:
    """`NAME=LISTEN>UPSTREAM`, taken apart."""

    name: str
    listen: tuple[str, int]
    upstream: tuple[str, int]


def parse_route(text: str) -> RouteText:
    """One route. Raises ValueError that says what to write."""
    name, equals, rest = text.partition("=")
    listen, arrow, upstream = rest.partition(">")
    if not (name and equals and arrow):
        raise ValueError(
            f"{text!r} is no route; write NAME=LISTEN>UPSTREAM, such as replica-1=127.0.0.1:9000>127.0.0.1:8080"
        )
    return RouteText(name, split_address(listen), split_address(upstream))


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that the command line says."""

    routes: tuple[RouteText, ...]
    control: tuple[str, int]
    token: str
    ports_file: Path | None = None
    record_bodies: bool = False
    protocol: str = "auto"


async def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT; then disarms, lets answers go out for a moment, and ends."""
    loop = asyncio.get_running_loop()
    registry, counters = Registry(time.monotonic, options.protocol), Counters()
    runner = web.AppRunner(application(registry, counters, options.token), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, *options.control).start()
    servers: list[asyncio.Server] = []
    routes: list[Route] = []
    ports: dict[str, str] = {}
    for text in options.routes:
        route = Route(text.name, *text.upstream, registry, counters, record_bodies=options.record_bodies)
        server = await loop.create_server(factory(route), *text.listen, backlog=1024)
        routes.append(route)
        servers.append(server)
        host, port = server.sockets[0].getsockname()[:2]
        ports[text.name] = f"{host}:{port}"
    control = runner.addresses[0]
    write_ports(options.ports_file, {"control": f"{control[0]}:{control[1]}", "routes": ports})
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    while not ended.is_set():
        registry.expire()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), EXPIRY_S)
    registry.disarm(None)
    for server in servers:
        server.close()
    deadline_s = loop.time() + DRAIN_S
    # The event loop has no word for "every connection is idle"; a look every 20 ms at the very end of the process costs nothing.
    while any(client.exchange is not None for route in routes for client in route.clients) and loop.time() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    for route in routes:
        for client in list(route.clients):
            if client.transport is not None:
                client.transport.abort()
    await runner.cleanup()


def run(options: Options) -> int:
    """The process's exit code: 0 when it was told to stop, 1 when it could not listen."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve(options))
    except OSError as error:
        print(f"chaos proxy: cannot listen: {error}; is the port taken?", file=sys.stderr)
        return 1
    return 0
