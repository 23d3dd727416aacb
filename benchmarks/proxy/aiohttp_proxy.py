"""A reverse proxy as one would write it in an afternoon: aiohttp's server and client, whole bodies. A peer, nothing else.

`python -m benchmarks.proxy.aiohttp_proxy BACKEND PORT=WORK PORT=WORK …`, each WORK as `cases.Work` writes it.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, TCPConnector, web
from multidict import CIMultiDict

from benchmarks.proxy.cases import Work, change, selected

HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}


def application(session: ClientSession, upstream: str, work: Work) -> web.Application:
    """Everything goes upstream; answers to selected requests are changed."""

    async def handle(request: web.Request) -> web.Response:
        headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in HOP)
        body = await request.read()
        async with session.request(request.method, upstream + request.path_qs, headers=headers, data=body) as answer:
            payload = await answer.read()
            kept = CIMultiDict((name, value) for name, value in answer.headers.items() if name.lower() not in HOP)
            if work.share and selected(request.headers.get("x-request-id", "0000"), work.share):
                payload = change(payload, work.times)
            return web.Response(status=answer.status, headers=kept, body=payload)

    made = web.Application(client_max_size=64 * 1024 * 1024)
    made.router.add_route("*", "/{path:.*}", handle)
    return made


async def main(arguments: list[str]) -> None:
    """Serves until a signal ends the process."""
    upstream = f"http://127.0.0.1:{arguments[0]}"
    async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=False) as session:
        for pair in arguments[1:]:
            port, _, work = pair.partition("=")
            runner = web.AppRunner(application(session, upstream, Work.of(work)), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", int(port), backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
