"""What the folder of experiments holds, read from real files."""

from __future__ import annotations

from pathlib import Path

from chaos.app.ui.found import Experiments
from tests.gameday.days import written

SHIPPED = Path(__file__).parents[3] / "experiments"
FREEZE = ("name: lab", 'name: lab\ncalendar: {freeze: ["Tue"]}')


def found(folder: Path, *, system: str | None = None) -> Experiments:
    return Experiments(folder, folder / ".chaos", {}, system)


def test_what_ships_for_each_fault_has_its_family_and_everybody_elses_has_none() -> None:
    listed = {one.file: one for one in found(SHIPPED).listed()}
    assert listed["catalogue/biased_outputs.yaml"].family == "bias"
    assert listed["catalogue/biased_outputs.yaml"].description, "what the fault does, where the file says nothing"
    assert listed["catalogue/stale_model.yaml"].family == "prediction quality"
    assert listed["catalogue/stale_model.yaml"].problem is not None, "its variable has no value here"
    assert {one.family for name, one in listed.items() if "/" not in name} == {""}
    assert all(one.family for name, one in listed.items() if name.startswith("catalogue/"))


def test_a_day_says_why_the_calendars_of_its_systems_are_left_out(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "system.yaml").unlink()
    days, wrong = found(tmp_path).days()
    assert wrong == []
    assert "system.yaml" in str(days["drill"]["left_out"])
    assert [one["frozen"] for one in days["drill"]["next"]] == [None] * 5


def test_the_calendar_is_that_of_the_system_that_the_page_was_given(tmp_path: Path) -> None:
    written(tmp_path, system=(FREEZE,))
    given = str((tmp_path / "system.yaml").rename(tmp_path / "staging.yaml"))
    assert found(tmp_path).days()[0]["drill"]["left_out"] is not None
    days, _ = found(tmp_path, system=given).days()
    assert days["drill"]["left_out"] is None
    assert all("by `Tue` of its calendar" in str(one["frozen"]) for one in days["drill"]["next"])
