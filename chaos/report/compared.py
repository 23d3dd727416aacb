"""Two runs side by side, in a terminal and as a page of its own. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.detection import Gate
from chaos.history.compared import AlertCompared, Compared, GateTimes
from chaos.history.differences import Difference
from chaos.journal import Line
from chaos.judging.trace import trace
from chaos.report.lanes import picture_of
from chaos.report.overlay import overlay
from chaos.report.page import NONE, render, tone
from chaos.verdict import Verdict, VerdictName
from chaos.visible import visible

CAUTION = "Two runs do not say how much runs differ by themselves; `chaos history` does."
SHOWN = 20
"""So many differences stand in a terminal; all of them on the page."""
_STYLE = {"good": "green", "warn": "yellow", "bad": "red", "none": "dim"}
RESET = Gate.reset.value
ANYWAY = "the seed, the ports of a lab"
CHANGE_TONE = {"better": "good", "worse": "bad", "other": "warn"}


def compared_view(found: Compared) -> Group:
    """Both verdicts, each alert's gates side by side, findings that changed, and what was not the same."""
    head = Text(overflow="fold")
    for place, (run, verdict) in enumerate(
        ((found.first, found.first_verdict), (found.second, found.second_verdict)), 1
    ):
        head.append(f"{place}  ", style="dim")
        head.append(verdict.replace("_", " "), style=f"bold {_STYLE[tone(verdict)]}")
        head.append(visible(f"  {run}") + "\n")
    parts: list[RenderableType] = [Text(), head]
    for one in found.alerts:
        parts.append(_alert_head(one))
        if any(row.first_s is not None or row.second_s is not None for row in one.gates):
            parts.append(Padding(Group(_gates(one), *_reset(one)), (0, 0, 1, 2)))
    if any(row.difference_s is not None for one in found.alerts for row in one.gates):
        parts.append(Text(CAUTION, style="dim"))
    parts += _findings(found)
    telling, anyway = parted(found.differences)
    parts.append(Text("\nWhat was not the same" if telling else "\nNothing else differs", style="bold"))
    parts.append(Padding(_differences(telling), (0, 0, 0, 2)))
    if anyway:
        count = f"{len(anyway)} {'value differs' if len(anyway) == 1 else 'values differ'}"
        parts.append(Text(f"  {count} in each run anyway ({ANYWAY}); --json and the page have them", style="dim"))
    return Group(*parts)


def parted(rows: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
    """The differences that say something, and those that each run has."""
    return [one for one in rows if not one.anyway], [one for one in rows if one.anyway]


def _findings(found: Compared) -> list[RenderableType]:
    """What became better or worse; questions that only one run asked are counted."""
    changed = [one for one in found.findings if one.change != "other" or (one.first and one.second)]
    alone = len(found.findings) - len(changed)
    parts: list[RenderableType] = [Text("\nFindings that changed", style="bold")] if found.findings else []
    for one in changed:
        line = Text("  ", overflow="fold")
        line.append(one.change, style=_STYLE[CHANGE_TONE[one.change]])
        said = f"  {one.question} {word(one.first)} → {word(one.second)}"
        line.append(visible(f"{said}: {one.second_answer or one.first_answer}"))
        parts.append(line)
    if alone:
        parts.append(
            Text(f"  {alone} more that only one of the runs asked; --json and the page have them", style="dim")
        )
    return parts


def word(verdict: VerdictName | None) -> str:
    """The verdict in words, or that the question was not asked."""
    return "not asked" if verdict is None else verdict.replace("_", " ")


def _alert_head(one: AlertCompared) -> Text:
    said = Text(overflow="fold")
    said.append(visible(one.alert), style="bold")
    said.append(f"  {_outcome(one.first)} → {_outcome(one.second)}")
    return said


def _outcome(outcome: str | None) -> str:
    return "not expected" if outcome is None else outcome.replace("_", " ")


def _gates(one: AlertCompared) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for name in ("gate", "1", "2", "difference", ""):
        table.add_column(name, justify="right" if name in ("1", "2", "difference") else "left")
    for row in one.gates:
        if row.gate != RESET and (row.first_s is not None or row.second_s is not None):
            said = judged(row)
            table.add_row(row.gate, time_text(row.first_s), time_text(row.second_s), difference_text(row), Text(said))
    return table


def _reset(one: AlertCompared) -> list[Text]:
    """When it was over in both runs: a line of its own, since it counts from another zero than the gates above it."""
    rows = [row for row in one.gates if row.gate == RESET and (row.first_s is not None or row.second_s is not None)]
    return [Text(_reset_text(row), overflow="fold") for row in rows]


def _reset_text(row: GateTimes) -> str:
    difference = f"{difference_text(row)} " if row.difference_s is not None else ""
    times = f"{time_text(row.first_s)} → {time_text(row.second_s)}"
    return f"after the removal: {row.gate} {times}, {difference}{judged(row)}"


def gate_text(row: GateTimes) -> str:
    """The gate's name; of the one that counts from another zero than all others, that it does."""
    return f"{row.gate}, after the removal" if row.gate == RESET else row.gate


def time_text(after_s: float | None) -> str:
    """`31.4s`, or a dash."""
    return NONE if after_s is None else f"{after_s:.1f}s"


def difference_text(row: GateTimes) -> str:
    """`+2.5s`, or a dash."""
    return NONE if row.difference_s is None else f"{row.difference_s:+.1f}s"


def judged(row: GateTimes) -> str:
    """Whether the difference is larger than what the times are known to."""
    if row.beyond is None:
        return "only in one run"
    least, most = f"{row.least_s:+.1f}s", f"{row.most_s:+.1f}s"
    return f"{'larger than' if row.beyond else 'within'} the errors: {least} to {most}"


def _differences(rows: Sequence[Difference]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for row in rows[:SHOWN]:
        said = Text(visible(f"{row.first} → {row.second}"), overflow="fold")
        table.add_row(Text(row.what, style="dim"), Text(visible(row.place), overflow="fold"), said)
    if len(rows) > SHOWN:
        table.add_row(Text("", style="dim"), f"and {len(rows) - SHOWN} more", "--json and the page have them all")
    return table


def page(found: Compared, first: tuple[Verdict, Sequence[Line]], second: tuple[Verdict, Sequence[Line]]) -> str:
    """The page as one file, with both timelines over one axis: no script, nothing from elsewhere, everything escaped."""
    drawn = overlay(*(picture_of(trace(lines), verdict, lines) for verdict, lines in (first, second)))
    telling, anyway = parted(found.differences)
    return render(
        "compare.html.j2",
        found=found,
        telling=telling,
        anyway=anyway,
        anyway_said=ANYWAY,
        sides=[(1, first[0]), (2, second[0])],
        picture=Markup(drawn),  # noqa: S704 - overlay.py escapes every label
        caution=CAUTION,
        change_tone=CHANGE_TONE,
        outcome=_outcome,
        word=word,
        gate=gate_text,
        time=time_text,
        difference=difference_text,
        judged=judged,
    )
