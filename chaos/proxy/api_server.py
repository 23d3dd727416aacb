"""A small HTTP server for the control API: h11 says what the bytes mean, asyncio moves them, a handler answers.

It serves a handful of runners and scrapers, never the data. What it must be is correct, bounded and light: a proxy stands in front
of a model for months, and a larger framework would take as much memory as all the rest of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11

log = logging.getLogger("chaos.proxy")

LARGEST_BODY = 1_000_000
LARGEST_HEAD = 64 * 1024
READ_S = 75.0
"""How long a connection may say nothing; runners keep theirs open between two renewals of a lease."""
GOODBYE_S = 0.5
"""How long answers under way may still go out when the server stops."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, whole. Header names are lower-case; `path` is decoded, `query` has the last value of each name.

    Printed, it does not tell its token.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body. Raises ValueError when it is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> Response:
        """An answer that says this."""
        return cls(status, json.dumps(value).encode())


Handler = Callable[[Request], Awaitable[Response]]


class ApiServer:
    """Everything that listens for the control API, and the connections to it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """It is served at this address; the port that it got. Raises OSError."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=tls, limit=LARGEST_HEAD)
        found, taken = self._server.sockets[0].getsockname()[:2]
        return str(found), int(taken)

    async def listen_on(self, listener: socket.socket) -> None:
        """It is served on this listening unix socket."""
        self._server = await asyncio.start_unix_server(self._connected, sock=listener, limit=LARGEST_HEAD)

    async def stop(self) -> None:
        """Nobody is served any more; answers under way had GOODBYE_S to go out."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=GOODBYE_S)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Conversation(reader, writer, self._handler).hold(self._serving)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone, or says nothing
        except asyncio.CancelledError:
            pass  # the server stops; this task is over in any case, and asyncio would make a trace of it
        finally:
            self._connections.discard(task)
            writer.close()

    def _serving(self) -> bool:
        return self._server is not None and self._server.is_serving()


class _Conversation:
    """One connection: requests one after the other, each whole before it is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)

    async def hold(self, serving: Callable[[], bool]) -> None:
        """Answers until either side ends it. Raises OSError and TimeoutError."""
        while serving():
            request: Request | None = None
            try:
                request = await self._request()
                if request is None:
                    return
                response = await self._answered(request)
            except h11.RemoteProtocolError as error:
                response = Response.of_json({"error": f"this is no request: {error}"}, error.error_status_hint)
            await self._send(response, head_only=request is not None and request.method == "HEAD")
            if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
                return
            self._state.start_next_cycle()

    async def _answered(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:  # whatever goes wrong here must not end the proxy
            log.exception("the control API could not answer %s %s", request.method, request.path)
            return Response.of_json({"error": "the proxy could not do this; its log says why"}, 500)

    async def _event(self) -> Any:
        while True:
            event = self._state.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._state.they_are_waiting_for_100_continue:
                told = self._state.send(h11.InformationalResponse(status_code=100, headers=[]))
                await self._write(told)
            self._state.receive_data(await asyncio.wait_for(self._reader.read(65536), READ_S))

    async def _request(self) -> Request | None:
        """The next request; None when there is none. Raises h11.RemoteProtocolError."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise h11.RemoteProtocolError(f"more than {LARGEST_BODY} bytes", error_status_hint=413)
        path, _, query = head.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Request(head.method.decode("ascii"), unquote(path), dict(parse_qsl(query)), headers, bytes(body))

    async def _send(self, response: Response, *, head_only: bool) -> None:
        if self._state.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        bare = response.status == 204
        lines = [] if bare else [("content-type", response.content_type), ("content-length", str(len(response.body)))]
        lines += response.headers.items()
        if self._state.their_state is h11.ERROR:
            lines.append(("connection", "close"))
        reason = HTTPStatus(response.status).phrase.encode()
        head = h11.Response(status_code=response.status, headers=lines, reason=reason)
        told = [self._state.send(head)]
        if response.body and not (bare or head_only):
            told.append(self._state.send(h11.Data(data=response.body)))
        told.append(self._state.send(h11.EndOfMessage()))
        await self._write(b"".join(piece for piece in told if piece))

    async def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
            await asyncio.wait_for(self._writer.drain(), READ_S)
