"""Arm comparisons whose guarantee holds under peeking, and the intervals and bands beside them. Pure; numpy only."""

from __future__ import annotations

from chaos.statistics.bands import quantile_band, window_deviation
from chaos.statistics.risk_ratio import ArmCounts, Decision, RiskRatio
from chaos.statistics.shares import (
    LARGEST_EXACT,
    clopper_pearson,
    sample_ratio_mismatch,
    standard_error,
    standard_errors_apart,
)

__all__ = [
    "LARGEST_EXACT",
    "ArmCounts",
    "Decision",
    "RiskRatio",
    "clopper_pearson",
    "quantile_band",
    "sample_ratio_mismatch",
    "standard_error",
    "standard_errors_apart",
    "window_deviation",
]
