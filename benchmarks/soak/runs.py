"""Runs that come and go: one is armed with one fault after the other and disarmed, others lapse since nobody renews them.

A disarmed run is armed again under the same name: the proxy remembers each run for ten minutes, with up to a thousand changes,
and that is no leak.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from benchmarks.proxy.cases import SEED
from benchmarks.soak.client import Line
from benchmarks.soak.samples import Tally
from benchmarks.soak.traffic import INJECTED, TREATED, Unexpected

TOKEN = "a-token-for-the-soak-alone"
RUN = "soak"
ARMED_S, PAUSE_S, RENEW_S, LAPSING_S = 1.5, 0.3, 0.4, 0.3
LEASE_S = 10.0
"""As experiments have it: a busy machine may keep a renewal for seconds."""
PATIENCE_S = 10.0
WRONG = {"fault": "wrong_predictions", "target": "model"}
DELAY = {"fault": "delay", "target": "model", "by": "20ms", "jitter": "10ms", "distribution": "normal"}
ERROR = {"fault": "http_error", "target": "model", "status": INJECTED}
ROUNDS: tuple[tuple[dict[str, Any], ...], ...] = ((WRONG,), (DELAY, WRONG), (ERROR,))
"""What the run is armed with, in turn."""
NOT_ASKED = ("chaos_proxy_refused_messages_total", "chaos_proxy_workers_replaced_total")
"""Counters that must stay at 0, and so must `unreachable` of the steady route."""


def arming(faults: tuple[dict[str, Any], ...], lease_s: float) -> dict[str, Any]:
    """The body of `PUT /runs/{id}`. The same requests are in the treatment arm each time."""
    return {
        "seed": SEED,
        "arms": {"traffic": TREATED, "by": "header:x-request-id", "where": None},
        "subjects": "users",
        "faults": [{"index": place, "fault": fault} for place, fault in enumerate(faults)],
        "lease_s": lease_s,
        "deadline_s": 7 * 86400,
    }


class Control:
    """The proxy's control API, asked one thing at a time."""

    def __init__(self, address: tuple[str, int], tally: Tally) -> None:
        self._line = Line(*address)
        self._tally = tally

    async def ask(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body. Raises Unexpected when it is no success."""
        sent = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        )
        began_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(PATIENCE_S):
            answer = await self._line.ask(head.encode() + sent)
        self._tally.requests["control"] += 1
        self._tally.slow("control", asyncio.get_running_loop().time() - began_s)
        if answer.status not in (200, 204):
            said = answer.body.decode(errors="replace")[:200]
            raise Unexpected(f"{method} {path.rstrip('0123456789')}: status {answer.status}: {said}")
        return answer.body

    def close(self) -> None:
        """The connection is gone."""
        self._line.close()


async def _hold(control: Control, run: str, faults: tuple[dict[str, Any], ...], tally: Tally) -> None:
    """The run is armed, renewed for a while, and disarmed."""
    loop = asyncio.get_running_loop()
    await control.ask("PUT", f"/runs/{run}", arming(faults, LEASE_S))
    until_s = loop.time() + ARMED_S
    while loop.time() < until_s:
        await asyncio.sleep(RENEW_S)
        await control.ask("POST", f"/runs/{run}/lease")
    await control.ask("DELETE", f"/runs/{run}")
    tally.asked["armed and disarmed"] += 1


async def _lapse(control: Control, number: int, tally: Tally) -> None:
    """A run is armed and left alone until the proxy says that it is over. Raises Unexpected when it does not."""
    name = f"{RUN}-lapse-{number}"
    await control.ask("PUT", f"/runs/{name}", arming((DELAY,), LAPSING_S))
    await asyncio.sleep(2 * LAPSING_S)
    state = json.loads(await control.ask("GET", f"/runs/{name}"))["state"]
    if state != "expired":
        raise Unexpected(f"a run that nobody renewed is {state}")
    tally.asked["lapsed"] += 1


async def come_and_go(address: tuple[str, int], tally: Tally) -> None:
    """Runs come and go until this is cancelled."""
    control, number, run = Control(address, tally), 0, RUN
    try:
        while True:
            number += 1
            try:
                await _lapse(control, number, tally)
                for faults in ROUNDS:
                    await _hold(control, run, faults, tally)
                    await asyncio.sleep(PAUSE_S)
            except Exception as error:
                tally.complain(f"control: {type(error).__name__}: {error}")
                run = f"{RUN}-{number}"  # the one before may be over for good
            await asyncio.sleep(PAUSE_S)
    finally:
        control.close()


def read_metrics(text: str) -> dict[str, float]:
    """Name with labels → value, of Prometheus' text format without time stamps."""
    pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def strange(before: dict[str, float], now: dict[str, float], steady: str) -> list[str]:
    """What these metrics say that nobody asked for; `before` are those of the last look."""
    found = [
        f"the counter {name.partition('{')[0]} fell"
        for name, value in now.items()
        if name.partition("{")[0].endswith(("_total", "_bucket", "_count")) and value < before.get(name, 0.0)
    ]
    unreachable = f'chaos_proxy_upstream_unreachable_total{{route="{steady}"}}'
    return found + [
        f"{name.partition('{')[0]} rose"
        for name in (*NOT_ASKED, unreachable)
        if now.get(name, 0.0) > before.get(name, 0.0)
    ]


async def scrape(address: tuple[str, int], steady: str, every_s: float, tally: Tally) -> None:
    """`/metrics` is read again and again until this is cancelled; it must be readable and say nothing strange."""
    control, before = Control(address, tally), dict[str, float]()
    try:
        while True:
            try:
                now = read_metrics((await control.ask("GET", "/metrics")).decode())
                for complaint in strange(before, now, steady):
                    tally.complain(complaint)
                before = now
                tally.asked["scraped"] += 1
            except Exception as error:
                tally.complain(f"/metrics: {type(error).__name__}: {error}")
            await asyncio.sleep(every_s)
    finally:
        control.close()
