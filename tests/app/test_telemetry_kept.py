"""A run's telemetry is found again beside its journal, and what cannot be read is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.app.telemetry_kept import NAME, kept, newest_run
from chaos.drivers.folder import NoFolder, RunFolder
from tests.rehearsal.telemetry import grown, recording, series


def run(
    runs: Path,
    stamp: str,
    experiment: str,
    verdict: str | None = "confirmed",
    *,
    telemetry: bool = True,
    rank: float | None = None,
) -> Path:
    """A run's folder, as far as a rehearsal looks at it."""
    folder = RunFolder.make(runs, stamp, experiment, "1a2b3c4d")
    if telemetry:
        folder.write_packed(NAME, recording([series("m", grown([1] * 5))], 5).lines())
    if verdict is not None:
        folder.write("verdict.json", json.dumps({"verdict": verdict, "experiment": experiment}))
        folder.write("plan.json", json.dumps({"swept": None if rank is None else "x", "swept_rank": rank or 0.0}))
    return folder.path


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    made = recording([series("m", grown([1] * 5))], 5)
    assert kept(run(tmp_path, "20260101-000000", "name")) == made


def test_the_newest_run_is_taken_in_which_the_fault_happened(tmp_path: Path) -> None:
    run(tmp_path, "20260101-000000", "name")
    newest = run(tmp_path, "20260102-000000", "name", "undetected")
    run(tmp_path, "20260103-000000", "name", "invalid")
    run(tmp_path, "20260104-000000", "name", None)
    run(tmp_path, "20260105-000000", "name", telemetry=False)
    run(tmp_path, "20260106-000000", "other")
    assert newest_run(tmp_path, "name") == newest


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert newest_run(tmp_path, "name") is None
    assert newest_run(tmp_path / "nowhere", "name") is None


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda _: b"not packed", lambda _: b""])
def test_a_file_that_is_damaged_or_not_there_is_refused(tmp_path: Path, damage) -> None:
    folder = run(tmp_path, "20260101-000000", "name")
    (folder / NAME).write_bytes(damage((folder / NAME).read_bytes()))
    with pytest.raises(NoFolder, match=NAME):
        kept(folder)
    (folder / NAME).unlink()
    with pytest.raises(NoFolder, match=f"no {NAME}"):
        kept(folder)


def test_an_experiment_whose_name_begins_alike_is_another_one(tmp_path: Path) -> None:
    run(tmp_path, "20260102-000000", "blind-spot")
    assert newest_run(tmp_path, "blind") is None
    mine = run(tmp_path, "20260101-000000", "blind")
    assert newest_run(tmp_path, "blind") == mine


def test_of_a_sweep_the_most_severe_run_is_taken(tmp_path: Path) -> None:
    for second, rank in enumerate((0.3, 0.01, 0.05)):
        run(tmp_path, f"20260101-00000{second}", "name", rank=rank)
    found = newest_run(tmp_path, "name")
    assert found is not None
    assert found.name.startswith("20260101-000000")
    alone = run(tmp_path, "20260102-000000", "name")
    assert newest_run(tmp_path, "name") == alone


def test_a_folder_of_somebody_elses_making_is_no_run(tmp_path: Path) -> None:
    folder = run(tmp_path, "20260101-000000", "name")
    (folder / "plan.json").write_text("[" * 100_000)
    assert newest_run(tmp_path, "name") is None
