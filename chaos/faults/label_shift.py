"""label_shift: an outcome becomes more frequent, or less, and each kind of case looks as it always did.

In real life: a wave of fraud, a flu season, a campaign that half of the customers answer. The model was tuned to the old base rate, so
its probabilities and its threshold no longer fit. The mix of its predictions and its calibration move; input drift only as far as
the kinds of case look different.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.loads import Drawn, LoadFault, Population
from chaos.units import Share, format_share


class LabelShift(LoadFault):
    """Selected requests are made of rows among which the positive outcome has another share."""

    needs_labels = True
    family = "data shift"
    must = "the mix of predictions, calibration"
    quiet = "error rate, latency"
    examples: ClassVar = (
        Example(
            "{fault: label_shift, target: loan-model, positive: 50%, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model are made of rows of which 50% have the positive outcome",
        ),
        Example("{fault: label_shift, target: loan-model, positive: 50, duration: 60s}", refused="write 50%"),
    )

    fault: Literal["label_shift"] = "label_shift"
    positive: Share = Field(description="share of the positive outcome among the selected requests", examples=["50%"])

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{who} are made of rows of which {format_share(self.positive)} have the positive outcome"

    def unfit(self, population: Population) -> str | None:
        """Both kinds of row must be there, and somebody must have said which outcome is the positive one."""
        if population.positive is None:
            return f"{self.fault} must know which outcome is the positive one; write `positive:` under `request` in the system file"
        missing = [kind for kind in (True, False) if not population.having(positive=kind)]
        if missing:
            told = (
                f"has the outcome {population.positive}"
                if missing[0]
                else f"has another outcome than {population.positive}"
            )
            return f"{self.fault}: no row of the load's data {told}, so nothing can be shifted"
        return None

    def draw(self, drawn: Drawn, population: Population, call: Call) -> Drawn:
        """A row of the wanted outcome; one that has it already stays, so that each kind is drawn as before."""
        if not call.selected(drawn.number):
            return drawn
        wanted = call.chance(drawn.number, "label_shift outcome") < self.positive
        rows = population.having(positive=wanted)
        if not rows or (drawn.label is not None and (drawn.label == population.positive) is wanted):
            return drawn
        row = rows[int(call.chance(drawn.number, "label_shift row") * len(rows))]
        return Drawn(drawn.number, row, population.label_of(row))
