"""unit_change: a feature arrives in another unit than the model was trained on.

In real life: metres as millimetres, dollars as cents, a monthly income where a yearly one is meant, a sensor that was replaced.
Every value is a plausible number of the right type: only its distribution tells.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from chaos.faults.base import Call, Example
from chaos.faults.inputs import NumberFault, called
from chaos.rows import Input
from chaos.units import format_share


def _changes(factor: float) -> float:
    if factor in (0, 1):
        raise ValueError(f"a factor of {factor:g} is no other unit; write something like 1000, or 0.001")
    return factor


class UnitChange(NumberFault):
    """Multiplies one feature; whole numbers stay whole."""

    must = "feature drift: mean and range"
    examples: ClassVar = (
        Example(
            "{fault: unit_change, target: loan-model, feature: loanamt, factor: 1000, share: 10%, duration: 60s}",
            does="10% of the treatment arm's inputs to loan-model have 1000 times their loanamt",
        ),
        Example(
            "{fault: unit_change, target: loan-model, feature: loanamt, factor: 1, duration: 60s}",
            refused="write something like 1000",
        ),
    )

    fault: Literal["unit_change"] = "unit_change"
    factor: Annotated[float, AfterValidator(_changes)] = Field(
        description="what its value is multiplied by: 1000 for metres as millimetres", examples=[1000]
    )

    def explain(self) -> str:
        """One plain sentence."""
        times = f"{self.factor:g} times their {called(self.feature)}"
        return f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {times}"

    def reckoned(self, number: float, one: Input, call: Call) -> float:
        """The number in the other unit."""
        del one, call
        return number * self.factor
