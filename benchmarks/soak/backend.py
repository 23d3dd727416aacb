"""The model server of a soak: it answers in many ways, and some of them are rude.

`python -m benchmarks.soak.backend` writes its port on standard output, and ends with standard input. The query says how:

    (nothing)      with a length                    as=closing    announces that it closes, and closes
    as=chunked     in chunks of 4 kB                as=dropping   closes after the answer without a word
    as=breaking    closes in the middle             as=events     as server-sent events, one every 50 ms
"""

from __future__ import annotations

import asyncio
import re
import sys
from functools import cache

import uvloop

from benchmarks.proxy.cases import MODELS, answer
from benchmarks.soak.pipes import obey

EVENTS = tuple(b'data: {"choices":[{"index":0,"delta":{"content":"word %d "}}]}\n\n' % place for place in range(20))
PAUSE_S = 0.05
CHUNK = 4096
_LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)
_JSON = b"Content-Type: application/json\r\n"


@cache
def answers() -> dict[str, bytes]:
    """Path → body. It takes a second to make, and whoever only imports this needs none."""
    return {model.path: answer(model) for model in MODELS.values()}


def chunk(data: bytes) -> bytes:
    """As one chunk of a chunked answer."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _events(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for event in EVENTS:
        writer.write(chunk(event))
        await writer.drain()
        await asyncio.sleep(PAUSE_S)
    writer.write(b"0\r\n\r\n")


async def _reply(writer: asyncio.StreamWriter, how: str, body: bytes) -> bool:
    """The answer is on its way; whether the connection goes on."""
    length = b"Content-Length: %d\r\n" % len(body)
    match how:
        case "events":
            await _events(writer)
        case "chunked":
            pieces = [chunk(body[place : place + CHUNK]) for place in range(0, len(body), CHUNK)]
            writer.write(b"HTTP/1.1 200 OK\r\n" + _JSON + b"Transfer-Encoding: chunked\r\n\r\n")
            writer.write(b"".join(pieces) + b"0\r\n\r\n")
        case "closing":
            writer.write(b"HTTP/1.1 200 OK\r\n" + _JSON + b"Connection: close\r\n" + length + b"\r\n" + body)
        case "breaking":
            writer.write(b"HTTP/1.1 200 OK\r\n" + _JSON + length + b"\r\n" + body[: len(body) // 2])
        case _:
            writer.write(b"HTTP/1.1 200 OK\r\n" + _JSON + length + b"\r\n" + body)
    await writer.drain()
    return how not in ("closing", "dropping", "breaking")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, request by request."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            path, _, query = head.split(b" ", 2)[1].decode().partition("?")
            if not await _reply(writer, query.removeprefix("as="), answers().get(path, b"{}")):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the proxy has hung up: its client has left
    finally:
        writer.close()


async def main() -> None:
    """Serves until it is told to end."""
    answers()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    obey(lambda line: line)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
