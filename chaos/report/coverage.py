"""The coverage matrix in a terminal, and as a page of its own. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chaos.coverage import Cell, Column, FaultRow, Matrix
from chaos.coverage.matrix import DAY_S, CellState, Quadrant
from chaos.report.hanging import Hanging
from chaos.report.page import ALONE, Around, render
from chaos.units import format_share
from chaos.visible import visible

SIGN: Mapping[CellState, str] = {
    "proven": "✓", "projected": "~", "late": "!", "missed": "✗", "beside": "+", "silent": "·", "undecided": "?",
}  # fmt: skip
MEANING: Mapping[CellState, str] = {
    "proven": "proven to tell",
    "projected": "would tell, were all traffic hurt",
    "late": "told, but too late or not delivered",
    "missed": "was expected, and did not tell",
    "beside": "fired beside the expected ones",
    "silent": "stayed silent",
    "undecided": "nobody can say",
}
TONE: Mapping[Quadrant, str] = {
    "killed": "good",
    "survived": "bad",
    "early warning": "good",
    "false page": "bad",
    "rightly silent": "good",
    "left out": "warn",
    "never tried": "none",
}
WRONG = ("cannot fire", "always firing")
"""What a rule is like that somebody should mend."""
_STYLE = {"good": "green", "bad": "red", "warn": "yellow", "none": "dim"}


def headline(found: Matrix) -> str:
    """The number at the top, in one sentence."""
    if found.score is None or found.interval is None:
        return "Monitoring mutation score: none yet; no fault that broke the system has been tried"
    total = found.killed + found.survived
    low, high = found.interval
    faults = f"{total} fault{'' if total == 1 else 's'}"
    score = f"{percent(found.score)} [{low:.0%}, {high:.0%}]"
    return (
        f"Monitoring mutation score: {score}: of {faults} that broke the system, {found.killed} told somebody in time"
    )


def percent(share: float) -> str:
    """A whole percentage, never rounded up: 79.6 % is not 80 %, and 99.9 % not all of them."""
    return f"{math.floor(share * 100 + 1e-9)}%"


def counts(found: Matrix) -> list[tuple[str, str]]:
    """What stands below it: (name, value)."""
    tried = [row for row in found.rows if row.quadrant != "never tried"]
    rules = [column for column in found.columns if column.rule]
    dead = [column for column in rules if column.rule == "cannot fire"]
    listed = [
        ("faults tried", f"{len(tried)} of {len(found.rows)}"),
        ("alerts proven to fire", f"{len(found.proven())} of {len(found.columns)}"),
    ]
    if rules:
        listed.append(("alerts that cannot fire", f"{len(dead)} of {len(found.columns)}"))
    return listed


def coverage_view(found: Matrix) -> Group:
    """The number, what survived and why, what was caught and how fast, and what nobody has tried."""
    tone = "yellow" if found.score is None else "green" if found.survived == 0 else "red"
    parts: list[RenderableType] = [Text(), Text(headline(found), style=f"bold {tone}", overflow="fold")]
    parts += [Text(f"  {name}: {value}") for name, value in counts(found)]
    order: tuple[Quadrant, ...] = (
        "survived", "false page", "killed", "early warning", "rightly silent", "left out",
    )  # fmt: skip
    for quadrant in order:
        rows = found.of(quadrant)
        if rows:
            parts += [
                Text(f"\n{quadrant.capitalize()} ({len(rows)})", style=f"bold {_STYLE[TONE[quadrant]]}"),
                _table(rows, found),
            ]
    never = found.of("never tried")
    if never:
        parts.append(Text(f"\nNever tried ({len(never)})", style="bold dim"))
        for family, rows_ in groupby(sorted(never, key=lambda row: row.family), key=lambda row: row.family):
            parts.append(Hanging(f"{family}: {', '.join(row.fault for row in rows_)}", "dim"))
    parts += _unproven([column for column in found.columns if not column.proven_by])
    return Group(*parts)


def _unproven(columns: list[Column]) -> list[RenderableType]:
    """Alerts that nothing has proven: what is wrong with a rule in words, all others by name."""
    if not columns:
        return []
    parts: list[RenderableType] = [Text(f"\nAlerts that nothing has proven ({len(columns)})", style="bold")]
    for column in columns:
        if column.rule in WRONG:
            why = f": {column.why}" if column.why else ""
            parts.append(Hanging(f"{column.alert} {column.rule}{why}", "red"))
    others: dict[str, list[str]] = {}
    for column in columns:
        if column.rule not in WRONG:
            others.setdefault(column.rule, []).append(column.alert)
    for rule, names in others.items():
        said = f"{rule}: " if rule else ""
        parts.append(Hanging(f"{said}{', '.join(names)}"))
    return parts


def _table(rows: list[FaultRow], found: Matrix) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for row in rows:
        told = ", ".join(_said(alert, cell) for alert, cell in row.cells.items()) or row.why
        more = f" ({row.why})" if row.why and row.cells and row.quadrant in ("left out", "killed") else ""
        table.add_row(
            Text(f"  {visible(row.fault)}"),
            Text(visible(told + more), overflow="fold"),
            Text(_age(row, found), style="dim"),
        )
    return table


def _said(alert: str, cell: Cell) -> str:
    figures = 1 if cell.state == "late" else 0  # a late one by less than half a second would read as in time
    after = f" {cell.after_s:.{figures}f}s" if cell.after_s is not None else ""
    at = f" at {format_share(cell.severity)}" if cell.severity is not None and cell.severity < 1 else ""
    gate = f" ({cell.gate})" if cell.gate else ""
    return f"{SIGN[cell.state]} {alert}{after}{at}{gate}"


def _age(row: FaultRow, found: Matrix) -> str:
    if row.at_wall_s is None:
        return ""
    days = int((found.at_wall_s - row.at_wall_s) / DAY_S)
    return "today" if days == 0 else f"{days} d ago"


def page(found: Matrix, title: str, around: Around = ALONE) -> str:
    """The matrix as one file: no script, nothing from elsewhere, everything escaped."""
    used = [column for column in found.columns if any(column.alert in row.cells for row in found.rows)]
    other = [column for column in found.columns if column not in used]
    ordered = sorted(found.rows, key=lambda row: (row.family, row.fault))
    families = [(family, list(rows)) for family, rows in groupby(ordered, key=lambda row: row.family)]
    return render(
        "coverage.html.j2",
        around=around,
        title=title,
        found=found,
        headline=headline(found),
        counts=counts(found),
        used=used,
        other=other,
        families=families,
        sign=SIGN,
        meaning=MEANING,
        percent=percent,
        tone=TONE,
        when=datetime.fromtimestamp(found.at_wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        age=lambda row: _age(row, found),
    )
