"""A run's folder is its owner's alone; one from somebody else is read, and can make nothing happen elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.app.reports import report
from chaos.drivers.folder import LARGEST_JOURNAL, JournalWriter, NoFolder, RunFolder
from chaos.errors import ChaosError
from chaos.events import StopRequested
from chaos.journal import BrokenJournal, digest

JOURNAL = Path(__file__).parents[1] / "judging" / "confirmed.jsonl"
WRITTEN = ("verdict.json", "junit.xml", "report.html")


@pytest.fixture(autouse=True)
def _careless() -> Iterator[None]:
    """Whoever runs this lets everybody read what they make."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_everything_in_a_runs_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path / "runs", "t", "quick", "1")
    folder.write("system.yaml", "a: b")
    journal = JournalWriter(folder.path / "journal.jsonl")
    journal.write(StopRequested("a person"), 0.0, 0.0, sync=True)
    journal.close()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for name in ("system.yaml", "journal.jsonl"):
        assert stat.S_IMODE((folder.path / name).stat().st_mode) == 0o600


def from_somebody(tmp_path: Path, text: str | None = None) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "journal.jsonl").write_text(JOURNAL.read_text() if text is None else text)
    return folder


def test_judging_a_folder_of_somebody_else_writes_through_no_link(tmp_path: Path) -> None:
    folder = from_somebody(tmp_path)
    mine = tmp_path / "mine"
    mine.write_text("precious")
    for name in WRITTEN:
        for link in (name, f"{name}.new", f"{name.partition('.')[0]}.new"):
            (folder / link).symlink_to(mine)
    report(RunFolder(folder))
    assert mine.read_text() == "precious"
    for name in WRITTEN:
        assert not (folder / name).is_symlink()
        assert (folder / name).stat().st_size > 100


def test_a_journal_is_never_written_through_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (tmp_path / "journal.jsonl").symlink_to(mine)
    with pytest.raises(OSError, match="symbolic"):
        JournalWriter(tmp_path / "journal.jsonl")
    assert mine.read_text() == "precious"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST_JOURNAL + 1)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/zero"), fifo, sparse, Path.mkdir])
def test_what_is_no_file_of_a_journals_size_is_refused_unread(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "journal.jsonl")
    with pytest.raises(NoFolder, match="give the folder of a run"):
        RunFolder(tmp_path).lines()


def chained(rows: list[dict[str, Any]]) -> str:
    texts, previous = [], ""
    for row in rows:
        text = json.dumps({**row, "previous": previous})
        previous = digest(text)
        texts.append(text)
    return "".join(text + "\n" for text in texts)


def altered(value: Any, change: Callable[[float], float], top: bool = True) -> Any:
    """Every number of a record changed; the plan and the experiment, which are texts, stay."""
    if isinstance(value, dict):
        return {name: altered(inner, change, False) for name, inner in value.items()}
    if isinstance(value, list):
        return [altered(inner, change, False) for inner in value]
    return change(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and not top else value


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n * 10**12,
        lambda n: -n,
        lambda n: 1e300,
        lambda n: float("nan"),
        lambda n: float("inf"),
        lambda n: 10**30,
    ],
    ids=["large", "negative", "huge", "nan", "infinite", "digits"],
)
def test_absurd_numbers_in_a_journal_end_in_a_verdict_or_one_sentence_in_bounded_time(
    change: Callable[[float], float], tmp_path: Path
) -> None:
    rows = [json.loads(row) for row in JOURNAL.read_text().splitlines()]
    for row in rows:
        row["record"] = altered(row["record"], change)
    folder = from_somebody(tmp_path, chained(rows))
    begun_s = time.process_time()
    said = None
    with contextlib.suppress(BrokenJournal):
        said = report(RunFolder(folder)).verdict
    assert said != "confirmed"
    assert time.process_time() - begun_s < 30


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000 + "\n", '{"a":' * 200_000 + "\n", '{"sequence": ' + "9" * 100_000 + "}\n"]
)
def test_a_journal_too_deep_or_with_too_many_digits_is_no_journal(text: str, tmp_path: Path) -> None:
    with pytest.raises(ChaosError):
        report(RunFolder(from_somebody(tmp_path, text)))
