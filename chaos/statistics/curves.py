"""How a chance, and a time, change with severity, from few runs: Bayesian fits by grid, with intervals that say how little is known. Pure.

    told, not told at each x  ─▶ fit_chance() ─▶ ChanceFit: from which x on half of the runs tell, and the chance at any x
    seconds at each x         ─▶ fit_time()   ─▶ TimeFit: the typical time at any x

Few runs that separate perfectly are the normal case of a sweep, and there a fit by maximum likelihood is a step of infinite slope with an
interval of no width. Weak priors keep what is not known open. `x` is severity on the scale on which it counts (mostly its logarithm),
rising with severity.

Source: Gelman et al., A weakly informative default prior distribution for logistic regression models (2008), for the idea of the priors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

LEVEL = 0.9
"""The probability of every interval here: of the posterior between its ends."""
OUTSIDE = 1.0
"""How far beyond what was tried the middle may lie, as a part of what was tried; flat up to there."""
TYPICAL_WIDTH, WIDTH_SPREAD = 0.7, 0.8
"""From a chance of 1 to 9 in 10 it takes this part of what was tried, give or take a factor of 2. Wide: a narrow prior claims too much."""
TIME_SLOPE = 1.5
"""From the least severity tried to the most, times change by a factor of e to this, give or take."""
TIME_SPREAD = 0.3
"""From run to run times differ by 30 %, with the weight of one run."""
NEGLIGIBLE = 1e-4
"""Parts of a mixture with less of its weight than this move no interval that is printed."""
Interval = tuple[float, float, float]
"""Median, and the two ends of the interval."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What was tried, from -1/2 to 1/2."""

    low: float
    high: float

    @staticmethod
    def of(places: Sequence[float]) -> Scale:
        """The scale of these; of a single place a stretch around it."""
        low, high = min(places), max(places)
        return Scale(low, high) if high > low else Scale(low - 0.5, high + 0.5)

    def inwards(self, x: float) -> float:
        """A place as a part of the whole."""
        return (x - self.low) / (self.high - self.low) - 0.5

    def outwards(self, part: float) -> float:
        """The place of a part."""
        return self.low + (part + 0.5) * (self.high - self.low)


_MIDDLES: Numbers = np.linspace(-0.5 - OUTSIDE, 0.5 + OUTSIDE, 241)
_WIDTHS: Numbers = np.exp(np.linspace(math.log(0.01), math.log(5.0), 41))
_STEEP = 2 * math.log(9)
"""Logistic units between a chance of 1 and of 9 in 10."""


@dataclass(frozen=True, slots=True)
class ChanceFit:
    """The posterior over where half of the runs tell, and over how wide the change is, on a grid (middles × widths)."""

    scale: Scale
    weights: Numbers

    def half(self) -> Interval:
        """The x at which half of the runs tell: its median and its interval, which may end outside of what was tried."""
        found = _quantiles(_MIDDLES, self.weights.sum(axis=1))
        middle, low, high = (self.scale.outwards(one) for one in found)
        return middle, low, high

    def chance(self, x: float) -> Interval:
        """The chance to be told at this x."""
        chances = _chance(self.scale.inwards(x))
        order = np.argsort(chances, axis=None)
        return _quantiles(chances.ravel()[order], self.weights.ravel()[order])


def fit_chance(runs: Sequence[tuple[float, bool]]) -> ChanceFit:
    """What these runs, each (x, told), say of the chance. There must be one at least."""
    scale = Scale.of([x for x, _ in runs])
    logs = np.repeat((-0.5 * (np.log(_WIDTHS / TYPICAL_WIDTH) / WIDTH_SPREAD) ** 2)[None, :], len(_MIDDLES), axis=0)
    for x, told in runs:
        chance = _chance(scale.inwards(x))
        logs += np.log(np.clip(chance if told else 1 - chance, 1e-300, 1.0))
    weights = np.exp(logs - logs.max())
    return ChanceFit(scale, weights / weights.sum())


def _chance(part: float) -> Numbers:
    steepness = _STEEP / _WIDTHS[None, :]
    found: Numbers = 1 / (1 + np.exp(-np.clip((part - _MIDDLES[:, None]) * steepness, -700, 700)))
    return found


def _quantiles(values: Numbers, weights: Numbers) -> Interval:
    """Median and interval of ordered values with these weights, which add up to one."""
    below = np.cumsum(weights) - weights / 2
    low, middle, high = np.interp([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], below, values)
    return float(middle), float(low), float(high)


@dataclass(frozen=True, slots=True)
class TimeFit:
    """The posterior over a straight line of log seconds: for each spread of a grid its weight, and the line's mean and covariance."""

    scale: Scale
    weights: Numbers
    means: Numbers
    covariances: Numbers

    def seconds(self, x: float) -> Interval:
        """The typical (median) time at this x."""
        at = np.array([1.0, self.scale.inwards(x)])
        middles = self.means @ at
        spreads = np.sqrt(np.einsum("i,kij,j->k", at, self.covariances, at))
        middle, low, high = (
            _mixed_quantile(middles, spreads, self.weights, p) for p in (0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2)
        )
        return math.exp(middle), math.exp(low), math.exp(high)


_SPREADS: Numbers = np.exp(np.linspace(math.log(0.005), math.log(3.0), 61))


def fit_time(runs: Sequence[tuple[float, float]], scale: Scale) -> TimeFit:
    """What these runs, each (x, seconds above 0), say of the time. There must be one at least."""
    design = np.array([[1.0, scale.inwards(x)] for x, _ in runs])
    logs = np.log([seconds for _, seconds in runs])
    centre = np.array([logs.mean(), 0.0])
    prior = np.diag([1e-4, 1 / TIME_SLOPE**2])  # the height is left open
    weights, means, covariances = [], [], []
    for spread in _SPREADS:
        precision = design.T @ design / spread**2 + prior
        covariance = np.linalg.inv(precision)
        line = covariance @ (design.T @ logs / spread**2 + prior @ centre)
        left = logs - design @ line
        evidence = -len(runs) * math.log(spread) - left @ left / (2 * spread**2)
        evidence += 0.5 * float(np.linalg.slogdet(covariance)[1]) - 0.5 * (line - centre) @ prior @ (line - centre)
        # As if one run had been seen to differ by TIME_SPREAD: an inverse gamma prior of one degree of freedom on the log grid.
        evidence += -math.log(spread) - TIME_SPREAD**2 / (2 * spread**2)
        weights.append(evidence)
        means.append(line)
        covariances.append(covariance)
    found = np.exp(np.array(weights) - max(weights))
    return TimeFit(scale, found / found.sum(), np.array(means), np.array(covariances))


def _mixed_quantile(middles: Numbers, spreads: Numbers, weights: Numbers, share: float) -> float:
    """The quantile of a mixture of normal distributions, by halving."""
    known = weights > NEGLIGIBLE * weights.max()
    parts = list(zip(middles[known], spreads[known] * math.sqrt(2), weights[known], strict=True))
    total = float(weights[known].sum())
    low, high = float((middles - 8 * spreads)[known].min()), float((middles + 8 * spreads)[known].max())
    for _ in range(40):
        middle = (low + high) / 2
        below = sum(weight * 0.5 * (1 + math.erf((middle - at) / wide)) for at, wide, weight in parts) / total
        low, high = (middle, high) if below < share else (low, middle)
    return (low + high) / 2
