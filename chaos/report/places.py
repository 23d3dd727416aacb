"""Where things stand in a drawing of the timeline: heights, gutters, and which words fit where. Pure arithmetic in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.report.picture import CurveLane, Mark, StateLane

PLOT, TITLE, ROW, GAP, HEAD, FOOT = 64.0, 22.0, 18.0, 14.0, 58.0, 44.0
"""Heights: of a curve's plot, of a lane's title, of a row of bars or marks, between lanes, above all and below all."""
CHARACTER, BOLD = 6.3, 7.6
"""How wide a character of words and of lane titles is at most, on average, in pixels; decides what fits."""
MOST_ROWS = 5
"""So many rows of a lane's marks carry words; the rest are marks alone, whose words a pointer shows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How wide a drawing is, and its gutters: values to the left, what bounds are called to the right (0: above their line)."""

    name: str
    width: float
    left: float
    right: float
    most_ticks: int

    @property
    def room(self) -> float:
        """Pixels of the time axis."""
        return self.width - self.left - self.right


WIDE = Shape("wide", 1028.0, 58.0, 96.0, 10)
TALL = Shape("tall", 350.0, 46.0, 10.0, 5)


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark with the row that its words stand in (None: no room for words), and to which side of it."""

    mark: Mark
    row: int | None
    to_left: bool


@dataclass(frozen=True, slots=True)
class Axis:
    shape: Shape
    start_s: float
    end_s: float

    def x(self, at_s: float) -> float:
        share = (min(max(at_s, self.start_s), self.end_s) - self.start_s) / (self.end_s - self.start_s)
        return self.shape.left + share * self.shape.room


def place(marks: Sequence[Mark], axis: Axis) -> list[Placed]:
    """The marks in as few rows as their words allow: no word lies on another one."""
    width = axis.shape.width
    taken: list[list[tuple[float, float]]] = []
    found: list[Placed] = []
    for mark in sorted(marks, key=lambda one: one.at_s):
        x, room = axis.x(mark.at_s), len(mark.text) * CHARACTER + 12
        to_left = x + room > width - 2 and x > width / 2
        start, end = (x - room, x + 8) if to_left else (x - 8, x + room)
        fits = (row for row, used in enumerate(taken) if all(end < a or start > b for a, b in used))
        row = next(fits, len(taken) if len(taken) < MOST_ROWS else None)
        if row is not None:
            if row == len(taken):
                taken.append([])
            taken[row].append((start, end))
        found.append(Placed(mark, row, to_left))
    return found


def rows(marks: Sequence[Placed]) -> int:
    worded = max((one.row + 1 for one in marks if one.row is not None), default=0)
    return worded + any(one.row is None for one in marks)


def bars_height(lane: StateLane) -> float:
    return ROW if lane.bars or lane.quiet else 0.0


def height_of(lane: CurveLane | StateLane, marks: Sequence[Placed]) -> float:
    return TITLE + (PLOT if isinstance(lane, CurveLane) else bars_height(lane)) + rows(marks) * ROW + GAP


def cut(said: str, room: float, character: float = CHARACTER) -> str:
    """As much of it as stands in so many pixels, with an ellipsis where something is left out."""
    most = max(1, int(room / character))
    return said if len(said) <= most else said[: most - 1] + "…"
