"""missing_feature: a feature does not reach the model, or only what stands for "unknown" does.

In real life: an upstream join that found no row, a feature store that timed out and answered with its default, a renamed column
that became null. The model imputes and answers as usual; what it says is worth less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from chaos.faults.base import Call, Example
from chaos.faults.inputs import Feature, InputFault, called, place_of, with_value
from chaos.rows import Input, Value
from chaos.units import format_share

_SAYS = {
    "null": "null as {}",
    "nan": "NaN as {}",
    "zero": "zero as {}",
    "default": "the default {default} as {}",
    "dropped": "no {} at all",
}


def _null(value: object) -> object:
    """Whoever writes null means the word."""
    return "null" if value is None else value


class MissingFeature(InputFault):
    """Selected inputs lack the value of one feature."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    must = "data quality: share of missing values; feature drift"
    examples: ClassVar = (
        Example(
            "{fault: missing_feature, target: loan-model, feature: obrat, share: 20%, duration: 60s}",
            does="20% of the treatment arm's inputs to loan-model have null as obrat",
        ),
        Example(
            "{fault: missing_feature, target: loan-model, feature: 3, as: dropped, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model have no feature 3 at all",
        ),
        Example(
            "{fault: missing_feature, target: loan-model, feature: obrat, as: default, default: -1, duration: 60s}",
            does="100% of the treatment arm's inputs to loan-model have the default -1 as obrat",
        ),
        Example(
            "{fault: missing_feature, target: loan-model, feature: obrat, as: default, duration: 60s}",
            refused="write `default: VALUE`",
        ),
        Example(
            "{fault: missing_feature, target: loan-model, feature: obrat, default: -1, duration: 60s}",
            refused="write `as: default`",
        ),
    )

    fault: Literal["missing_feature"] = "missing_feature"
    feature: Feature = Field(description="the feature: its name, or its place from 0", examples=["income"])
    as_: Annotated[Literal["null", "nan", "zero", "default", "dropped"], BeforeValidator(_null)] = Field(
        "null",
        alias="as",
        description="what stands in its place: null, a bare NaN, zero (an empty text), the `default`, or not even its name "
        "(`dropped` hurts whole requests: most of them name their features once)",
    )
    default: int | float | str | None = Field(None, description="with `as: default`: the value that stands for unknown")

    @model_validator(mode="after")
    def _agree(self) -> MissingFeature:
        if self.as_ == "default" and self.default is None:
            raise ValueError("`as: default` does not say which; write `default: VALUE`")
        if self.as_ != "default" and self.default is not None:
            raise ValueError("`default` has no use here; write `as: default`, or leave it out")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        what = "requests" if self.selects_requests() else "inputs"
        have = _SAYS[self.as_].format(called(self.feature), default=self.default)
        return f"{format_share(self.share)} of the treatment arm's {what} to {self.target} have {have}"

    def selects_requests(self) -> bool:
        """A dropped feature is missing in the whole request: most name their features once for all rows."""
        return self.as_ == "dropped"

    def acted_on(self) -> Sequence[int | str]:
        """One feature."""
        return [self.feature]

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input without the feature's value, or without the feature."""
        del call
        place = place_of(self.feature, one)
        if place is None:
            return None
        if self.as_ == "dropped":
            names, values = one.names, one.values
            return Input(one.index, values[:place] + values[place + 1 :], names[:place] + names[place + 1 :])
        return with_value(one, place, self._instead(one.values[place]))

    def _instead(self, was: Value) -> Value:
        match self.as_:
            case "null":
                return None
            case "nan":
                return was if isinstance(was, float) and was != was else float("nan")  # noqa: PLR0124 - NaN alone is not itself
            case "zero":
                return "" if isinstance(was, str) else type(was)(0) if was is not None else 0
            case _:
                return float(self.default) if type(was) is float and type(self.default) is int else self.default
