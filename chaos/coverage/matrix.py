"""Fault × alert, and the number at the top: the share of faults that broke the system and of which somebody was told. Pure.

|                  | told in time                               | not told                    |
|------------------|--------------------------------------------|-----------------------------|
| system broken    | killed                                     | **survived**, with the gate |
| system held      | early warning if expected, else false page | rightly silent              |
| nobody can say   | left out, listed                           | left out, listed            |

Monitoring mutation score = killed / (killed + survived). A fault that hurts nobody is an equivalent mutant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from chaos.coverage.tried import Told, Tried
from chaos.statistics import clopper_pearson
from chaos.verdict import TOLD

Quadrant = Literal["killed", "survived", "early warning", "false page", "rightly silent", "left out", "never tried"]
CellState = Literal["proven", "projected", "late", "missed", "beside", "silent", "undecided"]

_CELL: Mapping[str, CellState] = {
    "detected": "proven",
    "late": "late",
    "undelivered": "late",
    "unresolved": "proven",
    "undetected": "missed",
    "wrong_alert": "missed",
    "projected": "projected",
}
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One alert under one fault. `after_s` counts from the first effect; `gate` is the first that failed; `severity` the smallest
    share of traffic at which a run has proven it.
    """

    state: CellState
    after_s: float | None = None
    gate: str | None = None
    severity: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One alerting rule. `rule` says what the rule itself is like, in words: `cannot fire`, …; empty when nobody asked."""

    alert: str
    rule: str = ""
    why: str = ""
    proven_by: int = 0
    """Faults by which it is proven to fire."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault: where it belongs, what its newest run that proves something says, and every alert's cell."""

    fault: str
    family: str
    quadrant: Quadrant
    cells: Mapping[str, Cell]
    experiment: str = ""
    run: str = ""
    folder: str = ""
    at_wall_s: float | None = None
    explain: str = ""
    why: str = ""
    """The gate that failed, or why it is left out, in words."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it. `score` is None when no fault broke anything, and then nothing was proven either way."""

    rows: tuple[FaultRow, ...]
    columns: tuple[Column, ...]
    killed: int
    survived: int
    score: float | None
    interval: tuple[float, float] | None
    at_wall_s: float
    max_age_s: float | None = None

    def of(self, *quadrants: Quadrant) -> list[FaultRow]:
        """The faults that belong there."""
        return [row for row in self.rows if row.quadrant in quadrants]

    def proven(self) -> list[Column]:
        """The alerts that a run has proven to fire."""
        return [column for column in self.columns if column.proven_by]

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps(asdict(self), indent=2)


def matrix(
    runs: Iterable[Tried],
    faults: Mapping[str, str],
    columns: Sequence[Column],
    at_wall_s: float,
    max_age_s: float | None = None,
) -> Matrix:
    """The newest proving run of each fault decides, and of a sweep the most severe one. `faults` maps every fault that could
    be tried to its family; a run that is older than `max_age_s` counts as none.
    """
    newest: dict[str, Tried] = {}
    smallest: dict[tuple[str, str], float] = {}
    young = [one for one in runs if max_age_s is None or at_wall_s - one.at_wall_s <= max_age_s]
    most: dict[tuple[str, str], float] = {}
    for one in young:
        if one.swept and one.proves:
            most[one.fault, one.experiment] = max(one.swept_rank, most.get((one.fault, one.experiment), -math.inf))
    for one in sorted(young, key=lambda each: each.at_wall_s):
        decides = not one.swept or one.swept_rank >= most.get((one.fault, one.experiment), -math.inf)
        if not decides:
            pass  # it looked for the least that is noticed
        elif one.proves or one.fault not in newest or not newest[one.fault].proves:
            newest[one.fault] = one
        for told in one.told if one.proves else ():
            if told.outcome in TOLD:
                key = one.fault, told.alert
                smallest[key] = min(one.severity, smallest.get(key, 1.0))
    rows = [
        _row(name, family, newest.get(name), smallest)
        for name, family in sorted({**faults, **{name: faults.get(name, "") for name in newest}}.items())
    ]
    killed = sum(row.quadrant == "killed" for row in rows)
    survived = sum(row.quadrant == "survived" for row in rows)
    known = {column.alert for column in columns}
    # Also what an older run expected in vain: another run that has taken its place proves nothing of that alert.
    seen = {name for row in rows for name in row.cells} | {told.alert for one in young for told in one.told}
    more = [Column(name) for name in sorted(seen - known)]
    return Matrix(
        rows=tuple(rows),
        columns=tuple(_proven(column, rows) for column in (*columns, *more)),
        killed=killed,
        survived=survived,
        score=killed / (killed + survived) if killed + survived else None,
        interval=clopper_pearson(killed, killed + survived) if killed + survived else None,
        at_wall_s=at_wall_s,
        max_age_s=max_age_s,
    )


def _proven(column: Column, rows: Sequence[FaultRow]) -> Column:
    count = sum(
        row.cells[column.alert].state in ("proven", "late", "beside")
        for row in rows
        if column.alert in row.cells and row.quadrant != "left out"
    )
    return Column(column.alert, column.rule, column.why, count)


def _row(name: str, family: str, one: Tried | None, smallest: Mapping[tuple[str, str], float]) -> FaultRow:
    if one is None:
        return FaultRow(name, family, "never tried", {})
    cells = {told.alert: _cell(told, smallest.get((name, told.alert))) for told in one.told}
    cells |= {alert: Cell("beside", after_s) for alert, after_s in one.fired.items()}
    quadrant, why = _quadrant(one)
    return FaultRow(
        name, family, quadrant, cells, one.experiment, one.run, one.folder, one.at_wall_s, one.explain, why
    )  # fmt: skip


def _cell(told: Told, severity: float | None) -> Cell:
    return Cell(_CELL.get(told.outcome, "undecided"), told.after_s, told.gate, severity)


def _quadrant(one: Tried) -> tuple[Quadrant, str]:
    if one.projected and not one.caught:
        return "left out", "judged by a projection to all traffic, which proves nothing"
    if not one.proves:
        return "left out", f"its last run is {one.verdict} and proves nothing"
    missed = "; ".join(
        f"{told.alert}: {told.outcome}" + (f" at `{told.gate}`" if told.gate else "") for told in one.told
    )
    if one.state == "broken" and one.undecided:
        return "left out", f"whether anybody was told could not be said ({missed})"
    together = f"together with {', '.join(one.beside)}" if one.beside else ""
    match one.state, one.caught:
        case "broken", True:
            return "killed", together
        case "broken", False:
            return "survived", missed or "no alert fired, and none was expected"
        case "held", True:
            return ("early warning" if one.told else "false page"), "the system held"
        case "held", False:
            return "rightly silent", "the system held"
        case _:
            return "left out", "whether the system held could not be said"
