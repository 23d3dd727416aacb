"""A time that missed its limit by a hair, or met it by one, reads so wherever it is shown."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from chaos.app.compare_command import Slower, demand
from chaos.history import AlertTimes, Point
from chaos.history.compared import Compared, compare
from chaos.history.differences import Side
from chaos.history.trend import middle, trend
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.plans import Plan
from chaos.pytest_plugin.told import failure_text, properties, summary_lines
from chaos.report.history import last_text
from chaos.report.html import render, stage_rows
from chaos.report.junit import junit
from chaos.report.terminal import summary
from chaos.report.weeks import draw_weeks
from chaos.verdict import Verdict
from tests.judging.journals import JUDGED, Story
from tests.report.report_pages import Page, planned

HAIR_S = 0.04
LINES = Story().lines()
TOLD_S = judge(LINES).detections[0].told_after_s or 0.0


def run(missed_by_s: float) -> tuple[Verdict, Plan, list[Line], float]:
    """A run whose alert told so much later than it was asked for, and when that was: with one decimal, both would read otherwise."""
    lines = Story(delivered=26.44 if missed_by_s > 0 else 26.46).lines()
    told_s = judge(lines).detections[0].told_after_s
    assert told_s is not None
    limit_s = round(told_s - missed_by_s, 2)
    [alert] = JUDGED.alerts
    lines = planned(lines, alerts=(replace(alert, within_s=limit_s),))
    verdict = judge(lines)
    assert verdict.detections[0].outcome == ("late" if missed_by_s > 0 else "detected")
    return verdict, trace(lines).plan, lines, limit_s


def in_the_terminal(verdict: Verdict, plan: Plan, _: object) -> str:
    drawn = Console(file=io.StringIO(), width=200, color_system=None)
    drawn.print(summary(verdict, plan, None))
    return drawn.file.getvalue()  # type: ignore[attr-defined]


def on_the_page(verdict: Verdict, plan: Plan, lines: list[Line]) -> str:
    return Page(render(verdict, plan, lines)).text


def in_junit(verdict: Verdict, *_: object) -> str:
    return junit(verdict)


def in_pytest(verdict: Verdict, *_: object) -> str:
    return failure_text(verdict, "runs/one") + "\n".join(summary_lines([dict(properties(verdict, "runs/one"))]))


@pytest.mark.parametrize("missed_by_s", [HAIR_S, -HAIR_S])
@pytest.mark.parametrize("shown", [in_the_terminal, on_the_page, in_junit, in_pytest])
def test_wherever_a_run_is_told_one_sees_whether_it_was_in_time(shown: Callable[..., str], missed_by_s: float) -> None:
    verdict, plan, lines, limit_s = run(missed_by_s)
    found = re.findall(
        r"told after (?:<[^>]*>)?([\d.]+)s|\+([\d.]+)s +delivered|delivered \+([\d.]+)s|told \+([\d.]+) s",
        shown(verdict, plan, lines),
    )
    times = [float(next(filter(None, one))) for one in found]
    assert times
    assert {one > limit_s for one in times} == {missed_by_s > 0}, (times, limit_s)
    assert limit_s not in times


@pytest.mark.parametrize("missed_by_s", [HAIR_S, -HAIR_S])
def test_the_tile_and_the_stages_of_the_page_show_it_too(missed_by_s: float) -> None:
    verdict, plan, lines, limit_s = run(missed_by_s)
    number = re.search(r"([\d.]+)s until somebody was told", on_the_page(verdict, plan, lines))
    assert number is not None
    [after] = [row.after for row in stage_rows(verdict.detections[0], plan.alerts[0]) if row.gate == "delivered"]
    for shown in (float(number[1]), float(after.strip("+s"))):
        assert (shown > limit_s) is (missed_by_s > 0)


@pytest.mark.parametrize(
    ("after_s", "shown"), [(60.04, "60.04s"), (59.97, "59.97s"), (60.2, "60.2s"), (42.04, "42.0s")]
)
def test_over_weeks_the_last_time_stands_on_its_side_of_the_budget(after_s: float, shown: str) -> None:
    point = Point("one", "f-one", 1.79e9, "late" if after_s > 60 else "detected", after_s, 1.0)
    times = AlertTimes("A", 60.0, (point,), 0, middle([after_s]), trend([after_s], 1.0))
    assert last_text(times) == f"{shown} of at most 1m"
    assert f"told after {shown}" in draw_weeks(times, name="n", link=lambda folder: folder)


def test_being_slower_by_a_hair_more_than_allowed_reads_so() -> None:
    verdict = judge(LINES)
    [found] = verdict.detections
    later = replace(verdict, detections=(replace(found, told_after_s=TOLD_S + 10.04),))
    compared: Compared = compare(Side(verdict, JUDGED, ""), Side(later, JUDGED, ""))
    with pytest.raises(Slower, match=r"told 10\.04s later"):
        demand(compared, 10.0)
