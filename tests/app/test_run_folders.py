"""Commands that read a run's folder take its id, too, and name what was asked for where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.past import NoRun
from chaos.app.run_folders import run_folder
from tests.test_first_mistakes import chaos

RUNS = Path("runs")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are run in, with two runs."""
    for name in ("20260101-000000-delay-1a2b", "20260102-000000-delay-3c4d"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "journal.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("said", ["runs/20260102-000000-delay-3c4d", "20260102", "delay-3c", "last"])
def test_a_run_is_found_by_folder_id_beginning_or_last(folder: Path, said: str) -> None:
    assert run_folder(Path(said), RUNS).path == Path("runs/20260102-000000-delay-3c4d")


def test_what_is_no_run_is_named_with_the_last_one_and_how_to_list_them(folder: Path) -> None:
    with pytest.raises(
        NoRun, match=r"^nosuch is no folder of a run: .*20260102-000000-delay-3c4d, and `ls runs` lists"
    ):
        run_folder(Path("nosuch"), RUNS)


def test_where_there_is_no_run_at_all_the_argument_is_named_all_the_same(tmp_path: Path) -> None:
    code, said = chaos(tmp_path, "judge", "nosuch")
    assert code == 3
    assert (
        "nosuch is no folder of a run: there is no run in runs; run an experiment, or say where they are with --runs"
        in said
    )


def test_coverage_says_that_its_folder_is_not_there(tmp_path: Path) -> None:
    assert "there is no folder nosuch, so no run is known" in chaos(tmp_path, "coverage", "--runs", "nosuch")[1]
