"""Two timelines over one axis of seconds, as one inline SVG: curves on each other, bars and marks in two rows. Pure.

Both begin at zero with the first effect. The first run is drawn thin and dashed, the second thick: they are told apart without colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from chaos.report.picture import CurveLane, Picture, StateLane, value_range
from chaos.report.scales import nice_step, pieces, thin, tick_text, ticks, time_step, time_text

WIDTH, LEFT, RIGHT = 1000.0, 66.0, 84.0
TITLE, PLOT, ROW, GAP, TOP = 20.0, 80.0, 20.0, 16.0, 40.0
KIND = ("first", "second")

Lanes = Sequence[CurveLane | StateLane | None]
"""The lane of this name in the first run and in the second; None where a run has none."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a lane is drawn: seconds to x, and its upper edge."""

    x: Callable[[float], float]
    top: float


def overlay(first: Picture, second: Picture) -> str:
    """The picture; every label in it is escaped."""
    start, end = min(first.start_s, second.start_s), max(first.end_s, second.end_s)
    span = max(end - start, 1.0)

    def x(at_s: float) -> float:
        return LEFT + (min(max(at_s, start), end) - start) / span * (WIDTH - LEFT - RIGHT)

    parts: list[str] = []
    top = TOP + 2 * ROW + GAP
    for lanes in _paired(first, second):
        place = _Place(x, top + TITLE)
        drawn, height = (
            _curves(lanes, place) if any(isinstance(one, CurveLane) for one in lanes) else _states(lanes, place)
        )
        parts += [f'<text class="lane" x="{LEFT:g}" y="{top + 12:.1f}">{escape(_title(lanes))}</text>', drawn]
        top += TITLE + height + GAP
    axis = _axis(x, start, start + span, top)
    faults = _faults((first, second), x, top)
    said = f"Two runs over one axis: {first.description} The second: {second.description}"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {top + 10:g}" role="img" aria-labelledby="overlay-title">'
        f'<title id="overlay-title">{escape(said)}</title>{axis}{faults}{"".join(parts)}</svg>'
    )


def _paired(first: Picture, second: Picture) -> list[Lanes]:
    """Lanes of one title and kind together, in the order of the first run; what only the second has comes last."""

    def keyed(picture: Picture) -> dict[tuple[str, bool], CurveLane | StateLane]:
        return {(lane.title, isinstance(lane, CurveLane)): lane for lane in picture.lanes}

    before, after = keyed(first), keyed(second)
    return [(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def _title(lanes: Lanes) -> str:
    lane = next(one for one in lanes if one is not None)
    return f"{lane.title} · {lane.note}" if lane.note else lane.title


def _axis(x: Callable[[float], float], start: float, end: float, bottom: float) -> str:
    step = time_step(end - start)
    rows = [
        f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP - 8:g}" y2="{bottom:.1f}"/>'
        f'<text class="tick" x="{x(at):.1f}" y="{TOP - 14:g}" text-anchor="middle">'
        f"{escape(time_text(at, step) if at else 'first effect')}</text>"
        for at in ticks(start, end, step)
    ]
    return "".join(rows)


def _faults(pictures: tuple[Picture, Picture], x: Callable[[float], float], bottom: float) -> str:
    """When the fault was on, in both runs."""
    parts = []
    for row, (kind, picture) in enumerate(zip(KIND, pictures, strict=True)):
        if picture.fault is None:
            continue
        until = picture.fault[1] if picture.fault[1] is not None else picture.end_s
        y = TOP + row * ROW
        width = max(1.0, x(until) - x(picture.fault[0]))
        said = f"{kind} run: fault on for {until - picture.fault[0]:.1f} s"
        parts.append(
            f'<rect class="span {kind}" x="{x(picture.fault[0]):.1f}" y="{y:.1f}" width="{width:.1f}" height="{ROW - 5:g}"/>'
            f'<text class="tick" x="{x(picture.fault[0]) + 6:.1f}" y="{y + 11.5:.1f}">{said}</text>'
            f'<line class="end {kind}" x1="{x(until):.1f}" x2="{x(until):.1f}" y1="{y:.1f}" y2="{bottom:.1f}"/>'
        )
    return "".join(parts)


def _curves(lanes: Lanes, place: _Place) -> tuple[str, float]:
    both = [lane for lane in lanes if isinstance(lane, CurveLane)]
    ranges = [value_range(lane) for lane in both]
    low, high = min(one for one, _ in ranges), max(one for _, one in ranges)

    def y(value: float) -> float:
        return place.top + PLOT - (min(max(value, low), high) - low) / (high - low) * PLOT

    step = nice_step(high - low, 3)
    parts = [
        f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y(one):.1f}" y2="{y(one):.1f}"/>'
        f'<text class="tick" x="{LEFT - 7:g}" y="{y(one) + 4:.1f}" text-anchor="end">{escape(tick_text(one, both[0].unit, step))}</text>'
        for one in ticks(low, high, step)
    ]
    limits = {(limit.value, limit.text): limit for lane in both for limit in lane.limits}.values()
    parts += [
        f'<line class="limit" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y(limit.value):.1f}" y2="{y(limit.value):.1f}"/>'
        f'<text class="limit-text" x="{WIDTH - RIGHT + 6:g}" y="{y(limit.value) + 4:.1f}">{escape(limit.text)}</text>'
        for limit in limits
    ]
    for kind, lane in zip(KIND, lanes, strict=True):
        for curve in lane.curves if isinstance(lane, CurveLane) else ():
            for piece in pieces(curve):
                line = " ".join(f"{place.x(at):.1f},{y(value):.1f}" for at, value in thin(piece))
                parts.append(f'<polyline class="curve {kind}" points="{line}"/>')
    return "".join(parts), PLOT


def _states(lanes: Lanes, place: _Place) -> tuple[str, float]:
    parts = []
    for row, (kind, lane) in enumerate(zip(KIND, lanes, strict=True)):
        if not isinstance(lane, StateLane):
            continue
        top = place.top + row * ROW
        for bar in lane.bars:
            thick = 10.0 if bar.state == "firing" else 4.0
            width = max(1.0, place.x(bar.end_s) - place.x(bar.start_s))
            parts.append(
                f'<rect class="bar {bar.state} {kind}" x="{place.x(bar.start_s):.1f}" y="{top + (ROW - thick) / 2:.1f}" '
                f'width="{width:.1f}" height="{thick:g}"><title>{kind} run: {bar.state} from {bar.start_s:.1f} s</title></rect>'
            )
        for _, marks in groupby(lane.marks, key=lambda mark: (mark.sign, mark.text)):
            mark = next(marks)
            at = place.x(mark.at_s)
            parts.append(
                f'<path class="mark {mark.sign} {kind}" d="M{at:.1f} {top + 3:.1f}l7 7l-7 7l-7 -7z">'
                f"<title>{kind} run: {escape(mark.text)}</title></path>"
            )
    return "".join(parts), 2 * ROW
