"""Whether calendars let a run begin: its system's and those that are named, and what is kept where somebody says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.freezing import frozen_now
from chaos.calendar import Calendar
from chaos.errors import Frozen
from tests.gameday.days import loaded
from tests.gameday.values import at

TUESDAY = at("2026-12-01 10:00")
FROZEN = Calendar(timezone="Europe/Berlin", holidays=["12-01"])


def test_a_system_without_a_calendar_is_never_frozen(tmp_path: Path) -> None:
    assert frozen_now(loaded(tmp_path).loaded[0], TUESDAY, None) is None
    assert frozen_now(loaded(tmp_path).loaded[0], TUESDAY, "a reason for nothing") is None


def test_whose_calendar_it_is_and_the_reason_in_one_line_are_kept(tmp_path: Path) -> None:
    one = loaded(tmp_path, system=(("name: lab", "name: lab\ncalendar: {freeze: ['Tue']}"),)).loaded[0]
    with pytest.raises(Frozen, match="the drill is frozen until"):
        frozen_now(loaded(tmp_path).loaded[0], TUESDAY, None, [("the drill", FROZEN)])
    assert frozen_now(one, TUESDAY, "it must\n be now", [("the drill", FROZEN)]) == (
        "lab is frozen until Wed 2026-12-02 00:00 UTC by `Tue` of its calendar; "
        "the drill is frozen until Wed 2026-12-02 00:00 CET by `holiday 12-01` of its calendar; ignored: it must be now"
    )
