"""Means of the arms: asymptotic, and said to be so. What is certified here is certified for these values and no others."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from chaos.statistics import ArmValues, MeanDifference, means

RUNS = 300
ALPHA = 0.05
ERROR = math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def values(drawn: np.ndarray) -> ArmValues:
    return ArmValues(len(drawn), float(drawn.sum()), float((drawn * drawn).sum()))


def play(treatment: Callable[[int], int], control: Callable[[int], int], level: Callable[[int], float], seconds: int, more: float = 0.0, spread: float = 0.5) -> tuple[float, float, float]:  # fmt: skip
    """The share of runs whose interval ever missed the truth, the share that ever told a difference, and the median second of it."""
    chance = np.random.default_rng(6)
    missed, told = [], []
    for _ in range(RUNS):
        running, covers, when = MeanDifference(ALPHA), True, math.inf
        for second in range(seconds):
            arms = [chance.lognormal(0, spread, arm(second)) * level(second) for arm in (treatment, control)]
            running = running.update(values(arms[0] + more), values(arms[1]))
            low, high = running.interval
            covers &= low <= more <= high
            when = min(when, second + 1 if running.decided else math.inf)
        missed.append(not covers)
        told.append(when)
    return float(np.mean(missed)), float(np.isfinite(told).mean()), float(np.median(told))


@cache
def alike() -> tuple[float, float, float]:
    return play(lambda s: 20, lambda s: 20, lambda s: 0.05, 60)


def test_two_equal_arms_are_rarely_said_to_differ_however_often_one_looks() -> None:
    assert alike()[1] <= ALPHA


def test_a_drift_of_both_arms_under_a_ramp_is_no_difference() -> None:
    missed, _, _ = play(lambda s: 4 + s // 4, lambda s: 36 - s // 4, lambda s: 0.05 + 0.002 * s, 90)
    assert missed <= ALPHA + 3 * ERROR


def test_the_interval_covers_a_true_difference_at_all_times_at_once() -> None:
    missed, _, _ = play(lambda s: 20, lambda s: 20, lambda s: 0.05, 60, more=0.01)
    assert missed <= ALPHA


def test_ten_milliseconds_more_are_found_in_99_of_100_runs_within_half_a_minute() -> None:
    """At a mean of 57 ms with a standard deviation of 30 ms and 40 requests a second."""
    _, told, median = play(lambda s: 20, lambda s: 20, lambda s: 0.05, 60, more=0.01)
    assert told >= 0.99
    assert median <= 30


def test_it_says_that_it_is_asymptotic() -> None:
    assert "asymptotic" in (inspect.getdoc(means) or "")
    assert "asymptotic" in (inspect.getdoc(MeanDifference) or "")


def test_nothing_is_said_of_few_events_nor_of_an_arm_that_saw_nobody() -> None:
    one = ArmValues(means.LEAST - 1, 10.0, 5.0)
    assert MeanDifference().update(one, one).interval == (-math.inf, math.inf)
    assert not MeanDifference().update(one, one).decided
    assert math.isnan(MeanDifference().difference)
    assert MeanDifference().update(ArmValues(0, 0.0, 0.0), one) == MeanDifference()


def test_the_difference_is_that_of_the_means() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.normal(2.0, 1.0, 500), chance.normal(1.0, 1.0, 1500)
    running = MeanDifference().update(values(a), values(b))
    assert running.difference == pytest.approx(a.mean() - b.mean())
    low, high = running.interval
    assert 0.7 < low < running.difference < high < 1.3


def test_the_same_values_in_other_units_give_the_same_answer_in_other_units() -> None:
    chance = np.random.default_rng(2)
    in_s, in_ms = MeanDifference(), MeanDifference()
    for _ in range(40):
        a, b = chance.lognormal(0, 0.5, 10), chance.lognormal(0, 0.5, 10)
        in_s, in_ms = in_s.update(values(a), values(b)), in_ms.update(values(a * 1000), values(b * 1000))
    assert in_ms.interval == pytest.approx(tuple(1000 * end for end in in_s.interval))
