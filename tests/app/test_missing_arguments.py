"""Every command says in the same words that an argument is missing, with something that could be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_first_mistakes import chaos

OF_EXPERIMENTS = (("check",), ("plan",), ("run",), ("rehearse",), ("run", "--", "true"))
OF_GAME_DAYS = (("gameday", "run"), ("gameday", "list"), ("gameday", "serve"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a game day, an experiment, something else and a run."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "a-day.yaml").write_text("name: d\nsteps: [{experiment: e.yaml}]\n")
    (tmp_path / "experiments" / "a-build.yml").write_text("steps:\n  - script: make\n")  # which is of another tool
    (tmp_path / "experiments" / "another.yaml").write_text("on: [push]\n")
    (tmp_path / "experiments" / "delay.yaml").write_text("name: e\nfaults:\n  - {fault: delay}\n")
    for name in ("20260101-000000-old", "20260102-000000-new"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "journal.jsonl").touch()
    return tmp_path


@pytest.mark.parametrize("words", OF_EXPERIMENTS)
def test_a_command_for_experiments_names_one(folder: Path, words: tuple[str, ...]) -> None:
    code, said = chaos(folder, *words)
    assert code == 2
    assert "Error: Missing argument FILE" in said
    assert said.rstrip().endswith(": write one, such as experiments/delay.yaml")


@pytest.mark.parametrize("words", OF_GAME_DAYS)
def test_a_command_for_game_days_names_one(folder: Path, words: tuple[str, ...]) -> None:
    code, said = chaos(folder, *words)
    assert code == 2
    assert "Error: Missing argument FILE" in said
    assert said.rstrip().endswith(": write one, such as experiments/a-day.yaml")


def test_where_there_is_none_it_is_said_how_to_come_by_the_first_one(tmp_path: Path) -> None:
    assert "`chaos init` makes the first ones" in chaos(tmp_path, "plan")[1]
    assert "docs/gamedays.md shows one" in chaos(tmp_path, "gameday", "run")[1]
    assert "write the folder of a run; `chaos run` makes one" in chaos(tmp_path, "judge")[1]


def test_a_command_for_runs_names_the_newest(folder: Path) -> None:
    assert "such as runs/20260102-000000-new" in chaos(folder, "judge")[1]


def test_a_wrong_value_is_still_said_to_be_wrong(folder: Path) -> None:
    code, said = chaos(folder, "schema", "experment")
    assert code == 2
    assert "Invalid value for KIND" in said
