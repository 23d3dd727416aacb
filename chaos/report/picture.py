"""A timeline as one inline SVG: lanes over one shared axis of seconds. Pure functions from values to text, no library.

    Picture = axis + spans (phases) + fault period + lanes ─▶ draw() ─▶ "<svg …>"

A `CurveLane` shows values with their bounds, a `StateLane` bars (an alert pending, firing) and marks (somebody told).
Colours are classes; the page that holds the picture defines them for light and dark. Every shape can be told apart
without colour: pending is a thin outlined bar and firing a thick filled one, bounds are dashed, marks differ in shape
and carry words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from chaos.bounds import kind_of_unit
from chaos.report.scales import MINUS, Samples, known, nice_step, pieces, thin, tick_text, ticks, time_step, time_text

WIDTH, LEFT, RIGHT = 1000.0, 66.0, 84.0
"""The drawing's width and its gutters: y labels to the left, bounds to the right."""
PLOT, TITLE, ROW, GAP = 62.0, 19.0, 17.0, 10.0
"""Heights: of a curve's plot, of a lane's title, of a row of bars or marks, and between lanes."""
CHARACTER, BOLD = 6.4, 8.6
"""How wide a character of labels and of lane titles is at most, on average; decides what fits."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A dashed line at `value`; `beyond` says on which side of it values are out of bounds."""

    value: float
    text: str
    beyond: Literal["above", "below", "neither"] = "neither"


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
    state: Literal["pending", "firing"]


@dataclass(frozen=True, slots=True)
class CurveLane:
    """Curves of (seconds, value) with their limits. Values that are not finite break the line."""

    title: str
    note: str
    unit: str
    curves: tuple[Samples, ...]
    limits: tuple[Limit, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class StateLane:
    """Bars and marks of one alert, or of the run itself."""

    title: str
    note: str
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
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
    """The y axis: every value and limit with a margin; shares stay within 0 and 1, positive values above 0."""
    values = [value for curve in lane.curves for _, value in curve if known(value)]
    values += [limit.value for limit in lane.limits if known(limit.value)]
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


# --- drawing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Axis:
    start_s: float
    end_s: float

    def x(self, at_s: float) -> float:
        share = (min(max(at_s, self.start_s), self.end_s) - self.start_s) / (self.end_s - self.start_s)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _cut(said: str, most: int) -> str:
    return said if len(said) <= most else said[: max(0, most - 1)] + "…"


def _text(x: float, y: float, said: str, kind: str, *, anchor: str = "start", room: float = WIDTH) -> str:
    """A label that is cut to its room; what was cut stands in its title."""
    most = max(1, int(room / CHARACTER))
    inside = escape(said) if len(said) <= most else f"{escape(_cut(said, most))}<title>{escape(said)}</title>"
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{inside}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _box(x: float, y: float, width: float, height: float, kind: str, *, said: str = "") -> str:
    title = f"<title>{escape(said)}</title>" if said else ""
    size = f'width="{max(0.0, width):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{kind}">{title}</rect>'


def _sign(x: float, y: float, sign: str, said: str) -> str:
    """A mark around (x, y): down is told, up is resolved, a cross stops, a bar is a deadline, a diamond moved."""
    paths = {
        "told": f"M{x - 5:.1f} {y - 5:.1f}h10l-5 9z",
        "resolved": f"M{x - 5:.1f} {y + 4:.1f}h10l-5 -9z",
        "stop": f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8",
        "deadline": f"M{x:.1f} {y - 7:.1f}v14",
        "moved": f"M{x - 4:.1f} {y:.1f}l4 -4l4 4l-4 4z",
    }
    return f'<path d="{paths[sign]}" class="mark {sign}"><title>{escape(said)}</title></path>'


def _marks(marks: Sequence[Mark], axis: _Axis, top: float) -> tuple[list[str], int]:
    """The marks with their words, in as few rows as words allow, and how many; those without room share a last row."""
    drawn: list[str] = []
    taken: list[list[tuple[float, float]]] = []
    wordless: list[Mark] = []
    for mark in sorted(marks, key=lambda one: one.at_s):
        x, width = axis.x(mark.at_s), len(mark.text) * CHARACTER + 10
        to_left = x + width > WIDTH - 4 and x - width > 4
        start, end = (x - width, x + 7) if to_left else (x - 7, x + width)
        fits = (row for row, used in enumerate(taken) if all(end < a or start > b for a, b in used))
        row = next(fits, len(taken) if len(taken) < 5 else None)
        if row is None:
            wordless.append(mark)
            continue
        if row == len(taken):
            taken.append([])
        taken[row].append((start, end))
        y = top + (row + 0.5) * ROW
        room = (x if to_left else WIDTH - x) - 10
        drawn += [
            _sign(x, y, mark.sign, mark.text),
            _text(
                x - 9 if to_left else x + 9, y + 4, mark.text, "label", anchor="end" if to_left else "start", room=room
            ),
        ]
    drawn += [_sign(axis.x(mark.at_s), top + (len(taken) + 0.5) * ROW, mark.sign, mark.text) for mark in wordless]
    return drawn, len(taken) + bool(wordless)


def _heading(lane: CurveLane | StateLane, top: float) -> str:
    title = _cut(lane.title, 70)
    note = _cut(lane.note, int((WIDTH - LEFT - 8 - len(title) * BOLD) / CHARACTER))
    return (
        f'<text x="{LEFT:.1f}" y="{top + 13:.1f}" class="lane">{escape(title)}'
        f'<tspan class="note" dx="8">{escape(note)}</tspan><title>{escape(f"{lane.title} {lane.note}")}</title></text>'
    )


def _limits(lane: CurveLane, top: float, height: float, scale: Sequence[float]) -> list[str]:
    low, high = scale
    right, drawn = WIDTH - RIGHT, []
    labels: list[float] = []
    for limit in lane.limits:
        if not known(limit.value):
            continue
        y = top + height * (high - limit.value) / (high - low)
        if limit.beyond == "below":
            drawn.append(_box(LEFT, y, right - LEFT, top + height - y, "beyond"))
        elif limit.beyond == "above":
            drawn.append(_box(LEFT, top, right - LEFT, y - top, "beyond"))
        drawn.append(_line(LEFT, y, right, y, "limit"))
        label = y + 4 if all(abs(y + 4 - other) > 12 for other in labels) else y + 16
        labels.append(label)
        drawn.append(_text(right + 6, label, limit.text, "limit-text", room=RIGHT - 6))
    return drawn


def _curve(samples: Samples, axis: _Axis, top: float, height: float, scale: Sequence[float]) -> str:
    low, high = scale
    path: list[str] = []
    for piece in pieces([(at, value) for at, value in samples if axis.start_s <= at <= axis.end_s]):
        points = [(axis.x(at), top + height * (high - value) / (high - low)) for at, value in thin(piece)]
        path.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("h0.1" if len(points) == 1 else ""))
    return f'<path d="{"".join(path)}" class="curve"/>' if path else ""


def _curve_lane(lane: CurveLane, axis: _Axis, top: float) -> tuple[list[str], float]:
    plot, height = top + TITLE, PLOT
    low, high = scale = value_range(lane)
    step = nice_step(high - low, 4)
    drawn = [_heading(lane, top), _box(LEFT, plot, WIDTH - LEFT - RIGHT, height, "plot")]
    for value in ticks(low, high, step):
        y = plot + height * (high - value) / (high - low)
        drawn.append(_line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        drawn.append(_text(LEFT - 6, y + 4, tick_text(value, lane.unit, step), "tick", anchor="end", room=LEFT - 6))
    drawn += _limits(lane, plot, height, scale)
    curves = [_curve(samples, axis, plot, height, scale) for samples in lane.curves]
    drawn += [curve for curve in curves if curve]
    if not any(curves):
        drawn.append(_text((LEFT + WIDTH - RIGHT) / 2, plot + 16, "no data", "label", anchor="middle"))
    marks, rows = _marks(lane.marks, axis, plot + height + 1)
    return drawn + marks, TITLE + height + rows * ROW + GAP


def _state_lane(lane: StateLane, axis: _Axis, top: float) -> tuple[list[str], float]:
    drawn, bars = [_heading(lane, top)], top + TITLE
    nothing = not lane.bars and all(mark.sign == "deadline" for mark in lane.marks)
    height = ROW if lane.bars or nothing else 0.0
    if lane.bars:
        drawn.append(_line(LEFT, bars + ROW / 2, WIDTH - RIGHT, bars + ROW / 2, "rail"))
    for bar in lane.bars:
        x, width = axis.x(bar.start_s), axis.x(bar.end_s) - axis.x(bar.start_s)
        inset = 4.0 if bar.state == "pending" else 0.5
        said = f"{bar.state} from {bar.start_s:.1f} s to {bar.end_s:.1f} s".replace("-", MINUS)
        kind = f"bar {bar.state}" if lane.mine else f"bar {bar.state} other"
        drawn.append(_box(x, bars + inset, max(width, 1.5), ROW - 2 * inset, kind, said=said))
        if bar.state == "firing" and width > len(bar.state) * CHARACTER + 8:
            drawn.append(_text(x + 6, bars + 12.5, bar.state, "inside"))
    if nothing:
        drawn.append(_text(LEFT, bars + 12.5, "never pending, never firing", "label quiet"))
    marks, rows = _marks(lane.marks, axis, bars + height + 1)
    return drawn + marks, TITLE + height + rows * ROW + GAP


def _header(picture: Picture, axis: _Axis) -> list[str]:
    """The phases along the top, and the moments of the first effect and the removal below them."""
    drawn: list[str] = []
    place = 0
    for span in picture.spans:
        x, width = axis.x(span.start_s), axis.x(span.end_s) - axis.x(span.start_s)
        drawn.append(_box(x, 2, width, 20, f"phase phase-{place % 2}", said=span.name))
        place += width > 2  # what is too short to be seen does not take a turn of the two shades
        if width > 24:
            drawn.append(_text(x + width / 2, 16, span.name, "phase-name", anchor="middle", room=width - 4))
    if picture.fault is not None:
        effect, removal = picture.fault
        x = axis.x(effect)
        left = x - LEFT > len(picture.zero) * CHARACTER
        drawn.append(_text(x - 4 if left else x, 37, picture.zero, "moment", anchor="end" if left else "start"))
        if removal is not None:
            last = axis.x(removal)
            said = f"removed +{removal:.1f} s"
            beside = last + len(said) * CHARACTER < WIDTH
            y = (
                37 if left or last - x > 150 else 50
            )  # below the first effect's words where both would stand on one spot
            x, anchor = (last + 4, "start") if beside else (WIDTH - 2, "end")
            drawn.append(_text(x, y, said, "moment", anchor=anchor))
    return drawn


def draw(picture: Picture) -> str:
    """The SVG: one element, well-formed, with a title and a description; its height follows from the lanes."""
    axis = _Axis(picture.start_s, max(picture.end_s, picture.start_s + 1.0))
    top = head = 56.0
    lanes: list[str] = []
    for lane in picture.lanes:
        drawn, height = _curve_lane(lane, axis, top) if isinstance(lane, CurveLane) else _state_lane(lane, axis, top)
        lanes += drawn
        top += height
    behind: list[str] = []
    if picture.fault is not None:
        effect, removal = (
            axis.x(picture.fault[0]),
            axis.x(picture.fault[1] if picture.fault[1] is not None else axis.end_s),
        )
        behind.append(_box(effect, 22, removal - effect, top - 22, "fault", said="the fault was on"))
        behind += [_line(axis.x(at), 22, axis.x(at), top, "edge") for at in picture.fault if at is not None]
    step = time_step(axis.end_s - axis.start_s)
    behind += [_line(axis.x(at), head, axis.x(at), top, "grid") for at in ticks(axis.start_s, axis.end_s, step)]
    below = [_line(LEFT, top, WIDTH - RIGHT, top, "axis")]
    for at in ticks(axis.start_s, axis.end_s, step):
        below += [
            _line(axis.x(at), top, axis.x(at), top + 5, "axis"),
            _text(axis.x(at), top + 18, time_text(at, step), "tick", anchor="middle"),
        ]
    below.append(
        _text(
            LEFT,
            top + 34,
            f"seconds since the {picture.zero}" if step < 60 else f"time since the {picture.zero}",
            "label",
        )
    )
    height = top + 42
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        'aria-labelledby="timeline-title timeline-description"><title id="timeline-title">Timeline of the run</title>'
        f'<desc id="timeline-description">{escape(picture.description)}</desc>'
        f"{''.join(behind + _header(picture, axis) + lanes + below)}</svg>"
    )
