"""miscalibrated: the model is surer than it is right, or less sure.

In real life: a network that was trained too long, a calibration step that was lost, class weights that nobody corrected for.
No decision changes, so accuracy and class mix stay; whoever multiplies the score with money finds out. Only calibration, or
the distribution of scores, can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import probabilities, rescored
from chaos.rows import Row
from chaos.units import format_share

_LEAST = 1e-12
"""A probability of zero counts as this: its logarithm must be a number."""


class Miscalibrated(Fault):
    """Selected rows get probabilities of another temperature; labels stay.

    Where a threshold decides, a probability that would cross it stops on its own side. Rows without a probability for each known
    class pass.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "scores"
    must = "calibration, the distribution of scores"
    quiet = "accuracy, class mix"
    examples: ClassVar = (
        Example(
            "{fault: miscalibrated, target: loan-model, temperature: 0.4, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model get scores that are too sure (temperature 0.4)",
        ),
        Example(
            "{fault: miscalibrated, target: loan-model, temperature: 3, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model get scores that are not sure enough (temperature 3)",
        ),
        Example("{fault: miscalibrated, target: loan-model, temperature: 1, duration: 60s}", refused="changes nothing"),
    )

    fault: Literal["miscalibrated"] = "miscalibrated"
    temperature: float = Field(
        ge=0.01,
        le=100,
        description="what the logarithms of the probabilities are divided by, without a unit: below 1 too sure, above 1 not enough",
        examples=[3],
    )

    @field_validator("temperature")
    @classmethod
    def _changes(cls, value: float) -> float:
        if value == 1:
            raise ValueError("a temperature of 1 changes nothing; write 0.4 (too sure) or 3 (not sure enough)")
        return value

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        how = "too sure" if self.temperature < 1 else "not sure enough"
        return f"{whose} get scores that are {how} (temperature {self.temperature:g})"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get the softmax of their divided logarithms."""
        return [self._tempered(row) if call.selected(row.index) else row for row in rows]

    def _tempered(self, row: Row) -> Row:
        scores = probabilities(row)
        if scores is None:
            return row
        logarithms = [math.log(max(score, _LEAST)) / self.temperature for score in scores]
        largest = max(logarithms)
        weights = [math.exp(one - largest) for one in logarithms]
        total = sum(weights)
        return rescored(row, [weight / total for weight in weights], keep=True)

    def treated(self, signal: Signal, control: float) -> float | None:
        """No label changes, and so nothing that is made of labels."""
        return control if signal in (Signal.accuracy, Signal.positive_rate, Signal.fairness_gap) else None
