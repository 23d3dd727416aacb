"""schema_change: requests follow another schema than the model's.

In real life: a client was deployed first, a column got a better name, a number became a text in some serializer, a team added a
field. A strict server refuses; a lenient one fills the gap with a default, and nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import Feature, InputFault, called, place_of, with_value
from chaos.rows import Input, Value
from chaos.units import format_share


class SchemaChange(InputFault):
    """Selected requests have one feature under another name, of another type, or one more."""

    must = "schema: unknown and missing features; 4xx where the server is strict"
    examples: ClassVar = (
        Example(
            "{fault: schema_change, target: loan-model, change: renamed, feature: obrat, name: debt_ratio, share: 20%, duration: 60s}",
            does="20% of the treatment arm's requests to loan-model call obrat debt_ratio",
        ),
        Example(
            "{fault: schema_change, target: loan-model, change: retyped, feature: obrat, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model write obrat as another type",
        ),
        Example(
            "{fault: schema_change, target: loan-model, change: extra, name: channel, value: app, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model have one feature more, channel",
        ),
        Example(
            "{fault: schema_change, target: loan-model, change: renamed, feature: obrat, duration: 60s}",
            refused="write `feature:` and `name:`",
        ),
        Example(
            "{fault: schema_change, target: loan-model, change: extra, feature: obrat, duration: 60s}",
            refused="write `name:`",
        ),
    )

    fault: Literal["schema_change"] = "schema_change"
    change: Literal["renamed", "retyped", "extra"] = Field(
        description="renamed: `feature` is called `name` · retyped: a number becomes a text, a text that says one a number, truth "
        "a whole number · extra: one feature more, called `name`"
    )
    feature: Feature | None = Field(None, description="the feature: its name, or its place from 0", examples=["income"])
    name: str | None = Field(None, min_length=1, description="the new name", examples=["monthly_income"])
    value: int | float | str = Field(0, description="with `change: extra`: the value of the feature that is added")

    @model_validator(mode="after")
    def _agree(self) -> SchemaChange:
        wanted = {"renamed": (True, True), "retyped": (True, False), "extra": (False, True)}[self.change]
        if (self.feature is not None, self.name is not None) != wanted:
            told = {
                "renamed": "`feature:` and `name:`",
                "retyped": "`feature:` alone",
                "extra": "`name:` without `feature:`",
            }
            raise ValueError(f"`change: {self.change}` does not say of what; write {told[self.change]}")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        feature = called(self.feature if self.feature is not None else "")
        what = {
            "renamed": f"call {feature} {self.name}",
            "retyped": f"write {feature} as another type",
            "extra": f"have one feature more, {self.name}",
        }
        return f"{format_share(self.share)} of the treatment arm's requests to {self.target} {what[self.change]}"

    def selects_requests(self) -> bool:
        """A client that follows another schema does so in the whole request."""
        return True

    def acted_on(self) -> Sequence[int | str]:
        """One feature, or none where one is added."""
        return [] if self.feature is None else [self.feature]

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input in the other schema."""
        del call
        if self.feature is None:
            assert self.name is not None
            if self.name in one.names:
                return one
            return Input(one.index, (*one.values, self.value), (*one.names, self.name))
        place = place_of(self.feature, one)
        if place is None:
            return None
        if self.name is None:
            return with_value(one, place, _retyped(one.values[place]))
        if self.name in one.names:
            return one
        return Input(one.index, one.values, (*one.names[:place], self.name, *one.names[place + 1 :]))


def _retyped(value: Value) -> Value:
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return repr(value)
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
