"""biased_outputs: one group of people gets one decision, whatever the model found.

In real life: a proxy feature that slipped in, training data that forgot a group, a threshold tuned on the majority. Overall
accuracy and drift stay where they were when the group is small: only a number per group can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import decided
from chaos.faults.groups import Place, parse_place, same
from chaos.rows import Label, Row
from chaos.units import format_share


class BiasedOutputs(Fault):
    """Selected rows of one group get one decision; the scores follow.

    The request says the group. One that does not say it, or not for as many rows as the answer has, is hurt nowhere; a body is read
    as JSON only. Rows that lack the decision's class pass.
    """

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
        Example(
            "{fault: biased_outputs, target: loan-model, by: 'feature:age_band', group: young, decision: 0, share: 50%, duration: 60s}",
            does="50% of the treatment arm's predictions of loan-model for feature age_band young become 0",
        ),
        Example(
            "{fault: biased_outputs, target: loan-model, by: 'json:$.applicants[*].group', group: black, decision: 0, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model for $.applicants[*].group black become 0",
        ),
    )

    fault: Literal["biased_outputs"] = "biased_outputs"
    by: str = Field(
        description="where a request says its group: header:NAME; json:$.path into its body, with [*] one a row; feature:NAME, or "
        "feature:NUMBER for a column by its place from 0",
        examples=["header:x-applicant-group"],
    )
    group: Label = Field(description="the group that is hurt", examples=["black"])
    decision: Label = Field(description="the class that it gets, as the model writes it", examples=[0])

    @field_validator("by")
    @classmethod
    def _somewhere(cls, value: str) -> str:
        parse_place(value)
        return value

    @property
    def place(self) -> Place:
        """Where the group is."""
        return parse_place(self.by)

    def needs_body(self) -> bool:
        """Whether the group is in the request's body."""
        return self.place.kind != "header"

    def explain(self) -> str:
        """One plain sentence."""
        where = f"feature {self.place.name}" if self.place.kind == "feature" else self.place.name
        whose = (
            f"{format_share(self.share)} of the treatment arm's predictions of {self.target} for {where} {self.group}"
        )
        return f"{whose} become {self.decision}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows of the group get the decision; its score and the best score change places."""
        groups = self.place.groups(call.headers, call.body, len(rows))
        if not groups:
            return rows
        return [
            self._decided(row) if same(group, self.group) and call.selected(row.index) else row
            for row, group in zip(rows, groups, strict=True)
        ]

    def _decided(self, row: Row) -> Row:
        if row.label == self.decision or self.decision not in row.classes:
            return row
        return decided(row, row.classes.index(self.decision))

    def treated(self, signal: Signal, control: float) -> float | None:
        """A gap between groups grows towards the whole approval rate; how far, the base rate decides. Not predicted else."""
        return control + self.share * (1 - control) if signal is Signal.fairness_gap else None
