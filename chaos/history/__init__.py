"""What the runs of weeks say together: one experiment's verdicts in order, and how an alert's time to detect moves. Pure.

verdict + head of its journal ─▶ RunSummary ─▶ histories() ─▶ History: verdicts, times to detect, trend
"""

from __future__ import annotations

from chaos.history.histories import AlertTimes, History, Point, histories, to_json
from chaos.history.summary import AlertSummary, FaultSummary, Head, RunSummary, head_of, summary_of
from chaos.history.trend import Middle, Trend, middle, trend

__all__ = [
    "AlertSummary",
    "AlertTimes",
    "FaultSummary",
    "Head",
    "History",
    "Middle",
    "Point",
    "RunSummary",
    "Trend",
    "head_of",
    "histories",
    "middle",
    "summary_of",
    "to_json",
    "trend",
]
