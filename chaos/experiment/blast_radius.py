"""The most that may be hurt, and the guards that end a run at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, Tag

from chaos.arms import place_of
from chaos.caps import MostText
from chaos.experiment.steady_state import Bounded
from chaos.slices import Slice
from chaos.strict import Strict
from chaos.units import Duration, Share


class AlertMatch(Strict):
    """Any alert with these labels."""

    alert: dict[str, str]


class GuardProbe(Bounded):
    """A probe that ends the run when it leaves these bounds for so long."""

    probe: str = Field(examples=["availability"])
    for_: Duration = Field(0.0, alias="for")


def _guard_tag(value: Any) -> str:
    return "alert" if (isinstance(value, dict) and "alert" in value) or isinstance(value, AlertMatch) else "probe"


Guard = Annotated[
    Union[Annotated[GuardProbe, Tag("probe")], Annotated[AlertMatch, Tag("alert")]], Discriminator(_guard_tag)
]


def _by(value: str) -> str:
    if place_of(value) is None:
        raise ValueError(
            f"{value!r} names no subject; write header:NAME, cookie:NAME, query:NAME, json:$.PATH, or request"
        )
    return value


def _slice(value: str) -> str:
    Slice.parse(value)
    return value


class BlastRadius(Strict):
    """The most that may be hurt. In `mode: shadow` nobody is: faults happen to copies of answers."""

    mode: Literal["live", "shadow"] = "live"
    subjects: Literal["synthetic", "users"] = "synthetic"
    traffic: Share = 0.01
    by: Annotated[str, AfterValidator(_by)] | None = None
    where: Annotated[str, AfterValidator(_slice)] | None = None
    most: MostText | None = None
    containers: int = Field(1, ge=1, le=1000)
    max_duration: Duration = Field(examples=["3m"])
    lease: Duration = Field(10.0, ge=1.0, le=60.0, description="how long an effect outlives a runner that is gone")
    abort: list[Guard] = Field(default_factory=list)
