"""Exact intervals of shares, and what an uneven split of subjects says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chaos.statistics import clopper_pearson, sample_ratio_mismatch, standard_error, standard_errors_apart


@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (3, 3), (0, 20), (1, 10), (5, 10), (80, 1082), (109, 118), (2, 50_000)]
)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_agrees_with_scipy(k: int, n: int, confidence: float):
    low, high = clopper_pearson(k, n, confidence)
    tail = (1 - confidence) / 2
    assert low == pytest.approx(0.0 if k == 0 else stats.beta.ppf(tail, k, n - k + 1), abs=1e-9)
    assert high == pytest.approx(1.0 if k == n else stats.beta.ppf(1 - tail, k + 1, n - k), abs=1e-9)


def test_three_of_three_is_no_hundred_percent():
    low, high = clopper_pearson(3, 3)
    assert (round(low, 2), high) == (0.29, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_contains_the_share_and_moves_with_it(seen: tuple[int, int]):
    k, n = seen
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    if k < n:
        assert clopper_pearson(k + 1, n)[0] > low
        assert clopper_pearson(k + 1, n)[1] >= high
    wider = clopper_pearson(k, n, 0.99)
    assert wider[0] <= low
    assert wider[1] >= high


@pytest.mark.parametrize(("k", "n"), [(0, 0), (4, 3), (-1, 3)])
def test_impossible_shares_are_refused(k: int, n: int):
    with pytest.raises(ValueError, match="impossible"):
        clopper_pearson(k, n)


@pytest.mark.parametrize(
    ("treatment", "control", "share"), [(336, 3064, 0.1), (120, 880, 0.1), (60, 40, 0.5), (700, 300, 0.5)]
)
def test_a_splits_chance_agrees_with_the_exact_one(treatment: int, control: int, share: float):
    exact = stats.binomtest(treatment, treatment + control, share).pvalue
    assert sample_ratio_mismatch(treatment, control, share) == pytest.approx(exact, rel=0.15, abs=1e-6)


def test_a_split_as_planned_is_certain_and_a_lopsided_one_is_not():
    assert sample_ratio_mismatch(100, 900, 0.1) == 1.0
    assert sample_ratio_mismatch(500, 500, 0.1) < 1e-12
    assert sample_ratio_mismatch(0, 0, 0.1) == 1.0
    assert sample_ratio_mismatch(10, 0, 1.0) == 1.0  # everybody is treated: there is no split


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99))
def test_a_splits_chance_is_a_chance(treatment: int, control: int, share: float):
    assert 0.0 <= sample_ratio_mismatch(treatment, control, share) <= 1.0


def test_standard_errors_are_known_values():
    assert standard_error(0.5, 100) == pytest.approx(0.05)
    assert standard_error(0.93, 0) == math.inf
    assert standard_errors_apart(0.93, 0.88, 600) == pytest.approx(0.05 / math.sqrt(0.93 * 0.07 / 600))
    assert standard_errors_apart(0.93, 0.88, 0) == 0.0  # no events: nothing can be told apart
    assert standard_errors_apart(1.0, 0.99, 100) == math.inf  # no spread at all


@pytest.mark.parametrize(("k", "n"), [(0, 10**6), (3, 10**6), (10**5, 10**6), (10**6, 10**6)])
def test_the_interval_of_very_many_is_that_of_many_and_costs_nothing(k, n):
    exact, approximate = clopper_pearson(k, n), clopper_pearson(k, n + 1)
    assert approximate == pytest.approx(exact, abs=6e-6)
    low, high = clopper_pearson(k * 10**24, n * 10**24)
    assert 0 <= low <= k / n <= high <= 1
