"""A signal that is a mean over a long window: what a short baseline says about what it will do by chance."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from chaos.detection import BAND
from chaos.promql import longest_window_s
from chaos.statistics import quantile_band, window_deviation

BASELINE_S, FAULT_S = 20, 75


def shares(seed: int, rate_per_s: float, share: float, window_s: int) -> np.ndarray:
    """What a rule reads each second: the share of events in a sliding window, over baseline and fault time."""
    chance = np.random.default_rng(seed)
    seconds = window_s + BASELINE_S + FAULT_S
    events = chance.poisson(rate_per_s, seconds)
    hits = chance.binomial(events, share)
    summed = [np.convolve(one, np.ones(window_s), "valid") for one in (hits, events)]
    return summed[0] / np.maximum(summed[1], 1)


def left_by_chance(seed: int, rate_per_s: float, share: float, window_s: int) -> tuple[bool, bool]:
    """Whether a quiet signal leaves its band: with the window known, and with the baseline's quantiles alone."""
    values = shares(seed, rate_per_s, share, window_s)
    quiet, after = values[:BASELINE_S], values[BASELINE_S:]
    low, high = quantile_band(list(quiet))
    naive = bool((after < low).any() or (after > high).any())
    around = BAND * window_deviation(list(enumerate(quiet)), window_s)
    middle = median(quiet)
    known = bool((after < min(low, middle - around)).any() or (after > max(high, middle + around)).any())
    return known, naive


@pytest.mark.parametrize(("rate_per_s", "share", "window_s"), [(4.0, 0.76, 60), (20.0, 0.94, 30), (40.0, 0.91, 60)])
def test_a_quiet_signal_rarely_leaves_its_band_where_the_baselines_own_spread_is_left_most_of_the_time(
    rate_per_s: float, share: float, window_s: int
) -> None:
    runs = [left_by_chance(seed, rate_per_s, share, window_s) for seed in range(400)]
    known, naive = (sum(one[place] for one in runs) / len(runs) for place in (0, 1))
    assert naive > 0.6, "the baseline's own spread is no use over such a window"
    assert known < 0.02


def test_the_estimate_is_the_deviation_of_the_signal_over_long_times() -> None:
    estimates = [
        window_deviation(list(enumerate(shares(seed, 20.0, 0.94, 30)[:BASELINE_S])), 30) for seed in range(200)
    ]
    truth = (0.94 * 0.06 / (20 * 30)) ** 0.5
    assert truth * 0.9 < float(np.median(estimates)) < truth * 1.7


def test_few_samples_or_no_window_say_nothing() -> None:
    assert window_deviation([(0, 1.0), (1, 2.0), (2, 1.0)], 30) == 0
    assert window_deviation([(float(at), float(at % 2)) for at in range(20)], 0) == 0


@pytest.mark.parametrize(
    ("expr", "window_s"),
    [
        ("up", 0),
        ("rate(x[5m])", 300),
        ("sum(rate(x[30s])) / sum(rate(y[1m]))", 60),
        ("max_over_time(rate(x[1m])[10m:30s])", 600),
        ("((", 0),
    ],
)
def test_the_longest_window_of_an_expression(expr: str, window_s: float) -> None:
    assert longest_window_s(expr) == window_s
