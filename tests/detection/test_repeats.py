"""k of n with its exact interval, never all or nothing; times of which misses only say "not before"."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, beta, ecdf

from chaos.detection import Detection, Gate, Stage
from chaos.detection.repeats import Quality, Rate, Repeats, Waited, Waiting, quality

NONE = Stage(Gate.firing, None, None, 0.0, "")
MISS = Detection("A", "undetected", (NONE,), Gate.signal, "")
HIT = Detection("A", "detected", (replace(NONE, at_wall_s=5.0),), None, "", 60.0, 10.0, 3.0)


@pytest.mark.parametrize(
    ("k", "n", "says"),
    [
        (3, 3, "3 of 3 (at least 29%)"),
        (0, 4, "0 of 4 (at most 60%)"),
        (2, 3, "2 of 3 (9% to 99%)"),
        (0, 0, "0 of 0"),
        (29, 29, "29 of 29 (at least 88%)"),
    ],
)
def test_so_many_of_so_many_say_what_they_can(k: int, n: int, says: str) -> None:
    assert str(Rate(k, n)) == says


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_no_rate_is_ever_told_as_all_or_as_nothing(one: int, other: int) -> None:
    told = str(Rate(min(one, other), max(one, other)))
    assert "100%" not in told
    assert not any(word in told for word in (" 0%", "(0%"))


@given(st.integers(1, 60), st.data())
def test_the_interval_is_clopper_and_pearsons(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = Rate(k, n).interval
    assert low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0.0, abs=1e-6)
    assert high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1.0, abs=1e-6)


def test_more_than_there_were_is_no_rate() -> None:
    with pytest.raises(ValueError, match="3 of 2 is no rate"):
        Rate(3, 2)


waits = st.lists(
    st.builds(Waited, st.sampled_from([1.0, 2.0, 3.5, 5.0, 8.0, 13.0]), st.booleans()), min_size=1, max_size=40
)


@given(waits)
def test_who_still_waits_is_kaplan_and_meiers_estimate(found: list[Waited]) -> None:
    happened = [one.seconds for one in found if one.happened]
    censored = CensoredData(happened, right=[one.seconds for one in found if not one.happened])
    oracle = ecdf(censored).sf
    for seconds, share in Waiting(tuple(found)).survival:
        assert share == pytest.approx(float(oracle.evaluate(seconds)), abs=1e-12)


def waiting(happened: list[float], in_vain: list[float]) -> Waiting:
    return Waiting(tuple([Waited(one, True) for one in happened] + [Waited(one, False) for one in in_vain]))


def test_a_median_that_too_few_reached_is_not_known() -> None:
    assert waiting([1, 2, 3], []).median_s == 2
    assert waiting([1, 2], [9, 9]).median_s == 2
    assert waiting([1], [9, 9]).median_s is None
    assert str(waiting([1], [9, 9])) == "over 9s (too few to say more)"
    assert str(Waiting(())) == "never waited for"


def test_the_interval_of_the_median_is_that_of_the_order_statistics() -> None:
    """The classical table: of 6 the least and the greatest, of 10 the second, of 20 the sixth."""
    for n, place in ((5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (15, 4), (20, 6), (30, 10)):
        low, high = waiting([float(one) for one in range(1, n + 1)], []).interval_s
        assert (low, high) == ((place, n - place + 1) if place else (0.0, None)), n


def test_a_miss_opens_the_upper_end_and_an_early_end_of_watching_lowers_the_lower_one() -> None:
    assert waiting([1, 2, 3, 4, 5], [60]).interval_s == (1, None)
    assert waiting([10, 20, 30, 40, 50], [3]).interval_s == (3, None)
    assert str(waiting([10, 20, 30, 40, 50], [90])) == "median 30s (10s or more)"


@given(st.lists(st.floats(0.1, 100.0), min_size=6, max_size=30), st.data())
def test_watching_longer_in_vain_never_makes_the_median_earlier(times: list[float], data: st.DataObject) -> None:
    """And cutting a wait short never makes the interval narrower."""
    whole = waiting(times, [])
    cut = data.draw(st.integers(0, len(times) - 1))
    shorter = Waiting(
        tuple(Waited(one.seconds / 2, False) if place == cut else one for place, one in enumerate(whole.waits))
    )
    low, high = whole.interval_s
    lower, higher = shorter.interval_s
    assert lower <= low
    assert (math.inf if higher is None else higher) >= (math.inf if high is None else high)


def test_repeats_count_who_was_told_in_time_and_leave_out_what_says_nothing() -> None:
    late = replace(HIT, outcome="late", told_after_s=70.0)
    never_resolved = replace(HIT, outcome="unresolved", resolved_after_s=None)
    open_ = replace(MISS, outcome="undecided")
    broken = replace(MISS, outcome="invalid")
    found = Repeats.of((one, 90.0, 30.0) for one in (HIT, late, never_resolved, MISS, open_, broken))
    assert (found.told, found.left_out) == (Rate(2, 4), 2)
    assert found.detection.waits == (Waited(10.0, True), Waited(70.0, True), Waited(10.0, True), Waited(90.0, False))
    assert found.reset.waits == (Waited(3.0, True), Waited(3.0, True), Waited(30.0, False)), (
        "what never fired cannot end"
    )
    assert str(found) == "told in time 2 of 4 (7% to 93%), after median 10s (too few to say more); 2 more say nothing"


def test_precision_and_recall_are_rates_of_their_own() -> None:
    found = Repeats.of((one, 90.0, 30.0) for one in (HIT, HIT, HIT, MISS))
    assert quality([found, found], false_alarms=2) == Quality(6, 2, 2)
    assert quality([found], 1).precision == Rate(3, 4)
    assert quality([found], 0).recall == Rate(3, 4)
