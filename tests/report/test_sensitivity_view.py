"""A sweep as people see it: the sentence, every run, the blind band, and a picture in which nothing foreign is obeyed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from rich.console import Console

from chaos.rehearsal.outcome import AtSeverity
from chaos.report.curve import Live, draw_curve
from chaos.report.sensitivity import page, sensitivity_view
from chaos.sensitivity import Curve, sensitivity
from tests.test_sensitivity import GRID, trial

SVG = "{http://www.w3.org/2000/svg}"
ROWS = tuple(
    AtSeverity("AccuracyLow", severity, 200, caught, caught / 200, (max(0.0, caught / 200 - 0.05), min(1.0, caught / 200 + 0.05)), 30.0, 20.0, 40.0, 0)
    for severity, caught in ((0.0, 0), (0.02, 10), (0.05, 120), (0.1, 200))
)  # fmt: skip
FOUND = sensitivity(
    "e", "traffic", GRID, [trial(0.05, told=False), trial(0.1, told=True)],
    {"AccuracyLow": Curve(0.083, True, ROWS)}, "the run at 10%",
)  # fmt: skip


def test_the_terminal_says_from_when_on_and_where_nobody_was_told() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(sensitivity_view(FOUND, GRID))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "AccuracyLow caught from 10% on, in 40s; not told in time at 5%" in text
    assert "rehearsed: from 8.3% on with a chance of nine in ten" in text
    assert "Blind band: at 0.05 the system left its steady state and no expected alert told" in " ".join(text.split())
    assert "✗ pending" in text


def test_a_sweep_that_ended_early_and_what_nobody_can_say_are_called_that() -> None:
    early = sensitivity(
        "e", "traffic", GRID, [trial(0.05, told=None), trial(0.1, told=True)], stopped="a guard ended it"
    )
    text = page(early, GRID, {})
    assert "The sweep ended early: a guard ended it" in text
    assert "<td>?</td>" in text


def test_the_picture_has_every_rehearsed_severity_and_every_live_run() -> None:
    live = [Live(0.05, False, None), Live(0.1, True, 40.0)]
    picture = ET.fromstring(draw_curve(ROWS, live, GRID.text, 60.0))
    kinds = [one.get("class") for one in picture.iter()]
    assert kinds.count("dot") == 3  # nothing is drawn at no severity at all
    assert (kinds.count("live"), kinds.count("missed")) == (2, 1)  # the one that told stands in both plots
    assert {"10 of 200", "live run: told after 40.0 s", "live run: not told in time"} <= {
        one.text for one in picture.iter(f"{SVG}title")
    }


def test_without_any_severity_there_is_no_picture() -> None:
    assert draw_curve((), (), GRID.text) == ""


def test_the_page_obeys_nothing_that_comes_from_outside() -> None:
    text = page(replace(FOUND, experiment="<script>x</script>"), GRID, {"AccuracyLow": 60.0})
    assert "<script" not in text
    assert "<svg" in text


def test_what_is_fitted_to_the_live_runs_stands_in_the_terminal_and_in_the_picture_with_its_interval() -> None:
    live = [trial(one, told=one >= 0.05) for one in (0.02, 0.05, 0.1, 0.2)]
    found = sensitivity("e", "traffic", GRID, live)
    console = Console(file=io.StringIO(), width=80)
    console.print(sensitivity_view(found, GRID))
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert re.search(
        r"fitted to 4 live runs: half of such runs tell from [234]\.?\d?% on \(90 % interval: less than 2% to ", text
    )
    shown = page(found, GRID, {})
    assert "Fitted to 4 live runs" in shown
    assert shown.count('class="fit-band"') == 4  # in both plots, for a wide page and for a phone
    assert "Line and bars: rehearsed" not in shown
