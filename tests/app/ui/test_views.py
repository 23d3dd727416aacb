"""What stands on the pages."""

from __future__ import annotations

import re

from chaos.app.ui.views import Frame, Listed, calendar_page, experiments_page


def test_the_calendar_shows_the_twenty_newest_starts_the_newest_first() -> None:
    starts = [
        {"status": "played", "start": f"start-{number:02d}", "verdict": None, "why": None} for number in range(25)
    ]
    day = {"purpose": "to learn", "timezone": "UTC", "left_out": None, "next": [], "history": starts}
    page = calendar_page(Frame("form", None), "experiments", {"drill": day}, [], [])
    assert re.findall(r"start-(\d\d)", page) == [f"{number:02d}" for number in range(24, 4, -1)]


def test_the_calendar_says_when_a_systems_own_was_left_out() -> None:
    start = {"shown": "Tue 10:00", "frozen": None}
    day = {
        "purpose": "to learn",
        "timezone": "UTC",
        "left_out": "there is no system `x`",
        "next": [start],
        "history": [],
    }
    assert "no freeze of theirs shows here" in calendar_page(Frame("form", None), "e", {"drill": day}, [], [])
    whole = {**day, "left_out": None}
    assert "left out" not in calendar_page(Frame("form", None), "e", {"drill": whole}, [], [])


def test_peoples_own_experiments_come_first_and_what_ships_is_folded_by_family() -> None:
    names = [("a", "bias"), ("b", ""), ("c", "prediction quality"), ("d", "somebody else's"), ("e", "bias")]
    found = [Listed(f"{name}.yaml", f"exp-{name}", "lab", "", family=family) for name, family in names]
    page = experiments_page(Frame("form", None), "experiments", found)
    assert re.findall(r"exp-([a-e])<", page) == ["b", "c", "a", "e", "d"]
    assert page.index("exp-b<") < page.index("<details>") < page.index("exp-c<")
    assert "4 experiments, one for each fault" in page


def test_a_folder_with_nothing_but_what_ships_is_unfolded() -> None:
    page = experiments_page(Frame("form", None), "e", [Listed("a.yaml", "a", "lab", "", family="bias")])
    assert "<details open>" in page
    assert "No experiment is in" not in page
    assert "No experiment is in" in experiments_page(Frame("form", None), "e", [])
