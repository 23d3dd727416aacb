"""A timeline as values: lanes over one shared axis of seconds. Pure; `chaos.report.timeline` draws it, `chaos.report.cursor` reads it out.

    Picture = axis + spans (phases) + fault period + lanes

A `CurveLane` shows values with their bounds and the band of their baseline, a `StateLane` bars (a fault on, an alert pending or firing)
and marks (somebody told). Every shape can be told apart without colour: pending is a thin outlined bar and firing a thick filled one,
bounds are dashed and guards dotted, marks differ in shape and carry words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chaos.bounds import kind_of_unit
from chaos.report.scales import Samples, known


@dataclass(frozen=True, slots=True)
class Limit:
    """A dashed line at `value`; `beyond` says on which side of it values are out of bounds."""

    value: float
    text: str
    beyond: Literal["above", "below", "neither"] = "neither"
    guard: bool = False
    """Whether leaving it would have ended the run at once."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment, in seconds on the picture's axis, with its words."""

    at_s: float
    sign: Literal["told", "resolved", "stop", "deadline", "moved"]
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time in which an alert was in this state."""

    start_s: float
    end_s: float
    state: Literal["on", "pending", "firing"]
    """`on` is a fault's."""


@dataclass(frozen=True, slots=True)
class CurveLane:
    """Curves of (seconds, value) with their limits. Values that are not finite break the line."""

    title: str
    note: str
    unit: str
    curves: tuple[Samples, ...]
    limits: tuple[Limit, ...] = ()
    marks: tuple[Mark, ...] = ()
    band: tuple[float, float] | None = None
    """What it read in the baseline, with what it may do by chance."""
    names: tuple[str, ...] = ()
    """Of each curve, by what its series differ; empty where there is one."""


@dataclass(frozen=True, slots=True)
class StateLane:
    """Bars and marks of one fault, of one alert, or of the run itself."""

    title: str
    note: str
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    quiet: str = ""
    """What stands there when nothing happened."""
    mine: bool = True
    """False draws it without emphasis: an alert that is not about this system."""


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch along the top."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn. Seconds count from `zero`, whose words stand at the axis; `fault` is shaded."""

    start_s: float
    end_s: float
    zero: str
    spans: tuple[Span, ...]
    fault: tuple[float, float | None] | None
    lanes: tuple[CurveLane | StateLane, ...]
    description: str


def value_range(lane: CurveLane) -> tuple[float, float]:
    """The y axis: every value and bound with a margin; shares stay within 0 and 1, positive values above 0.

    A guard's bound is no reason to widen it: that lies far off where nothing has gone wrong.
    """
    values = [value for curve in lane.curves for _, value in curve if known(value)]
    values += [limit.value for limit in lane.limits if known(limit.value) and not limit.guard]
    values += [value for value in lane.band or () if known(value)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    bottom, top = low - margin, high + margin
    if low >= 0:
        bottom = max(0.0, bottom)
    if kind_of_unit(lane.unit) == "share" and high <= 1:
        top = min(1.0, top)
    return bottom, top
