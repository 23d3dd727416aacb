"""A game day is read with all its experiments, and every problem of every file comes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.gameday.loading import load_days
from chaos.errors import InvalidFile
from tests.gameday.days import loaded, written


def test_a_day_has_the_experiment_of_each_step_and_the_calendars_of_its_systems(tmp_path: Path) -> None:
    made = loaded(tmp_path, system=(("name: lab", "name: lab\ncalendar: {holidays: [12-24]}"),))
    assert made.names() == ["first", "second", "third"]
    assert [(name, calendar.holidays) for name, calendar in made.calendars()] == [("lab", ["12-24"])]


def test_the_most_that_a_day_takes_has_its_pauses_and_shrinks_from_step_to_step(tmp_path: Path) -> None:
    made = loaded(tmp_path)
    assert made.longest_s() - made.longest_s(1) == pytest.approx(made.longest_s(2) - 300.0)
    assert made.longest_s(3) == 0.0


def test_the_problems_of_all_its_experiments_come_at_once(tmp_path: Path) -> None:
    path = written(tmp_path)
    for name in ("first", "third"):
        (tmp_path / f"{name}.yaml").write_text((tmp_path / f"{name}.yaml").read_text() + "nonsense: 1\n")
    with pytest.raises(InvalidFile) as refused:
        load_days([path], variables={})
    assert [Path(one.path).name for one in refused.value.problems] == ["first.yaml", "third.yaml"]


def test_an_experiment_that_is_not_there_and_a_sweep_are_refused_in_one_sentence_each(tmp_path: Path) -> None:
    path = written(tmp_path, ("second.yaml", "secnd.yaml"))
    sweep = "sweep: {parameter: share, over: [2%, 5%]}\n"
    (tmp_path / "third.yaml").write_text((tmp_path / "third.yaml").read_text() + sweep)
    with pytest.raises(InvalidFile) as refused:
        load_days([path], variables={})
    said = str(refused.value)
    assert "secnd.yaml: cannot be read: No such file or directory; did you mean `second.yaml`?" in said
    assert "day.yaml:7:18: steps[2].experiment: third is a sweep, which is a day of its own" in said


def test_two_days_of_one_name_are_refused_by_a_server(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "twin.yaml").write_text(path.read_text())
    with pytest.raises(InvalidFile, match=r"day\.yaml is called drill, too"):
        load_days([path, tmp_path / "twin.yaml"], variables={})


def test_a_system_that_the_day_names_takes_the_place_of_the_experiments_own(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "other.yaml").write_text((tmp_path / "system.yaml").read_text().replace("name: lab", "name: other"))
    path.write_text(path.read_text().replace("name: drill", "name: drill\nsystem: other.yaml"))
    [made] = load_days([path], variables={})
    assert [name for name, _ in made.calendars()] == ["other"]
