"""An alert's time to detect over weeks as one inline SVG: a dot for each run, its budget dashed, misses at the top. Pure.

Every label is escaped; colours are classes that the page defines. A dot links the run's report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

from chaos.history import AlertTimes, Point
from chaos.report.scales import nice_step, ticks
from chaos.units import format_measured

WIDE, NARROW = 1000.0, 460.0
"""The drawing's widths: on a screen, and on a telephone."""
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 190.0, 50.0, 20.0, 34.0, 26.0
MISSES = 14.0
"""Where misses stand, from the top: above the plot, where no time is."""
APART, APART_WITH_TIME = 76.0, 112.0
"""The least distance of two dates along the axis, and of two with a time of day."""
_STEPS_D = (1 / 288, 1 / 96, 1 / 24, 0.25, 1, 2, 7, 14, 28, 91, 182, 364)
_HOUR_S = 3600.0
_DAY_S = 86400.0


def draw_weeks(times: AlertTimes, *, name: str, link: Callable[[str], str], width: float = WIDE) -> str:
    """The picture, empty when no run says anything of the alert. `name` keeps its ids apart from other pictures' in the page."""
    points = times.points
    if not points:
        return ""
    start, end = _span(points)
    known = [point.after_s for point in points if point.after_s is not None]
    slowest = max([*known, times.within_s or 0.0, 1.0]) * 1.12

    right = width - RIGHT

    def x(at_wall_s: float) -> float:
        return LEFT + (at_wall_s - start) / (end - start) * (right - LEFT)

    def y(after_s: float) -> float:
        return HEIGHT - BOTTOM - after_s / slowest * (HEIGHT - BOTTOM - TOP)

    said = f"{times.alert}: {len(points)} runs, {times.missed} of them missed it"
    parts = [_frame(y, slowest, right), _dates(start, end, x, right)]
    if times.within_s is not None:
        parts.append(_budget(times.within_s, y, right))
    parts += [_steps(points, x, y)]
    parts += [_dot(point, x(point.at_wall_s), y, times.within_s, link) for point in points]
    shown = "wide" if width == WIDE else "tall"
    return (
        f'<svg viewBox="0 0 {width:g} {HEIGHT:g}" class="{shown}" role="img" aria-labelledby="{name}">'
        f'<title id="{name}">{escape(said)}</title>{"".join(parts)}</svg>'
    )


def _span(points: Sequence[Point]) -> tuple[float, float]:
    """From the first to the last run with a margin; at least an hour, so that one run has an axis."""
    start, end = points[0].at_wall_s, points[-1].at_wall_s
    margin = max((end - start) * 0.03, (_HOUR_S - (end - start)) / 2, 1.0)
    return start - margin, end + margin


def _frame(y: Callable[[float], float], slowest: float, right: float) -> str:
    rows = [
        f'<line class="grid" x1="{LEFT:g}" x2="{right:g}" y1="{y(one):.1f}" y2="{y(one):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8:g}" y="{y(one) + 4:.1f}" text-anchor="end">{one:g}s</text>'
        for one in ticks(0.0, slowest, nice_step(slowest, 4))
    ]
    return "".join(rows)


def _dates(start: float, end: float, x: Callable[[float], float], right: float) -> str:
    """Ticks at round moments in UTC: minutes, hours, days, or weeks that begin on a Monday."""
    per_s = (right - LEFT) / (end - start)
    step_s = next(
        (step * _DAY_S for step in _STEPS_D if step * _DAY_S * per_s >= (APART if step >= 1 else APART_WITH_TIME)),
        _STEPS_D[-1] * _DAY_S,
    )
    monday = 4 * _DAY_S  # the epoch was a Thursday
    first = math.ceil((start - monday) / step_s) * step_s + monday
    form = "%d %b %H:%M" if step_s < _DAY_S else "%d %b" if end - start < 300 * _DAY_S else "%d %b %Y"
    parts = []
    for place in range(int((end - first) // step_s) + 1):
        at = first + place * step_s
        text = datetime.fromtimestamp(at, UTC).strftime(form)
        anchor = "middle" if x(at) < right - APART / 4 else "end"  # else it would be cut off
        parts.append(
            f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP:g}" y2="{HEIGHT - BOTTOM:g}"/>'
            f'<text class="tick" x="{x(at):.1f}" y="{HEIGHT - 7:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    return "".join(parts)


def _budget(within_s: float, y: Callable[[float], float], right: float) -> str:
    at = y(within_s)
    return (
        f'<line class="limit" x1="{LEFT:g}" x2="{right:g}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="limit-text" x="{LEFT + 6:g}" y="{at - 5:.1f}">within {within_s:g}s</text>'
    )


def _steps(points: Sequence[Point], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """A thin line through the times in order; it breaks where one was missed, since nothing is known there."""
    pieces: list[list[str]] = [[]]
    for point in points:
        if point.after_s is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{x(point.at_wall_s):.1f},{y(point.after_s):.1f}")
    return "".join(f'<polyline class="path" points="{" ".join(piece)}"/>' for piece in pieces if len(piece) > 1)


def _dot(
    point: Point, at: float, y: Callable[[float], float], within_s: float | None, link: Callable[[str], str]
) -> str:
    """A run: a disc where it told in time, a square where it told too late, a cross at the top where nobody was told."""
    moment = datetime.fromtimestamp(point.at_wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    after = f"told after {format_measured(point.after_s, within_s)}" if point.after_s is not None else "nobody was told"
    said = escape(f"{moment}: {after} ({point.outcome.replace('_', ' ')}); {point.run}")
    if point.after_s is None:
        shape = (
            f'<path class="miss" d="M{at - 5:.1f} {MISSES - 5:.1f}l10 10m0 -10l-10 10"/>'
            f'<rect class="catch" x="{at - 8:.1f}" y="{MISSES - 8:.1f}" width="16" height="16"/>'
        )
    elif point.outcome == "late" or (within_s is not None and point.after_s > within_s):
        shape = f'<rect class="late" x="{at - 5:.1f}" y="{y(point.after_s) - 5:.1f}" width="10" height="10"/>'
    else:
        shape = f'<circle class="told" cx="{at:.1f}" cy="{y(point.after_s):.1f}" r="5"/>'
    return f'<a href="{escape(link(point.folder))}"><title>{said}</title>{shape}</a>'
