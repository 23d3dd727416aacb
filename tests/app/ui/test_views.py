"""What stands on the pages."""

from __future__ import annotations

import re

from chaos.app.ui.views import Frame, calendar_page


def test_the_calendar_shows_the_twenty_newest_starts_the_newest_first() -> None:
    starts = [
        {"status": "played", "start": f"start-{number:02d}", "verdict": None, "why": None} for number in range(25)
    ]
    day = {"purpose": "to learn", "timezone": "UTC", "next": [], "history": starts}
    page = calendar_page(Frame("form", None), "experiments", {"drill": day}, [], [])
    assert re.findall(r"start-(\d\d)", page) == [f"{number:02d}" for number in range(24, 4, -1)]
