"""Long tails: how long the slow ones take, where a few take very much longer than the rest.

Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994), chapter 20.
"""

from __future__ import annotations

import math


def pareto(uniform: float, scale: float, alpha: float, cap: float) -> float:
    """Pareto's distribution from a uniform number in [0, 1): at least `scale`, and at most `cap`, which cuts the rest off."""
    drawn = -math.log1p(-uniform) / alpha
    # Beyond the largest number there is, it is beyond the cap, too.
    return min(cap, scale * math.exp(min(drawn, 700.0)))


def pareto_mean(scale: float, alpha: float, cap: float) -> float:
    """The mean of `pareto`, in the same unit."""
    if scale >= cap or scale == 0.0:
        return min(scale, cap)
    if math.isclose(alpha, 1.0):
        return scale * (1.0 + math.log(cap / scale))
    return (alpha * scale - cap * math.exp(alpha * math.log(scale / cap))) / (alpha - 1.0)
