"""feature_noise: a feature trembles around its true value.

In real life: a failing sensor, a lossy codec, an approximate lookup, a join on a fuzzy key. The mean stays where it was: the spread
tells, and the model's quality.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import NumberFault, called
from chaos.rows import Input
from chaos.units import Share, format_share


class FeatureNoise(NumberFault):
    """Adds normal noise to one feature, the same at every retry; whole numbers stay whole."""

    must = "feature drift: spread; labelled quality"
    quiet = "latency; feature drift: mean"
    examples: ClassVar = (
        Example(
            "{fault: feature_noise, target: loan-model, feature: obrat, relative: 20%, share: 50%, duration: 60s}",
            does="50% of the treatment arm's inputs to loan-model have normal noise on obrat, of 20% of its value",
        ),
        Example(
            "{fault: feature_noise, target: loan-model, feature: obrat, absolute: 5, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have normal noise on obrat, of 5",
        ),
        Example(
            "{fault: feature_noise, target: loan-model, feature: obrat, duration: 60s}",
            refused="write `relative: 10%`, or `absolute: 5`",
        ),
    )

    fault: Literal["feature_noise"] = "feature_noise"
    relative: Share | None = Field(None, description="the noise's standard deviation, as a share of the value")
    absolute: float | None = Field(None, gt=0, description="the noise's standard deviation, in the feature's own unit")

    @model_validator(mode="after")
    def _one_of_them(self) -> FeatureNoise:
        if (self.relative is None) is (self.absolute is None) or self.relative == 0:
            raise ValueError("how much noise is not said, or twice; write `relative: 10%`, or `absolute: 5`")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        much = f"{self.absolute:g}" if self.relative is None else f"{format_share(self.relative)} of its value"
        noise = f"normal noise on {called(self.feature)}, of {much}"
        return f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {noise}"

    def reckoned(self, number: float, one: Input, call: Call) -> float:
        """The number with its noise."""
        deviation = (self.absolute or 0.0) if self.relative is None else abs(number) * self.relative
        return number + deviation * _normal(one, call)


def _normal(one: Input, call: Call) -> float:
    """A number of the standard normal distribution, by the polar form of Box and Muller."""
    radius = math.sqrt(-2 * math.log(1 - call.chance(one.index, "feature_noise: radius")))
    return radius * math.cos(2 * math.pi * call.chance(one.index, "feature_noise: angle"))
