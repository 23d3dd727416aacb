"""A rehearsal in a terminal. Renderables for rich; no I/O."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chaos.rehearsal.outcome import AtSeverity
from chaos.rehearsal.report import RehearsalReport, RehearsedAlert
from chaos.units import format_duration, format_share
from chaos.visible import visible

_STYLE = {True: "green", False: "red", None: "yellow"}
_MARK = {True: "✓", False: "✗", None: "?"}
_BAR = 10


def rehearsal_view(report: RehearsalReport) -> Group:
    """The sentence of each alert, its curve, and what the rehearsal rests on."""
    parts: list[RenderableType] = [
        Text(),
        Text(visible(f"{report.experiment}, rehearsed: nothing was hurt"), style="bold"),
        Text(visible(f"from {report.source}"), style="" if report.measured else "yellow", overflow="fold"),
    ]
    for alert in report.alerts:
        parts += _alert(alert, report.severity)
    parts += [Text(visible(f"· {note}"), style="dim", overflow="fold") for note in ("", *report.notes) if note]
    parts.append(
        Text(
            f"· {report.virtual_hours:.1f} virtual hours, {report.scenarios} scenarios for each severity; intervals are 95 %",
            style="dim",
        )
    )
    return Group(*parts)


def _alert(alert: RehearsedAlert, own: float) -> list[RenderableType]:
    title = Text.assemble(
        ("\n", ""),
        (f"{_MARK[alert.told]} ", _STYLE[alert.told]),
        (visible(alert.alert), "bold"),
        (f" {visible(alert.sentence)}", ""),
        overflow="fold",
    )
    within = f" within {format_duration(alert.within_s)}" if alert.within_s is not None else ""
    early = any(row.early for row in alert.rows)
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    for name in ("traffic", f"told{within}", "after", "5 – 95 %", *(("before",) if early else ())):
        table.add_column(name, justify="left" if name.startswith("told") else "right", no_wrap=True)
    for row in alert.rows:
        style = "bold" if math.isclose(row.severity, own, abs_tol=1e-9) else ""
        table.add_row(*_cells(row), *((f"{row.early or ''}",) if early else ()), style=style)
    return [title, table]


def _cells(row: AtSeverity) -> tuple[str, ...]:
    low, high = row.interval
    bar = "█" * round(row.share * _BAR) + "·" * (_BAR - round(row.share * _BAR))
    times = (
        (f"{row.median_s:.1f}s", f"{row.earliest_s:.1f} – {row.latest_s:.1f}s")
        if row.median_s is not None and row.earliest_s is not None and row.latest_s is not None
        else ("", "")
    )
    return (format_share(row.severity), f"{bar}  {row.caught}/{row.scenarios} [{low:.0%}, {high:.0%}]", *times)
