"""What a healthy system looks like: probes of the catalogue or written out, each within bounds."""

from __future__ import annotations

from typing import Annotated, Any, Union

from pydantic import Discriminator, Field, Tag, model_validator

from chaos.bounds import BoundText
from chaos.probe import Better, Missing
from chaos.strict import Strict


class Bounded(Strict):
    """At least one of `min` and `max`."""

    min: BoundText | None = None
    max: BoundText | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounded:
        if self.min is None and self.max is None:
            raise ValueError("a bound is missing; write `min:` or `max:`")
        return self


class SteadyProbe(Bounded):
    """A catalogue probe within bounds."""

    probe: str = Field(examples=["availability"])

    @property
    def title(self) -> str:
        """What it is called in findings."""
        return self.probe


class SteadyInline(Bounded):
    """A probe written out, for one-offs."""

    name: str = Field(examples=["approvals"])
    promql: str = Field(examples=["sum(up)"])
    unit: str = Field(examples=["1/s"])
    better: Better = "neither"
    when_missing: Missing = "inconclusive"

    @property
    def title(self) -> str:
        """What it is called in findings."""
        return self.name


def _steady_tag(value: Any) -> str:
    if isinstance(value, dict):
        return "inline" if "promql" in value or ("name" in value and "probe" not in value) else "probe"
    return "inline" if isinstance(value, SteadyInline) else "probe"


Steady = Annotated[
    Union[Annotated[SteadyProbe, Tag("probe")], Annotated[SteadyInline, Tag("inline")]], Discriminator(_steady_tag)
]
