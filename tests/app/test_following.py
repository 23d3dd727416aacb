"""Who looks on at a run hears of every change, and cannot harm it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.app.following import CLOSE_S, Follower, Following
from chaos.app.metrics_file import MetricsFile
from chaos.engine import Run
from chaos.events import State
from chaos.history.now import Now
from tests.app.test_runner import BRIEF, STARTED, WALL, Hands, runner, verdict


@dataclass
class Hears:
    """Remembers what it hears; does `first` whenever it does."""

    first: object = None
    heard: list[Now] = field(default_factory=list)

    def follow(self, now: Now) -> None:
        self.heard.append(now)
        if callable(self.first):
            self.first()

    def close(self) -> list[str]:
        return []


def played(tmp_path: Path, *followers: Follower, view: object = None) -> float:
    """The seconds that a run takes which is stopped once it hurts, with these looking on."""
    hands = Hands()
    following = Following("run", followers, view)  # type: ignore[arg-type]
    made = runner(tmp_path, hands, following)
    threading.Thread(target=lambda: (hands.hurt.wait(10), made.stop("the test")), daemon=True).start()
    begun_s = time.monotonic()
    made.play(STARTED)
    took_s = time.monotonic() - begun_s
    following.close()
    assert hands.on == set()
    assert verdict(tmp_path) == "interrupted"
    return took_s


def test_every_state_and_every_fault_is_told_in_order(tmp_path: Path) -> None:
    one = Hears()
    played(tmp_path, one)
    states = list(dict.fromkeys(now.state for now in one.heard))
    assert states[-1] is State.ended
    assert states.index(State.inject) < states.index(State.undo)
    on = [now.faults[0].on for now in one.heard]
    assert on.index(True) > 0
    assert (on[0], on[-1]) == (False, False)
    last = one.heard[-1].faults[0]
    assert (last.fault, last.target) == (BRIEF.faults()[0].fault, BRIEF.faults()[0].target)
    assert last.until_wall_s == WALL


def test_a_moment_like_the_one_before_is_told_once(tmp_path: Path) -> None:
    one = Hears()
    following, run = Following("run", [one]), Run(BRIEF)
    for at_s in (0.0, 0.1, 0.2, 9.9, 10.1, 10.2):
        following(run, at_s)
    following.close()
    assert len(one.heard) == 2  # the second says that the run is still there


def test_one_who_raises_is_said_once_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise OSError("no such folder")

    one, other = Hears(fails), Hears()
    with caplog.at_level(logging.WARNING):
        played(tmp_path, one, other)
    assert len(one.heard) == len(other.heard) > 3
    assert [record.message for record in caplog.records].count("Hears: no such folder") == 1


def test_one_who_hangs_delays_neither_the_run_nor_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    one, other = Hears(release.wait), Hears()
    try:
        with caplog.at_level(logging.WARNING):
            took_s = played(tmp_path, one, other)
    finally:
        release.set()
    assert took_s < CLOSE_S
    assert other.heard[-1].state is State.ended
    assert "Hears has not told everything" in caplog.text


def test_a_view_that_fails_is_given_up_and_others_hear_on(tmp_path: Path) -> None:
    drawn: list[float] = []

    def view(_run: Run, at_s: float) -> None:
        drawn.append(at_s)
        raise SystemExit(1)

    one = Hears()
    played(tmp_path, one, view=view)
    assert len(drawn) == 1
    assert one.heard[-1].state is State.ended


def test_the_metrics_file_is_whole_at_every_moment_and_ends_with_nothing_on(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.prom", []

    def read() -> None:
        found = {
            one.labels["fault"]: one.value
            for family in text_string_to_metric_families(path.read_text())
            for one in family.samples
            if one.name == "chaos_fault_active"
        }
        seen.append(found)

    class Reads(MetricsFile):
        def follow(self, now: Now) -> None:
            super().follow(now)
            read()

    played(tmp_path, Reads(path))
    values = [next(iter(one.values())) for one in seen]
    assert (values[0], max(values), values[-1]) == (0.0, 1.0, 0.0)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.glob(".*")] == []


def test_a_metrics_file_that_cannot_be_written_costs_the_run_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        played(tmp_path, MetricsFile(tmp_path / "none" / "run.prom"))
    assert "MetricsFile: " in caplog.text


def test_after_an_interrupt_nobody_waits_for_those_who_look_on(caplog: pytest.LogCaptureFixture) -> None:
    held = threading.Event()
    following = Following("run", [Hears(first=held.wait)])
    try:
        following(Run(BRIEF), 0.0)
        begun_s = time.monotonic()
        following.close(wait=False)
        assert time.monotonic() - begun_s < CLOSE_S / 2
        assert "has not told everything" in caplog.text
    finally:
        held.set()
