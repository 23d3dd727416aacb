"""What a cursor on the timeline reads out: the same lanes as numbers, for the page's script. Pure.

Picture + its drawings ─▶ cursor() ─▶ JSON that `templates/timeline.js` reads; without the script the page lacks nothing else
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from chaos.bounds import kind_of_unit
from chaos.report.canvas import plain
from chaos.report.picture import CurveLane, Picture, StateLane
from chaos.report.scales import Samples, known, thin
from chaos.report.timeline import Drawn

Json = dict[str, "Json"] | list["Json"] | str | int | float | None
NEAR_S = 0.5
"""A mark is read out within so many seconds of it, or within a hundredth of the axis."""


def cursor(picture: Picture, drawings: Sequence[Drawn]) -> Json:
    """Where the time axis lies in each drawing, and what every lane says when."""
    end_s = max(picture.end_s, picture.start_s + 1.0)
    states = {lane.title for lane in picture.lanes if isinstance(lane, StateLane)}
    return {
        "start": round(picture.start_s, 3),
        "end": round(end_s, 3),
        "near": max(NEAR_S, (end_s - picture.start_s) / 100),
        "zero": picture.zero,
        "phases": [[plain(one.name), round(one.start_s, 3), round(one.end_s, 3)] for one in picture.spans],
        "drawings": {one.shape.name: _place(one) for one in drawings},
        "lanes": [_curves(lane, states) if isinstance(lane, CurveLane) else _states(lane) for lane in picture.lanes],
    }


def _place(drawn: Drawn) -> Json:
    shape = drawn.shape
    return {
        "left": shape.left,
        "right": shape.width - shape.right,
        "top": drawn.top,
        "bottom": drawn.bottom,
        "width": shape.width,
    }


def _curves(lane: CurveLane, states: AbstractSet[str]) -> Json:
    """Of what a rule reads, the title says so: the alert's own lane has the same name."""
    return {
        "title": plain(lane.title) + (" reads" if lane.title in states else ""),
        "unit": kind_of_unit(lane.unit),
        "curves": [
            {"name": plain(lane.names[place]) if place < len(lane.names) else "", "points": _points(curve)}
            for place, curve in enumerate(lane.curves)
        ],
        "marks": _marks(lane),
    }


def _points(curve: Samples) -> Json:
    """Flat: seconds, value, seconds, value. What cannot be drawn is null, and ends what came before it."""
    seen = [(at, value if known(value) else None) for at, value in curve]
    whole = [(at, value) for at, value in seen if value is not None]
    if len(whole) == len(seen):
        seen = list(thin(whole))
    return [part for at, value in seen for part in (round(at, 2), None if value is None else float(f"{value:.6g}"))]


def _states(lane: StateLane) -> Json:
    bars: list[Json] = [[round(bar.start_s, 3), round(bar.end_s, 3), bar.state] for bar in lane.bars]
    return {"title": plain(lane.title), "bars": bars, "marks": _marks(lane)}


def _marks(lane: CurveLane | StateLane) -> Json:
    return [[round(mark.at_s, 3), plain(mark.text)] for mark in lane.marks]
