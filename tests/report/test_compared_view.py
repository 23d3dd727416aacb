"""Two runs side by side, as a terminal and a page show them."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from rich.console import Console

from chaos.history.compared import Compared, compare
from chaos.history.differences import Difference
from chaos.judging.trace import trace
from chaos.report.compared import compared_view, page
from chaos.report.lanes import picture_of
from chaos.report.overlay import overlay
from tests.history.test_compared import SIDE, VERDICT, later
from tests.judging.journals import Story

LINES = Story().lines()
HOSTILE = "<script>alert(1)</script>\x1b[31m"


def shown(found: Compared) -> str:
    drawn = Console(file=io.StringIO(), width=80, color_system=None)
    drawn.print(compared_view(found))
    return drawn.file.getvalue()  # type: ignore[attr-defined]


def test_gates_stand_side_by_side_with_what_their_errors_allow() -> None:
    said = shown(compare(later(0.0), later(9.0)))
    assert re.search(r"firing +[\d.]+s +[\d.]+s +\+9\.0s +larger than the errors: \+8\.0s to \+10\.0s", said)
    assert "Two runs do not say how much runs differ by themselves" in said
    assert "Nothing else differs" in said


def test_the_end_of_the_alert_counts_from_the_removal_and_stands_in_no_row_beside_what_counts_from_the_effect() -> None:
    said = shown(compare(later(0.0), later(9.0)))
    assert re.search(
        r"after the removal: reset [\d.]+s → [\d.]+s, \+9\.0s larger than the errors", " ".join(said.split())
    )
    assert not re.search(r"^ *reset ", said, re.MULTILINE)
    assert "reset, after the removal" in page(compare(SIDE, SIDE), (VERDICT, LINES), (VERDICT, LINES))


def test_a_change_for_the_worse_is_named() -> None:
    first, *rest = VERDICT.findings
    worse = replace(SIDE, verdict=replace(VERDICT, findings=(replace(first, verdict="unsafe", answer="no"), *rest)))
    assert f"worse {first.question} confirmed → unsafe: no" in " ".join(shown(compare(SIDE, worse)).split())


def test_a_question_that_only_one_run_asked_is_counted_and_stands_on_the_page() -> None:
    _, *rest = VERDICT.findings
    found = compare(SIDE, replace(SIDE, verdict=replace(VERDICT, findings=tuple(rest))))
    assert "1 more that only one of the runs asked" in shown(found)
    assert VERDICT.findings[0].question not in shown(found)
    assert VERDICT.findings[0].question in page(found, (VERDICT, LINES), (VERDICT, LINES))


def test_an_alert_that_no_gate_was_passed_of_has_no_table() -> None:
    silent = replace(SIDE, verdict=replace(VERDICT, detections=()))
    assert "gate" not in shown(compare(silent, silent))


def test_many_differences_are_counted_in_the_terminal_and_all_on_the_page() -> None:
    rows = tuple(Difference("system", f"place-{number}", "a", "b") for number in range(60))
    found = replace(compare(SIDE, SIDE), differences=rows)
    assert "and 40 more" in shown(found)
    assert "place-59" in page(found, (VERDICT, LINES), (VERDICT, LINES))


def test_what_differs_in_each_run_anyway_is_counted_and_stands_folded_on_the_page() -> None:
    found = replace(compare(SIDE, SIDE), differences=(Difference("plan", "seed", "one", "two", anyway=True),))
    said = shown(found)
    assert "Nothing else differs" in said
    assert "1 value differs in each run anyway" in said
    assert "two" not in said.split("Nothing else differs")[1].split()
    made = page(found, (VERDICT, LINES), (VERDICT, LINES))
    assert '<td class="wide">two</td>' in made[made.index("<details") : made.index("</details")]


def test_nothing_of_a_run_commands_the_terminal_or_the_page() -> None:
    found = replace(compare(SIDE, SIDE), differences=(Difference(HOSTILE, HOSTILE, HOSTILE, HOSTILE),), first=HOSTILE)
    assert "\x1b" not in shown(found)
    made = page(found, (replace(VERDICT, sentence=HOSTILE), LINES), (VERDICT, LINES))
    assert "<script" not in made
    assert "\x1b" not in made


def test_both_timelines_stand_on_one_axis_that_begins_with_the_first_effect() -> None:
    picture = picture_of(trace(LINES), VERDICT, LINES)
    assert picture.fault is not None
    root = ET.fromstring(overlay(picture, replace(picture, fault=(0.0, (picture.fault[1] or 0.0) + 10.0))))
    first, second = (
        next(one for one in root.iter("rect") if one.attrib["class"] == f"span {kind}") for kind in ("first", "second")
    )
    assert first.attrib["x"] == second.attrib["x"]
    assert float(second.attrib["width"]) > float(first.attrib["width"])
    zero = next(one for one in root.iter("text") if one.text == "first effect")
    assert float(zero.attrib["x"]) == float(first.attrib["x"])
    curves = [one.attrib["class"] for one in root.iter("polyline")]
    assert curves.count("curve first") == curves.count("curve second") > 0


def test_a_lane_that_only_one_run_has_is_drawn_too() -> None:
    picture = picture_of(trace(LINES), VERDICT, LINES)
    drawn = overlay(replace(picture, lanes=()), picture)
    assert all(f">{lane.title} ·" in drawn or f">{lane.title}<" in drawn for lane in picture.lanes)
    assert 'class="curve first"' not in drawn
