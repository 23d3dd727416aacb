"""What the load counts: whole, per arm, and bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chaos.drivers.load.tally import MOST_SLICES, Outcome, Tally
from chaos.exposure import Sample, Touched

BOUNDS_S = (0.1, 0.5, 1.0)
SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)

outcomes = st.builds(
    Outcome,
    arm=st.sampled_from(["treatment", "control", "outside"]),
    first=st.booleans(),
    error=st.booleans(),
    latency_s=st.floats(0, 3),
    slice=st.none() | st.sampled_from(["north", "south"]),
    positive=st.none() | st.booleans(),
    wrong=st.none() | st.booleans(),
)


def closed(tally: Tally) -> Sample:
    return SAMPLE.validate_json(json.dumps(tally.close(1, 100.0, 40, 3)))


@given(st.lists(outcomes, max_size=40))
def test_every_outcome_is_counted_once_in_its_arm(drawn: list[Outcome]) -> None:
    tally = Tally(BOUNDS_S)
    for outcome in drawn:
        tally.answer(outcome)
    sample = closed(tally)
    for name in ("treatment", "control", "outside"):
        mine = [one for one in drawn if one.arm == name]
        if not mine:
            assert name not in sample.arms
            continue
        arm = sample.arms[name]
        assert (arm.answered, arm.errors) == (len(mine), sum(one.error for one in mine))
        assert arm.first == sum(one.first for one in mine)
        assert arm.first_errors == sum(one.first and one.error for one in mine)
        assert arm.labelled == sum(one.wrong is not None for one in mine)
        assert arm.wrong == sum(one.wrong is True for one in mine)
        assert [arm.latency_le[f"{bound:g}"] for bound in BOUNDS_S] == [
            sum(one.latency_s <= bound for one in mine) for bound in BOUNDS_S
        ]
        for part in ("north", "south"):
            inside = [one for one in mine if one.slice == part and one.first]
            assert (part in arm.slices) == bool(inside)
            if inside:
                assert arm.slices[part].answered == len(inside)
                assert arm.slices[part].positive == sum(one.positive is True for one in inside)
                assert arm.slices[part].wrong == sum(one.wrong is True for one in inside)


@given(st.lists(outcomes, max_size=40))
def test_what_is_no_first_request_of_its_subject_is_counted_apart(drawn: list[Outcome]) -> None:
    tally = Tally(BOUNDS_S)
    for outcome in drawn:
        tally.answer(outcome)
    for name, arm in closed(tally).arms.items():
        first = [one for one in drawn if one.arm == name and one.first]
        again = [one for one in drawn if one.arm == name and not one.first]
        assert arm.repeats.labelled == sum(one.wrong is not None for one in again)
        assert arm.repeats.wrong == sum(one.wrong is True for one in again)
        for bound in BOUNDS_S:
            assert arm.repeats.latency_le.get(f"{bound:g}", 0) == sum(one.latency_s <= bound for one in again)
        assert arm.first_decided == sum(one.positive is not None for one in first)
        assert arm.first_positive == sum(one.positive is True for one in first)
        assert arm.first_latency_s == pytest.approx(sum(one.latency_s for one in first))
        assert arm.first_latency_squares == pytest.approx(sum(one.latency_s**2 for one in first))


def test_a_closed_second_leaves_nothing_to_the_next() -> None:
    tally = Tally(BOUNDS_S)
    tally.send("control", 0.25)
    tally.unsent, tally.feedback_sent, tally.feedback_failed = 2, 3, 1
    tally.answer(Outcome("control", first=True, error=True, latency_s=0.2))
    first, second = closed(tally), closed(tally)
    assert (first.sent, first.unsent, first.late_ms, first.feedback_sent, first.feedback_failed) == (1, 2, 250.0, 3, 1)
    assert first.arms["control"].sent == 1
    assert (second.sent, second.unsent, second.late_ms, second.feedback_sent, dict(second.arms)) == (0, 0, 0.0, 0, {})


def test_however_many_slices_there_are_memory_is_bounded_and_totals_are_whole() -> None:
    tally = Tally(BOUNDS_S)
    for place in range(MOST_SLICES * 3):
        tally.answer(Outcome("control", first=True, error=False, latency_s=0.0, slice=str(place), positive=True))
    arm = closed(tally).arms["control"]
    assert len(arm.slices) == MOST_SLICES
    assert arm.answered == MOST_SLICES * 3


def test_the_latest_request_says_how_late_the_pacer_was() -> None:
    tally = Tally(BOUNDS_S)
    for late_s in (0.001, 0.04, 0.002):
        tally.send("control", late_s)
    assert closed(tally).late_ms == 40.0


def test_what_faults_did_is_counted_for_each_arm_and_fault_with_its_first_and_last_time() -> None:
    tally = Tally(BOUNDS_S)
    for index, deed, wall_s in (
        (0, "shifted", 10.0),
        (0, "shifted", 10.5),
        (1, "delayed", 10.2),
        (1, "relabelled", 10.7),
    ):
        tally.touch("treatment", index, deed, wall_s)  # type: ignore[arg-type]
    tally.touch("control", 0, "lost", 10.9)
    tally.tell("treatment")
    first, second = closed(tally), closed(tally)
    assert first.arms["treatment"].faults == {
        "0": Touched(shifted=2, first_wall_s=10.0, last_wall_s=10.5),
        "1": Touched(delayed=1, relabelled=1, first_wall_s=10.2, last_wall_s=10.7),
    }
    assert first.arms["control"].faults == {"0": Touched(lost=1, first_wall_s=10.9, last_wall_s=10.9)}
    assert [one.effects for one in first.arms["treatment"].faults.values()] == [2, 2]
    assert (first.arms["treatment"].told, first.feedback_sent) == (1, 1)
    assert dict(second.arms) == {}
