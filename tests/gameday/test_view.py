"""What a person sees while a day goes on: the step, what is next, and how long it still takes at most."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from chaos.app.gameday.view import DayPanel, DayView, about
from chaos.engine import Run
from tests.gameday.days import loaded
from tests.gameday.values import outcome
from tests.worlds import PLAN


def test_the_line_of_a_step_names_what_is_next_and_counts_down_to_nothing(tmp_path: Path) -> None:
    clock = [0.0]
    view = DayView(Console(file=io.StringIO()), loaded(tmp_path), lambda: clock[0])
    view.step(0)
    assert view.line(0) == "step 1 of 3: first; then second; at most 28m left"
    clock[0] = 600.0
    assert view.line(0) == "step 1 of 3: first; then second; at most 18m left"
    clock[0] = 1e6
    assert view.line(0) == "step 1 of 3: first; then second; at most 0s left"
    view.step(2)
    assert view.line(2) == "step 3 of 3: third; the last one; at most 6m left"


def test_the_plan_of_the_day_says_pauses_and_conditions_and_a_step_its_note(tmp_path: Path) -> None:
    out = io.StringIO()
    edits = (("second.yaml,", "second.yaml, confirm: true, only_if: passed, note: look at the dashboard,"),)
    view = DayView(Console(file=out, width=200), loaded(tmp_path, *edits))
    view.begins()
    view.step(1)
    view.over(outcome(1, "undetected"))
    lines = out.getvalue().splitlines()
    assert "  2. second (after a pause of 5m, only if the one before passed, when a person agrees)" in lines
    assert "  look at the dashboard" in lines
    assert lines[-1] == "✗ step 2: second: undetected: the fault happened and nobody would have noticed"


def test_on_a_terminal_the_panel_of_the_run_has_a_line_about_the_day() -> None:
    out = io.StringIO()
    with DayPanel(Console(file=io.StringIO(), width=80), lambda: "step 1 of 3: first") as panel:
        Console(file=out, width=80).print(panel._draw(Run(PLAN), 1.0))
    assert "Ctrl-C undoes everything and leaves" in out.getvalue()
    assert "step 1 of 3: first" in out.getvalue().splitlines()[-1]


def test_durations_are_in_whole_minutes_where_seconds_say_nothing() -> None:
    assert [about(one) for one in (0.4, 59.0, 119.0, 120.0, 121.0, 3600.0)] == ["0s", "59s", "119s", "2m", "3m", "1h"]
