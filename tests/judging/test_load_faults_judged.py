"""Faults of the load, judged: that they happened, to whom, and that they are gone, from the load's own counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from chaos.events import Applied, Apply, Observed, Record, Undo, Undone
from chaos.exposure import ArmSample, Sample, Touched
from chaos.judging import judge
from chaos.observation import LoadRead, ProxyRead
from chaos.verdict import Finding, Verdict
from tests.judging.journals import JUDGED, WALL, Entry, Story, lines_of
from tests.worlds import DRIFT, HOLD

STORY = Story(plan=replace(JUDGED, effects=(HOLD, replace(DRIFT, fault_index=0))))
HAPPENED = "Did concept_drift happen at model?"
REMOVED = "Is the removal from the load proven?"


def drifting(
    *, arm: str = "treatment", done: int = 4, until_s: float = STORY.undo, last_s: float | None = None, **deeds: int
) -> list[Entry]:
    """STORY with the load's fault in place of the proxy's: each second of it did so much to this arm."""
    counts = deeds or ({"shifted": done} if done else {})

    def hurt(at_s: float, record: Record) -> Record:
        match record:
            case Apply(effect="fault-0@model") | Applied(effect="fault-0@model"):
                return replace(record, effect=DRIFT.id)
            case Undo(effect="fault-0@model") | Undone(effect="fault-0@model"):
                return replace(record, effect=DRIFT.id)
            case Observed(observation=ProxyRead() as read):
                return Observed(replace(read, faults=()))
            case Observed(observation=LoadRead(samples=(sample,))) if counts and 16.0 < at_s - 1.0 < until_s:
                return Observed(LoadRead((touched(sample, arm, counts, last_s),)))
        return record

    return [(at_s, hurt(at_s, record)) for at_s, record in STORY.entries()]


def touched(sample: Sample, arm: str, counts: dict[str, int], last_s: float | None) -> Sample:
    begun = sample.wall_s - 1.0
    last = begun + 0.9 if last_s is None else WALL + last_s
    deed = Touched(**counts, first_wall_s=begun + 0.5, last_wall_s=last)  # type: ignore[arg-type]
    before = sample.arms.get(arm, ArmSample())
    return replace(sample, arms={**sample.arms, arm: replace(before, faults={"0": deed})})


def verdict_of(entries: Iterable[Entry]) -> Verdict:
    return judge(lines_of(entries))


def finding(verdict: Verdict, question: str) -> Finding:
    return next(one for one in verdict.findings if one.question == question)


def test_a_fault_that_the_load_counted_happened_and_its_run_is_confirmed() -> None:
    verdict = verdict_of(drifting())
    assert verdict.verdict == "confirmed", [one for one in verdict.findings if not one.good]
    assert finding(verdict, HAPPENED).answer == "yes: 40 requests shifted"
    assert finding(verdict, REMOVED).answer.startswith("yes: ")
    assert "Outcomes turn, for 10% of traffic: ModelAccuracyLow told after" in verdict.sentence
    [effect] = verdict.effects
    assert (effect.hurt, effect.first_effect_wall_s) == (40, WALL + 17.5)


@pytest.mark.parametrize(
    ("deeds", "told"),
    [
        ({"delayed": 2}, "20 outcomes told late"),
        ({"lost": 1}, "10 outcomes lost"),
        ({"relabelled": 3, "delayed": 1}, "30 outcomes told as others, 10 outcomes told late"),
    ],
)
def test_what_was_done_is_said_in_its_own_words(deeds: Any, told: str) -> None:
    assert finding(verdict_of(drifting(**deeds)), HAPPENED).answer == f"yes: {told}"


def test_a_fault_that_touched_nothing_proves_nothing() -> None:
    verdict = verdict_of(drifting(done=0))
    assert verdict.verdict == "invalid"
    assert finding(verdict, HAPPENED).answer == "no: the load changed no request and no outcome"


@pytest.mark.parametrize("arm", ["control", "outside"])
def test_a_deed_outside_the_treatment_arm_is_never_a_pass(arm: str) -> None:
    verdict = verdict_of(drifting(arm=arm))
    assert finding(verdict, HAPPENED).verdict == "invalid"
    assert finding(verdict, HAPPENED).answer == "no: 40 times outside the treatment arm"


def test_a_fault_that_goes_on_after_its_undo_is_unsafe() -> None:
    verdict = verdict_of(drifting(until_s=33.0))
    assert verdict.verdict == "unsafe"
    assert finding(verdict, REMOVED).answer == f"no: {DRIFT.id} went on after its undo"


def test_a_second_that_the_undo_cut_in_two_is_no_fault_that_went_on() -> None:
    assert verdict_of(drifting(until_s=28.0, last_s=STORY.undo)).verdict == "confirmed"


def test_without_the_loads_word_afterwards_the_removal_is_open() -> None:
    late = [
        (at_s, record)
        for at_s, record in drifting()
        if not (isinstance(record, Observed) and isinstance(record.observation, LoadRead) and at_s > 31.0)
    ]
    assert finding(verdict_of(late), REMOVED).verdict == "inconclusive"
