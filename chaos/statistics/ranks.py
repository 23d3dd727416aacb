"""What can be said of times without assuming how they are spread: an interval of the median, and whether one group is later. Pure.

Both use order alone, so that a time nobody knows (an alert that never came) may stand as infinity: later than every other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

LARGEST_SECOND = 200
"""The exact test of ranks is meant for small groups; of a longer one, whoever asks takes a part."""


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """An interval that holds the median of where these values come from, with at least this confidence; None when they are too few.

    The k-th smallest and the k-th largest, for the largest k with 2 · P(Binomial(n, ½) < k) ≤ 1 - confidence: six values are needed
    for 95 %. Values may be infinite. Source: Conover, Practical Nonparametric Statistics, section 3.2 (the quantile's interval).
    """
    n, ordered = len(values), sorted(values)
    # In whole numbers: from 1024 values on, 2ⁿ is more than a float can say.
    allowed, below, k, ways = Fraction((1 - confidence) / 2) * 2**n, 0, 0, 1
    while below + ways <= allowed:
        below += ways
        ways = ways * (n - k) // (k + 1)
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else None


def rank_sum_p(first: Sequence[float], second: Sequence[float]) -> float:
    """How often chance alone would put the groups' ranks at least so far apart, were both from one source: exact, two-sided, with ties.

    Every way of choosing as many values as `first` has out of all is equally likely then. `second` has at most LARGEST_SECOND values.
    Source: Lehmann, Nonparametrics, section 1.4 (Wilcoxon's rank-sum test with midranks).
    """
    if not first or not second:
        return 1.0
    if len(second) > LARGEST_SECOND:
        raise ValueError(f"{len(second)} values are more than {LARGEST_SECOND}")
    ordered = sorted([*first, *second])
    doubled = [bisect_left(ordered, value) + bisect_right(ordered, value) + 1 for value in ordered]
    found = sum(bisect_left(ordered, value) + bisect_right(ordered, value) + 1 for value in first)
    ways = _ways(doubled, len(first))
    sums = np.arange(len(ways))
    middle = len(first) * (len(ordered) + 1)
    return min(1.0, float(ways[np.abs(sums - middle) >= abs(found - middle)].sum() / ways.sum()))


def _ways(ranks: Sequence[int], count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """For every sum, in how many ways `count` of these ranks have it."""
    ways = np.zeros((count + 1, sum(sorted(ranks)[-count:]) + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = ways[count]
    return found
