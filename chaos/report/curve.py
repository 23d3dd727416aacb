"""Sensitivity as a drawing: how often an alert tells, and how fast, against severity. Values in, SVG out.

Rehearsed severities carry their intervals; live runs are marks on top, and what is fitted to them is a dotted line in its band.
The axis of severities is logarithmic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos.live_curve import AtLive
from chaos.rehearsal.outcome import AtSeverity
from chaos.report.canvas import FONT_PX, Sheet, tone
from chaos.report.places import TALL, WIDE, Shape
from chaos.report.scales import nice_step, ticks
from chaos.units import format_measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT, GAP, TOP, BOTTOM, LEFT, RIGHT = 150.0, 44.0, 26.0, 30.0, 50.0, 12.0
LABEL = 48.0
"""Pixels that the label of a severity needs."""
NARROW = Shape("wide", 766.0, WIDE.left, WIDE.right, 8)
"""The width of a page of one column."""


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
    *,
    name: str = "curve",
    shape: Shape = NARROW,
) -> str:
    """The picture; `name` keeps it apart from others in the page, `fitted` is the curve through the live runs.

    Empty when there is no severity above nothing.
    """
    known = [row for row in rows if row.severity > 0]
    live = [one for one in live if one.severity > 0]
    fitted = [one for one in fitted if one.severity > 0]
    severities = sorted({row.severity for row in known} | {one.severity for one in live})
    if not severities:
        return ""
    sheet = Sheet(shape.width, TOP + 2 * PLOT + GAP + BOTTOM)
    shares = _axes(sheet, TOP, "told in time, share of scenarios", severities)
    _fit(sheet, shares, [(one.severity, *one.chance) for one in fitted])
    _shares(sheet, shares, known, live)
    times = _axes(sheet, TOP + PLOT + GAP, "seconds until it fired: median, 5 to 95 %", severities)
    _times(sheet, times, known, live, within_s, [one.seconds[2] for one in fitted if one.seconds is not None])
    _fit(sheet, times, [(one.severity, *one.seconds) for one in fitted if one.seconds is not None])
    for one in _apart(severities, times):
        sheet.text(_x(one, times), TOP + 2 * PLOT + GAP + 18, text(one), kind="muted", ha="center")
    said = f"{len(known)} rehearsed severities and {len(live)} live runs"
    title = "How often the alert tells and how fast, against severity"
    return sheet.svg(title, said, name=f"{name}-{shape.name}", shape=shape.name)


def both_curves(
    rows: Sequence[AtSeverity],
    live: Sequence[Live],
    text: Callable[[float], str],
    within_s: float | None,
    name: str,
    fitted: Sequence[AtLive] = (),
) -> str:
    """The picture for a wide page, and for a phone."""
    return "".join(draw_curve(rows, live, text, within_s, fitted, name=name, shape=shape) for shape in (NARROW, TALL))


def _axes(sheet: Sheet, top: float, title: str, severities: Sequence[float]) -> Axes:
    made = sheet.axes(LEFT, top, sheet.width - LEFT - RIGHT, PLOT)
    sheet.text(LEFT, top - 9, title, fontweight=650, fontsize=12.5)
    made.set_xscale("log")
    made.set_xlim(min(severities) * 0.9, max(severities) * 1.1)
    made.yaxis.set_visible(True)
    made.grid(visible=True, axis="y", color=tone("grid"), linewidth=1, linestyle="-")
    made.tick_params(axis="y", length=0, labelsize=FONT_PX, labelcolor=tone("muted"))
    return made


def _x(severity: float, axes: Axes) -> float:
    return float(axes.transData.transform((severity, 0.0))[0])


def _apart(severities: Sequence[float], axes: Axes) -> list[float]:
    """Those whose labels do not stand on each other."""
    kept: list[float] = []
    for one in severities:
        if not kept or _x(one, axes) - _x(kept[-1], axes) >= LABEL:
            kept.append(one)
    return kept


def _shares(sheet: Sheet, axes: Axes, rows: Sequence[AtSeverity], live: Sequence[Live]) -> None:
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0.0, 0.5, 0.9, 1.0], ["0%", "50%", "90%", "100%"])
    if rows:
        axes.plot([row.severity for row in rows], [row.share for row in rows], color=tone("curve"), linewidth=2)
    for row in rows:
        axes.vlines([row.severity], *row.interval, color=tone("curve"), linewidth=1.5)
        said = f"{row.caught} of {row.scenarios}"
        axes.plot([row.severity], [row.share], "o", color=tone("curve"), markersize=6, gid=sheet.name("dot", said))
    for one in live:
        _mark(sheet, axes, one, 1.0 if one.told else 0.0)


def _fit(sheet: Sheet, axes: Axes, points: Sequence[tuple[float, float, float, float]]) -> None:
    """What was fitted to the live runs (severity, middle, low, high) with its interval; nothing when there is no stretch of it."""
    if len(points) < 2:
        return
    severities, middle, low, high = zip(*points, strict=True)
    band = axes.fill_between(severities, low, high, color=tone("good"), alpha=0.12, linewidth=0)
    band.set_gid(sheet.name("fit-band", "90 % interval of what was fitted to the live runs"))
    said = "fitted to the live runs alone"
    axes.plot(severities, middle, color=tone("good"), linewidth=1.6, linestyle=(0, (2, 2)), gid=sheet.name("fit", said))


def _times(
    sheet: Sheet,
    axes: Axes,
    rows: Sequence[AtSeverity],
    live: Sequence[Live],
    within_s: float | None,
    fitted_s: Sequence[float],
) -> None:
    known_s = [row.latest_s or 0.0 for row in rows] + [one.after_s or 0.0 for one in live]
    slowest = max([*known_s, *fitted_s, within_s or 0.0, 1.0])
    top = slowest * 1.1
    axes.set_ylim(0, top)
    at = ticks(0.0, top, nice_step(top, 4))
    axes.set_yticks(at, [f"{one:g}s" for one in at])
    if within_s is not None:
        axes.axhline(
            within_s,
            color=tone("bad"),
            linewidth=1.3,
            linestyle=(0, (4, 3)),
            gid=sheet.name("limit", f"asked for within {within_s:g} s"),
        )
    band = [
        (row.severity, row.earliest_s, row.latest_s)
        for row in rows
        if row.earliest_s is not None and row.latest_s is not None
    ]
    if len(band) > 1:
        severities, first, last = zip(*band, strict=True)
        axes.fill_between(severities, first, last, color=tone("band"), linewidth=0)
    timed = [(row.severity, row.median_s) for row in rows if row.median_s is not None]
    if timed:
        axes.plot([one for one, _ in timed], [one for _, one in timed], color=tone("curve"), linewidth=2)
    for one in live:
        if one.after_s is not None:
            _mark(sheet, axes, one, one.after_s, within_s)


def _mark(sheet: Sheet, axes: Axes, one: Live, y: float, within_s: float | None = None) -> None:
    """A live run: a filled diamond where it told, an open one where it did not."""
    after = f" after {format_measured(one.after_s, within_s)[:-1]} s" if one.after_s is not None else ""
    said = f"live run: {'told' if one.told else 'not told in time'}{after}"
    drawn = axes.scatter(
        [one.severity],
        [y],
        s=70,
        marker="D",
        zorder=6,
        clip_on=False,
        gid=sheet.name("live" if one.told else "missed", said),
    )
    drawn.set_facecolor(tone("good" if one.told else "card"))
    drawn.set_edgecolor(tone("good" if one.told else "bad"))
    drawn.set_linewidth(0 if one.told else 1.8)
