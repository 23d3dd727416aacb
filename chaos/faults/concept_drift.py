"""concept_drift: the same case turns out differently than it used to.

In real life: fraudsters change their method, a crisis makes safe borrowers default, a new law turns a yes into a no. The inputs and
the model's answers look as ever, so every monitor of drift is silent; only outcomes that come back can tell, and only when they do.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Signal
from chaos.faults.conditions import ConditionText, parse_condition
from chaos.faults.loads import Drawn, LoadFault, Population, nobody_meets
from chaos.units import format_share


class ConceptDrift(LoadFault):
    """Selected cases have another outcome, where a condition holds; what the model is asked stays as it is."""

    needs_labels = True
    needs_feedback = True
    family = "data shift"
    must = "labelled quality (accuracy, recall)"
    quiet = "drift of inputs and predictions, latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: concept_drift, target: loan-model, where: application.income > 50, duration: 60s}",
            does="100% of the treatment arm's cases at loan-model with application.income > 50 turn out as the next class",
        ),
        Example(
            "{fault: concept_drift, target: loan-model, share: 25%, duration: 60s}",
            does="25% of the treatment arm's cases at loan-model turn out as the next class",
        ),
        Example(
            "{fault: concept_drift, target: loan-model, where: group > north, duration: 60s}",
            refused="write something like income > 50",
        ),
    )

    fault: Literal["concept_drift"] = "concept_drift"
    where: ConditionText | None = Field(
        None,
        description="for which rows the rule has changed, written as for `covariate_shift`; left out: for every row",
        examples=["application.income > 50"],
    )

    def explain(self) -> str:
        """One plain sentence."""
        cases = f"{format_share(self.share)} of the treatment arm's cases at {self.target}"
        return f"{cases}{f' with {self.where}' if self.where else ''} turn out as the next class"

    def unfit(self, population: Population) -> str | None:
        """There must be another outcome, and some row must meet the condition."""
        nobody = nobody_meets(self, self.where, population) if self.where is not None else None
        return super().unfit(population) or nobody

    def draw(self, drawn: Drawn, population: Population, call: Call) -> Drawn:
        """The outcome is the next class; the row is the same."""
        if self.where is not None and not parse_condition(self.where).meets(drawn.row):
            return drawn
        other = population.other(drawn.label) if call.selected(drawn.number) else drawn.label
        return drawn if other is drawn.label else Drawn(drawn.number, drawn.row, other)

    def treated(self, signal: Signal, control: float) -> float | None:
        """With two classes, what was right is wrong; how many cases a condition meets, nobody can say beforehand."""
        if signal is Signal.accuracy and self.where is None:
            return (1 - self.share) * control + self.share * (1 - control)
        return None
