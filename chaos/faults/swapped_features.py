"""swapped_features: two features have each other's values.

In real life: columns in another order than the model was trained on, latitude and longitude, two arguments of one type. Nothing is
missing and every value is a real one, of the wrong thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import Feature, InputFault, called, place_of, with_value
from chaos.rows import Input
from chaos.units import format_share


class SwappedFeatures(InputFault):
    """Two features change values."""

    must = "feature drift of both"
    quiet = "latency; share of missing values"
    examples: ClassVar = (
        Example(
            "{fault: swapped_features, target: loan-model, features: [appinc, cototinc], share: 25%, duration: 60s}",
            does="25% of the treatment arm's inputs to loan-model have appinc and cototinc the other way round",
        ),
        Example(
            "{fault: swapped_features, target: loan-model, features: [appinc, appinc], duration: 60s}",
            refused="write two different features",
        ),
    )

    fault: Literal["swapped_features"] = "swapped_features"
    features: list[Feature] = Field(
        min_length=2,
        max_length=2,
        description="two features: their names, or their places from 0",
        examples=[["a", "b"]],
    )

    @field_validator("features")
    @classmethod
    def _different(cls, value: list[Feature]) -> list[Feature]:
        if value[0] == value[1]:
            raise ValueError(f"{value[0]} has its own value anyway; write two different features")
        return value

    def explain(self) -> str:
        """One plain sentence."""
        both = " and ".join(map(called, self.features))
        return (
            f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {both} the other way round"
        )

    def acted_on(self) -> Sequence[int | str]:
        """Both features."""
        return self.features

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input with both values changed."""
        del call
        first, second = (place_of(feature, one) for feature in self.features)
        if first is None or second is None:
            return None
        return with_value(with_value(one, first, one.values[second]), second, one.values[first])
