"""A change is named where order shows one, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chaos.history import middle, trend

STEADY = [29.0, 30.0, 28.5, 31.0, 30.5, 29.5, 28.0, 30.2]
SLOWER = [44.0, 43.0, 41.0, 45.0, 42.0]


def test_few_runs_are_too_few_to_say() -> None:
    found = trend(SLOWER[:4] + STEADY[:5])
    assert (found.direction, found.p) == ("too few to say", None)
    assert found.sentence == "9 runs of the 10 that it takes to tell a change"
    assert trend([]).direction == "too few to say"


def test_five_later_times_are_slower_and_five_earlier_ones_faster() -> None:
    found = trend(STEADY + SLOWER)
    assert found.direction == "slower"
    assert found.sentence.startswith("the last 5 took 43.0s, the 8 before 29.8s (medians)")
    assert trend(SLOWER + SLOWER + [1.0, 2.0, 3.0, 4.0, 5.0]).direction == "faster"


def test_the_same_times_show_no_change() -> None:
    assert trend(STEADY + STEADY[:5]).direction == "no change shown"


def test_misses_count_as_later_than_every_time() -> None:
    found = trend(STEADY + [math.inf] * 5)
    assert found.direction == "slower"
    assert "for ever" in found.sentence
    assert trend([math.inf] * 10).direction == "no change shown"


def test_no_change_is_named_within_what_one_time_is_known_to() -> None:
    times = [10.0 + place / 100 for place in range(10)]
    assert trend(times, error_s=0.01).direction == "slower"
    assert trend(times, error_s=1.0).direction == "no change shown"


def test_an_alert_that_never_changes_is_called_changed_no_more_often_than_stated() -> None:
    chance = np.random.default_rng(3)
    looks = [trend(list(chance.exponential(30.0, 25))).direction for _ in range(1500)]
    assert sum(one in ("slower", "faster") for one in looks) / 1500 <= 0.01 + 0.006


def test_what_was_long_ago_does_not_count() -> None:
    assert trend([90.0] * 400 + [30.0] * 50 + [30.0] * 5).direction == "no change shown"


def test_the_median_is_infinite_when_misses_reach_it() -> None:
    assert middle([1.0, 2.0, 4.0]).median_s == 2.0
    assert middle([1.0, 3.0]).median_s == 2.0
    assert middle([1.0, math.inf, math.inf]).median_s == math.inf
    assert middle([]).median_s is None


@pytest.mark.parametrize("count", [5, 6])
def test_an_interval_is_given_from_six_on(count: int) -> None:
    assert (middle([float(place) for place in range(count)]).interval_s is None) is (count < 6)


def test_a_chance_is_small_and_never_none() -> None:
    assert trend([6.0] * 3 + [6.1] * 9 + [9.7] * 5).sentence.endswith("in 0.02% of cases")
    assert trend([20.0, 21.0, 22.0, 23.0, 24.0] + [30.0 + place for place in range(5)]).sentence.endswith(
        "in 0.8% of cases"
    )
