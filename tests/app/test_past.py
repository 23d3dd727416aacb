"""The runs of a folder are read, whatever else lies there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import chaos
from chaos.app.past import NoRun, Unreadable, find, past
from chaos.app.reports import report
from chaos.drivers.folder import RunFolder

JOURNAL = Path(__file__).parents[1] / "judging" / "confirmed.jsonl"


def run_in(runs: Path, name: str, *, judged: bool = True) -> Path:
    """A recorded run under this name, with its verdict when it is `judged`."""
    folder = runs / name
    folder.mkdir(parents=True)
    shutil.copy(JOURNAL, folder / "journal.jsonl")
    if judged:
        report(RunFolder(folder), quick=True)
    return folder


def verdict_that_says(folder: Path, **said: object) -> Path:
    """The folder's verdict.json, with these values changed."""
    path = folder / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))
    return path


def test_every_run_is_read_the_oldest_first_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    run_in(tmp_path, "b")
    run_in(tmp_path, "a", judged=False)
    for name, text in (("cut", ""), ("nonsense", "{}\n"), ("binary", "\x00\x01\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.jsonl").write_text(text)
    (tmp_path / "no-run").mkdir()
    found = past(tmp_path)
    assert sorted(one.folder for one in found.runs) == ["a", "b"]
    assert {one.verdict for one in found.runs} == {"confirmed"}
    assert [one.folder for one in found.unreadable] == ["binary", "cut", "nonsense"]
    assert all(one.reason for one in found.unreadable)


def test_a_run_that_goes_on_has_no_verdict_and_one_whose_runner_died_has(tmp_path: Path) -> None:
    journal = run_in(tmp_path, "a", judged=False) / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[: len(lines) // 2]))
    found = past(tmp_path)
    assert (found.runs, found.unreadable) == ((), (Unreadable("a", "the run has not ended yet"),))
    os.utime(journal, (1.0, 1.0))
    assert [one.folder for one in past(tmp_path).runs] == ["a"]


def test_programs_read_the_same(tmp_path: Path) -> None:
    run_in(tmp_path, "a")
    assert chaos.past(tmp_path) == past(tmp_path)


def test_a_folder_that_is_not_there_holds_no_runs(tmp_path: Path) -> None:
    assert past(tmp_path / "none").runs == ()


def test_the_verdict_that_was_written_is_taken_as_it_stands(tmp_path: Path) -> None:
    verdict_that_says(run_in(tmp_path, "a"), sentence="written")
    assert past(tmp_path).runs[0].sentence == "written"


@pytest.mark.parametrize("said", [{"run": "another"}, {"verdict": "splendid"}, {"detections": [{}]}])
def test_a_verdict_of_another_run_or_another_form_is_judged_anew(tmp_path: Path, said: dict[str, object]) -> None:
    verdict_that_says(run_in(tmp_path, "a"), sentence="written", **said)
    assert past(tmp_path).runs[0].sentence != "written"


def test_a_verdict_that_is_older_than_its_journal_is_judged_anew(tmp_path: Path) -> None:
    path = verdict_that_says(run_in(tmp_path, "a"), sentence="written")
    os.utime(path, (0, 0))
    assert past(tmp_path).runs[0].sentence != "written"


def test_a_run_is_found_by_its_folder_its_id_their_beginnings_and_by_how_long_ago(tmp_path: Path) -> None:
    names = ["20260101-000000-bias-0a1b", "20260102-000000-bias-0c2d", "20260103-000000-delay-0e3f"]
    first, second, third = (run_in(tmp_path, name, judged=False) for name in names)
    for said, folder in {
        str(first): first, names[1]: second, "bias-0c2d": second, "bias-0c": second, "delay": third, "20260101": first,
        "last": third, "last~1": second, "last~2": first,
    }.items():  # fmt: skip
        assert find(tmp_path, said).path == folder, said


@pytest.mark.parametrize(
    ("said", "why"), [("bias", "2 runs"), ("last~3", "only 3"), ("nobody", "delay-0e3f"), ("last~x", "begins with")]
)
def test_what_is_no_run_or_several_is_refused_with_what_there_is(tmp_path: Path, said: str, why: str) -> None:
    for name in ("20260101-000000-bias-0a1b", "20260102-000000-bias-0c2d", "20260103-000000-delay-0e3f"):
        run_in(tmp_path, name, judged=False)
    with pytest.raises(NoRun, match=why):
        find(tmp_path, said)
    with pytest.raises(NoRun, match="there is no run"):
        find(tmp_path / "none", said)


@pytest.mark.parametrize(("count", "end"), [(4, "bias-3"), (7, "bias-6 and 3 more")])
def test_of_many_runs_that_could_be_meant_the_newest_are_named_and_the_others_counted(
    tmp_path: Path, count: int, end: str
) -> None:
    for number in range(count):
        (tmp_path / f"2026010{number + 1}-000000-bias-{number}").mkdir()
        (tmp_path / f"2026010{number + 1}-000000-bias-{number}" / "journal.jsonl").touch()
    with pytest.raises(NoRun, match=rf"is the beginning of {count} runs; write more of it: .*{end}$") as caught:
        find(tmp_path, "bias")
    assert str(caught.value).count("-000000-") == 4
