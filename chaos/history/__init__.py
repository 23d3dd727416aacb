"""What the runs of weeks say together: one experiment's verdicts in order, and how an alert's time to detect moves. Pure.

verdict + head of its journal ─▶ RunSummary ─▶ histories() ─▶ History: verdicts, times to detect, trend
"""

from __future__ import annotations

from chaos.history.summary import AlertSummary, FaultSummary, Head, RunSummary, head_of, summary_of

__all__ = ["AlertSummary", "FaultSummary", "Head", "RunSummary", "head_of", "summary_of"]
