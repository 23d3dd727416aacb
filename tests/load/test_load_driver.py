"""The load as a real Locust against real servers on 127.0.0.1: open loop, counted, labelled, and gone when it should be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chaos.arms import SYNTHETIC_HEADER, Arms, is_synthetic
from chaos.drivers.load import LoadDriver, LoadPlan
from chaos.drivers.load.plan import FeedbackPlan
from chaos.errors import Unreachable
from chaos.exposure import Sample
from tests.drivers.loopback import Asked, Said, eventually, serving

KEY = "ab" * 16
GROUPS = ("north", "south")
ROWS = [
    {"amount": place, "group": GROUPS[place % 2], "label": ("approve", "deny")[place % 4 == 0]} for place in range(40)
]
RUNNER = """
import sys, threading
from pathlib import Path
from chaos.drivers.load import LoadDriver, LoadPlan
driver = LoadDriver(LoadPlan.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
starter = threading.Thread(target=driver.start)
starter.start()
starter.join()
print(driver._process.pid, flush=True)
threading.Event().wait()
"""


class Decider:
    """Approves everybody, counts what it gets; thread-safe."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.lock = threading.Lock()
        self.answered_s: dict[str, float] = {}
        self.feedback: list[tuple[float, dict[str, str]]] = []
        self.count = 0

    def __call__(self, asked: Asked) -> Said:
        if asked.path == "/feedback":
            with self.lock:
                self.feedback.append((time.perf_counter(), json.loads(asked.body)))
            return Said(202)
        if self.delay_s:
            threading.Event().wait(self.delay_s)
        with self.lock:
            self.count += 1
            name = f"d{self.count}"
            self.answered_s[name] = time.perf_counter()
        return Said(200, json.dumps({"decision": "approve", "id": name}).encode())


def plan_for(url: str, folder: Path, **changed: object) -> LoadPlan:
    """40/s of ROWS to this address."""
    data = folder / "rows.jsonl"
    if not data.exists():
        data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    plan = LoadPlan(
        url=f"{url}/score",
        rate_per_s=40.0,
        data=str(data),
        run="run-1",
        seed="seed",
        traffic=0.3,
        by="header:x-applicant-id",
        where=None,
        request_json={"application": {"amount": "$row.amount"}},
        request_headers={"x-group": "$row.group"},
        synthetic_key=KEY,
        decision_path="$.decision",
        id_path="$.id",
        label_column="label",
        positive="approve",
        slice_column="group",
    )
    return replace(plan, **changed)  # type: ignore[arg-type]


def folder_for(tmp_path: Path) -> Path:
    folder = tmp_path / "locust"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def loading(plan: LoadPlan, tmp_path: Path) -> Iterator[LoadDriver]:
    """The load is on until the block ends."""
    driver = LoadDriver(plan, folder_for(tmp_path))
    driver.start()
    try:
        yield driver
    finally:
        driver.stop()


def seconds(driver: LoadDriver, count: int, kept: list[Sample], within_s: float = 15.0) -> list[Sample]:
    """The first so many seconds of the load."""

    def enough() -> bool:
        kept.extend(driver.new_samples())
        return len(kept) >= count

    eventually(enough, within_s, f"{count} seconds of load")
    return kept


def total(samples: list[Sample], count: Callable[[Sample], int]) -> int:
    return sum(count(sample) for sample in samples)


def over_arms(samples: list[Sample], name: str) -> int:
    return sum(getattr(arm, name) for sample in samples for arm in sample.arms.values())


def test_a_healthy_load_counts_what_the_target_saw_by_arm_and_slice_and_brings_feedback_late_and_for_its_share(
    tmp_path: Path,
) -> None:
    decider = Decider()
    with serving(decider) as server:
        feedback = FeedbackPlan(
            f"{server.url}/feedback", {"id": "$answer.id", "truth": "$label"}, after_s=0.8, share=0.5
        )
        plan = plan_for(server.url, tmp_path, feedback=feedback, limit=160, rate_per_s=80.0)
        with loading(plan, tmp_path) as driver:
            samples: list[Sample] = []
            eventually(
                lambda: samples.extend(driver.new_samples()) or total(samples, lambda one: one.sent) >= 160,
                12,
                "all sent",
            )
            eventually(
                lambda: samples.extend(driver.new_samples()) or over_arms(samples, "answered") >= 160, 8, "all answered"
            )
            eventually(
                lambda: samples.extend(driver.new_samples()) or samples[-1].second >= 4, 8, "the last label is in"
            )
            assert driver.alive()
            summary = driver.stop()
            assert not driver.alive()
        scored = [asked for asked in server.asked if asked.path == "/score"]

    assert len(scored) == 160, "the limit is kept"
    assert (summary.sent, summary.unsent, summary.failures, summary.seconds) == (160, 0, 0, len(driver._seen))
    assert summary.p50_ms is not None
    assert summary.p50_ms < 250

    arms = Arms("seed", 0.3)
    seen = Counter(arms.arm_of(asked.headers["x-applicant-id"]) for asked in scored)
    assert {name: sum(sample.arms[name].sent for sample in samples if name in sample.arms) for name in seen} == dict(
        seen
    )
    assert over_arms(samples, "first") == 160
    assert all(
        is_synthetic(bytes.fromhex(KEY), "run-1", a.headers["x-applicant-id"], a.headers[SYNTHETIC_HEADER])
        for a in scored
    )

    truth = {json.dumps({"application": {"amount": row["amount"]}}).encode(): row for row in ROWS}
    rows = [truth[asked.body] for asked in scored]
    assert over_arms(samples, "labelled") == 160
    assert over_arms(samples, "wrong") == sum(row["label"] == "deny" for row in rows), "everybody was approved"
    for group in GROUPS:
        parts = [arm.slices[group] for sample in samples for arm in sample.arms.values() if group in arm.slices]
        assert sum(part.answered for part in parts) == sum(row["group"] == group for row in rows)
        assert sum(part.positive for part in parts) == sum(part.answered for part in parts)

    told = [body["id"] for _, body in decider.feedback]
    assert len(set(told)) == len(told), "each outcome comes back once"
    assert all(at_s - decider.answered_s[body["id"]] >= 0.75 for at_s, body in decider.feedback), (
        "and not before its time"
    )
    assert abs(len(told) / 160 - 0.5) < 4 * (0.25 / 160) ** 0.5
    assert total(samples, lambda one: one.feedback_sent) == len(told)
    assert {body["truth"] for _, body in decider.feedback} == {"approve", "deny"}


def test_a_slow_target_does_not_lower_the_rate(tmp_path: Path) -> None:
    with serving(Decider(delay_s=1.5)) as server, loading(plan_for(server.url, tmp_path), tmp_path) as driver:
        samples = seconds(driver, 4, [])
    sent = [sample.sent for sample in samples[:4]]
    assert abs(sum(sent) - 160) <= 6, f"asked 40 a second over 4 seconds, sent {sent}"
    assert all(abs(one - 40) <= 8 for one in sent), f"evenly, and not in bursts: {sent}"
    assert total(samples, lambda one: one.unsent) == 0
    assert max(sample.in_flight for sample in samples) >= 50, "1.5s at 40/s are 60 at once"
    slow = [arm.latency_le for sample in samples for arm in sample.arms.values() if arm.answered]
    assert slow
    assert all(row["1"] == 0 for row in slow), "nothing was answered within a second"
    assert sum(row["5"] for row in slow) == over_arms(samples, "answered")


def test_what_cannot_be_sent_is_counted_and_not_forgotten(tmp_path: Path) -> None:
    plan = plan_for("", tmp_path)
    with (
        serving(Decider(delay_s=0.5)) as server,
        loading(replace(plan, url=f"{server.url}/score", pool=4), tmp_path) as driver,
    ):
        samples = seconds(driver, 3, [])
        summary = driver.stop()
    sent, unsent, asked = (
        total(samples, lambda one, name=name: getattr(one, name)) for name in ("sent", "unsent", "asked")
    )
    assert sent <= 4 / 0.5 * len(samples) + 8, "four at once, half a second each"
    assert unsent > sent
    assert abs(sent + unsent - asked) <= 4
    assert max(sample.in_flight for sample in samples) <= 4
    assert (summary.sent >= sent, summary.unsent >= unsent) == (True, True)
    assert summary.asked_per_s == pytest.approx(40, abs=2)
    assert summary.achieved_per_s < 15


def test_latency_counts_from_when_a_request_should_have_been_sent(tmp_path: Path) -> None:
    """A load that stood still for a while must not look as if the target had been fast all the time."""
    with serving(Decider()) as server, loading(plan_for(server.url, tmp_path), tmp_path) as driver:
        kept = seconds(driver, 1, [])
        assert driver._process is not None
        locust = psutil.Process(driver._process.pid)
        locust.suspend()
        stopped = threading.Event()
        threading.Timer(1.2, stopped.set).start()
        stopped.wait()
        locust.resume()
        samples = seconds(driver, 3, kept)
    late = sum(arm.answered - arm.latency_le["0.5"] for sample in samples for arm in sample.arms.values())
    assert late >= 15, "about 28 of those that were due in the pause waited longer than half a second"
    assert max(sample.late_ms for sample in samples) >= 1000
    assert abs(total(samples, lambda one: one.sent) - total(samples, lambda one: int(one.asked))) <= 4, (
        "they were sent after all"
    )


def test_a_target_that_fails_is_the_targets_failure_and_the_load_goes_on(tmp_path: Path) -> None:
    bodies = [
        Said(500, b"oops"),
        Said(503),
        Said(200, b"no json"),
        Said(200, b"[]"),
        Said(404),
        Said(200, b'{"decision": ["x"], "id": {}}'),
    ]
    turn: Iterator[int] = iter(range(10**9))

    def answer(_: Asked) -> Said:
        return bodies[next(turn) % len(bodies)]

    with serving(answer) as server, loading(plan_for(server.url, tmp_path, limit=60), tmp_path) as driver:
        samples: list[Sample] = []
        eventually(
            lambda: samples.extend(driver.new_samples()) or over_arms(samples, "answered") >= 60, 12, "all answered"
        )
        summary = driver.stop()
    assert over_arms(samples, "errors") == 20, "two of six answers are server errors"
    assert summary.failures == 20
    assert over_arms(samples, "labelled") == 10, "one of six answers has a decision at its place, and it is wrong"
    assert over_arms(samples, "wrong") == 10


def test_nobody_listening_is_an_error_of_every_request_and_the_rate_is_held(tmp_path: Path) -> None:
    with serving(Decider()) as server:
        gone = server.url
    with loading(plan_for(gone, tmp_path), tmp_path) as driver:
        samples = seconds(driver, 2, [])
        assert driver.alive()
    assert over_arms(samples, "errors") == over_arms(samples, "answered") > 60
    assert over_arms(samples, "labelled") == 0


HOSTILE = ["a\r\nx-admin: yes", "é東京🎲", "\x00\x7f", " spaces ", "", "a" * 5000, "$row.label", "\n"]


def test_hostile_values_of_rows_reach_the_target_as_values_and_add_no_header(tmp_path: Path) -> None:
    rows = [{"amount": place, "group": value, "label": "approve"} for place, value in enumerate(HOSTILE)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving(Decider()) as server:
        plan = plan_for(server.url, tmp_path, request_json={"group": "$row.group"}, limit=60)
        with loading(plan, tmp_path) as driver:
            samples: list[Sample] = []
            eventually(
                lambda: samples.extend(driver.new_samples()) or over_arms(samples, "answered") >= 60, 12, "all answered"
            )
        assert over_arms(samples, "errors") == 0, "a value that no header can carry is not the target's failure"
        assert {json.loads(asked.body)["group"] for asked in server.asked} == set(HOSTILE)
        assert all("x-admin" not in asked.headers for asked in server.asked)


def test_when_the_runner_is_killed_its_load_is_gone_within_seconds(tmp_path: Path) -> None:
    with serving(Decider()) as server:
        (tmp_path / "plan.json").write_text(plan_for(server.url, tmp_path).to_json())
        argv = [sys.executable, "-c", RUNNER, str(tmp_path / "plan.json"), str(folder_for(tmp_path))]
        runner = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert runner.stdout is not None
        locust = None
        try:
            locust = psutil.Process(int(runner.stdout.readline()))
            before = len(server.asked)
            eventually(
                lambda: len(server.asked) > before + 20, 5, "it loads, although the thread that started it has ended"
            )
            runner.send_signal(signal.SIGKILL)
            runner.wait()
            killed_s = time.perf_counter()
            eventually(lambda: not locust.is_running() or locust.status() == psutil.STATUS_ZOMBIE, 5, "Locust is gone")
            assert time.perf_counter() - killed_s < 5
        finally:
            runner.kill()
            runner.wait()
            runner.stdout.close()
            if locust is not None and locust.is_running():
                locust.kill()


def test_a_load_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n")
    driver = LoadDriver(plan_for("http://127.0.0.1:9", tmp_path), folder_for(tmp_path))
    begun_s = time.perf_counter()
    with pytest.raises(Unreachable, match=r"rows\.jsonl has no rows"):
        driver.start()
    assert time.perf_counter() - begun_s < 15
    assert not driver.alive()


# --- faults of the load itself ----------------------------------------------------------------------------------------

LATE = '{"fault": "label_delay", "target": "m", "by": "10m", "duration": "1m"}'
DRIFTED = '{"fault": "concept_drift", "target": "m", "duration": "1m"}'


def told(decider: Decider) -> int:
    with decider.lock:
        return len(decider.feedback)


def deeds(samples: list[Sample], index: str = "0", arm: str = "treatment") -> int:
    return total(
        samples,
        lambda one: one.arms[arm].faults[index].effects if arm in one.arms and index in one.arms[arm].faults else 0,
    )


def feedback_to(url: str) -> FeedbackPlan:
    return FeedbackPlan(f"{url}/feedback", {"id": "$answer.id", "truth": "$label"}, after_s=0.1, share=1.0)


def test_outcomes_wait_while_the_fault_is_on_and_come_when_it_is_taken_off(tmp_path: Path) -> None:
    decider = Decider()
    with serving(decider) as server:
        plan = plan_for(server.url, tmp_path, traffic=1.0, feedback=feedback_to(server.url), faults={"0": LATE})
        with loading(plan, tmp_path) as driver:
            samples: list[Sample] = []
            eventually(lambda: told(decider) > 10, 10, "outcomes come")
            said = driver.hurt(0)
            assert said.on == (0,)
            assert abs(said.at_wall_s - time.time()) < 5
            eventually(lambda: samples.extend(driver.new_samples()) or deeds(samples) > 40, 10, "outcomes are held")
            came = told(decider)
            eventually(lambda: samples.extend(driver.new_samples()) or deeds(samples) > 80, 10, "more are held")
            assert told(decider) == came, "none came meanwhile"
            healed = driver.heal(0)
            assert healed is not None
            assert healed.on == ()
            with decider.lock:
                answered = len(decider.answered_s)
            eventually(lambda: told(decider) >= answered, 12, "all that had waited came")
            before = [sample for sample in samples if sample.wall_s < said.at_wall_s]
            assert deeds(before) == 0
            late = [arm.faults["0"].last_wall_s or 0 for one in samples for arm in one.arms.values() if arm.faults]
            assert max(late) <= healed.at_wall_s, "nothing is held any more once that is acknowledged"
    signed = [asked for asked in server.asked if asked.path == "/feedback"]
    assert all(
        is_synthetic(bytes.fromhex(KEY), "run-1", one.headers["x-applicant-id"], one.headers[SYNTHETIC_HEADER])
        for one in signed
    )


def test_a_fault_hurts_the_treatment_arm_alone_and_ends_with_its_lease(tmp_path: Path) -> None:
    decider = Decider()
    with serving(decider) as server:
        plan = plan_for(server.url, tmp_path, traffic=0.5, feedback=feedback_to(server.url), faults={"0": DRIFTED})
        driver = LoadDriver(plan, folder_for(tmp_path), lease_s=1.5)
        driver.start()
        try:
            samples: list[Sample] = []
            driver.hurt(0)
            eventually(lambda: samples.extend(driver.new_samples()) or deeds(samples) > 10, 10, "outcomes turn")
            assert deeds(samples, arm="control") == 0
            driver.renew()

            def quiet() -> bool:
                samples.extend(driver.new_samples())
                return len(samples) > 3 and not any(arm.faults for one in samples[-2:] for arm in one.arms.values())

            eventually(quiet, 12, "nobody renews, so it ends")
            assert driver.alive()
        finally:
            driver.stop()


def test_a_load_that_does_not_obey_is_ended_and_its_faults_with_it(tmp_path: Path) -> None:
    with serving(Decider()) as server:
        plan = plan_for(server.url, tmp_path, feedback=feedback_to(server.url), faults={"0": LATE})
        with loading(plan, tmp_path) as driver:
            driver.hurt(0)
            assert driver._process is not None
            psutil.Process(driver._process.pid).suspend()
            assert driver.heal(0) is None
            assert not driver.alive()
            assert driver.heal(0) is None, "once more, and nothing is left to do"
            with pytest.raises(Unreachable, match="load"):
                driver.hurt(0)


def test_a_fault_that_is_not_in_the_plan_ends_the_load(tmp_path: Path) -> None:
    with serving(Decider()) as server, loading(plan_for(server.url, tmp_path), tmp_path) as driver:
        with pytest.raises(Unreachable, match="the load is gone"):
            driver.hurt(0)
        assert not driver.alive()


def test_a_load_that_was_never_started_has_no_fault_to_take_off(tmp_path: Path) -> None:
    driver = LoadDriver(plan_for("http://127.0.0.1:9", tmp_path, faults={"0": LATE}), folder_for(tmp_path))
    assert driver.heal(0) is None
    with pytest.raises(Unreachable, match="does not run"):
        driver.hurt(0)
