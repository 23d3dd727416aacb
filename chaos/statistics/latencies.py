"""Quantiles of latency compared as shares: a quantile q lies beyond a bound exactly when more than 1 – q are slower than it. Pure.

So "is the p99 of treatment beyond that of control?" is a question about the shares of both arms that are slower than a bound of
the histogram, and has the guarantee of `RiskRatio`. The bound is chosen from what control did before the fault: what is compared
afterwards has had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaos.statistics.risk_ratio import ArmCounts


def quantile_bound(cumulative: Mapping[float, int], total: int, quantile: float) -> float | None:
    """The least bound of a histogram (bound → events up to it) that holds this quantile of `total` events.

    None without events, or where the quantile lies beyond the last bound.
    """
    if total == 0:
        return None
    return next((bound for bound in sorted(cumulative) if cumulative[bound] >= quantile * total), None)


def slower_than(bound: float, cumulative: Mapping[float, int], total: int) -> ArmCounts:
    """How many of `total` events took longer than this bound of their histogram; the bound must be one of it."""
    return ArmCounts(total, total - cumulative[bound])
