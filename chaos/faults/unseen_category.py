"""unseen_category: a feature has a value that the model has never seen.

In real life: a new product, a new branch, a typing error upstream, a code list that was renumbered. Encoders drop it or make zeros
of it, and the model answers as if nothing was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import Feature, InputFault, called, place_of, with_value
from chaos.rows import Input, Value
from chaos.units import format_share

_CODES = 9000


class UnseenCategory(InputFault):
    """One feature gets a value that nobody has seen, of the type that it had."""

    must = "data quality: share of unknown categories; feature drift"
    examples: ClassVar = (
        Example(
            "{fault: unseen_category, target: loan-model, feature: typur, share: 15%, duration: 60s}",
            does="15% of the treatment arm's inputs to loan-model have a value as typur that the model has never seen",
        ),
        Example(
            "{fault: unseen_category, target: loan-model, feature: purpose, value: spaceship, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have spaceship as purpose",
        ),
        Example(
            "{fault: unseen_category, target: loan-model, feature: purpose, value: '', duration: 60s}",
            refused="write something like `value: spaceship`",
        ),
    )

    fault: Literal["unseen_category"] = "unseen_category"
    feature: Feature = Field(description="the feature: its name, or its place from 0", examples=["purpose"])
    value: int | float | str | None = Field(
        None, description="the value; else a text like unseen-4711, or a number like -4711, drawn for each input"
    )

    @field_validator("value")
    @classmethod
    def _says_something(cls, value: float | str | None) -> int | float | str | None:
        if value == "":
            raise ValueError(
                "an empty text is a missing value; write something like `value: spaceship`, or `fault: missing_feature`"
            )
        return value

    def explain(self) -> str:
        """One plain sentence."""
        feature = called(self.feature)
        value = (
            f"a value as {feature} that the model has never seen"
            if self.value is None
            else f"{self.value} as {feature}"
        )
        return f"{format_share(self.share)} of the treatment arm's inputs to {self.target} have {value}"

    def acted_on(self) -> Sequence[int | str]:
        """One feature."""
        return [self.feature]

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input with the unseen value. Truth has no third value, and stays."""
        place = place_of(self.feature, one)
        if place is None:
            return None
        was = one.values[place]
        return one if isinstance(was, bool) else with_value(one, place, self._instead(was, one, call))

    def _instead(self, was: Value, one: Input, call: Call) -> Value:
        if self.value is not None:
            return float(self.value) if type(was) is float and type(self.value) is int else self.value
        code = 1000 + int(call.chance(one.index, "unseen_category") * _CODES)
        if type(was) is int:
            return -code
        return -float(code) if isinstance(was, float) else f"unseen-{code}"
