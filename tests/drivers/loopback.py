"""What the tests of the drivers, the load and the lab share: waiting with a deadline, and servers on 127.0.0.1."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")


def now_wall_s() -> float:
    """Seconds since the epoch."""
    return datetime.now(UTC).timestamp()


def eventually(look: Callable[[], Found], within_s: float, what: str) -> Found:
    """What `look` returns as soon as it is true-ish. Fails the test, saying `what`, when it is not in time."""
    deadline_s = time.perf_counter() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.perf_counter() > deadline_s:
            raise AssertionError(f"{what}: not within {within_s:g}s, last seen {found!r}")
        time.sleep(0.02)


def ready(using: Any) -> bool:
    """Whether what this driver speaks to serves."""
    try:
        using.ready()
    except Exception:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a loopback server got; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a loopback server."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Loopback:
    """A server on 127.0.0.1 that answers what `answer` says, and remembers what it was asked."""

    answer: Callable[[Asked], Said]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends: whoever is kept waiting is let go."""


@contextmanager
def serving(answer: Callable[[Asked], Said]) -> Iterator[Loopback]:
    """The server, until the block ends."""
    here = Loopback(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            here.asked.append(asked)
            said = here.answer(asked)
            try:
                self.send_response(said.status)
                self.send_header("content-type", said.kind)
                self.send_header("content-length", str(len(said.body)))
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)
            except OSError:
                self.close_connection = True  # whoever asked has given up

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = take  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 256

        def handle_error(self, *_: Any) -> None:
            return  # a client that went away; what it missed shows in the test

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield here
    finally:
        here.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def end(process: subprocess.Popen[bytes]) -> None:
    """The process is gone."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@contextmanager
def running(argv: list[str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, with its output in `folder/NAME.log`, until the block ends."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


@contextmanager
def module(name: str, *arguments: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """`python -m NAME --listen 127.0.0.1:0 …`, until the block ends; what its ports file says once it listens."""
    ports = folder / f"{name}-{time.perf_counter_ns()}.json"
    argv = [sys.executable, "-m", name, "--listen", "127.0.0.1:0", "--ports-file", str(ports), *arguments]
    with running(argv, folder, name) as process:

        def listening() -> bool:
            assert process.poll() is None, (folder / f"{name}.log").read_text()
            return ports.exists()

        eventually(listening, 30, f"{name} listens")
        yield json.loads(ports.read_text())
