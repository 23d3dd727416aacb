"""Serving an aiohttp application in a process of its own: any free port, told through a file, ended by SIGTERM."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; port 0 takes any free one. Raises ValueError when it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:8474 (port 0: any free one)")
    return host.strip("[]"), int(port)


def write_ports(path: Path | None, ports: Mapping[str, object]) -> None:
    """The file says where everything listens, whole or not at all."""
    if path is not None:
        fresh = path.with_suffix(path.suffix + ".new")
        fresh.write_text(json.dumps(ports))
        fresh.replace(path)


async def _serve(application: web.Application, listen: str, name: str, ports_file: Path | None) -> None:
    from aiohttp import web  # not above: a worker of the proxy needs addresses alone

    host, port = split_address(listen)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0]
    write_ports(ports_file, {name: f"{bound[0]}:{bound[1]}"})
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await runner.cleanup()


def serve_forever(application: web.Application, listen: str, name: str, ports_file: Path | None) -> None:
    """Serves until SIGTERM or SIGINT; ends with one sentence when it cannot listen.

    The ports file has `{NAME: "host:port"}` once it listens.
    """
    try:
        asyncio.run(_serve(application, listen, name, ports_file))
    except OSError as error:
        print(f"{name}: cannot listen on {listen}: {error.strerror or error}; is the port taken?", file=sys.stderr)
        sys.exit(1)
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
