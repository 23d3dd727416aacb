"""Run by Locust, in its own process, never imported by the runner: importing Locust patches the whole process.

One pacer schedules arrivals at the asked rate and spawns each into a bounded pool, so a slow target does not lower the offered
load. Latency counts from the intended start. One JSON line a second goes to samples.jsonl.

Standard input says which of the plan's faults are on, a JSON line each time; each line that is obeyed is acknowledged by a line in
acks.jsonl. Whatever goes wrong with either ends the load, and its faults with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from geventhttpclient import HTTPClient
from geventhttpclient.url import URL
from locust import User, constant, events, task

from chaos.arms import REQUEST_HEADER, SYNTHETIC_HEADER, header_of
from chaos.drivers.load.arrivals import Arrival, Arrivals, read_rows
from chaos.drivers.load.faults import Deeds, LoadFaults
from chaos.drivers.load.plan import LoadPlan
from chaos.drivers.load.tally import Outcome, Tally
from chaos.drivers.load.template import at, fill
from chaos.drivers.load.waiting import Waiting
from chaos.faults.loads import Drawn, Told
from chaos.rows import Label

PLAN = LoadPlan.from_json(Path(os.environ["CHAOS_LOAD_PLAN"]).read_text())
SAMPLES = Path(os.environ["CHAOS_LOAD_SAMPLES"])
ACKS = Path(os.environ["CHAOS_LOAD_ACKS"])
ARRIVALS = Arrivals(PLAN, read_rows(PLAN.data))
FAULTS = LoadFaults(PLAN.faults, ARRIVALS.population, PLAN.seed)
"""Made here, since Locust ends when this file fails, and merely logs what a listener raises."""
SUBJECT_HEADER = header_of(PLAN.by) or REQUEST_HEADER
BACKLOG, BACKLOG_EVERY_S = 5.0, 0.05
"""Outcomes that a fault held back are told at most at so many times the load's rate, a few every so many seconds."""


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


def one_label(value: Any) -> Label | None:
    """The value, where it is one label; None where it is a list, say."""
    return value if isinstance(value, (str, int, float, bool)) else None


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
        self.waiting: Waiting[tuple[Arrival, bytes]] = Waiting()

    def begin(self) -> None:
        """The pacer, whatever waits and the clock that writes samples run from now on."""
        gevent.spawn(self.pace)
        gevent.spawn(self.write_samples)
        gevent.spawn(self.bring_late)

    def pace(self) -> None:
        """Arrivals at the asked rate, evenly spaced, whatever the target does."""
        begun_s = time.perf_counter()
        while PLAN.limit is None or self.drawn < PLAN.limit:
            intended_s = begun_s + self.drawn / PLAN.rate_per_s
            gevent.sleep(max(0.0, intended_s - time.perf_counter()))
            arrival = self.arrivals.draw(self.drawn, self.shift if FAULTS.on() else None)
            self.drawn += 1
            if self.pool.full():
                self.tally.unsent += 1
            else:
                self.tally.send(arrival.arm, time.perf_counter() - intended_s)
                self.count(arrival, arrival.shifted)
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
        label = arrival.label
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
            told = Told(arrival.number, one_label(label), one_label(decision))
            gevent.spawn_later(PLAN.feedback.after_s, self.bring, arrival, told, identity)

    def bring(self, arrival: Arrival, told: Told, identity: dict[str, Any]) -> None:
        """An outcome is due: it is told as it is, or as the faults that are on have it."""
        assert PLAN.feedback is not None
        label: Any = arrival.label
        waits: tuple[tuple[int, float], ...] = ()
        if arrival.arm == "treatment" and FAULTS.on():
            due = FAULTS.feedback(told, arrival.subject, arrival.headers, time.monotonic())
            self.count(arrival, due.deeds)
            if due.told is None:
                return
            label = label if due.told.label == told.label else due.told.label
            waits = due.waits
        body = json.dumps(fill(PLAN.feedback.json, {"row": arrival.row, "label": label, "answer": identity})).encode()
        if not waits:
            self.tell(arrival, body)
        elif not self.waiting.put((arrival, body), waits, time.monotonic()):
            self.tally.feedback_failed += 1

    def bring_late(self) -> None:
        """Outcomes that were held back are told when nothing holds them, a backlog not all at once."""
        most = max(1, int(BACKLOG * PLAN.rate_per_s * BACKLOG_EVERY_S))
        while True:
            gevent.sleep(BACKLOG_EVERY_S)
            for arrival, body in self.waiting.due(time.monotonic(), most):
                gevent.spawn(self.tell, arrival, body)

    def count(self, arrival: Arrival, deeds: Deeds) -> None:
        """What faults have done to this request or to its outcome is counted, where its subject is."""
        for index, deed in deeds:
            self.tally.touch(arrival.arm, index, deed, time.time())

    def tell(self, arrival: Arrival, body: bytes) -> None:
        """One outcome comes back, marked as the run's own as its request was."""
        assert self.feedback is not None
        headers = {name: arrival.headers[name] for name in (SYNTHETIC_HEADER, SUBJECT_HEADER)}
        try:
            status, _ = self.feedback.post(body, {"content-type": "application/json", **headers})
            self.tally.tell(arrival.arm)
            self.tally.feedback_failed += status >= 400
        except Exception:  # late labels get lost in real life, too: counted, never fatal
            self.tally.feedback_failed += 1

    def shift(self, drawn: Drawn, subject: str, headers: Mapping[str, str]) -> tuple[Drawn, Deeds]:
        """What the faults that are on make of a treated subject's request."""
        return FAULTS.draw(drawn, subject, headers, time.monotonic())

    def obey(self, line: str) -> None:
        """The faults that this line names are on and no others; acknowledged when it is so."""
        asked = json.loads(line)
        now_s = time.monotonic()
        self.waiting.release(FAULTS.switch(asked["on"], asked["lease_s"], now_s))
        with ACKS.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"number": asked["number"], "on": FAULTS.on(), "at_wall_s": time.time()}) + "\n")

    def write_samples(self) -> None:
        """One line a second, of the second that has just ended."""
        second, begun_s, before = 0, time.perf_counter(), 0
        with SAMPLES.open("a", encoding="utf-8", buffering=1) as file:
            while True:
                second += 1
                gevent.sleep(max(0.0, begun_s + second - time.perf_counter()))
                self.waiting.release(FAULTS.expire(time.monotonic()))
                due = int((time.perf_counter() - begun_s) * PLAN.rate_per_s)
                asked = min(due, PLAN.limit or due) - before
                before += asked
                row = self.tally.close(second, time.time(), asked, self.pool.size - self.pool.free_count())
                file.write(json.dumps(row) + "\n")


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: Any) -> None:
    """Locust is ready: the load begins."""
    load = Load(environment)
    gevent.spawn(obey_the_runner, load)
    load.begin()


def obey_the_runner(load: Load) -> None:
    """The runner holds the other end of our standard input. When it dies, however it dies, that ends, and so does its load.

    (The kernel's parent-death signal is of no use here: it goes with the *thread* that started us.)
    """
    rest = b""
    try:
        while more := gevent.get_hub().threadpool.apply(os.read, (0, 4096)):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                load.obey(line.decode())
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


class Nobody(User):
    """Locust wants a user; the pacer does the work."""

    wait_time = constant(3600)

    @task
    def nothing(self) -> None:
        """Nothing."""
