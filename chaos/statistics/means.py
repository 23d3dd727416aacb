"""Means of the arms compared under peeking: an asymptotic confidence sequence. Pure; no numpy needed.

*Asymptotic*: unlike `RiskRatio`, whose guarantee holds for any number of events, this one becomes true as the arms grow. A few heavy
values (a timeout among fast answers) break it while there are few. Nothing is said below LEAST events in each arm, and
what is printed of it says that it is asymptotic.

In a window with nT and nC events the difference of the arms' means counts with the weight w = nT·nC / (nT + nC), which is known
before the values are. So the weighted sum of (difference – true difference) is a martingale whatever both arms drift by together, and
however the split moves; its variance is the sum of w²·(vT / nT + vC / nC), v pooled from within the windows. Robbins' normal
mixture bounds it at all times at once.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform central limit theory and asymptotic confidence sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LEAST = 200
"""Events in each arm below which the interval is everything."""
_SHARPEST = 1_000.0
"""Events (half of them in each arm) at which the interval is narrowest, relative to what it could be there."""


@dataclass(frozen=True, slots=True)
class ArmValues:
    """One arm's values in a window: how many, their sum and the sum of their squares."""

    count: int
    total: float
    squares: float


@dataclass(frozen=True, slots=True)
class _Spread:
    """One arm so far: deviations within its windows, their degrees of freedom, and the sum of w² / n."""

    events: int = 0
    deviations: float = 0.0
    free: int = 0
    weight: float = 0.0

    def after(self, seen: ArmValues, weight: float) -> _Spread:
        within = max(0.0, seen.squares - seen.total**2 / seen.count)
        return _Spread(
            self.events + seen.count,
            self.deviations + within,
            self.free + seen.count - 1,
            self.weight + weight**2 / seen.count,
        )

    def variance(self) -> float:
        """Of one value within its window."""
        return self.deviations / self.free if self.free else math.nan


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """The running difference of means, treatment – control. A value: `update` gives the next one.

    `interval` covers the true difference at all times at once with a probability that tends to 1 – alpha (asymptotic).
    """

    alpha: float = 0.05
    weighted: float = 0.0
    weight: float = 0.0
    treatment: _Spread = _Spread()
    control: _Spread = _Spread()

    def update(self, treatment: ArmValues, control: ArmValues) -> MeanDifference:
        """After one more window, whose counts are increments. A window in which one arm saw nobody is skipped."""
        if treatment.count == 0 or control.count == 0:
            return self
        weight = treatment.count * control.count / (treatment.count + control.count)
        apart = treatment.total / treatment.count - control.total / control.count
        return replace(
            self,
            weighted=self.weighted + weight * apart,
            weight=self.weight + weight,
            treatment=self.treatment.after(treatment, weight),
            control=self.control.after(control, weight),
        )

    @property
    def difference(self) -> float:
        """The estimate; NaN before anything was seen."""
        return self.weighted / self.weight if self.weight > 0 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The asymptotic confidence sequence for the difference, now; everything as long as there is too little."""
        few = min(self.treatment.events, self.control.events) < LEAST or not (self.treatment.free and self.control.free)
        if few:
            return -math.inf, math.inf
        spread = self.treatment.variance() * self.treatment.weight + self.control.variance() * self.control.weight
        # Robbins' mixture has a scale, in the units of the variance; it may depend on nothing but what is fixed beforehand. The
        # pooled variance of a value tends to a constant, so that scale times it does, too.
        value = spread / self.weight
        scale = _SHARPEST / 4 * value / _tightest(self.alpha)
        bound = (
            math.sqrt((spread + scale) * (math.log((spread + scale) / scale) - 2 * math.log(self.alpha)))
            if value > 0
            else 0.0
        )
        away = bound / self.weight
        return self.difference - away, self.difference + away

    @property
    def decided(self) -> bool:
        """Whether the means differ, as far as this can tell now: zero lies outside of the interval."""
        low, high = self.interval
        return low > 0 or high < 0


def _tightest(alpha: float) -> float:
    """How many times its scale the variance is where the bound is narrowest (to first order)."""
    wanted = -2 * math.log(alpha)
    return wanted + math.log(wanted + 1)
