"""A backend that records every byte, the real proxy in front of it, and a client that sends exactly what it is told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

TOKEN = "a-token-for-the-tests-of-the-proxy"
DEADLINE_S = 15.0
KEY = "5a" * 16


def eventually(true: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Returns once `true()` holds; fails at the deadline."""
    until = time.monotonic() + within_s
    pause = threading.Event()
    while not true():
        assert time.monotonic() < until, "this did not come true in time"
        pause.wait(0.01)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the backend says: `early` once the head is there, `pieces` once the request is whole; then it may hang up."""

    pieces: tuple[bytes, ...] = ()
    close: bool = False
    early: bytes = b""
    gate: threading.Event | None = None
    """The answer waits until this is set."""


def sized(body: bytes, *headers: str, status: str = "200 OK") -> Reply:
    """An answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return Reply(("\r\n".join(lines).encode() + b"\r\n\r\n", body))


class Backend:
    """A server of raw bytes; one thread a connection. `seen` has every request as received, in order."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.seen: list[bytes] = []
        self.connections = 0
        self.stray: list[bytes] = []
        """What came and never became a whole request."""
        self.lost = 0
        """Connections that ended in the middle of a request, or before its answer was written."""
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody is accepted any more."""
        self._server.close()

    def forget(self) -> None:
        """Nothing was seen."""
        self.replies.clear()
        self.seen.clear()
        self.stray.clear()
        self.lost = 0

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(DEADLINE_S * 4)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray()
        with connection, suppress(OSError):
            while self._one(connection, buffer):
                pass
        if buffer:
            self.lost += 1
            self.stray.append(bytes(buffer))

    @staticmethod
    def _more(connection: socket.socket, buffer: bytearray) -> bool:
        data = connection.recv(65536)
        buffer += data
        return bool(data)

    def _one(self, connection: socket.socket, buffer: bytearray) -> bool:
        """One request is answered; False when the connection is over."""
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not self._more(connection, buffer):
                return False
        head = bytes(buffer[: end + 4])
        path = head.split(b" ", 2)[1].decode("latin-1")
        reply = self.replies.get(path.split("?")[0], sized(b"ok"))
        if reply.early:
            connection.sendall(reply.early)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        whole = len(head) + (int(length[1]) if length else 0)
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            # The tests' chunked bodies have no trailers that end like this in their middle.
            while (last := buffer.find(b"0\r\n", len(head) - 2)) < 0 or (tail := buffer.find(b"\r\n\r\n", last)) < 0:
                if not self._more(connection, buffer):
                    return False
            whole = tail + 4
        while len(buffer) < whole:
            if not self._more(connection, buffer):
                return False
        self.seen.append(bytes(buffer[:whole]))
        del buffer[:whole]
        if reply.gate is not None and not reply.gate.wait(DEADLINE_S):
            return False
        for piece in reply.pieces:
            connection.sendall(piece)
        return not reply.close and re.search(rb"(?i)\r\nconnection: *close", head) is None


@dataclass(frozen=True, slots=True)
class Until:
    """The client sends on only after it has received this."""

    received: bytes
    hang_up: bool = False
    """The client leaves then, instead of sending on."""


def talk(port: int, *pieces: bytes | Until) -> bytes:
    """Everything that a connection answers to these bytes, each piece sent by itself, until the other side hangs up."""
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                if isinstance(piece, Until):
                    while piece.received not in got:
                        got += _received(connection)
                    if piece.hang_up:
                        return bytes(got)
                else:
                    connection.sendall(piece)
        with suppress(ConnectionResetError):
            while data := connection.recv(65536):
                got += data
    return bytes(got)


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the connection ended before what the client waits for"
    return data


@dataclass
class Proxy:
    """A running proxy: its routes' ports, and its control API."""

    routes: dict[str, int]
    control: str
    process: subprocess.Popen[bytes]
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """The control API's answer."""
        return self.session.request(method, self.control + path, timeout=DEADLINE_S, **more)

    def arm(self, run: str, *faults: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The proxy is armed; what it answered."""
        answer = self.ask("PUT", f"/runs/{run}", json=arming(*faults, **more))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def state(self, run: str) -> dict[str, Any]:
        """The run's counts."""
        return dict(self.ask("GET", f"/runs/{run}").json())


def arming(*faults: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a PUT: these faults for everybody, unless `more` says otherwise."""
    numbered = [{"index": place, "fault": {"target": "model", **fault}} for place, fault in enumerate(faults)]
    return {
        "seed": "a seed",
        "arms": {"traffic": 1.0, "by": "header:x-request-id", "where": None},
        "subjects": "users",
        "faults": numbered,
        "lease_s": 30,
        "deadline_s": 3600,
        **more,
    }


@contextmanager
def running_proxy(folder: Path, *flags: str, **upstreams: int) -> Iterator[Proxy]:
    """A proxy process with these flags and one route per upstream port; it has ended afterwards, by SIGTERM and in time."""
    token, ports = folder / "token", folder / "ports.json"
    token.write_text(TOKEN)
    routes = [f"--route={name}=127.0.0.1:0>127.0.0.1:{port}" for name, port in upstreams.items()]
    files = ["--control=127.0.0.1:0", f"--token-file={token}", f"--ports-file={ports}"]
    process = subprocess.Popen([sys.executable, "-m", "chaos.proxy", *routes, *files, *flags], env=dict(os.environ))
    try:
        eventually(lambda: ports.exists() or process.poll() is not None)
        told = json.loads(ports.read_text())
        listening = {name: int(address.rpartition(":")[2]) for name, address in told["routes"].items()}
        yield Proxy(listening, f"http://{told['control']}", process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def infer(subject: str | None, body: bytes = b'{"inputs":[]}', *headers: str, close: bool = True) -> bytes:
    """A prediction request in the Open Inference Protocol."""
    lines = ["POST /v2/models/model/infer HTTP/1.1", "Host: model", *headers, f"Content-Length: {len(body)}"]
    lines += [f"X-Request-Id: {subject}"] if subject is not None else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
