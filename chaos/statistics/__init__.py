"""Arm comparisons whose guarantee holds under peeking, and the intervals and bands beside them. Pure; numpy only."""

from __future__ import annotations

from chaos.statistics.bands import quantile_band, window_deviation
from chaos.statistics.latencies import quantile_bound, slower_than
from chaos.statistics.means import ArmValues, MeanDifference
from chaos.statistics.multiplicity import bonferroni, e_benjamini_hochberg
from chaos.statistics.power import Traffic, chance_to_tell, events_to_tell, seconds_to_tell, smallest_ratio
from chaos.statistics.ranks import median_interval, rank_sum_p
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
    "ArmValues",
    "Decision",
    "MeanDifference",
    "RiskRatio",
    "Traffic",
    "bonferroni",
    "chance_to_tell",
    "clopper_pearson",
    "e_benjamini_hochberg",
    "events_to_tell",
    "median_interval",
    "quantile_band",
    "quantile_bound",
    "rank_sum_p",
    "sample_ratio_mismatch",
    "seconds_to_tell",
    "slower_than",
    "smallest_ratio",
    "standard_error",
    "standard_errors_apart",
    "window_deviation",
]
