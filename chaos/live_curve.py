"""What the live runs of a sweep say of the severities between them: a fitted curve, with intervals that are as wide as the runs are few.

Pure. No chance of nine in ten is ever claimed from it: that would need 29 of 29 runs at one severity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.statistics.curves import Interval, Scale, fit_chance, fit_time
from chaos.units import format_duration

FEWEST = 3
"""Runs of which a curve is made; two are the sentence that stands there anyway."""
POINTS = 25
"""Severities at which the curve is known for drawing."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """One run that proves something: whether the alert told in time, and after how many seconds it told."""

    severity: float
    told: bool
    after_s: float | None


@dataclass(frozen=True, slots=True)
class AtLive:
    """The curve at one severity: the chance to be told in time, and the typical seconds until then; (middle, low, high) each.

    `seconds` is None outside of the severities at which a run told.
    """

    severity: float
    chance: Interval
    seconds: Interval | None


@dataclass(frozen=True, slots=True)
class LiveCurve:
    """The fit to so many runs. `half` is the severity from which on half of such runs tell, with its 90 % interval.

    An end that lies outside of what was tried is None: nobody tried there.
    """

    runs: int
    half: tuple[float | None, float | None, float | None]
    rows: tuple[AtLive, ...]
    sentence: str


def live_curve(runs: Sequence[LiveRun], text: Callable[[float], str], *, rising: bool = True) -> LiveCurve | None:
    """The curve through these runs; None when they are too few. `text` gives a severity as people write it; `rising` says whether the
    larger number is the more severe.
    """
    severities = [one.severity for one in runs]
    if len(runs) < FEWEST or len(set(severities)) < 2:
        return None
    axis = _Axis(logarithmic=min(severities) > 0, rising=rising)
    places = [axis.place(one) for one in severities]
    fit = fit_chance(list(zip(places, [one.told for one in runs], strict=True)))
    timed = [(axis.place(one.severity), one.after_s) for one in runs if one.told and one.after_s]
    at_all = len({place for place, _ in timed}) > 1 and len(timed) >= FEWEST
    time = fit_time(timed, Scale.of(places)) if at_all else None
    first, last = (min(at for at, _ in timed), max(at for at, _ in timed)) if at_all else (math.inf, -math.inf)

    def row(place: float) -> AtLive:
        seconds = time.seconds(place) if time is not None and first <= place <= last else None
        return AtLive(axis.severity(place), fit.chance(place), seconds)

    low, high = min(places), max(places)
    even = [low + (high - low) * step / (POINTS - 1) for step in range(POINTS)]
    rows = tuple(row(place) for place in sorted({*even, *places}))
    half = fit.half()
    known = tuple(axis.severity(one) if low <= one <= high else None for one in half)
    ends = [_end(place, low, high, axis, text) for place in half]
    sentence = f"fitted to {len(runs)} live runs: half of such runs tell from {ends[0]} on (90 % interval: {ends[1]} to {ends[2]})"
    if time is not None:
        sentence += "; of those that tell, typically " + " and ".join(
            _timed(time.seconds(place), text(axis.severity(place))) for place in (first, last)
        )
    return LiveCurve(len(runs), (known[0], known[1], known[2]), rows, sentence)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Severities on the scale on which they count."""

    logarithmic: bool
    rising: bool

    def place(self, severity: float) -> float:
        at = math.log(severity) if self.logarithmic else severity
        return at if self.rising else -at

    def severity(self, place: float) -> float:
        at = place if self.rising else -place
        return math.exp(at) if self.logarithmic else at


def _end(place: float, low: float, high: float, axis: _Axis, text: Callable[[float], str]) -> str:
    """A severity in words; of one that nobody tried only on which side of what was tried it lies."""
    below, above = ("less", "more") if axis.rising else ("more", "less")
    if place < low:
        return f"{below} than {text(axis.severity(low))}"
    if place > high:
        return f"{above} than {text(axis.severity(high))}"
    return text(float(f"{axis.severity(place):.2g}"))


def _timed(seconds: Interval, severity: str) -> str:
    middle, low, high = (format_duration(round(one)) for one in seconds)
    return f"in {middle} at {severity} ({low} to {high})"
