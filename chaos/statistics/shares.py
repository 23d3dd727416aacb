"""Shares with their exact intervals, and what an uneven split of subjects says. Pure; numpy only."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np


def _log_tail(k: int, n: int, share: float, *, upper: bool) -> float:
    """The logarithm of P(X ≥ k) (upper) or of P(X ≤ k), for Binomial(n, share)."""
    places = np.arange(k, n + 1) if upper else np.arange(k + 1)
    if share <= 0.0:
        return 0.0 if (places == 0).any() else -math.inf
    if share >= 1.0:
        return 0.0 if (places == n).any() else -math.inf
    logs = _log_choose(n, places) + places * math.log(share) + (n - places) * math.log1p(-share)
    return float(np.logaddexp.reduce(logs))


def _log_choose(
    n: int, places: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = factorial[n] - factorial[places] - factorial[n - places]
    return found


LARGEST_EXACT = 1_000_000
"""Events; the exact interval of more would take memory for each, and differ from the approximate one in no digit that is shown."""


def _wilson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """The interval of Wilson (1927), by the normal approximation."""
    away = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spare = k / n, away * away / n
    middle, half = share + spare / 2, math.sqrt(spare * share * (1 - share) + spare * spare / 4)
    return max(0.0, (middle - half) / (1 + spare)), min(1.0, (middle + half) / (1 + spare))


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval for a share of which k of n were seen: 3 of 3 is [.29, 1]. Clopper and Pearson (1934).

    Of more than LARGEST_EXACT, it is approximate.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is impossible")
    if n > LARGEST_EXACT:
        return _wilson(k, n, confidence)
    target = math.log((1 - confidence) / 2)
    low = 0.0 if k == 0 else _solve(lambda share: _log_tail(k, n, share, upper=True) - target, rising=True)
    high = 1.0 if k == n else _solve(lambda share: _log_tail(k, n, share, upper=False) - target, rising=False)
    return low, high


def _solve(over: Callable[[float], float], *, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if (over(middle) < 0) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def sample_ratio_mismatch(treatment: int, control: int, expected_share: float) -> float:
    """The chance (two-sided, normal approximation, continuity-corrected) of a split at least as uneven as this one."""
    total = treatment + control
    if total == 0 or not 0 < expected_share < 1:
        return 1.0
    spread = math.sqrt(total * expected_share * (1 - expected_share))
    away = max(0.0, abs(treatment - total * expected_share) - 0.5) / spread
    return math.erfc(away / math.sqrt(2))


def standard_error(share: float, count: float) -> float:
    """Of a share among `count` events."""
    return math.sqrt(max(share * (1 - share), 0.0) / count) if count > 0 else math.inf


def standard_errors_apart(baseline: float, threshold: float, count: float) -> float:
    """How many standard errors lie between a share's baseline and a threshold, at `count` events a window."""
    error = standard_error(baseline, count)
    return abs(baseline - threshold) / error if error > 0 else math.inf
