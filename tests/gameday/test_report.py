"""The summary of a day, for a terminal and as a page: whole at 80 columns, and nothing of what others wrote is obeyed."""

from __future__ import annotations

import io

from rich.console import Console

from chaos.gameday import Outcome, Summary, summary
from chaos.report.gameday import gameday_view, page
from tests.gameday.values import day, outcome

EVIL = "<script>alert(1)</script>\x1b[31m[bold]"


def made() -> Summary:
    done = [outcome(0, "confirmed"), Outcome(1, EVIL, "refused", "invalid", EVIL), outcome(2, None)]
    return summary(day(), done, began_wall_s=1_796_115_600.0, ended_wall_s=1_796_115_900.0, version="0", scheduled_wall_s=1_796_115_600.0)  # fmt: skip


def test_the_page_shows_every_step_links_its_report_and_runs_nothing() -> None:
    shown = page(made(), {0: "../r/report.html"}, "Europe/Berlin")
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert '<a href="../r/report.html">' in shown
    assert "Tue 2026-12-01 10:00 CET" not in shown or "Scheduled" in shown
    for text in ("1. first", "confirmed", "refused", "skipped", "invalid"):
        assert text in shown


def test_the_terminal_gets_no_wider_than_it_is_and_obeys_no_name() -> None:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(gameday_view(made(), "runs/day"))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "\\x1b[31m[bold]" in shown
    assert "runs/day/summary.html" in shown
