"""covariate_shift: other people ask than those that the model was trained on.

In real life: a campaign that brings a younger crowd, a new market, a partner that starts to send its own applications. Nothing is
broken and the rule behind the outcomes is the old one; the inputs are no longer what they were. Drift of the inputs must tell.
Accuracy may go up as well as down, and a shift that does no harm should wake nobody who watches quality.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.conditions import ConditionText, parse_condition
from chaos.faults.loads import Drawn, LoadFault, Population, nobody_meets
from chaos.units import format_share


class CovariateShift(LoadFault):
    """Selected requests are made of rows that meet a condition; their outcomes come along, so the rule stays what it was."""

    family = "data shift"
    must = "drift of the inputs"
    quiet = "labelled quality, where the model knows these inputs as well; error rate, latency"
    examples: ClassVar = (
        Example(
            "{fault: covariate_shift, target: loan-model, where: application.income > 50, share: 80%, duration: 60s}",
            does="80% of the treatment arm's requests to loan-model are made of rows with application.income > 50",
        ),
        Example(
            "{fault: covariate_shift, target: loan-model, where: income over 50, duration: 60s}",
            refused="write something like income > 50",
        ),
    )

    fault: Literal["covariate_shift"] = "covariate_shift"
    where: ConditionText = Field(
        description="which rows of the load's data: COLUMN ==, !=, <, <=, > or >= VALUE, several joined by `and`",
        examples=["application.income > 50"],
    )

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{who} are made of rows with {self.where}"

    def unfit(self, population: Population) -> str | None:
        """Some row must meet the condition."""
        return nobody_meets(self, self.where, population)

    def draw(self, drawn: Drawn, population: Population, call: Call) -> Drawn:
        """A row that does not meet the condition gives way to one that does; those that do are drawn as before."""
        rows = population.meeting(self.where)
        if not rows or not call.selected(drawn.number) or parse_condition(self.where).meets(drawn.row):
            return drawn
        row = rows[int(call.chance(drawn.number, "covariate_shift") * len(rows))]
        return Drawn(drawn.number, row, population.label_of(row))
