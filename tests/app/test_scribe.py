"""The journal's writer: who adds waits for nothing, who asks waits until the line is on the disk, and a refusal is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.app.scribe import NotWritten, Scribe
from chaos.drivers.folder import JournalWriter
from chaos.events import Apply
from chaos.journal import read
from tests.drivers.loopback import eventually


class Hanging(JournalWriter):
    """A journal on a disk that does not answer until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = threading.Event()

    def sync(self) -> int:
        """As long as the disk hangs, so does this."""
        self.free.wait(30)
        return super().sync()


def begun(writer: JournalWriter, failed: Callable[[OSError], None]) -> Scribe:
    scribe = Scribe(writer, failed)
    scribe.begin()
    return scribe


def test_a_line_that_was_waited_for_is_in_the_file(tmp_path: Path) -> None:
    errors: list[OSError] = []
    scribe = begun(JournalWriter(tmp_path / "j"), errors.append)
    scribe.await_disk(scribe.add(Apply("a"), 0.0, 0.0, soon=True), 10)
    assert [line.record for line in read((tmp_path / "j").read_text())] == [Apply("a")]
    scribe.close()
    assert errors == []


def test_what_nobody_waits_for_is_there_within_seconds_and_at_the_end(tmp_path: Path) -> None:
    scribe = begun(JournalWriter(tmp_path / "j"), lambda _: None)
    scribe.add(Apply("a"), 0.0, 0.0)
    eventually((tmp_path / "j").read_text, 10, "the line is in the file")
    scribe.add(Apply("b"), 0.0, 0.0)
    scribe.close()
    assert len(read((tmp_path / "j").read_text())) == 2


def test_a_disk_that_hangs_keeps_nobody_who_adds_and_tells_whoever_waits(tmp_path: Path) -> None:
    writer = Hanging(tmp_path / "j")
    scribe = begun(writer, lambda _: None)
    first = scribe.add(Apply("a"), 0.0, 0.0, soon=True)
    for _ in range(100):
        scribe.add(Apply("b"), 0.0, 0.0, soon=True)
    with pytest.raises(NotWritten, match="took more than"):
        scribe.await_disk(first, 0.1)
    writer.free.set()
    scribe.await_disk(first, 10)
    scribe.close()
    assert len(read((tmp_path / "j").read_text())) == 101


def test_a_disk_that_refuses_is_told_at_once(tmp_path: Path) -> None:
    errors: list[OSError] = []
    scribe = begun(JournalWriter(Path("/dev/full")), errors.append)
    with pytest.raises(NotWritten, match="No space"):
        scribe.await_disk(scribe.add(Apply("a"), 0.0, 0.0, soon=True), 10)
    assert errors
    with pytest.raises(NotWritten):
        scribe.close()
