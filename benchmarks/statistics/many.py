"""The e-process of `chaos.statistics.RiskRatio` for many runs at once: a second, vectorised writing of that module's docstring.

That it and the product say the same is a test of its own, so what is certified for the one holds for the other.
"""

from __future__ import annotations

import numpy as np

STEPS = np.linspace(0.05, 3.0, 60)
LOG_WEIGHTS = -0.5 * STEPS**2 - np.log(np.exp(-0.5 * STEPS**2).sum())


class ManyRuns:
    """Evidence against one margin in `runs` runs side by side: a decision at the first look at which it reaches 1 / `alpha`.

    `side` 1 asks whether the ratio is above `margin` (broken), -1 whether it is below (held). `when` is the look at which each run
    was decided, counted from 1, and -1 where it never was.
    """

    def __init__(self, runs: int, margin: float = 1.0, side: int = 1, alpha: float = 0.05) -> None:
        self.ratios = np.log(margin) + side * np.concatenate([[0.0], STEPS])
        self.logs = np.zeros((runs, len(STEPS)))
        self.decided = np.zeros(runs, dtype=bool)
        self.when = np.full(runs, -1)
        self.needed = np.log(1 / alpha)
        self.looks = 0

    def look(
        self, treatment: np.ndarray, control: np.ndarray, bad_treatment: np.ndarray, bad_control: np.ndarray
    ) -> None:
        """One more window of increments, one entry a run. A window in which one arm saw nobody is skipped."""
        self.looks += 1
        # Without a bad event the evidence stays as it was, and what is decided stays so.
        moved = np.flatnonzero((bad_treatment + bad_control > 0) & (treatment > 0) & (control > 0) & ~self.decided)
        if len(moved) == 0:
            return
        odds = np.log(treatment[moved]) - np.log(control[moved])
        falls, stays = self._shares(odds)
        self.logs[moved] += bad_treatment[moved, None] * falls + bad_control[moved, None] * stays
        evidence = self.evidence(moved)
        now = moved[evidence >= self.needed]
        self.decided[now] = True
        self.when[now] = self.looks

    def _shares(self, odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood ratios, against the margin, of a bad event that falls into treatment, and of one that does not."""
        different, place = np.unique(odds, return_inverse=True)
        falls = -np.logaddexp(0.0, -(self.ratios + different[:, None]))
        stays = -np.logaddexp(0.0, self.ratios + different[:, None])
        return (falls[:, 1:] - falls[:, :1])[place], (stays[:, 1:] - stays[:, :1])[place]

    def evidence(self, runs: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The logarithm of each run's e-value."""
        logs = self.logs[runs] + LOG_WEIGHTS
        highest = logs.max(axis=1)
        found: np.ndarray = highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))
        return found
