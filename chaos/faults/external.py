"""external: another tool breaks things, and this run judges.

In real life: a team has its chaos tool already (Chaos Mesh, Litmus, a cloud's own fault injection), a script that fails over a database,
or a person who pulls a cable. What they cannot say is whether anybody would have noticed: that is measured here as for every fault.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from chaos.bounds import Bound, kind_of_unit, parse_bound
from chaos.faults.base import Example, Fault

_WRITTEN = {"share": "50%", "duration": "250ms", "number": "1"}


def _absolute(bound: Bound) -> Bound:
    if bound.kind == "baseline":
        raise ValueError(
            f"`{bound}` is relative, and the effect shows in a value of its own; write something like 1, 50% or 250ms"
        )
    return bound


def _as_written(bound: Bound) -> str | float:
    return bound.value if bound.kind == "number" else str(bound)


Limit = Annotated[
    Bound,
    BeforeValidator(parse_bound),
    AfterValidator(_absolute),
    PlainSerializer(_as_written, return_type=str | float),
    WithJsonSchema({"type": ["string", "number"], "examples": [1, "50%", "250ms"]}),
]


class Effect(BaseModel):
    """What shows that the effect is on: a query, and the bounds within which its value then lies."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    promql: str = Field(min_length=1, description="the query")
    unit: str = Field("", description="what its value counts: ratio, s, 1/s, …; nothing for a plain number")
    min: Limit | None = Field(None, description="on while the value is at least this")
    max: Limit | None = Field(None, description="on while the value is at most this")
    when_missing: Literal["inconclusive", "zero"] = Field(
        "inconclusive", description="`zero`: a query that returns nothing returns a zero; else nobody can tell"
    )

    @model_validator(mode="after")
    def _fits(self) -> Effect:
        if self.min is None and self.max is None:
            raise ValueError("a bound is missing; write `min:` or `max:`")
        wanted = kind_of_unit(self.unit)
        for bound in (self.min, self.max):
            if bound is not None and bound.kind != wanted:
                named = f"in {self.unit}" if self.unit else "without a unit"
                raise ValueError(
                    f"{bound} has the wrong unit for a query {named}; write something like {_WRITTEN[wanted]}"
                    + ("" if self.unit else ", or a `unit:` (`ratio`, `s`)")
                )
        return self

    def __str__(self) -> str:
        bounds = [f"{word} {bound}" for word, bound in (("min", self.min), ("max", self.max)) if bound is not None]
        return f"`{' '.join(self.promql.split())}` reads {' and '.join(bounds)}"


class External(Fault):
    """Nothing is hurt by this run. It begins with its command (`chaos run FILE -- COMMAND…`), or when somebody begins it by hand; that it
    is on, and that it is off again, is what the query of `effect` shows.

    The command gets SIGTERM when the fault is to end, and SIGKILL five seconds later. It must end by then what it began, or what it
    began must end by itself: leases do not apply to it.
    """

    acts_on = "outside"
    family = "external"
    must = "whatever alert the experiment expects"
    quiet = "whatever alert the experiment does not expect"
    examples: ClassVar = (
        Example(
            "{fault: external, target: loan-model, effect: {promql: 'count(up == 0)', min: 1, when_missing: zero}, duration: 60s}",
            does="another tool hurts loan-model, which shows as `count(up == 0)` reads min 1",
        ),
        Example(
            "{fault: external, target: loan-model, effect: {promql: cpu_throttled, unit: ratio, min: 50%}, duration: 60s}",
            does="another tool hurts loan-model, which shows as `cpu_throttled` reads min 50%",
        ),
        Example(
            "{fault: external, target: loan-model, effect: {promql: cpu_throttled, min: 50%}, duration: 60s}",
            refused="write something like 1, or a `unit:`",
        ),
        Example(
            "{fault: external, target: loan-model, effect: {promql: up}, duration: 60s}",
            refused="write `min:` or `max:`",
        ),
        Example(
            "{fault: external, target: loan-model, effect: {promql: up, max: 2x baseline}, duration: 60s}",
            refused="write something like 1, 50% or 250ms",
        ),
        Example(
            "{fault: external, target: loan-model, command: reboot, effect: {promql: up, max: 0}, duration: 60s}",
            refused="command",
        ),
    )

    fault: Literal["external"] = "external"
    effect: Effect = Field(
        description="what shows that it is on: `promql`, its bounds `min` and `max`, its `unit`, and `when_missing: zero` if so",
        examples=["{promql: 'count(up == 0)', min: 1}"],
    )

    def explain(self) -> str:
        """One plain sentence."""
        return f"another tool hurts {self.target}, which shows as {self.effect}"
