"""Round numbers for axes, and curves made ready to be drawn. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from chaos.bounds import kind_of_unit

POINTS = 600
"""A curve with more samples than this is thinned to the extremes of each column."""
MINUS = "\N{MINUS SIGN}"

Samples = Sequence[tuple[float, float]]
"""(seconds, value), in order of time."""


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides `span` (> 0) into at most `most` parts."""
    raw = span / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw * (1 - 1e-9))


def ticks(low: float, high: float, step: float) -> list[float]:
    """Every multiple of `step` within [low, high], free of rounding noise."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(place * step, digits) + 0.0 for place in range(first, last + 1)]


def time_step(span_s: float) -> float:
    """A round step of the time axis: of seconds, minutes or hours; at most ten ticks."""
    whole = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
    return next((float(step) for step in whole if span_s / step <= 10), nice_step(span_s, 10))


def time_text(seconds: float, step: float) -> str:
    """`-20 s` (with a true minus sign), `0`, `2 min`, `1 h`, in the unit of the step."""
    if seconds == 0:
        return "0"
    unit, size = ("h", 3600.0) if step >= 3600 else ("min", 60.0) if step >= 60 else ("s", 1.0)
    return f"{seconds / size:g} {unit}".replace("-", MINUS)


def tick_text(value: float, unit: str, step: float) -> str:
    """A y label in the probe's unit, as exact as the step needs: 99.5%, 20ms, 0.88."""

    def number(scaled: float, scaled_step: float) -> str:
        if abs(scaled) >= 1e6:
            return f"{scaled:.3g}"
        return f"{scaled:.{min(9, max(0, math.ceil(-math.log10(scaled_step) - 1e-9)))}f}"

    match kind_of_unit(unit):
        case "share":
            return number(value * 100, step * 100) + "%"
        case "duration":
            return number(value * 1000, step * 1000) + "ms" if step < 0.5 else number(value, step) + "s"
        case _:
            return number(value, step)


def known(value: float) -> bool:
    """Whether a value can be drawn: NaN, infinities and values beyond all scales cannot."""
    return math.isfinite(value) and abs(value) < 1e100


def pieces(samples: Samples) -> list[list[tuple[float, float]]]:
    """The unbroken parts of a curve: it breaks at values that are not known, and where samples are missing."""
    times = [at for at, _ in samples]
    gaps = sorted(after - before for before, after in pairwise(times))
    longest = 3.5 * gaps[len(gaps) // 2] if gaps else math.inf
    found: list[list[tuple[float, float]]] = []
    before: float | None = None
    for at, value in samples:
        if not known(value):
            before = None
            continue
        if before is None or at - before > longest:
            found.append([])
        found[-1].append((at, value))
        before = at
    return found


def thin(piece: list[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """At most about `most` samples that still show every peak: the extremes of each column, in order."""
    if len(piece) <= most:
        return piece
    size = math.ceil(len(piece) / (most / 2))
    kept: list[tuple[float, float]] = []
    for place in range(0, len(piece), size):
        column = piece[place : place + size]
        low, high = (pick(column, key=lambda sample: sample[1]) for pick in (min, max))
        kept += sorted({low, high})
    return kept
