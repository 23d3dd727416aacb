"""train_serve_skew: features are prepared otherwise when the model serves than when it was trained.

In real life: a pipeline written twice, once in SQL and once in the service; rounding in one of them, integer division in the other,
a scaler fitted on last year's data. Every value is nearly right, and quality is worse from the first day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import Feature, InputFault, called, moved, number_of, place_of, with_value
from chaos.rows import Input
from chaos.units import format_share


class TrainServeSkew(InputFault):
    """Rounds, truncates or scales the named features; whole numbers stay whole."""

    must = "labelled quality; feature drift between training and serving"
    examples: ClassVar = (
        Example(
            "{fault: train_serve_skew, target: loan-model, features: [obrat, hrat], how: rounded, digits: -1, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have obrat and hrat rounded to -1 digits",
        ),
        Example(
            "{fault: train_serve_skew, target: loan-model, features: [loanprc], how: truncated, share: 40%, duration: 60s}",
            does="40% of the treatment arm's inputs to loan-model have loanprc truncated to 0 digits",
        ),
        Example(
            "{fault: train_serve_skew, target: loan-model, features: [obrat], how: scaled, factor: 1.2, offset: -3, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have obrat scaled by 1.2, then moved by -3",
        ),
        Example(
            "{fault: train_serve_skew, target: loan-model, features: [obrat], how: scaled, duration: 60s}",
            refused="write `factor:` or `offset:`",
        ),
        Example(
            "{fault: train_serve_skew, target: loan-model, features: [obrat], factor: 2, duration: 60s}",
            refused="write `how: scaled`",
        ),
    )

    fault: Literal["train_serve_skew"] = "train_serve_skew"
    features: list[Feature] = Field(
        min_length=1, description="the features: their names, or their places from 0", examples=[["income"]]
    )
    how: Literal["rounded", "truncated", "scaled"] = Field(
        "rounded",
        description="to `digits` behind the point, half to even or towards zero; or times `factor`, plus `offset`",
    )
    digits: int = Field(0, ge=-9, le=9, description="digits that stay behind the point; -3 for whole thousands")
    factor: float = Field(1.0, description="with `how: scaled`: what a value is multiplied by")
    offset: float = Field(0.0, description="with `how: scaled`: what is added then, in the feature's own unit")

    @model_validator(mode="after")
    def _agree(self) -> TrainServeSkew:
        moves = (self.factor, self.offset) != (1, 0)
        if self.how == "scaled" and not moves:
            raise ValueError("`how: scaled` does not say by what; write `factor:` or `offset:`")
        if self.how != "scaled" and moves:
            raise ValueError("`factor` and `offset` have no use here; write `how: scaled`, or leave them out")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        features = " and ".join(map(called, self.features))
        how = f"{self.how} to {self.digits} digits"
        if self.how == "scaled":
            how = f"scaled by {self.factor:g}, then moved by {self.offset:g}"
        return f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {features} {how}"

    def acted_on(self) -> Sequence[int | str]:
        """All that are named."""
        return self.features

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input with every named feature prepared otherwise that it has."""
        del call
        places = [place for feature in self.features if (place := place_of(feature, one)) is not None]
        if not places:
            return None
        for place in places:
            number = number_of(one.values[place])
            if number is not None:
                one = with_value(one, place, moved(one.values[place], self._prepared(number)))
        return one

    def _prepared(self, number: float) -> float:
        match self.how:
            case "rounded":
                return float(round(number, self.digits))
            case "truncated":
                shifted = number * 10.0**self.digits
                return math.trunc(shifted) / 10.0**self.digits if math.isfinite(shifted) else number
            case _:
                return number * self.factor + self.offset
