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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11

log = logging.getLogger("chaos.proxy")

LARGEST_BODY = 1_000_000
LARGEST_HEAD = 64 * 1024
READ_S = 75.0
"""How long a connection may say nothing; runners keep theirs open between two renewals of a lease."""
WHOLE_S = 30.0
"""How long a request may take from its first byte to its last."""
MOST_CONNECTIONS = 128
"""At a time. Beyond it, the oldest of those that have not proven themselves makes room: data must never lack descriptors."""
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
Gate = Callable[[Request], Response | None]
"""Asked with a request's head alone, before a byte of its body is read: None lets it in, and anything else is the refusal."""


def _open(request: Request) -> Response | None:  # noqa: ARG001 -- a gate
    return None


class ApiServer:
    """Everything that listens for the control API, and the connections to it."""

    def __init__(self, handler: Handler, gate: Gate = _open) -> None:
        self._handler = handler
        self._gate = gate
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Conversation] = {}

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
            await asyncio.wait(list(self._connections), timeout=GOODBYE_S)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversation = _Conversation(reader, writer, self._handler, self._gate)
        if len(self._connections) >= MOST_CONNECTIONS and not self._made_room():
            writer.transport.abort()
            return
        self._connections[task] = conversation
        try:
            await conversation.hold(self._serving)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone, or says nothing
        except asyncio.CancelledError:
            pass  # the server stops; this task is over in any case, and asyncio would make a trace of it
        finally:
            self._connections.pop(task, None)
            writer.close()

    def _made_room(self) -> bool:
        """Whether a stranger's connection could be ended; a runner's never is."""
        for task, conversation in self._connections.items():
            if not conversation.proven:
                del self._connections[task]
                conversation.abort()
                return True
        return False

    def _serving(self) -> bool:
        return self._server is not None and self._server.is_serving()


class _Conversation:
    """One connection: requests one after the other, each whole before it is answered."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, gate: Gate
    ) -> None:
        self.proven = False
        """Whether a request has come that the gate let in with a token."""
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._gate = gate
        self._until_s: float | None = None
        """When the request under way must be whole."""
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)

    async def hold(self, serving: Callable[[], bool]) -> None:
        """Answers until either side ends it. Raises OSError and TimeoutError."""
        while serving():
            request: Request | None = None
            try:
                request = await self._head()
                if request is None:
                    return
                response = self._gate(request)
                if response is None:
                    self.proven = self.proven or "authorization" in request.headers
                    request = replace(request, body=await self._body())
                    response = await self._answered(request)
            except h11.RemoteProtocolError as error:
                response = Response.of_json({"error": f"this is no request: {error}"}, error.error_status_hint)
            await self._send(response, head_only=request is not None and request.method == "HEAD")
            if self._state.their_state is h11.SEND_BODY:
                await self._pass_over()
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
            now_s = asyncio.get_running_loop().time()
            longest_s = READ_S if self._until_s is None else max(0.0, min(READ_S, self._until_s - now_s))
            data = await asyncio.wait_for(self._reader.read(65536), longest_s)
            if self._until_s is None:
                self._until_s = asyncio.get_running_loop().time() + WHOLE_S
            self._state.receive_data(data)

    def abort(self) -> None:
        """The connection is over, at once."""
        self._writer.transport.abort()

    async def _head(self) -> Request | None:
        """The next request without its body; None when there is none. Raises h11.RemoteProtocolError and TimeoutError."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        path, _, query = head.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Request(head.method.decode("ascii"), unquote(path), dict(parse_qsl(query)), headers, b"")

    async def _pass_over(self) -> None:
        """A refused request's body is read and forgotten as far as it is small: else its sender may never read the refusal."""
        size = 0
        with suppress(TimeoutError, h11.RemoteProtocolError):
            async with asyncio.timeout(GOODBYE_S):
                while size < LARGEST_HEAD and isinstance(event := await self._event(), h11.Data):
                    size += len(event.data)
        self._until_s = None

    async def _body(self) -> bytes:
        """The rest of the request. Raises h11.RemoteProtocolError and TimeoutError."""
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise h11.RemoteProtocolError(f"more than {LARGEST_BODY} bytes", error_status_hint=413)
        self._until_s = None
        return bytes(body)

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
