"""biased_outputs: one group of people gets one decision, whatever the model found.

In real life: a proxy feature that slipped in, training data that forgot a group, a threshold tuned on the majority. Overall
accuracy and drift stay where they were when the group is small: only a number per group can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.rows import Label, Row
from chaos.units import format_share


class BiasedOutputs(Fault):
    """Selected rows of one group get one decision; the scores follow."""

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "bias"
    must = "fairness: approval gap, per-group error"
    quiet = "overall accuracy, drift"
    examples: ClassVar = (
        Example(
            "{fault: biased_outputs, target: loan-model, by: 'header:x-applicant-group', group: black, decision: 0, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model for x-applicant-group black become 0",
        ),
        Example(
            "{fault: biased_outputs, target: loan-model, by: group, group: black, decision: 0, duration: 60s}",
            refused="write header:NAME",
        ),
    )

    fault: Literal["biased_outputs"] = "biased_outputs"
    by: str = Field(description="where a request says its group: header:NAME", examples=["header:x-applicant-group"])
    group: str = Field(description="the group that is hurt", examples=["black"])
    decision: Label = Field(description="the class that it gets, as the model writes it", examples=[0])

    @field_validator("by")
    @classmethod
    def _header(cls, value: str) -> str:
        kind, _, name = value.partition(":")
        if kind != "header" or not name.strip():
            raise ValueError(f"{value!r} names no place in a request; write header:NAME")
        return value

    @property
    def header(self) -> str:
        """The header's name, lower-case."""
        return self.by.partition(":")[2].strip().lower()

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{self.header} {self.group}"
        return f"{format_share(self.share)} of the treatment arm's predictions of {self.target} for {who} become {self.decision}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows of the group get the decision; its score and the best score change places."""
        if call.headers.get(self.header) != self.group:
            return rows
        return [self._decided(row) if call.selected(row.index) else row for row in rows]

    def _decided(self, row: Row) -> Row:
        if row.label == self.decision or self.decision not in row.classes:
            return row
        scores, given = row.scores, row.classes.index(self.decision)
        if scores is not None and len(scores) == len(row.classes):
            best = scores.index(max(scores))
            moved = [*scores]
            moved[given], moved[best] = scores[best], scores[given]
            scores = tuple(moved)
        return Row(row.index, row.classes[given], scores, row.classes)

    def treated(self, signal: Signal, control: float) -> float | None:
        """A gap between groups grows towards the whole approval rate; how far, the base rate decides. Not predicted else."""
        return control + self.share * (1 - control) if signal is Signal.fairness_gap else None
