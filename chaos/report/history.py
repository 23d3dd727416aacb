"""What runs were over weeks, in a terminal and as a page of its own. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaos.history import AlertTimes, History
from chaos.history.trend import Direction, seconds
from chaos.report.page import ALONE, Around, moment_text, render, sign, tone
from chaos.report.weeks import NARROW, WIDE, draw_weeks
from chaos.units import format_duration, format_measured
from chaos.visible import visible

STRIP = 40
"""So many verdicts fit in a line beside a name."""
TREND_TONE: Mapping[Direction, str] = {
    "slower": "bad", "faster": "good", "no change shown": "none", "too few to say": "none",
}  # fmt: skip
_STYLE = {"good": "green", "warn": "yellow", "bad": "red", "none": "dim"}


def history_view(found: Sequence[History], now_wall_s: float) -> Group:
    """Each experiment: its verdicts in order, how old the last is, and its alerts' times with where they go."""
    parts: list[RenderableType] = []
    for one in found:
        parts += [Text(), _head(one, now_wall_s)]
        parts += [Padding(_alert(times), (0, 0, 0, 2)) for times in one.alerts]
    return Group(*parts)


def _head(one: History, now_wall_s: float) -> Text:
    said = Text(overflow="fold")
    said.append(visible(one.title), style="bold")
    said.append(f"{visible(f' on {one.system}')}\n  ")
    if len(one.runs) > STRIP:
        said.append("… ", style="dim")
    for run in one.runs[-STRIP:]:
        said.append(sign(run.verdict), style=_STYLE[tone(run.verdict)])
    count, ago = len(one.runs), age(now_wall_s - one.last.started_wall_s)
    said.append(f"  {count} run{'' if count == 1 else 's'}; the last {ago}: {one.last.verdict.replace('_', ' ')}")
    return said


def _alert(times: AlertTimes) -> Text:
    said = Text(overflow="fold")
    said.append(visible(times.alert), style="bold")
    said.append(f"  {figures(times)}\n")
    said.append(f"  {times.trend.direction}", style=_STYLE[TREND_TONE[times.trend.direction]])
    said.append(f": {times.trend.sentence}")
    return said


def figures(times: AlertTimes) -> str:
    """`median 29.0s [27.1s, 31.4s], last 31.4s of at most 1m; 1 of 7 missed`."""
    if times.last is None:
        return f"no run says anything of it ({times.undecided} undecided)"
    said = [f"median {median_text(times)}", f"last {last_text(times)}"]
    counted = f"{times.missed} of {len(times.points)} missed" if times.missed else f"{len(times.points)} told"
    undecided = f", {times.undecided} undecided" if times.undecided else ""
    return f"{', '.join(said)}; {counted}{undecided}"


def median_text(times: AlertTimes) -> str:
    """The median with its interval, or what stands in its place."""
    if times.middle.median_s is None:
        return "not known"
    middle = "missed" if math.isinf(times.middle.median_s) else seconds(times.middle.median_s)
    if times.middle.interval_s is None:
        return middle
    low, high = (("missed" if math.isinf(end) else seconds(end)) for end in times.middle.interval_s)
    return f"{middle} [{low}, {high}]"


def last_text(times: AlertTimes) -> str:
    """The newest time beside its budget."""
    assert times.last is not None
    within = format_duration(times.within_s) if times.within_s is not None else ""
    if times.last.after_s is None:
        return "missed" + (f" (at most {within})" if within else "")
    return format_measured(times.last.after_s, times.within_s) + (f" of at most {within}" if within else "")


def age(seconds_ago: float) -> str:
    """`today`-like words for how long ago that is: `5 min ago`, `3 h ago`, `12 d ago`."""
    if seconds_ago < 3600:
        return f"{max(0, int(seconds_ago / 60))} min ago"
    if seconds_ago < 2 * 86400:
        return f"{int(seconds_ago / 3600)} h ago"
    return f"{int(seconds_ago / 86400)} d ago"


def page(
    found: Sequence[History],
    unreadable: Sequence[tuple[str, str]],
    now_wall_s: float,
    beside: str = "",
    around: Around = ALONE,
) -> str:
    """The page as one file: no script, nothing from elsewhere, everything escaped.

    `beside` is the way from the page to the folder of runs, as a part of an address; every run's report is linked there.
    """
    total = sum(len(one.runs) for one in found)
    slower = [(one.title, times.alert) for one in found for times in one.alerts if times.trend.direction == "slower"]
    weak = [one for one in found if one.last.exit_code == 1]
    return render(
        "history.html.j2",
        around=around,
        found=found,
        unreadable=unreadable,
        total=total,
        slower=slower,
        weak=weak,
        when=moment_text(now_wall_s),
        age=lambda run: age(now_wall_s - run.started_wall_s),
        link=lambda folder: f"{beside}{quote(folder)}/report.html",
        figures=figures,
        median=median_text,
        last=last_text,
        trend_tone=TREND_TONE,
        picture=lambda place, number, times: _pictures(times, f"weeks-{place}-{number}", beside),
    )


def _pictures(times: AlertTimes, name: str, beside: str) -> Markup:
    """The picture for a screen and for a telephone; one of them is shown."""

    def link(folder: str) -> str:
        return f"{beside}{quote(folder)}/report.html"

    drawn = (draw_weeks(times, name=f"{name}-{width:g}", link=link, width=width) for width in (WIDE, NARROW))
    return Markup().join(Markup(one) for one in drawn)  # noqa: S704 - its labels are escaped where it is drawn
