"""What a game day showed, in a terminal and as a page of its own. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaos.calendar import moment_text
from chaos.gameday import Outcome, Summary
from chaos.report.hanging import Hanging
from chaos.units import format_duration
from chaos.verdict import EXIT_CODE
from chaos.visible import visible


def mark(outcome: Outcome) -> tuple[str, str]:
    """The sign of a step and its colour."""
    if outcome.verdict is None:
        return "·", "dim"
    if outcome.verdict == "confirmed":
        return "✓", "green"
    return ("?", "yellow") if EXIT_CODE[outcome.verdict] == 3 else ("✗", "red")


def took(outcome: Outcome) -> str:
    """How long the step took."""
    return format_duration(round(outcome.ended_wall_s - outcome.began_wall_s))


def gameday_view(made: Summary, folder: str | None) -> Group:
    """The day in one sentence, and every step with its verdict and its report."""
    tone = "green" if made.exit_code == 0 else "red"
    parts: list[RenderableType] = [
        Text(),
        Text.assemble((f" {made.verdict.upper()} ", f"bold reverse {tone}"), f"  game day {visible(made.name)}"),
        Padding(Text(visible(made.sentence), overflow="fold"), (1, 0, 1, 2)),
    ]
    for one in made.outcomes:
        sign, style = mark(one)
        said = one.verdict if one.status == "ran" else one.status
        head = Text.assemble((f"  {sign} ", style), (visible(one.experiment), "bold"), "  ", (f"{said}", style))
        if one.status == "ran":
            head.append(f"  {took(one)}", style="dim")
        parts += [head, Padding(Text(visible(one.sentence), overflow="fold"), (0, 0, 0, 4))]
        if one.folder is not None:
            parts.append(
                Padding(Text(visible(f"{one.folder}/report.html"), style="dim", overflow="fold"), (0, 0, 0, 4))
            )
    if folder is not None:
        parts += [Text(), Text(visible(f"  {folder}/summary.html"), overflow="fold")]
    return Group(*parts)


def list_view(told: Mapping[str, Mapping[str, Any]], store: str | None = None) -> Group:
    """The next starts of each day, and what became of earlier ones; `store` is where those were looked for, if they were."""
    parts: list[RenderableType] = []
    for name, day in told.items():
        parts.append(Text.assemble((visible(name), "bold"), f"  {visible(day['purpose'])}", overflow="fold"))
        if store is not None and not day["history"]:
            said = f"no earlier start is in {store}; `chaos gameday serve` keeps there what becomes of each"
            parts.append(Hanging(said, "dim"))
        for past in day["history"]:
            said = " ".join(word for word in (past["status"], past["verdict"], past["why"]) if word)
            parts.append(Padding(Text(visible(f"{past['start']}  {said}"), style="dim", overflow="fold"), (0, 0, 0, 2)))
        if not day["next"]:
            parts.append(Text("  no start comes: its calendar has no `cron`", style="dim"))
        for one in day["next"]:
            line = Text(f"  {visible(one['shown'])}", style="yellow" if one["frozen"] else "")
            parts.append(line)
            if one["frozen"]:
                parts.append(Padding(Text(visible(one["frozen"]), style="yellow", overflow="fold"), (0, 0, 0, 4)))
    return Group(*parts)


def page(made: Summary, reports: dict[int, str], timezone: str) -> str:
    """The day as one file: no script, nothing from elsewhere, everything escaped. `reports`: step → address of its run's report."""
    zone = ZoneInfo(timezone)

    def clock(wall_s: float) -> str:
        return moment_text(datetime.fromtimestamp(wall_s, UTC).astimezone(zone))

    return (
        _environment()
        .get_template("gameday.html.j2")
        .render(made=made, reports=reports, clock=clock, mark=mark, took=took, bar=_bars(made))
    )


def _bars(made: Summary) -> dict[int, tuple[float, float]]:
    """Step → where its bar begins and how wide it is, in hundredths of the day."""
    whole_s = max(made.ended_wall_s - made.began_wall_s, 1e-9)
    return {
        one.step: (
            100 * (one.began_wall_s - made.began_wall_s) / whole_s,
            max(0.4, 100 * (one.ended_wall_s - one.began_wall_s) / whole_s),
        )
        for one in made.outcomes
        if one.status == "ran"
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("chaos", "report/templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
