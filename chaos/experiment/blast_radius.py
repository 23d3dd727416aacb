"""The most that may be hurt, and the guards that end a run at once."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, PlainSerializer, Tag, WithJsonSchema

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


def _times(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write `{value:g}x` for so many times as bad as control")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x", str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is no multiple; write something like 2x: so many times as bad as control")
    if not 1 <= float(found[1]) <= MOST_TIMES:
        raise ValueError(f"{value} is out of 1x to {MOST_TIMES}x; treatment that is no worse than control is no harm")
    return float(found[1])


MOST_TIMES = 20
"""So much worse, and a bound on the probe itself says it sooner."""
TimesText = Annotated[
    float,
    BeforeValidator(_times),
    PlainSerializer(lambda times: f"{times:g}x", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?x$", "examples": ["2x"]}),
]


class GuardArms(Strict):
    """Ends the run when treatment is proven to be more than so many times as bad as control, whenever anybody looks."""

    arms: Literal["mistakes", "errors", "slow"] = Field(examples=["errors"])
    worse_than: TimesText = Field(examples=["2x"])


_KINDS: tuple[tuple[str, type[Strict]], ...] = (("alert", AlertMatch), ("arms", GuardArms))


def _guard_tag(value: Any) -> str:
    return next(
        (key for key, kind in _KINDS if isinstance(value, kind) or (isinstance(value, dict) and key in value)), "probe"
    )


Guard = Annotated[
    Union[Annotated[GuardProbe, Tag("probe")], Annotated[AlertMatch, Tag("alert")], Annotated[GuardArms, Tag("arms")]],
    Discriminator(_guard_tag),
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
