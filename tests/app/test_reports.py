"""What a run leaves when it is over: its report first, whoever looked on afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chaos.app.following import Following
from chaos.app.reports import report_first
from chaos.drivers.folder import JournalWriter, RunFolder
from chaos.history.now import Now
from chaos.journal import read
from tests.drivers.loopback import eventually

LINES = read((Path(__file__).parents[1] / "judging" / "confirmed.jsonl").read_text())


class WaitsForTheReport:
    """Somebody who looks on, and has said everything only once the page is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def follow(self, now: Now) -> None:
        """Nothing is told in these tests."""

    def close(self) -> list[str]:
        eventually((self.folder / "report.html").is_file, 60, "the report")
        return []


def journal_of(folder: Path) -> JournalWriter:
    journal = JournalWriter(folder / "journal.jsonl")
    for line in LINES:
        journal.add(line.record, line.at_s, line.wall_s)
    return journal


def test_the_report_is_written_before_those_who_look_on_are_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = WaitsForTheReport(tmp_path)
    lines, verdict = report_first(RunFolder(tmp_path), journal_of(tmp_path), Following("run", [one]))
    assert caplog.messages == [], "it was waited for first, and in vain"
    assert len(lines) == len(LINES)
    assert verdict is not None
    assert verdict.verdict == "confirmed"


class NeverEnds:
    """Somebody who looks on, and is never done."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def follow(self, now: Now) -> None:
        """Nothing is told in these tests."""

    def close(self) -> list[str]:
        self.released.wait(30)
        return []


@pytest.mark.parametrize(("interrupts", "page"), [(1, True), (2, False)])
def test_whoever_interrupts_waits_for_nobody_who_looks_on_and_the_second_time_for_no_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, interrupts: int, page: bool
) -> None:
    one = NeverEnds()
    _, verdict = report_first(RunFolder(tmp_path), journal_of(tmp_path), Following("run", [one]), interrupts=interrupts)
    one.released.set()
    assert [said for said in caplog.messages if "nobody waits for it" in said], "it was waited for"
    assert verdict is not None
    assert (tmp_path / "verdict.json").is_file()
    assert (tmp_path / "report.html").is_file() is page


def test_a_journal_without_a_line_has_no_verdict(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "journal.jsonl")
    assert report_first(RunFolder(tmp_path), journal, Following("run", [])) == ([], None)
