"""What a signal reads in its baseline: the bands that it has left when it has moved. Pure; numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def window_deviation(samples: Sequence[tuple[float, float]], window_s: float) -> float:
    """The standard deviation of a mean over a sliding window, from samples (second, value) that span less than the window.

    Neighbouring values share most of their events, so what a short baseline shows is far less than what the signal will do by
    chance. For a mean over independent events in a window W, E[(x(t + h) - x(t))²] = 2 s² min(h / W, 1): s comes from how much the
    signal moves in a lag h. Two lags are looked at, one sample and a third of the span; the larger estimate counts.
    """
    seen = sorted(samples)
    if len(seen) < 4 or window_s <= 0:
        return 0.0
    at, values = np.array([time for time, _ in seen]), np.array([value for _, value in seen])
    worst = 0.0
    for step in (1, max(1, len(seen) // 3)):
        lags = at[step:] - at[:-step]
        moved = values[step:] - values[:-step]
        shared = np.minimum(lags / window_s, 1.0)
        worst = max(worst, float(np.mean(moved**2 / (2 * shared))))
    return math.sqrt(worst)


def quantile_band(values: Sequence[float], width: float = 4.0) -> tuple[float, float]:
    """What a signal reads in its baseline: the median ± `width` robust standard deviations, at least all it has shown.

    A signal has left its baseline when it leaves this band. 1.4826 makes the median absolute deviation a standard
    deviation under normality.
    """
    if not values:
        raise ValueError("a band needs values")
    seen = np.array(values, dtype=np.float64)
    middle = float(np.median(seen))
    spread = width * 1.4826 * float(np.median(np.abs(seen - middle)))
    return min(float(seen.min()), middle - spread), max(float(seen.max()), middle + spread)
