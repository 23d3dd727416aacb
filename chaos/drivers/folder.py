"""A run's folder on disk: `runs/<time>-<name>-<id>/`, with the journal that is written ahead of every effect."""

from __future__ import annotations

import gzip
import os
import stat
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chaos.errors import ChaosError
from chaos.events import Record
from chaos.journal import Line, digest, from_text, read, to_text

FileName = Literal[
    "experiment.yaml",
    "system.yaml",
    "plan.json",
    "journal.jsonl",
    "verdict.json",
    "report.html",
    "junit.xml",
    "survey.json",
    "telemetry.jsonl.gz",
    "summary.json",
    "summary.html",
]


LARGEST_JOURNAL = 256 * 1024 * 1024
"""Bytes; a run's is a few megabytes, and a folder may come from somebody else."""


LARGEST_FIRST_LINE = 16 * 1024 * 1024
"""Bytes; it holds the plan and the experiment, a few kilobytes each."""


LARGEST_PACKED = 128 * 1024 * 1024
"""Bytes of a packed file, unpacked."""


def private(path: Path) -> int:
    """A descriptor of a new, empty file that its owner alone may read. Whatever stood at this name is gone, never followed:
    a folder from somebody else may have a link there, to a file of ours. Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


class NoFolder(ChaosError):
    """The run's folder cannot be made or read."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's files. Made private to its owner: journals say what a system does."""

    path: Path

    @staticmethod
    def make(runs: Path, stamp: str, experiment: str, run: str) -> RunFolder:
        """A new folder. Raises NoFolder when it cannot be made."""
        path = runs / f"{stamp}-{experiment}-{run}"
        try:
            path.mkdir(parents=True, mode=0o700)
            (path / "locust").mkdir()
        except OSError as error:
            raise NoFolder(
                f"the run folder {path} cannot be made: {error.strerror}; run where you may write, or use --runs"
            ) from error
        return RunFolder(path)

    def write(self, name: FileName, text: str) -> Path:
        """The file has this text afterwards, whole or not at all."""
        target = self.path / name
        fresh = target.with_suffix(target.suffix + ".new")
        with os.fdopen(private(fresh), "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(target)
        return target

    def write_packed(self, name: FileName, lines: Iterable[str]) -> Path:
        """The file has these lines afterwards, packed, whole or not at all."""
        target = self.path / name
        fresh = target.with_suffix(target.suffix + ".new")
        with (
            os.fdopen(private(fresh), "wb") as file,
            gzip.open(file, "wt", compresslevel=4, encoding="utf-8") as packed,
        ):
            packed.writelines(f"{line}\n" for line in lines)
        fresh.replace(target)
        return target

    def packed(self, name: FileName) -> list[str]:
        """The lines of a packed file. Raises NoFolder when it is not there, damaged, or larger than what we would have written."""
        path = self.path / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise NoFolder(f"{path} is no file")
            with gzip.open(path, "rb") as file:
                content = file.read(LARGEST_PACKED + 1)
        except FileNotFoundError:
            raise NoFolder(f"there is no {name} in {self.path}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise NoFolder(f"{path} cannot be read: {error}") from error
        if len(content) > LARGEST_PACKED:
            raise NoFolder(f"{path} is larger than {LARGEST_PACKED:,} bytes, unpacked")
        return content.decode("utf-8", "replace").splitlines()

    def add(self, record: Record, last: Line) -> Line:
        """The journal of a run that is over has one more line, at no time of its own: what is worked out later changes no moment.

        Raises NoFolder when the file does not end with the line `last` (a full disk has cut it), OSError when it cannot be written.
        """
        path = self.path / "journal.jsonl"
        end = to_text(last).encode() + b"\n"
        line = Line(last.sequence + 1, last.at_s, last.wall_s, digest(to_text(last)), record)
        with path.open("r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(end)))
            if file.read() != end:
                raise NoFolder(
                    f"{path} does not end with the run's last line, so nothing is added to it; was the disk full?"
                )
            file.write(to_text(line).encode() + b"\n")
            os.fsync(file.fileno())
        return line

    def first_line(self) -> Line:
        """The journal's first line, without reading the others. Raises NoFolder when there is none, BrokenJournal when it is none."""
        journal = self.path / "journal.jsonl"
        try:
            if not stat.S_ISREG(journal.stat().st_mode):
                raise NoFolder(f"{journal} is no file; give the folder of a run")
            with journal.open("rb") as file:
                text = file.readline(LARGEST_FIRST_LINE)
        except OSError as error:
            raise NoFolder(f"{journal} cannot be read: {error.strerror}; give the folder of a run") from error
        return from_text(text.decode("utf-8", "replace").rstrip("\n"))

    def lines(self) -> list[Line]:
        """The journal's lines. Raises NoFolder when there is none, BrokenJournal when it was altered."""
        journal = self.path / "journal.jsonl"
        try:
            found = journal.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_JOURNAL:
                raise NoFolder(
                    f"{journal} is no file of at most {LARGEST_JOURNAL // 1_000_000} MB; give the folder of a run"
                )
            # A crash may cut the last line inside a character; whatever else is no UTF-8 breaks the chain of hashes.
            return read(journal.read_bytes().decode("utf-8", "replace"))
        except OSError as error:
            raise NoFolder(f"{journal} cannot be read: {error.strerror}; give the folder of a run") from error


class JournalWriter:
    """Appends records. `add` touches no disk; `sync` returns when everything that was added is on it.

    What a full disk refuses is kept and written first when there is room again, so that the lines stay a chain. Safe from many
    threads: nobody who adds waits for a disk that hangs.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "ab", buffering=0
        )
        self._waiting = b""
        self._previous = ""
        self._sequence = 0
        self._synced_at_s = 0.0
        self._texts: list[str] = []
        self._lock = threading.Lock()
        self._disk = threading.Lock()

    def add(self, record: Record, at_s: float, wall_s: float) -> int:
        """The record is the journal's last line, whose number this is. Raises ValueError for a text that has no encoding."""
        with self._lock:
            line = Line(self._sequence + 1, at_s, wall_s, self._previous, record)
            text = to_text(line)
            encoded = text.encode() + b"\n"
            self._texts.append(text)
            self._waiting += encoded
            self._sequence, self._previous = line.sequence, digest(text)
            return line.sequence

    def sync(self) -> int:
        """Every line up to this number is on the disk. Raises OSError when they are not."""
        with self._disk:
            while True:
                with self._lock:
                    waiting, upto = self._waiting, self._sequence
                if not waiting:
                    break
                written = self._file.write(waiting) or 0
                with self._lock:
                    self._waiting = self._waiting[written:]
            os.fsync(self._file.fileno())
            return upto

    def write(self, record: Record, at_s: float, wall_s: float, *, sync: bool = False) -> None:
        """The record is added, and on the disk with `sync` or when the last sync is a second old. Raises OSError."""
        self.add(record, at_s, wall_s)
        if sync or at_s - self._synced_at_s >= 1.0:
            self.sync()
            self._synced_at_s = at_s

    def lines(self) -> list[Line]:
        """Everything that was to be written, read back as it stands in the file: a run can be judged though its disk is full."""
        with self._lock:
            texts = list(self._texts)
        return [from_text(text) for text in texts]

    def close(self) -> None:
        """Everything is on the disk. Raises OSError when it is not; the file is closed all the same."""
        try:
            self.sync()
        finally:
            self._file.close()
