"""One keep-alive connection that asks, and takes answers of any framing. What does not come whole is said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

READ_AHEAD = 1 << 20


class Cut(Exception):
    """The other side closed before the answer was whole. `begun`: some of it had come."""

    def __init__(self, *, begun: bool) -> None:
        self.begun = begun
        super().__init__("the connection was closed in the middle of an answer" if begun else "no answer came")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `body` is without its chunks, header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A connection to one address, opened when it is needed and again after it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, request: bytes) -> asyncio.StreamReader:
        """The request is on its way; where the answer comes from."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=READ_AHEAD)
        self._writer.write(request)
        await self._writer.drain()
        return self._reader

    async def ask(self, request: bytes) -> Answer:
        """The answer. Raises Cut; the connection is closed then, and wherever the answer says so."""
        try:
            answer = await _answer(await self.send(request))
        except asyncio.IncompleteReadError as error:
            self.close()
            raise Cut(begun=bool(error.partial)) from error
        except ConnectionError as error:
            self.close()
            raise Cut(begun=False) from error
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self, *, abruptly: bool = False) -> None:
        """The connection is gone; `abruptly` sends a reset in place of an end."""
        if self._writer is not None:
            if abruptly:
                self._writer.transport.abort()
            else:
                self._writer.close()
        self._reader = self._writer = None


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of the next answer. Raises IncompleteReadError."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _answer(reader: asyncio.StreamReader) -> Answer:
    status, headers = await head_of(reader)
    try:
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, await _chunks(reader))
        return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
    except asyncio.IncompleteReadError as error:
        raise Cut(begun=True) from error
    except ConnectionError as error:
        raise Cut(begun=True) from error


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")  # no trailers here
    return b"".join(pieces)
