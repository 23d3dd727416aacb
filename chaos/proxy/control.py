"""The control API: arm, renew, disarm, and see what was done. On its own port, never in the data path.

With several workers, an answer is given once every one of them has heard, and counts are those of all.

PUT /runs/{id} · POST /runs/{id}/lease · DELETE /runs/{id} · GET /runs/{id} · GET /runs/{id}/changes · DELETE /runs
GET /healthz · GET /version · GET /metrics     (these three need no token)
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import time

from chaos.caps import Most
from chaos.proxy.api_server import Request, Response
from chaos.proxy.armed import active_text
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.observe import observed_text
from chaos.proxy.registry import Registry
from chaos.proxy.serving import DataOptions
from chaos.proxy.shadow import shadow_text
from chaos.proxy.workers import PATIENT_S, SILENT_S, Workers
from chaos.version import VERSION

_RUN = re.compile(r"[A-Za-z0-9._-]{1,200}")
_OPEN = ("/healthz", "/version", "/metrics")


class ControlApi:
    """Answers every call. Without `workers`, this process serves the data itself, as `data` says."""

    def __init__(
        self,
        registry: Registry,
        counters: Counters,
        token: str,
        workers: Workers | None = None,
        data: DataOptions | None = None,
        *,
        own_machine: bool = False,
    ) -> None:
        self._registry = registry
        self._counters = counters
        self._wanted = f"Bearer {token}".encode()
        self._workers = workers
        self._data = data or DataOptions()
        self._own_machine = own_machine

    def gate(self, request: Request) -> Response | None:
        """Why this request is refused, told from its head alone; None when it is let in.

        On a loopback address without TLS (`own_machine`), its Host must be an address or localhost: a page whose own name was made
        to point here asks under that name.
        """
        if "origin" in request.headers:
            return _error(403, "this interface is not for browsers")
        if self._own_machine and not _local_name(request.headers.get("host", "")):
            return _error(403, "this interface listens on a loopback address; ask it under that, or as localhost")
        if request.path not in _OPEN:
            given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, self._wanted):
                return _error(401, "the token is missing or wrong")
        return None

    async def __call__(self, request: Request) -> Response:
        """The answer to a request that the gate has let in; a refusal is one too."""
        refused = self.gate(request)
        if refused is not None:
            return refused
        try:
            return await self._answer(request)
        except Refusal as refusal:
            told = {"error": str(refusal), "problems": refusal.problems, **self._held()}
            return Response.of_json(told, refusal.status)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        match (method, *request.path.split("/")[1:]):
            case "PUT", "runs", run:
                return await self._arm(_checked(run), request)
            case "POST", "runs", run, "lease":
                return await self._renew(_checked(run))
            case "DELETE", "runs", run:
                return await self._disarm(_checked(run))
            case "DELETE", "runs":
                return await self._disarm(None)
            case "GET", "runs", run:
                self._registry.expire()
                await self._gathered()
                return self._state_of(_checked(run))
            case "GET", "runs", run, "changes":
                return await self._changes(_checked(run), request.query.get("after", "0"))
            case "GET", "healthz":
                return Response.of_json({"ok": True, **self._held()})
            case "GET", "version":
                return Response.of_json({"version": VERSION, **self._held()})
            case "GET", "metrics":
                return await self._metrics()
        return _error(404, f"there is no {request.method} {request.path}; docs/proxy.md has every call")

    def _held(self) -> dict[str, object]:
        holders = [{"run": armed.run, "where": armed.arms.where} for armed in self._registry.current()]
        # `held_by` is for clients of the time when one run at a time could hold a proxy.
        return {"held_by": holders[0]["run"] if holders else None, "holders": holders}

    async def _obeyed(self, within_s: float = SILENT_S) -> list[str]:
        return await self._workers.obey(within_s) if self._workers is not None else []

    async def _gathered(self) -> None:
        if self._workers is not None:
            await self._workers.gather()

    def _state_of(self, run: str) -> Response:
        state = self._registry.runs.get(run)
        if state is None:
            return _error(404, f"the run {run} is not known here")
        return Response.of_json(state.as_json(time.monotonic()))

    async def _arm(self, run: str, request: Request) -> Response:
        try:
            body = request.json()
        except (ValueError, RecursionError):
            raise Refusal(422, ["the body is no JSON"]) from None
        arming = parse_arming(body)
        if arming.most is not None and not Most.parse(arming.most).part(self._processes()).count:
            raise Refusal(
                422, [f"`most: {arming.most}` is less than one for each of {self._processes()} workers; write more"]
            )
        before = self._registry.holder_of(run)
        on = before.last_arming.faults if before is not None and before.last_arming is not None else []
        made = self._registry.arm(run, arming).generation
        ends = any(fault not in arming.faults for fault in on)
        problems = await self._obeyed(SILENT_S if ends else PATIENT_S)
        if problems:
            holder = self._registry.holder_of(run)
            if holder is not None and holder.generation == made:
                self._registry.disarm(run)
                await self._obeyed()
            raise Refusal(
                503, [*problems, "so this run has armed nothing; workers that do not answer are replaced: try again"]
            )
        return self._state_of(run)

    def _processes(self) -> int:
        """How many processes share a cap."""
        return self._workers.count if self._workers is not None else 1

    async def _renew(self, run: str) -> Response:
        if self._registry.renew(run) is None:
            return _error(404, f"the run {run} does not hold this proxy any more")
        await self._obeyed(PATIENT_S)
        return self._state_of(run)

    async def _disarm(self, run: str | None) -> Response:
        self._registry.disarm(run)
        await self._obeyed()
        return Response(204)

    async def _changes(self, run: str, after: str) -> Response:
        await self._gathered()
        state = self._registry.runs.get(run)
        if state is None or not re.fullmatch("[0-9]{1,18}", after):
            return _error(404, "no such run, or `after` is no number")
        kept = [change for change in state.changes if int(str(change["id"])) > int(after)]
        return Response.of_json({"changes": kept, "last": state.changed})

    async def _metrics(self) -> Response:
        self._registry.expire()
        await self._gathered()
        text = self._counters.text(armed=len(self._registry.holders), expiries=self._registry.expiries)
        text += active_text(self._registry.current())
        text += self._workers.metrics() if self._workers is not None else ""
        text += observed_text(self._data.observe, self._counters) + shadow_text(self._data.shadow_to, self._counters)
        return Response(200, text.encode(), "text/plain; charset=utf-8")


def _local_name(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name.lower() in ("localhost", "")
    return True


def _checked(run: str) -> str:
    if not _RUN.fullmatch(run):
        raise Refusal(422, ["a run's id has letters, digits, dots and dashes only"])
    return run


def _error(status: int, told: str) -> Response:
    return Response.of_json({"error": told}, status)
