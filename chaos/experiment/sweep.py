"""A sweep as it is written: one parameter of a fault at several severities, so that it shows from which one on somebody is told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from chaos.strict import Strict


def _quantity(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r} is no value of a parameter; write something like 10% or 300ms")
    return value


Quantity = Annotated[Any, AfterValidator(_quantity), WithJsonSchema({"type": ["string", "number"]})]
"""As people write it, with its unit: what it means, the fault's parameter says."""


class SweepEntry(Strict):
    """A grid (`over`), or a bisection of at most so many `steps` between the mildest (`from`) and the severest (`to`)."""

    parameter: str = Field(examples=["share"])
    over: list[Quantity] | None = Field(None, min_length=1, max_length=100, examples=["[2%, 5%, 10%, 20%]"])
    from_: Quantity | None = Field(None, alias="from")
    to: Quantity | None = None
    steps: int | None = Field(None, ge=1, le=50)
    repeats: int = Field(1, ge=1, le=100)

    @model_validator(mode="after")
    def _one_of_two(self) -> SweepEntry:
        ends = (self.from_, self.to, self.steps)
        if self.over is not None and any(one is not None for one in ends):
            raise ValueError("`over` is a grid and `from`, `to` and `steps` are a bisection; write one of the two")
        if self.over is None and any(one is None for one in ends):
            raise ValueError(
                "a sweep needs its severities; write `over: [2%, 5%, 10%]`, or `from: 1%, to: 30%, steps: 6`"
            )
        return self
