"""The proxy as a process: listeners, workers, control port, lease timer, signals."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import ssl
import stat
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.drivers.serving import split_address, write_ports
from chaos.proxy.api_server import ApiServer
from chaos.proxy.control import ControlApi
from chaos.proxy.counters import Counters
from chaos.proxy.footprint import prepare, settle
from chaos.proxy.registry import Registry
from chaos.proxy.serving import DataOptions, DataSide, RouteText, address_of, listening, loop_factory, parse_route
from chaos.proxy.worker import EXPIRY_S
from chaos.proxy.workers import Workers

__all__ = ["ControlAddress", "Options", "RouteText", "parse_control", "parse_route", "run", "serve"]


@dataclass(frozen=True, slots=True)
class ControlAddress:
    """Where the control API listens: a host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def open_to_others(self) -> bool:
        """Whether more than this machine may reach it. A name counts as others', except localhost."""
        if self.path is not None or self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True


def parse_control(text: str) -> ControlAddress:
    """`HOST:PORT` or `unix:/path`. Raises ValueError that says what to write."""
    scheme, colon, path = text.partition(":")
    if not colon or scheme != "unix":
        return ControlAddress(*split_address(text))
    if not path.startswith("/") or len(os.fsencode(path)) > 100:
        raise ValueError(f"{text!r} is no socket; write unix:/PATH, absolute and of at most 100 bytes")
    return ControlAddress(path=Path(path))


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that the command line says."""

    routes: tuple[RouteText, ...]
    control: ControlAddress
    token: str
    ports_file: Path | None = None
    workers: int = 1
    control_tls: ssl.SSLContext | None = None
    data: DataOptions = field(default_factory=DataOptions)


def _unix_listener(path: Path) -> socket.socket:
    """A socket that only this user may connect to. Raises OSError when somebody listens there, or it is no socket."""
    made = socket.socket(socket.AF_UNIX)
    try:
        if path.exists():
            if not stat.S_ISSOCK(path.stat().st_mode):
                raise FileExistsError(17, f"{path} exists, and is no socket")
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(1.0)
                if other.connect_ex(str(path)) == 0:
                    raise OSError(98, f"somebody listens at {path}")
            path.unlink()
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(64)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def _warn(options: Options) -> None:
    """Whoever can reach the control API and has the token can hurt the model: that others can reach it is said loudly."""
    if not options.control.open_to_others():
        return
    told = f"chaos proxy: WARNING: the control API listens on {options.control.host}, which other machines may reach;"
    if options.control_tls is None:
        told += (
            " it speaks HTTP without TLS, so the token can be read on the way: give --control-cert and --control-key,"
        )
    told += " and let a firewall or a NetworkPolicy admit the runner alone"
    print(told, file=sys.stderr)


def _api(options: Options, registry: Registry, counters: Counters, workers: Workers | None) -> ControlApi:
    control = options.control
    own_machine = control.path is None and options.control_tls is None and not control.open_to_others()
    return ControlApi(registry, counters, options.token, workers, options.data, own_machine=own_machine)


@asynccontextmanager
async def _control(options: Options, served: ControlApi) -> AsyncIterator[str]:
    """The control API is served inside the block; where, as the ports file says it."""
    server, path = ApiServer(served, served.gate), options.control.path
    bound = False
    try:
        if path is not None:
            listener = _unix_listener(path)
            bound = True
            await server.listen_on(listener)
            yield f"unix:{path}"
        else:
            host, port = await server.listen(options.control.host, options.control.port, options.control_tls)
            yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        await server.stop()
        if path is not None and bound:
            path.unlink(missing_ok=True)


async def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT; then disarms, lets answers go out for a moment, and ends. Raises OSError, ValueError."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    registry, counters = Registry(time.monotonic, options.data.protocol), Counters()
    _warn(options)
    listeners = {route.text: listening(route.listen) for route in options.routes}
    ports = {route.name: address_of(listeners[route.text][0]) for route in options.routes}
    workers: Workers | None = None
    data = DataSide(registry, counters, options.data)
    try:
        if options.workers > 1:
            workers = Workers(options.workers, listeners, options.data, registry, counters)
            await workers.start()
        else:
            for route in options.routes:
                await data.start(route, listeners[route.text])
        async with _control(options, _api(options, registry, counters, workers)) as control:
            settle()
            write_ports(options.ports_file, {"control": control, "routes": ports})
            await _until(ended, registry, workers)
            registry.disarm(None)
            data.accept_nobody()
            _close(listeners)
            await data.stop()
            if workers is not None:
                await workers.stop()
    finally:
        _close(listeners)
        if workers is not None:
            await workers.stop()


def _close(listeners: Mapping[str, Sequence[socket.socket]]) -> None:
    for opened in listeners.values():
        for listener in opened:
            listener.close()


async def _until(ended: asyncio.Event, registry: Registry, workers: Workers | None) -> None:
    """Leases end in time and workers live, until the process is told to end."""
    while not ended.is_set():
        registry.expire()
        if workers is not None:
            workers.tick()
            await workers.replenish()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), EXPIRY_S)


def run(options: Options) -> int:
    """The process's exit code: 0 when it was told to stop, 1 when it could not listen, 2 when it was told what cannot be."""
    prepare()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(options))
    except OSError as error:
        print(f"chaos proxy: cannot listen: {error}; is the port taken?", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"chaos proxy: {error}", file=sys.stderr)
        return 2
    return 0
