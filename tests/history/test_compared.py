"""What differs between two runs, and which differences are more than what the times are known to."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from chaos.detection import Detection, Gate
from chaos.history.compared import compare
from chaos.history.differences import Side
from chaos.judging import judge
from tests.judging.journals import JUDGED, Story

VERDICT = judge(Story().lines())
SIDE = Side(VERDICT, JUDGED, "name: quick\nblast_radius: {traffic: 10%}\n")


def later(by_s: float, error_s: float = 1.0) -> Side:
    """The run, with every gate passed so much later and known to so much."""
    [found] = VERDICT.detections
    stages = tuple(
        replace(one, after_s=one.after_s + by_s, error_s=error_s) if one.after_s is not None else one
        for one in found.stages
    )
    assert found.told_after_s is not None
    return with_detection(replace(found, stages=stages, told_after_s=found.told_after_s + by_s))


def with_detection(found: Detection) -> Side:
    return replace(SIDE, verdict=replace(VERDICT, detections=(found,)))


def test_a_run_differs_in_nothing_from_itself() -> None:
    found = compare(SIDE, SIDE)
    assert (found.findings, found.differences) == ((), ())
    assert {row.difference_s for one in found.alerts for row in one.gates} <= {0.0, None}
    assert not any(row.beyond for one in found.alerts for row in one.gates)


@pytest.mark.parametrize(("by_s", "beyond"), [(0.5, False), (1.5, True), (-0.5, False), (-1.5, True)])
def test_a_difference_counts_when_both_errors_together_cannot_make_it(by_s: float, beyond: bool) -> None:
    [alert] = compare(later(0.0), later(by_s)).alerts
    firing = next(row for row in alert.gates if row.gate == "firing")
    assert firing.difference_s == pytest.approx(by_s)
    assert (firing.least_s, firing.most_s) == (pytest.approx(by_s - 1), pytest.approx(by_s + 1))
    assert firing.beyond is beyond


def test_swapping_the_runs_turns_the_difference_round() -> None:
    one, other = (compare(*sides).alerts[0].gates for sides in ((SIDE, later(3.0)), (later(3.0), SIDE)))
    for row, back in zip(one, other, strict=True):
        assert row.beyond == back.beyond
        if row.difference_s is not None and row.least_s is not None and back.most_s is not None:
            assert row.difference_s == pytest.approx(-(back.difference_s or 0.0))
            assert row.least_s == pytest.approx(-back.most_s)


def test_a_gate_that_only_one_run_passed_has_no_difference() -> None:
    [found] = VERDICT.detections
    unpassed = tuple(
        replace(one, after_s=None, at_wall_s=None) if one.gate is Gate.delivered else one for one in found.stages
    )
    [alert] = compare(SIDE, with_detection(replace(found, stages=unpassed))).alerts
    row = next(row for row in alert.gates if row.gate == "delivered")
    assert row.first_s is not None
    assert (row.second_s, row.difference_s, row.beyond) == (None, None, None)


def test_an_alert_that_told_later_or_not_at_all_is_slower() -> None:
    [found] = VERDICT.detections
    silent = with_detection(replace(found, outcome="undetected", told_after_s=None))
    assert [one.slower_s for one in compare(SIDE, silent).slower_than(1000.0)] == [math.inf]
    assert compare(SIDE, later(8.0)).slower_than(7.9)
    assert not compare(SIDE, later(8.0)).slower_than(8.1)
    assert not compare(silent, SIDE).slower_than(0.0)
    assert not compare(SIDE, replace(SIDE, verdict=replace(VERDICT, detections=()))).slower_than(0.0)


def test_findings_are_gained_lost_and_changed() -> None:
    first, *rest = VERDICT.findings
    worse = replace(SIDE, verdict=replace(VERDICT, findings=(replace(first, verdict="unsafe", answer="no"), *rest)))
    [changed] = compare(SIDE, worse).findings
    assert (changed.question, changed.first, changed.second, changed.change) == (
        first.question, "confirmed", "unsafe", "worse",
    )  # fmt: skip
    assert compare(worse, SIDE).findings[0].change == "better"
    [gone] = compare(SIDE, replace(SIDE, verdict=replace(VERDICT, findings=tuple(rest)))).findings
    assert (gone.first, gone.second, gone.change) == ("confirmed", None, "other")


def test_what_was_not_the_same_is_named_with_its_place() -> None:
    [alert] = JUDGED.alerts
    plan = replace(JUDGED, alerts=(replace(alert, for_s=99.0),))
    text = "name: quick\nblast_radius: {traffic: 50%}\nfaults:\n  - {fault: delay}\n"
    verdict = replace(VERDICT, version="9.9")
    found = {
        (one.what, one.place): (one.first, one.second) for one in compare(SIDE, Side(verdict, plan, text)).differences
    }
    assert found == {
        ("version", "chaos-ml"): (VERDICT.version, "9.9"),
        ("experiment", "blast_radius.traffic"): ("10%", "50%"),
        ("experiment", "faults[0].fault"): ("–", "delay"),
        ("plan", "ModelAccuracyLow: for"): (f"{alert.for_s:g}s", "99s"),
    }


@pytest.mark.parametrize("text", ["", "a: [", "\t"])
def test_a_text_that_is_not_there_or_cannot_be_read_differs_in_nothing(text: str) -> None:
    assert compare(SIDE, replace(SIDE, experiment=text)).differences == ()


def test_json_says_whether_each_difference_is_beyond_the_errors() -> None:
    found = json.loads(compare(SIDE, later(9.0)).to_json())
    assert {row["gate"]: row["beyond"] for row in found["alerts"][0]["gates"]}["firing"] is True
