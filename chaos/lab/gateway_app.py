"""What the lab's gateways have in common: connections to the model, a sign of life, and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest


class AsksModels(Protocol):
    """A gateway; `session` is there while it is served."""

    session: aiohttp.ClientSession | None


def gateway_app(
    gateway: AsksModels, routes: Iterable[web.RouteDef], registry: CollectorRegistry, timeout_s: float
) -> web.Application:
    """These routes, `/healthz` and `/metrics`; the model has so many seconds for each answer."""

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def exposed(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), content_type="text/plain", charset="utf-8")

    async def connected(_: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            gateway.session = session
            yield
        await asyncio.sleep(0)

    made = web.Application(client_max_size=4_000_000)
    made.cleanup_ctx.append(connected)
    made.add_routes([*routes, web.get("/healthz", healthy), web.get("/metrics", exposed)])
    return made
