"""Run by Locust, in its own process, never imported by the runner: importing Locust patches the whole process.

One pacer schedules arrivals at the asked rate and spawns each into a bounded pool, so a slow target does not lower the offered
load. Latency counts from the intended start. One JSON line a second goes to samples.jsonl.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from geventhttpclient import HTTPClient
from geventhttpclient.url import URL
from locust import User, constant, events, task

from chaos.drivers.load.arrivals import Arrival, Arrivals, read_rows
from chaos.drivers.load.plan import LoadPlan
from chaos.drivers.load.tally import Outcome, Tally
from chaos.drivers.load.template import at, fill

PLAN = LoadPlan.from_json(Path(os.environ["CHAOS_LOAD_PLAN"]).read_text())
SAMPLES = Path(os.environ["CHAOS_LOAD_SAMPLES"])
ARRIVALS = Arrivals(PLAN, read_rows(PLAN.data))
"""Made here, since Locust ends when this file fails, and merely logs what a listener raises."""


class Wire:
    """Pooled keep-alive connections to one address."""

    def __init__(self, url: str) -> None:
        self.target = URL(url)
        self.client = HTTPClient.from_url(
            self.target, concurrency=PLAN.pool, connection_timeout=PLAN.timeout_s, network_timeout=PLAN.timeout_s
        )

    def post(self, body: bytes, headers: dict[str, str], target: str | None = None) -> tuple[int, bytes]:
        """Status and body; `target` is the path and query, else the address's own. Raises OSError and its kin when there is no answer."""
        answer = self.client.post(target or self.target.request_uri, body=body, headers=headers)
        return answer.status_code, bytes(answer.read())


class Load:
    """One load from beginning to end."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.tally = Tally(PLAN.latency_le_s)
        self.arrivals = ARRIVALS
        self.entry = Wire(PLAN.url)
        self.feedback = Wire(PLAN.feedback.url) if PLAN.feedback else None
        self.pool = Pool(PLAN.pool)
        self.feedback_pool = Pool(PLAN.pool)
        self.drawn = 0

    def begin(self) -> None:
        """The pacer and the clock that writes samples run from now on."""
        gevent.spawn(self.pace)
        gevent.spawn(self.write_samples)

    def pace(self) -> None:
        """Arrivals at the asked rate, evenly spaced, whatever the target does."""
        begun_s = time.perf_counter()
        while PLAN.limit is None or self.drawn < PLAN.limit:
            intended_s = begun_s + self.drawn / PLAN.rate_per_s
            gevent.sleep(max(0.0, intended_s - time.perf_counter()))
            arrival = self.arrivals.draw(self.drawn)
            self.drawn += 1
            if self.pool.full():
                self.tally.unsent += 1
            else:
                self.tally.send(arrival.arm, time.perf_counter() - intended_s)
                self.pool.spawn(self.send, arrival, intended_s)

    def send(self, arrival: Arrival, intended_s: float) -> None:
        """One request; what came of it is counted, here and in Locust's own statistics."""
        status, body = 0, b""
        error: Exception | None = None
        try:
            status, body = self.entry.post(arrival.body, dict(arrival.headers), arrival.target)
            if status >= 500:
                error = RuntimeError(f"status {status}")
        except Exception as failure:  # every failure to answer is the target's, and is counted as one
            error = failure
        latency_s = time.perf_counter() - intended_s
        events.request.fire(  # type: ignore[no-untyped-call]
            request_type="POST", name="entry", response_time=latency_s * 1000, response_length=len(body), exception=error,
            context={}, start_time=time.time() - latency_s, url=PLAN.url,
        )  # fmt: skip
        answer = None
        if error is None:
            with contextlib.suppress(ValueError):
                answer = json.loads(body)
        decision = at(answer, PLAN.decision_path) if PLAN.decision_path and status == 200 else None
        label = arrival.row.get(PLAN.label_column) if PLAN.label_column else None
        self.tally.answer(
            Outcome(
                arm=arrival.arm,
                first=arrival.first,
                error=error is not None,
                latency_s=latency_s,
                slice=str(arrival.row.get(PLAN.slice_column)) if PLAN.slice_column else None,
                positive=None if decision is None else decision == PLAN.positive,
                wrong=None if decision is None or label is None else decision != label,
            )
        )
        wanted = (
            PLAN.feedback is not None
            and decision is not None
            and arrival.wants_feedback(PLAN.seed, PLAN.feedback.share)
        )
        if wanted and PLAN.feedback is not None:
            identity = {"id": at(answer, PLAN.id_path)} if PLAN.id_path is not None else {}
            known = {"row": arrival.row, "label": label, "answer": identity}
            gevent.spawn_later(PLAN.feedback.after_s, self.tell, json.dumps(fill(PLAN.feedback.json, known)).encode())

    def tell(self, body: bytes) -> None:
        """One true outcome comes back."""
        assert self.feedback is not None
        try:
            status, _ = self.feedback.post(body, {"content-type": "application/json"})
            self.tally.feedback_sent += 1
            self.tally.feedback_failed += status >= 400
        except Exception:  # late labels get lost in real life, too: counted, never fatal
            self.tally.feedback_failed += 1

    def write_samples(self) -> None:
        """One line a second, of the second that has just ended."""
        second, begun_s, before = 0, time.perf_counter(), 0
        with SAMPLES.open("a", encoding="utf-8", buffering=1) as file:
            while True:
                second += 1
                gevent.sleep(max(0.0, begun_s + second - time.perf_counter()))
                due = int((time.perf_counter() - begun_s) * PLAN.rate_per_s)
                asked = min(due, PLAN.limit or due) - before
                before += asked
                row = self.tally.close(second, time.time(), asked, self.pool.size - self.pool.free_count())
                file.write(json.dumps(row) + "\n")


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: Any) -> None:
    """Locust is ready: the load begins."""
    gevent.spawn(end_with_the_runner)
    Load(environment).begin()


def end_with_the_runner() -> None:
    """The runner holds the other end of our standard input. When it dies, however it dies, that ends, and so does its load.

    (The kernel's parent-death signal is of no use here: it goes with the *thread* that started us.)
    """
    gevent.get_hub().threadpool.apply(os.read, (0, 1))
    os.kill(os.getpid(), signal.SIGTERM)


class Nobody(User):
    """Locust wants a user; the pacer does the work."""

    wait_time = constant(3600)

    @task
    def nothing(self) -> None:
        """Nothing."""
