"""One reading against its bounds: every series counts, and what is missing is what the probe says that it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.observation import ProbeReading
from chaos.readings import broken_bound, enough, judged, values_of
from tests.worlds import ACCURACY

NAN = float("nan")
BOTH = replace(ACCURACY, minimum="80%", maximum="95%")


def reading(*values: float, **labels: str) -> ProbeReading:
    named = tuple({"group": one} for one in labels.get("groups", ""))
    return ProbeReading("accuracy", "sliding", 30.0, 1.0, values, 400.0, named)


@pytest.mark.parametrize(
    ("values", "standing", "worst"),
    [
        ((0.9,), "met", 0.9),
        ((0.9, 0.81), "met", 0.81),
        ((0.9, 0.94), "met", 0.94),
        ((0.79, 0.99), "broken", 0.99),
        ((0.9, float("nan")), "unknown", 0.9),
        ((0.7, float("nan")), "broken", 0.7),
        ((), "unknown", None),
    ],
)
def test_the_worst_series_is_the_one_nearest_to_or_furthest_beyond_either_bound(values, standing, worst):
    seen = judged(BOTH, reading(*values), None)
    assert (seen.standing, seen.value) == (standing, worst)


def test_nothing_read_is_a_zero_only_where_the_probe_says_so_and_somebody_looked():
    zero = replace(ACCURACY, when_missing="zero")
    assert judged(zero, reading(), None).standing == "broken"
    assert judged(zero, None, None).standing == "unknown"


def test_a_single_series_may_be_called_otherwise_than_before():
    twice = replace(ACCURACY, minimum=None, maximum="2x baseline")
    assert judged(twice, reading(0.3, groups="b"), reading(0.2, groups="a")).standing == "met"
    assert judged(twice, reading(0.5, groups="b"), reading(0.2, groups="a")).standing == "broken"


def test_a_series_of_many_that_was_not_there_in_the_baseline_has_no_baseline():
    twice = replace(ACCURACY, minimum=None, maximum="2x baseline")
    seen = judged(twice, reading(0.2, 0.2, 0.9, groups="abc"), reading(0.2, 0.2, groups="ab"))
    assert seen.standing == "unknown"


def test_a_journal_without_labels_is_judged_as_it_was():
    assert judged(ACCURACY, reading(0.9, 0.7), reading(0.9, 0.9)).told() == "0.7, below 88%"


@pytest.mark.parametrize(
    ("minimum", "maximum", "value", "baseline", "why"),
    [
        ("88%", None, 0.88, None, None),
        ("88%", None, 0.8799, None, "below 88%"),
        ("88%", None, NAN, None, "below 88%"),
        (None, "250ms", 0.25, None, None),
        (None, "250ms", 0.251, None, "above 250ms"),
        (None, "250ms", NAN, None, "above 250ms"),
        (None, "2x baseline", 0.5, 0.2, "above 2x baseline"),
        (None, "2x baseline", 0.4, 0.2, None),
        (None, "2x baseline", 99.0, None, None),
        ("1.0", "3.0", 2.0, None, None),
        ("1.0", "3.0", 0.5, None, "below 1"),
        (None, None, 7.0, None, None),
    ],
)
def test_a_bound_is_met_up_to_itself(
    minimum: str | None, maximum: str | None, value: float, baseline: float | None, why: str | None
):  # fmt: skip
    assert broken_bound(replace(ACCURACY, minimum=minimum, maximum=maximum), value, baseline) == why


def test_no_data_is_missing_or_zero_by_the_probes_own_rule():
    for nothing in ((), (NAN,), (NAN, NAN)):
        assert values_of(ACCURACY, reading(*nothing)) == ()
        assert values_of(replace(ACCURACY, when_missing="zero"), reading(*nothing)) == (0.0,)
    assert values_of(ACCURACY, reading(0.9, NAN, 0.8)) == (0.9, 0.8)


@pytest.mark.parametrize(("count", "is_enough"), [(30.0, True), (29.9, False), (None, False), (NAN, False)])
def test_a_reading_rests_on_enough_events_or_says_nothing(count: float | None, *, is_enough: bool):
    assert enough(ACCURACY, replace(reading(0.9), count=count)) is is_enough
    assert enough(replace(ACCURACY, needs=0), replace(reading(0.9), count=count))
