"""Order alone: intervals of a median, and whether one group is later."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chaos.statistics import median_interval, rank_sum_p


def test_a_median_has_no_interval_below_six_values_and_all_of_six() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    assert median_interval([]) is None


def test_the_interval_reaches_to_infinity_where_misses_do() -> None:
    assert median_interval([1, 2, 3, 4, 5, math.inf]) == (1, math.inf)


@pytest.mark.parametrize("size", [6, 60, 1023, 1024, 5000])
def test_the_interval_ends_where_the_binomial_distribution_says_however_many_values_there_are(size: int) -> None:
    low, high = median_interval(list(range(size))) or (0, 0)
    assert 2 * stats.binom.cdf(low, size, 0.5) <= 0.05 < 2 * stats.binom.cdf(low + 1, size, 0.5)
    assert high == size - 1 - low


@pytest.mark.parametrize("size", [6, 9, 20, 60])
def test_the_interval_holds_the_median_as_often_as_it_claims(size: int) -> None:
    chance = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        low, high = median_interval(list(chance.exponential(1.0, size)))  # type: ignore[misc]
        held += low <= math.log(2) <= high
    assert held / 2000 >= 0.95 - 0.015


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.lists(st.one_of(st.integers(0, 6), st.just(math.inf)), min_size=1, max_size=6),
)
def test_the_test_of_ranks_counts_every_way_of_choosing(first: list[float], second: list[float]) -> None:
    both = [*first, *second]
    ranks = stats.rankdata(both)
    middle = len(first) * (len(both) + 1) / 2
    found = abs(ranks[: len(first)].sum() - middle)
    ways = [abs(sum(chosen) - middle) for chosen in combinations(ranks, len(first))]
    assert rank_sum_p(first, second) == pytest.approx(sum(way >= found - 1e-9 for way in ways) / len(ways))


def test_it_agrees_with_scipy_where_nothing_is_tied() -> None:
    first, second = [5.1, 7.3, 9.9, 8.2, 6.4], [1.2, 2.3, 5.0, 5.2, 3.1, 4.4, 2.2, 0.1]
    expected = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert rank_sum_p(first, second) == pytest.approx(expected)


def test_nothing_follows_from_no_values_and_too_many_are_refused() -> None:
    assert rank_sum_p([], [1.0]) == rank_sum_p([1.0], []) == 1.0
    with pytest.raises(ValueError, match="more than"):
        rank_sum_p([1.0], [1.0] * 201)
