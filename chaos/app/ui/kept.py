"""What the folder of runs holds, remembered: a run that is over is read once. Safe from any thread."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chaos.app.past import UNREADABLE, NotOver, Unreadable, summary
from chaos.app.stopping import living
from chaos.drivers.folder import RunFolder
from chaos.drivers.state import State
from chaos.history import RunSummary

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What a run's folder may be called, and nothing that leads elsewhere."""
WRITES_S = 60.0
"""How long after its last line a run may take to judge and to draw."""
LARGEST_REPORT = 64 * 1024 * 1024

Read = RunSummary | Unreadable


@dataclass
class Kept:
    """The runs of one folder, and which of them go on."""

    runs: Path
    state: State
    _known: dict[str, tuple[tuple[int, ...], Read]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def folder(self, name: str, with_file: str = "journal.jsonl") -> Path | None:
        """The folder of this name, which stands in the folder of runs itself and has this file; None where there is none."""
        path = self.runs / name
        if not NAME.fullmatch(name) or path.is_symlink() or not (path / with_file).exists():
            return None
        return path

    def going_on(self) -> dict[str, str | None]:
        """The id of each run of this user that goes on → its folder here, None where it is elsewhere."""
        return {run.name: self._of(run.name) for run in living(self.state)}

    def _of(self, run: str) -> str | None:
        return next((path.name for path in self.runs.glob(f"*-{run}") if self.folder(path.name) is not None), None)

    def over(self) -> list[Read]:
        """Every run that does not go on, the newest first."""
        lives = set(self.going_on().values())
        with self._lock:
            found = [self._read(path) for path in self._folders() if path.name not in lives]
        return sorted(found, key=_age)

    def seen(self) -> tuple[tuple[str, int, int], ...]:
        """What changes whenever a run of the folder does: each one's name, and when its journal and its verdict were written."""
        return tuple(sorted((path.name, *_written(path)) for path in self._folders()))

    def _folders(self) -> Iterator[Path]:
        if self.runs.is_dir():
            for path in self.runs.iterdir():
                if self.folder(path.name) is not None:
                    yield path

    def _read(self, path: Path) -> Read:
        seen = _written(path)
        known = self._known.get(path.name)
        if known is None or known[0] != seen:
            try:
                known = self._known[path.name] = (seen, _summary(path))
            except NotOver as error:  # it may be over when it is next asked for, and nothing will have been written
                return Unreadable(path.name, str(error))
        return known[1]

    def read(self, name: str) -> Read | None:
        """One run that is over; None where there is no such folder."""
        path = self.folder(name)
        if path is None:
            return None
        with self._lock:
            return self._read(path)

    def being_written(self, name: str, now_wall_s: float) -> bool:
        """Whether the run has only just said its last line, so that its report may come at any moment."""
        path = self.folder(name)
        if path is None or (path / "report.html").exists():
            return False
        return now_wall_s - _changed(path / "journal.jsonl") / 1e9 < WRITES_S

    def report(self, name: str, file: Literal["report.html", "summary.html"] = "report.html") -> str | None:
        """The page that stands in this folder of a run, or of a game day; None where there is none that may be shown."""
        path = self.folder(name, file)
        if path is None:
            return None
        try:
            descriptor = os.open(path / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as opened:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_REPORT:
                    return None
                return opened.read().decode("utf-8", "replace")
        except OSError:
            return None


def _age(one: Read) -> tuple[int, float, str]:
    """The newest first; what cannot be read comes last."""
    return (0, -one.started_wall_s, one.folder) if isinstance(one, RunSummary) else (1, 0.0, one.folder)


def _written(run: Path) -> tuple[int, int]:
    return _changed(run / "journal.jsonl"), _changed(run / "verdict.json")


def _changed(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _summary(path: Path) -> Read:
    try:
        return summary(RunFolder(path))
    except NotOver:
        raise
    except UNREADABLE as error:
        return Unreadable(path.name, str(error) or type(error).__name__)
