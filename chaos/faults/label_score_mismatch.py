"""label_score_mismatch: label and scores contradict each other.

In real life: a label map that shifted by one behind a good model, a threshold that was changed in one of two places, a
post-processing step of another version. Whoever reads the scores sees a healthy model, whoever reads the label a broken one;
a contract check that compares the two needs one answer to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import scored
from chaos.rows import Row
from chaos.units import format_share


class LabelScoreMismatch(Fault):
    """Selected rows get the next class as their label, while the scores stay.

    Rows without a score for each known class pass, and so do answers without a label of their own: there, nothing can be
    contradicted.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    inconsistent = True
    family = "scores"
    must = "contract: label against scores; labelled quality"
    quiet = "the distribution of scores, latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: label_score_mismatch, target: loan-model, share: 5%, duration: 60s}",
            does="5% of the treatment arm's predictions of loan-model get a label that contradicts their scores",
        ),
        Example("{fault: label_score_mismatch, target: loan-model, share: 5, duration: 60s}", refused="write 5%"),
    )

    fault: Literal["label_score_mismatch"] = "label_score_mismatch"

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        return f"{whose} get a label that contradicts their scores"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get another label alone."""
        return [_contradicting(row) if call.selected(row.index) else row for row in rows]

    def treated(self, signal: Signal, control: float) -> float | None:
        """With two classes, hurt rows are right where they were wrong, and positive where they were negative."""
        if signal in (Signal.accuracy, Signal.positive_rate):
            return (1 - self.share) * control + self.share * (1 - control)
        return None


def _contradicting(row: Row) -> Row:
    if not scored(row) or row.rule is not None or row.label not in row.classes:
        return row
    found = row.classes.index(row.label)
    return row.saying(row.classes[(found + 1) % len(row.classes)], row.scores)
