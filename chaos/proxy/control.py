"""The control API: arm, renew, disarm, and see what was done. On its own port, never in the data path.

With several workers, an answer is given once every one of them has heard, and counts are those of all.

PUT /runs/{id} · POST /runs/{id}/lease · DELETE /runs/{id} · GET /runs/{id} · GET /runs/{id}/changes · DELETE /runs
GET /healthz · GET /version · GET /metrics     (these three need no token)
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.observe import observed_text
from chaos.proxy.registry import Registry
from chaos.proxy.serving import DataOptions
from chaos.proxy.shadow import shadow_text
from chaos.proxy.workers import Workers
from chaos.version import VERSION

_RUN = re.compile(r"[A-Za-z0-9._-]{1,200}")
_OPEN = ("/healthz", "/version", "/metrics")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    registry: Registry, counters: Counters, token: str, workers: Workers | None = None, data: DataOptions | None = None
) -> web.Application:
    """The control API's HTTP interface; without `workers`, this process serves the data itself, as `data` says."""
    serving = data or DataOptions()
    wanted = f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "origin" in request.headers:
            return web.json_response({"error": "this interface is not for browsers"}, status=403)
        if request.path not in _OPEN:
            given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, wanted):
                return web.json_response({"error": "the token is missing or wrong"}, status=401)
        try:
            return await handler(request)
        except Refusal as refusal:
            told = {"error": str(refusal), "problems": refusal.problems, **held()}
            return web.json_response(told, status=refusal.status)

    def held() -> dict[str, object]:
        holders = [{"run": armed.run, "where": armed.arms.where} for armed in registry.current()]
        # `held_by` is for clients of the time when one run at a time could hold a proxy.
        return {"held_by": holders[0]["run"] if holders else None, "holders": holders}

    async def obeyed() -> list[str]:
        return await workers.obey() if workers is not None else []

    async def gathered() -> None:
        if workers is not None:
            await workers.gather()

    def run_of(request: web.Request) -> str:
        run = request.match_info["run"]
        if not _RUN.fullmatch(run):
            raise Refusal(422, ["a run's id has letters, digits, dots and dashes only"])
        return run

    def state_of(run: str) -> web.Response:
        state = registry.runs.get(run)
        if state is None:
            return web.json_response({"error": f"the run {run} is not known here"}, status=404)
        return web.json_response(state.as_json(time.monotonic()))

    async def arm(request: web.Request) -> web.Response:
        run = run_of(request)
        try:
            body = await request.json()
        except ValueError:
            raise Refusal(422, ["the body is no JSON"]) from None
        made = registry.arm(run, parse_arming(body)).generation
        problems = await obeyed()
        if problems:
            holder = registry.holder_of(run)
            if holder is not None and holder.generation == made:
                registry.disarm(run)
                await obeyed()
            raise Refusal(
                503, [*problems, "so this run has armed nothing; workers that do not answer are replaced: try again"]
            )
        return state_of(run)

    async def renew(request: web.Request) -> web.Response:
        run = run_of(request)
        if registry.renew(run) is None:
            return web.json_response({"error": f"the run {run} does not hold this proxy any more"}, status=404)
        await obeyed()
        return state_of(run)

    async def disarm(request: web.Request) -> web.Response:
        registry.disarm(run_of(request))
        await obeyed()
        return web.Response(status=204)

    async def disarm_all(_: web.Request) -> web.Response:
        registry.disarm(None)
        await obeyed()
        return web.Response(status=204)

    async def see(request: web.Request) -> web.Response:
        registry.expire()
        await gathered()
        return state_of(run_of(request))

    async def changes(request: web.Request) -> web.Response:
        await gathered()
        state = registry.runs.get(run_of(request))
        after = request.query.get("after", "0")
        if state is None or not after.isdecimal():
            return web.json_response({"error": "no such run, or `after` is no number"}, status=404)
        kept = [change for change in state.changes if int(str(change["id"])) > int(after)]
        return web.json_response({"changes": kept, "last": state.changed})

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"ok": True, **held()})

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"version": VERSION, **held()})

    async def metrics(_: web.Request) -> web.Response:
        registry.expire()
        await gathered()
        text = counters.text(armed=len(registry.holders), expiries=registry.expiries)
        text += workers.metrics() if workers is not None else ""
        text += observed_text(serving.observe, counters) + shadow_text(serving.shadow_to, counters)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    made = web.Application(middlewares=[guard], client_max_size=1_000_000)
    made.add_routes(
        [
            web.put("/runs/{run}", arm),
            web.post("/runs/{run}/lease", renew),
            web.delete("/runs/{run}", disarm),
            web.delete("/runs", disarm_all),
            web.get("/runs/{run}", see),
            web.get("/runs/{run}/changes", changes),
            web.get("/healthz", healthy),
            web.get("/version", version),
            web.get("/metrics", metrics),
        ]
    )
    return made
