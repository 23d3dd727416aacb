"""`chaos check` reads each file as what it is, and fits the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.checking import checked
from chaos.errors import InvalidFile
from tests.test_first_mistakes import chaos
from tests.values import EXPERIMENT, SYSTEM, edited, laid_out

DAY = "name: tuesday\npurpose: learn\nsteps: [{experiment: e.yaml}, {experiment: e.yaml}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a right file of every kind."""
    (laid_out(tmp_path) / "traffic.jsonl").write_text("{}\n")
    (tmp_path / "day.yaml").write_text(DAY)
    return tmp_path


def said_of(path: Path) -> str:
    return checked(path, None, {}, path.parent / "state")[0]


def test_every_kind_of_file_is_said_to_be_right_as_what_it_is(folder: Path) -> None:
    assert said_of(folder / "e.yaml") == "wrong-predictions: the file is right, and fits the system lab"
    assert said_of(folder / "system.yaml") == "the file is right: the system lab"
    assert said_of(folder / "probes" / "all.yaml").startswith("the file is right: ")
    assert said_of(folder / "day.yaml") == "tuesday: the file is right: a game day of 2 experiments"


def test_a_game_day_is_wrong_when_one_of_its_experiments_is(folder: Path) -> None:
    (folder / "e.yaml").write_text(EXPERIMENT.replace("system: lab", "system: nowhere.yaml"))
    assert "their systems are not all there to check against" in said_of(folder / "day.yaml")
    (folder / "e.yaml").write_text(edited(EXPERIMENT, ("system: lab", "system: nowhere.yaml"), ("10%", "10")))
    with pytest.raises(InvalidFile, match="has no unit"):
        said_of(folder / "day.yaml")
    (folder / "e.yaml").write_text(edited(EXPERIMENT, ("system: lab\n", "")))
    with pytest.raises(InvalidFile, match="`system` is missing"):
        said_of(folder / "day.yaml")


def test_a_game_day_is_wrong_when_the_named_system_or_the_data_is_not_there_or_a_step_is_a_sweep(folder: Path) -> None:
    with pytest.raises(InvalidFile, match="there is no system"):
        checked(folder / "day.yaml", "typo.yaml", {}, folder / "state")
    (folder / "traffic.jsonl").unlink()
    with pytest.raises(InvalidFile, match="there is no file"):
        said_of(folder / "day.yaml")
    (folder / "e.yaml").write_text(
        EXPERIMENT.replace("system: lab", "system: nowhere.yaml") + "sweep: {parameter: share, over: [2%, 5%]}\n"
    )
    with pytest.raises(InvalidFile, match="is a sweep, which is a day of its own"):
        said_of(folder / "day.yaml")


def test_a_file_that_is_no_system_is_not_what_may_be_meant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(InvalidFile, match=r"did you mean `system\.yaml`"):
        checked(Path("e.yaml"), "systm.yaml", {}, folder / "state")
    with pytest.raises(InvalidFile, match=r"there is no system `dai\.yaml`; write the path"):
        checked(Path("e.yaml"), "dai.yaml", {}, folder / "state")


def test_data_that_is_not_there_is_a_mistake_unless_the_system_file_marks_it_as_left_to_fill_in(folder: Path) -> None:
    (folder / "traffic.jsonl").unlink()
    with pytest.raises(InvalidFile, match="there is no file"):
        said_of(folder / "e.yaml")
    elsewhere, there = (
        ("entry: http", "# TODO: the entry\nentry: http"),
        ("traffic.jsonl}", "traffic.jsonl}  # TODO: rows"),
    )
    (folder / "system.yaml").write_text(edited(SYSTEM, elsewhere))
    with pytest.raises(InvalidFile, match="there is no file"):
        said_of(folder / "e.yaml")
    (folder / "system.yaml").write_text(edited(SYSTEM, there))
    assert said_of(folder / "e.yaml").endswith("; the data of its load is not there yet")


@pytest.mark.parametrize("name", ["e.yaml", "day.yaml", "wrong.yaml", "passwd", "manifests.yaml"])
def test_no_line_is_wider_than_the_terminal(folder: Path, name: str) -> None:
    (folder / "wrong.yaml").write_text("name: nothing-else\n")
    (folder / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n" * 30)
    (folder / "manifests.yaml").write_text("apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: Pod\n")
    _, said = chaos(folder, "check", name, COLUMNS="60")
    assert len(said.splitlines()) > 1
    assert all(len(line) <= 60 for line in said.splitlines()), said
