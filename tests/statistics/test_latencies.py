"""Quantiles of latency as shares of requests slower than a bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics.many import ManyRuns
from chaos.statistics import ArmCounts, quantile_bound, slower_than

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LATENCIES = st.lists(st.floats(0, 2), min_size=1, max_size=60)


def histogram(latencies: list[float]) -> dict[float, int]:
    return {bound: sum(one <= bound for one in latencies) for bound in BOUNDS}


@given(LATENCIES, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_lies_beyond_a_bound_exactly_when_too_many_are_slower(latencies: list[float], quantile: float) -> None:  # fmt: skip
    chosen = quantile_bound(histogram(latencies), len(latencies), quantile)
    for bound in BOUNDS:
        slow = slower_than(bound, histogram(latencies), len(latencies))
        beyond = slow.bad > (1 - quantile) * slow.exposed + 1e-9
        assert beyond == (chosen is None or bound < chosen)


def test_the_bound_is_that_of_the_quantile() -> None:
    assert quantile_bound({0.1: 90, 0.25: 99, 0.5: 100}, 100, 0.99) == 0.25
    assert quantile_bound({0.1: 90, 0.25: 98, 0.5: 98}, 100, 0.99) is None
    assert quantile_bound({}, 0, 0.99) is None
    assert slower_than(0.25, {0.1: 90, 0.25: 99}, 100) == ArmCounts(100, 1)


def play(more: float, seconds: int, runs: int = 2_000) -> tuple[float, float]:
    """Treatment slower by `more` seconds: the share of runs that tell, at the bound of control's p99 in its baseline, and the median second."""
    chance = np.random.default_rng(8)
    many = ManyRuns(runs)
    before = chance.lognormal(-3.0, 0.5, size=(runs, 30 * 20))
    chosen = np.array([quantile_bound(histogram(row.tolist()), row.size, 0.99) for row in before[:50]])
    bound = float(np.median(chosen))
    for _ in range(seconds):
        slow = [(chance.lognormal(-3.0, 0.5, size=(runs, 20)) + extra > bound).sum(axis=1) for extra in (more, 0.0)]
        many.look(np.full(runs, 20), np.full(runs, 20), *slow)
    return float(many.decided.mean()), float(np.median(many.when[many.decided])) if many.decided.any() else -1.0


def test_arms_that_are_equally_fast_are_rarely_said_to_differ_at_the_p99() -> None:
    assert play(0.0, 60)[0] <= 0.05


def test_more_latency_is_told_at_the_p99_within_seconds() -> None:
    """The medians are 50 ms and 200 ms, the bound is 250 ms: a difference of p99s, and not of most requests."""
    told, median = play(0.15, 60)
    assert told >= 0.99
    assert median <= 30


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_a_bound_that_is_no_bound_of_the_histogram_is_an_error(quantile: float) -> None:
    with pytest.raises(KeyError):
        slower_than(0.3, {0.25: 3}, round(10 * quantile))
