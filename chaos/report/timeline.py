"""The timeline drawn by matplotlib: the same picture for a wide page and for a phone. Values in, SVG and its geometry out.

Picture ─▶ places of all lanes and words (pure arithmetic) ─▶ Sheet ─▶ Drawn(svg, where its axis lies)

Lanes of curves are matplotlib axes that share their time axis. Bars, marks and words are placed in pixels, for what fits decides where
they stand: no word may lie on another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos.report.canvas import FONT_PX, Sheet, tone
from chaos.report.picture import Bar, CurveLane, Limit, Picture, StateLane, value_range
from chaos.report.places import (
    BOLD,
    CHARACTER,
    FOOT,
    HEAD,
    PLOT,
    ROW,
    TALL,
    TITLE,
    WIDE,
    Axis,
    Placed,
    Shape,
    bars_height,
    cut,
    height_of,
    place,
    rows,
)
from chaos.report.scales import MINUS, known, nice_step, pieces, thin, tick_text, ticks, time_step, time_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARKS = {"told": "v", "resolved": "^", "stop": "x", "deadline": "|", "moved": "D"}
_MARK_TONE = {"told": "bad", "resolved": "good", "stop": "bad", "deadline": "muted", "moved": "curve"}
_MARK_SIZE = {"told": 58, "resolved": 58, "stop": 42, "deadline": 110, "moved": 26}
_OPEN = ("stop", "deadline")
"""Marks that are lines, without an inside."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The drawing, and how high it is and where its lanes begin and end, for a cursor: pixels of its view box."""

    svg: str
    shape: Shape
    top: float
    bottom: float
    height: float


def draw(picture: Picture, shape: Shape) -> Drawn:
    """The picture in this shape; its height follows from the lanes."""
    axis = Axis(shape, picture.start_s, max(picture.end_s, picture.start_s + 1.0))
    placed = [_placed(lane, axis) for lane in picture.lanes]
    heights = [height_of(lane, marks) for lane, marks in zip(picture.lanes, placed, strict=True)]
    bottom = HEAD + sum(heights)
    drawing = _Drawing(Sheet(shape.width, bottom + FOOT), axis)
    drawing.ground(picture, bottom)
    drawing.head(picture)
    top = HEAD
    for lane, marks, height in zip(picture.lanes, placed, heights, strict=True):
        drawing.lane(lane, marks, top)
        top += height
    drawing.foot(picture, bottom)
    name = f"timeline-{shape.name}"
    svg = drawing.sheet.svg("Timeline of the run", picture.description, name=name, shape=shape.name)
    return Drawn(svg, shape, 24.0, bottom, bottom + FOOT)


def _placed(lane: CurveLane | StateLane, axis: Axis) -> list[Placed]:
    """An alert of something else (a watchdog tells all the time) keeps its marks and says nothing: a pointer shows their words."""
    if isinstance(lane, StateLane) and not lane.mine:
        return [Placed(mark, None, to_left=False) for mark in lane.marks]
    return place(lane.marks, axis)


@dataclass
class _Drawing:
    """One sheet under work. `_plane` covers it all, in its pixels; lanes of curves have axes of their own that share time."""

    sheet: Sheet
    axis: Axis
    _shared: Axes | None = None

    def __post_init__(self) -> None:
        self._behind = self._plane(0)
        self._front = self._plane(10)

    def _plane(self, order: int) -> Axes:
        made = self.sheet.axes(0, 0, self.sheet.width, self.sheet.height)
        made.set_xlim(0, self.sheet.width)
        made.set_ylim(self.sheet.height, 0)
        made.set_zorder(order)
        return made

    def _box(
        self,
        at: tuple[float, float],
        size: tuple[float, float],
        fill: str,
        *,
        front: bool = True,
        named: tuple[str, str] = ("", ""),
        line: str = "",
    ) -> None:
        from matplotlib.patches import Rectangle

        box = Rectangle(
            at, *size, facecolor=tone(fill) if fill else "none", edgecolor=tone(line) if line else "none", linewidth=1.5 if line else 0,
            clip_on=False,
        )  # fmt: skip
        box.set_gid(self.sheet.name(*named))
        (self._front if front else self._behind).add_patch(box)

    def ground(self, picture: Picture, bottom: float) -> None:
        """The time under fault, tinted through all lanes, and the lines of the time axis."""
        if picture.fault is not None:
            effect, removal = picture.fault
            first, last = self.axis.x(effect), self.axis.x(self.axis.end_s if removal is None else removal)
            self._box(
                (first, 24), (last - first, bottom - 24), "fault", front=False, named=("fault", "the fault was on")
            )
            edges = [self.axis.x(at) for at in picture.fault if at is not None]
            self._behind.vlines(edges, 24, bottom, color=tone("fault-edge"), linewidth=1, clip_on=False)
        lines = [self.axis.x(at) for at in ticks(self.axis.start_s, self.axis.end_s, self.step_s)]
        self._behind.vlines(lines, HEAD - 8, bottom, color=tone("grid"), linewidth=1, clip_on=False)

    @property
    def step_s(self) -> float:
        """Between two lines of the time axis."""
        return time_step((self.axis.end_s - self.axis.start_s) * 10 / self.axis.shape.most_ticks)

    def head(self, picture: Picture) -> None:
        """The phases along the top, and the moments of the first effect and of the removal below them."""
        turn = 0
        for span in picture.spans:
            x, width = self.axis.x(span.start_s), self.axis.x(span.end_s) - self.axis.x(span.start_s)
            self._box((x, 2), (width, 20), f"phase-{turn % 2}", named=("phase", span.name))
            turn += width > 2  # what is too short to be seen does not take a turn of the two shades
            if width > len(span.name) * CHARACTER:
                self.sheet.text(x + width / 2, 16, span.name, ha="center")
        if picture.fault is None:
            return
        effect, removal = picture.fault
        x = self.axis.x(effect)
        left = x > len(picture.zero) * BOLD
        self.sheet.text(x - 5 if left else x + 3, 38, picture.zero, ha="right" if left else "left", fontweight=600)
        if removal is not None:
            said = f"removed +{removal:.1f} s"
            last = self.axis.x(removal)
            beside = last + len(said) * BOLD < self.axis.shape.width
            y = 38 if (left and beside) or last - x > 240 else 52
            self.sheet.text(last + 5 if beside else last - 5, y, said, ha="left" if beside else "right", fontweight=600)

    def foot(self, picture: Picture, bottom: float) -> None:
        """The time axis, in the unit of its step."""
        shape = self.axis.shape
        self._behind.hlines([bottom], shape.left, shape.width - shape.right, color=tone("edge-strong"), linewidth=1)
        for at in ticks(self.axis.start_s, self.axis.end_s, self.step_s):
            self.sheet.text(self.axis.x(at), bottom + 17, time_text(at, self.step_s), kind="muted", ha="center")
        word = "seconds" if self.step_s < 60 else "time"
        self.sheet.text(shape.left, bottom + 36, f"{word} since the {picture.zero}", kind="muted")

    def lane(self, lane: CurveLane | StateLane, marks: Sequence[Placed], top: float) -> None:
        """One lane below its title."""
        self._title(lane, top)
        if isinstance(lane, CurveLane):
            self._curves(lane, top + TITLE)
            self._marks(marks, top + TITLE + PLOT + 1)
        else:
            self._bars(lane, top + TITLE)
            self._marks(marks, top + TITLE + bars_height(lane) + 1, mine=lane.mine)

    def _title(self, lane: CurveLane | StateLane, top: float) -> None:
        shape = self.axis.shape
        x = shape.left if shape is WIDE else 2.0
        room = shape.width - x - 4
        title = cut(lane.title, room, BOLD)
        drawn = self.sheet.text(x, top + 15, title, fontsize=12.5, fontweight=650)
        drawn.set_gid(self.sheet.name("lane", f"{lane.title} {lane.note}"))
        note = self.sheet.right_of(drawn) + 9
        if lane.note and shape.width - note > 60:
            self.sheet.text(note, top + 15, cut(lane.note, shape.width - note - 4), kind="muted")

    def _curves(self, lane: CurveLane, top: float) -> None:
        shape = self.axis.shape
        axes = self.sheet.axes(shape.left, top, shape.room, PLOT)
        if self._shared is None:
            self._shared = axes
            axes.set_xlim(self.axis.start_s, self.axis.end_s)
        else:
            axes.sharex(self._shared)
        low, high = value_range(lane)
        axes.set_ylim(low, high)
        step = nice_step(high - low, 4)
        at = ticks(low, high, step)
        axes.yaxis.set_visible(True)
        axes.set_yticks(at, [tick_text(value, lane.unit, step) for value in at])
        axes.tick_params(axis="y", length=0, labelsize=FONT_PX, labelcolor=tone("muted"))
        axes.grid(visible=True, axis="y", color=tone("grid"), linewidth=1, linestyle="-")
        axes.set_zorder(5)
        self._band(lane, axes)
        for limit in lane.limits:
            self._limit(limit, axes, top)
        drawn = [self._curve(axes, lane, number) for number in range(len(lane.curves))]
        if not any(drawn):
            self.sheet.text(shape.left + shape.room / 2, top + PLOT / 2 + 4, "no data", kind="muted", ha="center")

    def _curve(self, axes: Axes, lane: CurveLane, number: int) -> bool:
        """The curve, broken where values are missing; whether there was anything to draw."""
        within = [one for one in lane.curves[number] if self.axis.start_s <= one[0] <= self.axis.end_s]
        parts = [thin(piece) for piece in pieces(within)]
        xs, ys = [], []
        for piece in parts:
            xs += [at for at, _ in piece] + [float("nan")]
            ys += [value for _, value in piece] + [float("nan")]
        if parts:
            (line,) = axes.plot(xs, ys, color=tone("curve"), linewidth=1.8, alpha=1.0 if len(lane.curves) == 1 else 0.7)
            line.set_solid_joinstyle("round")
            line.set_gid(self.sheet.name("curve", lane.names[number] if lane.names else lane.title))
            line.set_clip_on(False)
        dots = [piece[0] for piece in parts if len(piece) == 1]
        if dots:
            axes.plot([at for at, _ in dots], [value for _, value in dots], "o", color=tone("curve"), markersize=3)
        return bool(parts)

    def _band(self, lane: CurveLane, axes: Axes) -> None:
        if lane.band is not None and all(known(value) for value in lane.band):
            axes.axhspan(
                *lane.band, color=tone("band"), linewidth=0, gid=self.sheet.name("band", "what it read in the baseline")
            )

    def _limit(self, limit: Limit, axes: Axes, top: float) -> None:
        low, high = axes.get_ylim()
        if not known(limit.value) or not low <= limit.value <= high:
            return
        kind, style = ("muted", (0, (1.2, 2.2))) if limit.guard else ("bad", (0, (4, 3)))
        axes.axhline(
            limit.value,
            color=tone(kind),
            linewidth=1.2,
            linestyle=style,
            gid=self.sheet.name("guard" if limit.guard else "limit", limit.text),
        )
        if limit.beyond != "neither" and not limit.guard:
            wrong = (limit.value, high) if limit.beyond == "above" else (low, limit.value)
            axes.axhspan(*wrong, color=tone("beyond"), linewidth=0, gid=self.sheet.name("beyond"))
        shape, y = self.axis.shape, top + (high - limit.value) / (high - low) * PLOT
        if shape.right > 40:
            self.sheet.text(shape.width - shape.right + 7, y + 4, cut(limit.text, shape.right - 8), kind=kind)
        else:
            above = y - 3 > top + 8
            self.sheet.text(shape.width - shape.right, y - 3 if above else y + 12, limit.text, kind=kind, ha="right")

    def _bars(self, lane: StateLane, top: float) -> None:
        shape = self.axis.shape
        if not lane.bars:
            if lane.quiet:
                self.sheet.text(
                    shape.left if shape is WIDE else 2.0,
                    top + 13,
                    cut(lane.quiet, shape.width - shape.left),
                    kind="muted",
                    style="italic",
                )
            return
        middle = top + ROW / 2
        self._behind.hlines([middle], shape.left, shape.width - shape.right, color=tone("edge"), linewidth=1)
        for bar in lane.bars:
            self._bar(bar, lane, top)

    def _bar(self, bar: Bar, lane: StateLane, top: float) -> None:
        x, width = self.axis.x(bar.start_s), max(self.axis.x(bar.end_s) - self.axis.x(bar.start_s), 1.5)
        said = f"{lane.title} {bar.state} from {bar.start_s:.1f} s to {bar.end_s:.1f} s".replace("-", MINUS)
        if bar.state == "pending":
            self._box(
                (x, top + 4.5), (width, ROW - 9), "", named=("pending", said), line="warn" if lane.mine else "muted"
            )
            return
        fill = "treatment" if bar.state == "on" else "bad" if lane.mine else "muted"
        self._box((x, top + 1), (width, ROW - 2), fill, named=(bar.state, said))
        if width > len(bar.state) * BOLD + 8:
            self.sheet.text(x + 6, top + 13, bar.state, kind="on-tone", fontweight=600)

    def _marks(self, marks: Sequence[Placed], top: float, *, mine: bool = True) -> None:
        last = rows(marks) - 1
        for one in marks:
            x, y = self.axis.x(one.mark.at_s), top + ((last if one.row is None else one.row) + 0.5) * ROW
            sign = one.mark.sign
            drawn = self._front.scatter(
                [x], [y], s=_MARK_SIZE[sign], marker=_MARKS[sign], color=tone(_MARK_TONE[sign] if mine else "muted")
            )
            drawn.set(
                linewidths=1.8 if sign in _OPEN else 0,
                clip_on=False,
                gid=self.sheet.name(f"mark {sign}", one.mark.text),
            )
            if one.row is not None:
                room = (x if one.to_left else self.axis.shape.width - x) - 10
                side = {"ha": "right" if one.to_left else "left"}
                words = self.sheet.text(
                    x - 9 if one.to_left else x + 9, y + 4, cut(one.mark.text, room), kind="muted", **side
                )
                words.set_gid(self.sheet.name("label"))


def both(picture: Picture) -> Iterator[Drawn]:
    """The picture for a wide page, and for a phone."""
    yield draw(picture, WIDE)
    yield draw(picture, TALL)
