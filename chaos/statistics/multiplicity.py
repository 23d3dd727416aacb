"""Several comparisons at once, corrected for: Bonferroni for the few that judge a run, e-BH for a table of segments. Pure.

Source: Wang and Ramdas (2022), False discovery rate control with e-values. Both hold under any dependence between the comparisons,
and since each e-value may be read at any moment, under peeking too.
"""

from __future__ import annotations

from collections.abc import Sequence


def bonferroni(alpha: float, comparisons: int) -> float:
    """The alpha of each of so many comparisons, so that the chance that any of them is ever wrong is at most `alpha` in all."""
    if comparisons < 1:
        raise ValueError("there is nothing to share alpha among")
    return alpha / comparisons


def e_benjamini_hochberg(e_values: Sequence[float], alpha: float) -> tuple[int, ...]:
    """The places of the e-values that are discoveries, in order; of all that are, on average at most a share `alpha` is none.

    The largest k whose k-th largest e-value reaches n / (k · alpha); all that are at least as large are discoveries.
    """
    order = sorted(range(len(e_values)), key=lambda place: -e_values[place])
    found = 0
    for rank, place in enumerate(order, start=1):
        if e_values[place] >= len(e_values) / (rank * alpha):
            found = rank
    return tuple(sorted(order[:found]))
