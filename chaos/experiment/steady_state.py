"""What a healthy system looks like: probes of the catalogue or written out, each within bounds, and when each is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from chaos.bounds import BoundText
from chaos.probe import Better, Missing
from chaos.strict import Strict
from chaos.units import Duration, format_duration

Moment = Literal["before", "during", "after", "continuous", "eventually"]
DEFAULT: tuple[Moment, ...] = ("before", "during", "after")
"""When an entry is judged that does not say so."""
TOLERANCE_S = 5.0
"""How long a probe may be out of its bounds, in the modes that look at every reading: a share near its bound crosses it more than once."""
SHORTEST_S = 3.0
"""Looks come once a second: whether something lasted, nobody can tell below that."""


class Bounded(Strict):
    """At least one of `min` and `max`."""

    min: BoundText | None = None
    max: BoundText | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounded:
        if self.min is None and self.max is None:
            raise ValueError("a bound is missing; write `min:` or `max:`")
        return self


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_WORDS: dict[str, Any] = {"enum": ["before", "during", "after", "continuous", "eventually"]}
Judged = Annotated[
    list[Moment],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_WORDS, {"type": "array", "items": _WORDS, "minItems": 1}]}),
]


class SteadyEntry(Bounded):
    """Bounds of the steady state, and when they are judged."""

    judged: Judged | None = Field(None, examples=["[before, during, after]"])
    within: Duration | None = None
    for_: Duration | None = Field(None, alias="for")

    @model_validator(mode="after")
    def _fits(self) -> SteadyEntry:
        moments, tolerance = self.moments(), self.for_
        if len(set(moments)) < len(moments):
            raise ValueError(f"`judged` says the same twice; write [{', '.join(dict.fromkeys(moments))}]")
        if self.within is None and "eventually" in moments:
            raise ValueError(
                "`judged: eventually` needs to know until when; write `within: 30s`, counted from the undo"
            )
        if self.within is not None and "eventually" not in moments:
            raise ValueError("`within` belongs to `judged: eventually`; write that, too, or leave `within` out")
        if tolerance is not None and not {"continuous", "eventually"} & set(moments):
            raise ValueError(
                "`for` belongs to `judged: continuous` or `eventually`; write that, too, or leave `for` out"
            )
        if tolerance is not None and tolerance < SHORTEST_S:
            raise ValueError(
                f"`for: {format_duration(tolerance)}` is shorter than what looks once a second can tell; "
                f"write `for: {format_duration(SHORTEST_S)}` or more"
            )
        return self

    def moments(self) -> tuple[Moment, ...]:
        """When it is judged: as it says, else before, during and after the fault."""
        return DEFAULT if self.judged is None else tuple(self.judged)

    def tolerance_s(self) -> float:
        """How long it may be out of its bounds at a stretch, where every look counts; in seconds."""
        return TOLERANCE_S if self.for_ is None else self.for_


class SteadyProbe(SteadyEntry):
    """A catalogue probe within bounds."""

    probe: str = Field(examples=["availability"])

    @property
    def title(self) -> str:
        """What it is called in findings."""
        return self.probe


class SteadyInline(SteadyEntry):
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
