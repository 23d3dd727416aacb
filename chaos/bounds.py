"""Bounds on probes as people write them: `min: 99.5%`, `max: 250ms`, `max: 2x baseline`, `min: 1`.

A bound carries the unit of its probe. A number without one is right only where the probe counts things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from chaos.units import format_duration, format_share, parse_duration, parse_share

Kind = Literal["share", "duration", "number", "baseline"]


@dataclass(frozen=True, slots=True)
class Bound:
    """`value` is a share in [0, 1], seconds, a plain number, or (kind baseline) a multiple of the baseline's value."""

    kind: Kind
    value: float

    def __str__(self) -> str:
        match self.kind:
            case "share":
                return format_share(self.value)
            case "duration":
                return format_duration(self.value)
            case "baseline":
                return f"{self.value:.10g}x baseline"
            case _:
                return f"{self.value:g}"

    def resolve(self, baseline: float | None) -> float | None:
        """The bound as a number, or None when it is relative and the baseline is not known."""
        if self.kind != "baseline":
            return self.value
        return None if baseline is None else self.value * baseline


_UNIT_KIND: dict[str, Kind] = {"ratio": "share", "share": "share", "s": "duration", "seconds": "duration"}


def kind_of_unit(unit: str) -> Kind:
    """What a bound on a probe of this unit must be written as."""
    return _UNIT_KIND.get(unit, "number")


def format_value(value: float, unit: str) -> str:
    """A probe's value for people: 93.1% for ratios, 182ms for seconds, 40.2 1/s otherwise."""
    match kind_of_unit(unit):
        case "share":
            return f"{value * 100:.1f}%"
        case "duration":
            return f"{value * 1000:.0f}ms" if value < 10 else f"{value:.1f}s"
        case _:
            return f"{value:.4g}" if unit in ("", "1", "count") else f"{value:.4g} {unit}"


def parse_bound(value: object) -> object:
    """A Bound from its text; ValueError says what to write instead."""
    if isinstance(value, Bound):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Bound("number", float(value))
    text = str(value).strip()
    multiple = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*x\s+baseline", text)
    if multiple:
        return Bound("baseline", float(multiple[1]))
    if text.endswith("%"):
        return Bound("share", parse_share(text))
    try:
        return Bound("duration", parse_duration(text))
    except ValueError:
        raise ValueError(f"{value!r} is no bound; write something like 99.5%, 250ms or `2x baseline`") from None


BoundText = Annotated[
    Bound,
    BeforeValidator(parse_bound),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["99.5%", "250ms", "2x baseline"]}),
]
