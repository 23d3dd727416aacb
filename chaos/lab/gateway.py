"""The gateway that applicants' traffic enters by: it asks the model, retries once, and falls back to a rule.

    POST /score ─▶ route 1 ─(time-out, refused, no 200)─▶ route 2 ─▶ rule-based fallback ─▶ always an answer
    POST /feedback {decision_id, outcome} ─▶ joined to the decision that was really given

Each attempt has 300 ms. A route that refuses connections is left alone for a second. Subject, group, request id, attempt
number and the synthetic mark are forwarded as headers; one route per replica, so whoever stands in between sees each attempt.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER, SYNTHETIC_HEADER
from chaos.drivers.serving import serve_forever
from chaos.lab.gateway_app import gateway_app
from chaos.lab.gateway_metrics import Metrics
from chaos.lab.model_answers import Decision, read_answer

ATTEMPT_TIMEOUT_S = 0.3
ATTEMPTS = 2
AVOID_S = 1.0
REMEMBERED = 20_000
"""Decisions that feedback can still be joined to; the oldest are forgotten first."""
SUBJECT_HEADER = "x-applicant-id"
GROUP_HEADER = "x-applicant-group"


def fallback_rule(features: Mapping[str, float | None]) -> int:
    """The bank's old rule: approve who meets the credit guidelines and whose data were verified. Accuracy .927."""
    return int(features.get("gdlin") == 1 and features.get("unver") == 0)


class Gateway:
    """The gateway's state: routes, whom to avoid, and the decisions that feedback is joined to."""

    def __init__(self, routes: list[str], names: list[str]) -> None:
        self.routes = routes
        self.names = names
        self.metrics = Metrics([f"replica-{place + 1}" for place in range(len(routes))])
        self._turn = 0
        self._avoid_until_s = [0.0] * len(routes)
        self._given: OrderedDict[str, tuple[Decision, float]] = OrderedDict()
        self.session: aiohttp.ClientSession | None = None

    def _order(self) -> list[int]:
        """Routes for one request: round robin, those that refused lately last."""
        self._turn = (self._turn + 1) % len(self.routes)
        places = [(self._turn + step) % len(self.routes) for step in range(len(self.routes))]
        now_s = time.monotonic()
        return sorted(places, key=lambda place: self._avoid_until_s[place] > now_s)

    def _body(self, application: Mapping[str, Any], request_id: str) -> bytes:
        data = [application.get(name) for name in self.names]
        given = {"name": "application", "shape": [1, len(self.names)], "datatype": "FP64", "data": data}
        return json.dumps({"id": request_id, "inputs": [given]}).encode()

    async def decide(self, application: Mapping[str, Any], headers: Mapping[str, str]) -> Decision:
        """The model's decision, or the rule's when the model does not answer in time."""
        body = self._body(application, headers[REQUEST_HEADER])
        order = self._order()
        for attempt in range(ATTEMPTS):
            place = order[attempt % len(order)]
            found = await self._attempt(place, body, {**headers, ATTEMPT_HEADER: str(attempt + 1)})
            if found is not None:
                return found
        return Decision(fallback_rule(application), 0.5, "fallback")

    async def _attempt(self, place: int, body: bytes, headers: Mapping[str, str]) -> Decision | None:
        assert self.session is not None
        outcome, found = "ok", None
        try:
            async with self.session.post(
                self.routes[place] + "/v2/models/loan/infer", data=body, headers=headers
            ) as answer:
                if answer.status == 200:
                    read = read_answer(await answer.json(content_type=None))
                    self.metrics.answered(read)
                    found = read.decision
                else:
                    outcome = "error"
        except TimeoutError:
            outcome = "timeout"
        except (aiohttp.ClientError, OSError):
            outcome = "unreachable"
            self._avoid_until_s[place] = time.monotonic() + AVOID_S
        except (ValueError, LookupError, TypeError, OverflowError):
            outcome = "error"
        self.metrics.attempts.labels(f"replica-{place + 1}", outcome).inc()
        return found

    def remember(self, decision_id: str, decision: Decision) -> None:
        """Feedback on this decision can be joined from now on."""
        self._given[decision_id] = decision, time.monotonic()
        if len(self._given) > REMEMBERED:
            self._given.popitem(last=False)

    def join(self, decision_id: str, approved: int) -> bool:
        """The outcome is counted for the decision that was really given; False when nobody remembers it."""
        given = self._given.pop(decision_id, None)
        if given is None:
            self.metrics.unmatched.inc()
            return False
        decision, given_s = given
        self.metrics.joined(decision, approved, time.monotonic() - given_s)
        return True


def application(gateway: Gateway) -> web.Application:
    """The gateway's HTTP interface."""
    metrics = gateway.metrics

    async def score(request: web.Request) -> web.Response:
        begun_s = time.perf_counter()
        try:
            features = (await request.json())["application"]
            if not isinstance(features, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            metrics.requests.labels("400").inc()
            return web.json_response({"error": 'write {"application": {FEATURE: NUMBER, ...}}'}, status=400)
        headers = {
            REQUEST_HEADER: request.headers.get(REQUEST_HEADER) or uuid.uuid4().hex,
            "content-type": "application/json",
        }
        headers |= {
            name: request.headers[name]
            for name in (SUBJECT_HEADER, GROUP_HEADER, SYNTHETIC_HEADER)
            if name in request.headers
        }
        decision = await gateway.decide(features, headers)
        decision_id = uuid.uuid4().hex
        gateway.remember(decision_id, decision)
        metrics.decided(decision, request.headers.get(GROUP_HEADER, "other"))
        metrics.requests.labels("200").inc()
        metrics.seconds.observe(time.perf_counter() - begun_s)
        return web.json_response(
            {
                "decision_id": decision_id,
                "decision": "approve" if decision.approved else "deny",
                "score": decision.score if isfinite(decision.score) else None,
                "source": decision.source,
            }
        )

    async def counted(request: web.Request) -> web.Response:
        """An error of our own is an answer, too: 500, and counted as one."""
        try:
            return await score(request)
        except Exception:
            metrics.requests.labels("500").inc()
            raise

    async def feedback(request: web.Request) -> web.Response:
        try:
            body = await request.json()
            matched = gateway.join(str(body["decision_id"]), {"approve": 1, "deny": 0}[body["outcome"]])
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": 'write {"decision_id": ID, "outcome": "approve" | "deny"}'}, status=400)
        return web.json_response({"matched": matched}, status=202)

    routes = [web.post("/score", counted), web.post("/feedback", feedback)]
    return gateway_app(gateway, routes, metrics.registry, ATTEMPT_TIMEOUT_S)


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m chaos.lab.gateway")
    parser.add_argument("--listen", default="127.0.0.1:8000")
    parser.add_argument(
        "--route", action="append", required=True, help="address of one replica, or of the proxy in front of it"
    )
    parser.add_argument("--features", type=Path, required=True, help="JSON list of the model's feature names, in order")
    parser.add_argument("--ports-file", type=Path)
    given = parser.parse_args()
    gateway = Gateway(given.route, json.loads(given.features.read_text()))
    serve_forever(application(gateway), given.listen, "gateway", given.ports_file)


if __name__ == "__main__":
    main()
