"""A run that is followed in its journal, from another process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.engine.moment import moment
from chaos.events import Observed, Record, RunStarted, State, StateEntered
from chaos.followed import Followed
from chaos.journal import BrokenJournal, Line, read
from chaos.plans import Plan
from tests.progress.observations import WALL, proxies, reading
from tests.worlds import ACCURACY, PLAN

LINES = read((Path(__file__).parent / "judging" / "confirmed.jsonl").read_text())


def followed(lines: list[Line]) -> Followed:
    it = Followed(lines[0])
    for line in lines[1:]:
        it.hear(line)
    return it


def upto(state: State, seconds: float) -> Followed:
    """The run so many seconds after it entered this state."""
    entered_s = next(line.at_s for line in LINES if getattr(line.record, "state", None) is state)
    return followed([line for line in LINES if line.at_s <= entered_s + seconds])


def test_whoever_follows_knows_what_the_run_waits_for() -> None:
    it = upto(State.inject, 5.0)
    now = moment(it, it.at_s)
    assert (now.state, now.doing) == (State.inject, "the fault is on")
    assert now.waiting == ("ModelAccuracyLow to fire",) or "ModelAccuracyLow to fire" in now.waiting
    assert [probe.title for probe in now.probes] == ["availability", "latency_p99", "accuracy"]
    assert all(probe.value is not None for probe in now.probes)
    assert now.most_s == 90.0


def test_at_its_end_everything_that_people_ask_for_has_happened_in_order() -> None:
    it = followed(LINES)
    assert it.over()
    told = [one.text for one in sorted(it.happened, key=lambda one: one.at_s)]
    order = [
        "the first proven effect", "alert ModelAccuracyLow is pending", "alert ModelAccuracyLow is firing",
        "oncall was told: ModelAccuracyLow is firing", "oncall was told: ModelAccuracyLow is resolved",
    ]  # fmt: skip
    places = [told.index(text) for text in order]
    assert places == sorted(places)
    assert not any("Watchdog" in text for text in told)


def test_nothing_that_a_run_waits_for_is_left_when_it_has_settled() -> None:
    entered_s = next(line.at_s for line in LINES if getattr(line.record, "state", None) is State.collect)
    it = followed([line for line in LINES if line.at_s < entered_s])
    assert it.state is State.recovery
    assert moment(it, it.at_s).waiting == ()


def told(plan: Plan, *records: Record) -> Followed:
    """A run of this plan, second by second, from what it measured before the fault on."""
    begun = (RunStarted("run", "1", "", plan.to_json()), StateEntered(State.baseline, "the warm-up is over"))
    return followed([Line(place, place, WALL + place, "", record) for place, record in enumerate((*begun, *records))])


INJECTED = (StateEntered(State.inject, "the baseline is met"), Observed(proxies(first_effect=WALL + 3)))
OPEN = "accuracy to leave its bound"


def test_what_was_read_before_the_fault_is_no_harm_of_it() -> None:
    it = told(PLAN, Observed(reading(0.5)), *INJECTED)
    assert OPEN in moment(it, it.at_s).waiting
    it = told(PLAN, Observed(reading(0.93)), *INJECTED, Observed(reading(0.5)))
    assert OPEN not in moment(it, it.at_s).waiting


def test_a_multiple_of_the_baseline_is_one_of_what_was_read_before_the_fault() -> None:
    twice = replace(PLAN, probes=(replace(ACCURACY, minimum=None, maximum="2x baseline"),))
    it = told(twice, Observed(reading(0.2)), *INJECTED, Observed(reading(0.3)))
    assert OPEN in moment(it, it.at_s).waiting
    it = told(twice, Observed(reading(0.2)), *INJECTED, Observed(reading(0.5)))
    assert OPEN not in moment(it, it.at_s).waiting


def test_what_begins_otherwise_is_no_run() -> None:
    with pytest.raises(BrokenJournal):
        Followed(LINES[1])
