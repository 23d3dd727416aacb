"""Judges of the same simulated runs: the product's, and what people do instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import Scenario

ALPHA = 0.05
NORMAL = 1.959964
"""Standard errors that a difference exceeds by chance in 5 % of cases, for somebody who looks once."""

Judge = Callable[[Scenario, int, int], np.ndarray]
"""A scenario, runs, seed → when each run was called broken, in looks; infinity where it never was."""


def decided(
    scenario: Scenario, runs: int, seed: int, *, margin: float = 1.0, side: int = 1, alpha: float = ALPHA
) -> np.ndarray:
    """The e-process, with a look every second."""
    many = ManyRuns(runs, margin, side, alpha)
    for look in scenario.play(runs, seed):
        many.look(*look)
    return np.where(many.decided, many.when, np.inf)


def z_test(scenario: Scenario, runs: int, seed: int, *, peeking: bool = True) -> np.ndarray:
    """Two shares and their standard errors, looked at every second from the fifth on, or once, at the end."""
    seen = np.zeros((4, runs))
    when = np.full(runs, np.inf)
    for second, look in enumerate(scenario.play(runs, seed), start=1):
        seen += np.array(look)
        if second < (5 if peeking else scenario.seconds):
            continue
        treatment, control, bad_treatment, bad_control = seen
        pooled = (bad_treatment + bad_control) / (treatment + control)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / treatment + 1 / control))
        apart = np.abs(bad_treatment / treatment - bad_control / control) > NORMAL * spread
        when[(spread > 0) & apart & np.isinf(when)] = second
    return when


def before_and_during(scenario: Scenario, runs: int, seed: int) -> np.ndarray:
    """No arms: treatment's second half against its own first half, once, by a z-test."""
    halves = np.zeros((2, 2, runs))
    for second, (treatment, _, bad, _) in enumerate(scenario.play(runs, seed)):
        halves[int(second >= scenario.seconds / 2)] += treatment, bad
    (before, bad_before), (during, bad_during) = halves
    pooled = (bad_before + bad_during) / (before + during)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / before + 1 / during))
    apart = np.abs(bad_before / before - bad_during / during) > NORMAL * spread
    return np.where((spread > 0) & apart, float(scenario.seconds), np.inf)
