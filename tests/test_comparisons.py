"""What is compared between the arms: first requests alone, second by second, and when it was decided."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chaos.comparisons import ALPHA, EACH, JUDGED, Compared, compare, counts, mean_latency, moved, segments, slow_bound
from chaos.drivers.load.tally import Outcome, Tally
from chaos.exposure import ArmSample, Repeats, Sample, SliceCounts
from chaos.statistics import ArmCounts, e_benjamini_hochberg

SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)
BOUNDS_S = (0.1, 0.25, 0.5)

OUTCOMES = st.builds(
    Outcome,
    arm=st.sampled_from(["treatment", "control"]),
    first=st.booleans(),
    error=st.booleans(),
    latency_s=st.floats(0, 1),
    slice=st.none() | st.sampled_from(["north", "south"]),
    positive=st.none() | st.booleans(),
    wrong=st.none() | st.booleans(),
)


def second(number: int, **arms: ArmSample) -> Sample:
    return Sample(number, 1000.0 + number, 40.0, 40, 0, 0, 0.0, arms)


def seconds(treatment: ArmSample, control: ArmSample, many: int = 30) -> list[Sample]:
    return [second(number, treatment=treatment, control=control) for number in range(many)]


def arm(first: int, wrong: int = 0, errors: int = 0, slow: int = 0) -> ArmSample:
    return ArmSample(first, first, errors, first, errors, first, wrong, {"0.1": first - slow, "0.25": first})


@given(st.lists(OUTCOMES, max_size=60))
def test_only_first_requests_of_their_subjects_are_compared(drawn: list[Outcome]) -> None:
    """Users who come back, and requests that are tried again, change nothing: neither what was exposed nor what was bad."""
    all_of_them, firsts = Tally(BOUNDS_S), Tally(BOUNDS_S)
    for outcome in drawn:
        all_of_them.answer(outcome)
        if outcome.first:
            firsts.answer(outcome)
    one, other = (SAMPLE.validate_json(json.dumps(tally.close(1, 100.0, 40, 3))) for tally in (all_of_them, firsts))
    kinds: tuple[Compared, ...] = ("wrong", "errors", "positive")
    for what in kinds:
        assert counts(one, what) == counts(other, what)
    for bound in BOUNDS_S:
        assert counts(one, "slow", bound) == counts(other, "slow", bound)
    assert slow_bound([one]) == slow_bound([other])
    assert mean_latency([one]).difference == pytest.approx(mean_latency([other]).difference, nan_ok=True)
    assert {name: found.treatment for name, found in segments([one]).items()} == {
        name: found.treatment for name, found in segments([other]).items()
    }


def test_each_kind_is_counted_of_those_of_whom_it_is_known() -> None:
    seen = ArmSample(
        sent=20, answered=18, errors=3, first=15, first_errors=2, labelled=12, wrong=5, latency_le={"0.1": 14, "0.25": 17},
        repeats=Repeats(2, 1, {"0.1": 1, "0.25": 3}), first_decided=13, first_positive=6,
    )  # fmt: skip
    sample = second(1, treatment=seen)
    assert counts(sample, "errors") == (ArmCounts(15, 2), ArmCounts(0, 0))
    assert counts(sample, "wrong")[0] == ArmCounts(10, 4)
    assert counts(sample, "slow", 0.1)[0] == ArmCounts(15, 2)
    assert counts(sample, "slow", 0.25)[0] == ArmCounts(15, 1)
    assert counts(sample, "positive")[0] == ArmCounts(13, 6)
    assert counts(sample, "slow", None)[0] == ArmCounts(0, 0), "nobody knows what slow is"


def test_the_comparisons_that_judge_share_alpha() -> None:
    assert pytest.approx(ALPHA) == EACH * len(JUDGED)
    assert compare([], "wrong").result.alpha == EACH


@pytest.mark.parametrize(
    ("what", "treatment", "control"),
    [("wrong", arm(20, wrong=8), arm(20, wrong=1)), ("errors", arm(20, errors=8), arm(20, errors=1)), ("slow", arm(20, slow=8), arm(20, slow=1))],
)  # fmt: skip
def test_it_is_known_when_harm_was_decided(what: Compared, treatment: ArmSample, control: ArmSample) -> None:
    samples = seconds(treatment, control)
    whole = compare(samples, what, bound_s=0.1)
    assert whole.result.decision == "broken"
    assert whole.decided_wall_s is not None
    until = [sample for sample in samples if sample.wall_s < whole.decided_wall_s]
    assert compare(until, what, bound_s=0.1).result.decision == "undecided"
    assert compare(samples[: len(until) + 1], what, bound_s=0.1).result.decision == "broken"


def test_what_is_not_decided_has_no_time() -> None:
    assert compare(seconds(arm(20, wrong=1), arm(20, wrong=1), many=3), "wrong").decided_wall_s is None


def test_slow_begins_at_the_bound_of_the_control_arms_p99() -> None:
    usual = seconds(arm(100, slow=50), arm(100, slow=1))
    assert slow_bound(usual) == 0.1, "the treatment arm has no part in it"
    assert slow_bound(seconds(arm(100), arm(100, slow=2))) == 0.25
    assert slow_bound([]) is None
    assert slow_bound([second(1, treatment=arm(3))]) is None


def test_a_control_arm_that_left_its_baseline_is_seen_up_and_down_and_chance_is_not() -> None:
    def control(wrong: int) -> list[Sample]:
        return seconds(arm(4), arm(36, wrong=wrong))

    assert moved(control(2), control(6), "wrong", 0.001)
    assert moved(control(6), control(2), "wrong", 0.001)
    assert not moved(control(2), control(2), "wrong", 0.001)
    assert not moved([], control(6), "wrong", 0.001), "there was no baseline"


def test_groups_are_compared_by_themselves() -> None:
    def group(answered: int, wrong: int) -> SliceCounts:
        return SliceCounts(answered, 0, answered, wrong)

    treatment = ArmSample(slices={"north": group(20, 9), "south": group(20, 1)})
    control = ArmSample(slices={"north": group(20, 1), "south": group(20, 1)})
    found = segments(seconds(treatment, control))
    assert list(found) == ["north", "south"]
    assert e_benjamini_hochberg([one.e_broken for one in found.values()], 0.05) == (0,)
    assert segments(seconds(treatment, ArmSample()))["north"].decision == "undecided", "control knows no such group"


def test_mean_latencies_are_compared_in_seconds() -> None:
    def taking(mean: float) -> ArmSample:
        spread = 0.01
        return ArmSample(first=20, first_latency_s=20 * mean, first_latency_squares=20 * (mean**2 + spread**2))

    found = mean_latency(seconds(taking(0.15), taking(0.05)))
    low, high = found.interval
    assert found.difference == pytest.approx(0.1)
    assert 0.05 < low < 0.1 < high < 0.15
