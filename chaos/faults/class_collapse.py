"""class_collapse: everything becomes one class.

In real life: a retraining on data without the rare class, a threshold that was set to zero, a feature that went missing and
left the prior. Where one class is rare, accuracy hardly moves; the class mix does, and needs no labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import REMEMBERED_ROWS, Call, Example, Fault, Signal
from chaos.faults.decisions import decided
from chaos.rows import Label, Row
from chaos.units import format_share


class ClassCollapse(Fault):
    """Selected rows get one class; the scores follow. Rows whose classes nobody knows, or that lack the class, pass."""

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "the class mix (positive rate); labelled quality"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: class_collapse, target: loan-model, to: 1, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model become 1",
        ),
        Example(
            "{fault: class_collapse, target: loan-model, share: 30%, duration: 60s}",
            does="30% of the treatment arm's predictions of loan-model become the class that is the most frequent among them",
        ),
        Example(
            "{fault: class_collapse, target: loan-model, to: 1, share: 130%, duration: 60s}",
            refused="write at most 100%",
        ),
    )

    fault: Literal["class_collapse"] = "class_collapse"
    to: Label | None = Field(
        None,
        description="the class that is left, as the model writes it; else the most frequent one among the selected rows so far",
        examples=[1],
    )

    def explain(self) -> str:
        """One plain sentence."""
        left = "the class that is the most frequent among them" if self.to is None else str(self.to)
        return f"{format_share(self.share)} of the treatment arm's predictions of {self.target} become {left}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get the class; its score and the best score change places."""
        selected = [row for row in rows if call.selected(row.index) and row.label in row.classes]
        left = self.to if self.to is not None else _commonest(selected, call.memory.rows)
        hurt = {row.index for row in selected}
        return [_collapsed(row, left) if row.index in hurt else row for row in rows]

    def treated(self, signal: Signal, control: float) -> float | None:
        """All groups get the same where rows are hurt. The rest depends on how frequent the class is: nobody can say."""
        return (1 - self.share) * control if signal is Signal.fairness_gap else None


def _commonest(selected: Sequence[Row], remembered: list[Row]) -> Label | None:
    """The most frequent class of the rows that are remembered, these among them; of several the one that was seen first."""
    remembered += selected[: REMEMBERED_ROWS - len(remembered)]
    counted = Counter(row.label for row in remembered)
    return counted.most_common(1)[0][0] if counted else None


def _collapsed(row: Row, left: Label | None) -> Row:
    if row.label == left or left not in row.classes:
        return row
    return decided(row, row.classes.index(left))
