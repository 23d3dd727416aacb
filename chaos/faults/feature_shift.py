"""feature_shift: a feature is off by a constant.

In real life: a sensor that lost its calibration, a clock in another time zone, a price list with tax, inflation that the training
data never saw. Single values look right; their mean has moved.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from chaos.faults.base import Call, Example
from chaos.faults.inputs import NumberFault, called
from chaos.rows import Input
from chaos.units import format_share


def _moves(by: float) -> float:
    if by == 0:
        raise ValueError("a shift by 0 changes nothing; write something like 50, or -2.5")
    return by


class FeatureShift(NumberFault):
    """Adds a constant to one feature; whole numbers stay whole."""

    must = "feature drift: mean"
    examples: ClassVar = (
        Example(
            "{fault: feature_shift, target: loan-model, feature: obrat, by: 25, share: 30%, duration: 60s}",
            does="30% of the treatment arm's inputs to loan-model have 25 more as obrat",
        ),
        Example(
            "{fault: feature_shift, target: loan-model, feature: obrat, by: -2.5, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have 2.5 less as obrat",
        ),
        Example(
            "{fault: feature_shift, target: loan-model, feature: obrat, by: 0, duration: 60s}",
            refused="write something like 50",
        ),
    )

    fault: Literal["feature_shift"] = "feature_shift"
    by: Annotated[float, AfterValidator(_moves)] = Field(
        description="what is added to its value, in the feature's own unit", examples=[50]
    )

    def explain(self) -> str:
        """One plain sentence."""
        more = f"{abs(self.by):g} {'more' if self.by > 0 else 'less'} as {called(self.feature)}"
        return f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {more}"

    def reckoned(self, number: float, one: Input, call: Call) -> float:
        """The number, shifted."""
        del one, call
        return number + self.by
