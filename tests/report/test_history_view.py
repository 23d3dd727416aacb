"""What runs were over weeks, as a terminal and a page show it."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from chaos.history import histories
from chaos.history.histories import History
from chaos.report.history import age, history_view, page
from chaos.report.weeks import NARROW, WIDE, draw_weeks
from tests.history.test_histories import RUN, after

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


def shown(found: list[History], now_wall_s: float = 4000.0) -> str:
    drawn = Console(file=io.StringIO(), width=80, color_system=None)
    drawn.print(history_view(found, now_wall_s))
    return drawn.file.getvalue()  # type: ignore[attr-defined]


def test_a_line_of_verdicts_the_median_and_the_last_time() -> None:
    said = shown(histories([after(1, 30.0), after(2, 31.0), replace(after(3, None), verdict="undetected")]))
    assert "wrong on lab\n  ✓✓✗  3 runs; the last 16 min ago: undetected" in said
    assert "ModelAccuracyLow  median 31.0s, last missed (at most 1m); 1 of 3 missed" in said
    assert "too few to say: 3 runs of the 10" in said


def test_a_long_history_keeps_its_end() -> None:
    said = shown(histories([after(place, 30.0) for place in range(1, 61)]), 61_000.0)
    assert f"… {'✓' * 40}  60 runs" in said
    assert max(len(line) for line in said.splitlines()) <= 80


def test_nothing_of_a_run_commands_the_terminal_or_the_page() -> None:
    found = histories([replace(after(1, 30.0), experiment=HOSTILE, sentence=HOSTILE, folder=HOSTILE, run=HOSTILE)])
    assert "\x1b" not in shown(found)
    made = page(found, [(HOSTILE, HOSTILE)], 4000.0)
    assert "<script" not in made
    assert "\x1b" not in made


def test_every_run_links_its_report_beside_the_page() -> None:
    made = page(histories([after(1, 30.0), after(2, None)]), [], 4000.0, "../runs/")
    assert set(re.findall(r'href="([^"#]+)"', made)) >= {"../runs/f-1/report.html", "../runs/f-2/report.html"}


def test_a_folder_that_could_not_be_read_is_named() -> None:
    assert "the reason" in page(histories([RUN]), [("f-9", "the reason")], 4000.0)


def test_no_runs_make_a_page_that_says_so() -> None:
    assert "There is no run here yet" in page([], [], 4000.0)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_time_is_drawn_at_its_height_and_a_miss_above_all_of_them(width: float) -> None:
    [one] = histories([after(1, 30.0), after(2, 15.0), after(3, None), replace_late(4)])
    root = ET.fromstring(draw_weeks(one.alerts[0], name="p", link=lambda folder: folder, width=width))
    discs = [float(disc.attrib["cy"]) for disc in root.iter("circle")]
    assert discs[0] < discs[1]
    assert len([path for path in root.iter("path") if path.attrib["class"] == "miss"]) == 1
    assert len([box for box in root.iter("rect") if box.attrib["class"] == "late"]) == 1
    texts = [text.text or "" for text in root.iter("text")]
    assert "within 60s" in texts
    assert [title.text for title in root.iter("title")][-2].startswith("1970-01-01 00:50 UTC: nobody was told")  # type: ignore[union-attr]


def replace_late(place: int):
    run = after(place, 70.0)
    return replace(run, alerts=(replace(run.alerts[0], outcome="late"),))


def test_dates_along_a_year_do_not_stand_on_each_other() -> None:
    runs = [replace(after(1, 30.0), started_wall_s=1.7e9 + place * 86400.0 * 9) for place in range(40)]
    drawn = draw_weeks(histories(runs)[0].alerts[0], name="p", link=lambda folder: folder)
    places = [
        float(text.attrib["x"])
        for text in ET.fromstring(drawn).iter("text")
        if text.attrib.get("text-anchor") == "middle"
    ]
    assert len(places) >= 4
    assert min(after - before for before, after in pairwise(places)) > 60


def test_ages_are_whole_words() -> None:
    assert [age(one) for one in (30.0, 7200.0, 86400.0 * 12)] == ["0 min ago", "2 h ago", "12 d ago"]
