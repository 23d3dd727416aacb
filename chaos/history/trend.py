"""Whether an alert has become slower or faster, said only where order alone shows it. Pure.

The last `RECENT` times are held against those before by an exact test of ranks, and nothing is called a change that chance makes more
often than once in a hundred, or that is within what one time is known to. A miss counts as later than every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.statistics import median_interval, rank_sum_p

RECENT = 5
"""The last so many times are what is new. The fewest with which the test can reach ALPHA are five against five."""
BEFORE = 50
"""No more than so many older ones are looked at: what was a year ago is not what it was before."""
ALPHA = 0.01
"""Of two hundred looks at an alert that never changes, about two name a change: people look after every run."""

Direction = Literal["slower", "faster", "no change shown", "too few to say"]


@dataclass(frozen=True, slots=True)
class Trend:
    """Where an alert's times go, why, and how often chance alone would look like that (None where nothing was tested)."""

    direction: Direction
    sentence: str
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Middle:
    """The median of times in seconds, and the interval that holds it (95 %); infinite where misses reach it. None: too few."""

    median_s: float | None
    interval_s: tuple[float, float] | None


def middle(times_s: Sequence[float]) -> Middle:
    """The median of these times and its interval; a miss is infinite."""
    if not times_s:
        return Middle(None, None)
    return Middle(median(times_s), median_interval(times_s))


def median(times_s: Sequence[float]) -> float:
    """The middle one; between two, their mean. Infinite when a miss is the middle one."""
    ordered, half = sorted(times_s), len(times_s) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _rarely(p: float) -> str:
    """A small chance, which is never none."""
    return f"{p:.1%}" if p >= 0.001 else f"{100 * p:.1g}%"


def trend(times_s: Sequence[float], error_s: float = 0.0) -> Trend:
    """What the times, the oldest first, say together. `error_s`: how exactly each one is known."""
    recent, before = times_s[-RECENT:], times_s[:-RECENT][-BEFORE:]
    if len(before) < RECENT:
        return Trend("too few to say", f"{_runs(len(times_s))} of the {2 * RECENT} that it takes to tell a change")
    new_s, old_s = median(recent), median(before)
    p = rank_sum_p(recent, before)
    said = f"the last {RECENT} took {seconds(new_s)}, the {len(before)} before {seconds(old_s)} (medians)"
    apart_s = 0.0 if new_s == old_s else abs(new_s - old_s)
    if p > ALPHA:
        return Trend("no change shown", f"{said}; chance alone does as much in {p:.0%} of cases", p)
    if apart_s <= error_s:
        return Trend("no change shown", f"{said}; each is only known to {seconds(error_s)}", p)
    direction: Direction = "slower" if new_s > old_s else "faster"
    return Trend(direction, f"{said}; chance alone does as much in {_rarely(p)} of cases", p)


def seconds(time_s: float) -> str:
    """`31.4s`, or `for ever` of a miss."""
    return f"{time_s:.1f}s" if math.isfinite(time_s) else "for ever"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
