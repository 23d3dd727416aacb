"""The model server behind every peer: canned answers, as fast as an event loop of Python can send them.

`python -m benchmarks.proxy.backend PORT`; it ends by a signal. Heads are not checked: only peers under test talk to it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

from benchmarks.proxy.cases import MODELS, answer

_LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)


def _reply(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nServer: backend\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


REPLIES = {model.path.encode(): _reply(answer(model)) for model in MODELS.values()}
LOST = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Every whole request is answered."""
        data = self.buffer + data if self.buffer else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) < whole:
                break
            path = data[data.index(b" ") + 1 : data.index(b" ", 8)]
            assert self.transport is not None
            self.transport.write(REPLIES.get(path, LOST))
            data = data[whole:]
        self.buffer = data


async def main(port: int) -> None:
    """Serves until a signal ends the process."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
