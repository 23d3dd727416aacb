"""Sensitivity as one inline SVG: how often an alert tells, and how fast, against severity. Pure functions from values to text.

Rehearsed severities carry their intervals; live runs are marks on top. The axis of severities is logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from chaos.live_curve import AtLive
from chaos.rehearsal.outcome import AtSeverity
from chaos.report.scales import nice_step, ticks

WIDTH, LEFT, RIGHT, HEIGHT, GAP, TOP, BOTTOM = 760.0, 64.0, 20.0, 150.0, 44.0, 24.0, 34.0


@dataclass(frozen=True, slots=True)
class Live:
    """One live run: its severity, whether the alert told, and after how many seconds."""

    severity: float
    told: bool
    after_s: float | None


def draw_curve(
    rows: Sequence[AtSeverity],
    live: Sequence[Live],
    text: Callable[[float], str],
    within_s: float | None = None,
    fitted: Sequence[AtLive] = (),
) -> str:
    """The picture; every label in it is escaped. Empty when there is no severity above nothing.

    `fitted` is the curve through the live runs.
    """
    severities = [one.severity for one in rows if one.severity > 0] + [one.severity for one in live if one.severity > 0]
    if not severities:
        return ""
    low, high = math.log(min(severities) * 0.9), math.log(max(severities) * 1.1)

    def x(severity: float) -> float:
        return LEFT + (math.log(severity) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    known = [row for row in rows if row.severity > 0]
    fit = [one for one in fitted if one.severity > 0]
    times = [row.latest_s or 0.0 for row in known] + [one.after_s or 0.0 for one in live]
    times += [one.seconds[2] for one in fit if one.seconds is not None]
    slowest = max([*times, within_s or 0.0, 1.0]) * 1.1
    parts = [_share_plot(known, live, x, fit), _time_plot(known, live, x, slowest, within_s, fit)]
    bottom = TOP + 2 * HEIGHT + GAP
    labels = "".join(
        f'<text class="tick" x="{x(one):.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{escape(text(one))}</text>'
        for one in _apart(sorted(set(severities)), x)
    )
    height = bottom + BOTTOM
    said = f"{len(known)} rehearsed severities and {len(live)} live runs"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="How often the alert tells and how fast, against severity: {said}">'
        + "".join(parts)
        + labels
        + "</svg>"
    )


def _apart(severities: Sequence[float], x: Callable[[float], float]) -> list[float]:
    """Those whose labels do not stand on each other."""
    kept: list[float] = []
    for one in severities:
        if not kept or x(one) - x(kept[-1]) >= 52:
            kept.append(one)
    return kept


def _frame(top: float, title: str) -> str:
    return (
        f'<text class="lane" x="{LEFT:g}" y="{top - 8:.1f}">{escape(title)}</text>'
        f'<rect class="plot" x="{LEFT:g}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT:g}" height="{HEIGHT:g}"/>'
    )


def _grid_line(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _share_plot(
    rows: Sequence[AtSeverity], live: Sequence[Live], x: Callable[[float], float], fit: Sequence[AtLive]
) -> str:
    top = TOP

    def y(share: float) -> float:
        return top + (1 - share) * HEIGHT

    parts = [_frame(top, "told in time, share of scenarios")]
    parts += [_grid_line(y(share), f"{share:.0%}") for share in (0.0, 0.5, 0.9, 1.0)]
    parts.append(_band([(x(one.severity), *one.chance) for one in fit], y))
    if rows:
        line = " ".join(f"{x(row.severity):.1f},{y(row.share):.1f}" for row in rows)
        parts.append(f'<polyline class="curve" points="{line}"/>')
    for row in rows:
        at, (least, most) = x(row.severity), row.interval
        parts.append(
            f'<line class="interval" x1="{at:.1f}" x2="{at:.1f}" y1="{y(least):.1f}" y2="{y(most):.1f}"/>'
            f'<circle class="dot" cx="{at:.1f}" cy="{y(row.share):.1f}" r="3.2"><title>{row.caught} of {row.scenarios}</title></circle>'
        )
    parts += [_mark(x(one.severity), y(1.0 if one.told else 0.0), one) for one in live]
    return "".join(parts)


def _time_plot(
    rows: Sequence[AtSeverity],
    live: Sequence[Live],
    x: Callable[[float], float],
    slowest: float,
    within_s: float | None,
    fit: Sequence[AtLive],
) -> str:
    top = TOP + HEIGHT + GAP

    def y(seconds: float) -> float:
        return top + HEIGHT - seconds / slowest * HEIGHT

    parts = [_frame(top, "seconds until it fired: median, 5 to 95 %")]
    parts += [_grid_line(y(one), f"{one:g}s") for one in ticks(0.0, slowest, nice_step(slowest, 4))]
    parts.append(_band([(x(one.severity), *one.seconds) for one in fit if one.seconds is not None], y))
    if within_s is not None:
        parts.append(
            f'<line class="limit" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y(within_s):.1f}" y2="{y(within_s):.1f}"/>'
        )
    timed = [(row, row.median_s, row.earliest_s, row.latest_s) for row in rows]
    points = [(x(row.severity), middle, first, last) for row, middle, first, last in timed if middle is not None]
    band = [(at, first, last) for at, _, first, last in points if first is not None and last is not None]
    if len(band) > 1:
        up = " ".join(f"{at:.1f},{y(last):.1f}" for at, _, last in band)
        down = " ".join(f"{at:.1f},{y(first):.1f}" for at, first, _ in reversed(band))
        parts.append(f'<polygon class="band" points="{up} {down}"/>')
    if points:
        line = " ".join(f"{at:.1f},{y(middle):.1f}" for at, middle, _, _ in points)
        parts.append(f'<polyline class="curve" points="{line}"/>')
    parts += [_mark(x(one.severity), y(one.after_s), one) for one in live if one.after_s is not None]
    return "".join(parts)


def _band(points: Sequence[tuple[float, float, float, float]], y: Callable[[float], float]) -> str:
    """A fitted curve (x, middle, low, high) with its interval; nothing when there is no stretch of it."""
    if len(points) < 2:
        return ""
    up = " ".join(f"{at:.1f},{y(high):.1f}" for at, _, _, high in points)
    down = " ".join(f"{at:.1f},{y(low):.1f}" for at, _, low, _ in reversed(points))
    line = " ".join(f"{at:.1f},{y(middle):.1f}" for at, middle, _, _ in points)
    return f'<polygon class="fit-band" points="{up} {down}"/><polyline class="fit" points="{line}"/>'


def _mark(at: float, y: float, one: Live) -> str:
    """A live run: a filled diamond where it told, an open one where it did not."""
    after = f" after {one.after_s:.1f} s" if one.after_s is not None else ""
    return (
        f'<path class="{"live" if one.told else "missed"}" d="M{at:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z">'
        f"<title>live run: {'told' if one.told else 'not told in time'}{after}</title></path>"
    )
