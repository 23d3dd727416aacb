"""The runs of a folder, read: their verdicts from `verdict.json`, or from the journal where that is missing or stale. Wiring.

A folder that cannot be read is named with the reason, and never keeps the others from being read.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from chaos.drivers.folder import RunFolder
from chaos.errors import ChaosError
from chaos.history import Head, RunSummary, head_of, summary_of
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.verdict import Verdict

T = TypeVar("T")
STALE_S = 5.0
"""A verdict.json that is so much older than its journal was written before the journal's last line."""
GOING_S = 60.0
"""A run without an end whose journal has been written since then may still go on; an older one is of a runner that died."""
SHOWN = 4
"""So many of the runs that a beginning could mean are named, the newest."""
UNREADABLE = (
    ChaosError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, OSError,
)  # fmt: skip
"""What a folder may raise that somebody damaged, or that an older version wrote."""


class NotOver(ChaosError):
    """The run goes on: it has no verdict yet."""


class NoRun(ChaosError):
    """There is no run as somebody asked for it; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder with a journal that nothing can be said of, and why."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """Every run of a folder, the oldest first, and the folders that could not be read."""

    runs: tuple[RunSummary, ...]
    unreadable: tuple[Unreadable, ...]


def past(runs: Path) -> Past:
    """Every run in this folder. A folder that is not there holds none."""
    read = list(each(runs, summary))
    found = [one for one in read if isinstance(one, RunSummary)]
    return Past(
        tuple(sorted(found, key=lambda one: (one.started_wall_s, one.run))),
        tuple(one for one in read if isinstance(one, Unreadable)),
    )


def each(runs: Path, read: Callable[[RunFolder], T]) -> Iterator[T | Unreadable]:
    """What `read` makes of every run's folder, by name, or why it makes nothing of it."""
    for path in sorted(runs.glob("*/journal.jsonl")) if runs.is_dir() else ():
        try:
            yield read(RunFolder(path.parent))
        except UNREADABLE as error:
            yield Unreadable(path.parent.name, str(error) or type(error).__name__)


def summary(folder: RunFolder) -> RunSummary:
    """The run in this folder, in short. Raises one of UNREADABLE."""
    head = head_of(folder.first_line())
    return summary_of(verdict_of(folder, head), head, folder.path.name)


def verdict_of(folder: RunFolder, head: Head) -> Verdict:
    """The run's verdict: as it was written, or judged anew where that is missing, stale, of another run, or of another form.

    Raises NotOver while the run goes on, and one of UNREADABLE.
    """
    written = _written(folder, head)
    if written is not None:
        return written
    lines = folder.lines()
    silent_s = time.time() - (folder.path / "journal.jsonl").stat().st_mtime
    if silent_s < GOING_S and not trace(lines).ended():
        raise NotOver("the run has not ended yet")
    return judge(lines)


@cache
def _adapter() -> TypeAdapter[Verdict]:
    return TypeAdapter(Verdict)


def _written(folder: RunFolder, head: Head) -> Verdict | None:
    path = folder.path / "verdict.json"
    try:
        if path.stat().st_mtime < (folder.path / "journal.jsonl").stat().st_mtime - STALE_S:
            return None
        found = _adapter().validate_json(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if found.run == head.run else None


def find(runs: Path, said: str) -> RunFolder:
    """The run that a person means: a folder, a run's id or folder name or the beginning of one, `last`, or `last~2` for the third last.

    Raises NoRun, saying what there is, when that is none or more than one.
    """
    if (Path(said) / "journal.jsonl").is_file():
        return RunFolder(Path(said))
    folders = sorted(path.parent for path in runs.glob("*/journal.jsonl")) if runs.is_dir() else []
    if not folders:
        raise NoRun(f"there is no run in {runs}; run an experiment, or say where they are with --runs")
    back = _steps_back(said)
    if back is not None:
        if back >= len(folders):
            only = f"are only {len(folders)} runs" if len(folders) > 1 else "is only one run"
            raise NoRun(f"there is no {said}: there {only} in {runs}")
        return RunFolder(folders[-1 - back])
    named = [path for path in folders if path.name.startswith(said) or _run_part(path.name).startswith(said)]
    exact = [path for path in named if said in (path.name, _run_part(path.name))]
    match exact or named:
        case [one]:
            return RunFolder(one)
        case []:
            raise NoRun(
                f"no run in {runs} begins with {said!r}; the last one is {folders[-1].name}, and `ls {shlex.quote(str(runs))}` lists all"
            )
        case several:
            names = ", ".join(path.name for path in several[-SHOWN:])
            more = f" and {len(several) - SHOWN} more" if len(several) > SHOWN else ""
            raise NoRun(f"{said!r} is the beginning of {len(several)} runs; write more of it: {names}{more}")


def _steps_back(said: str) -> int | None:
    """How many runs before the last one are meant by `last~N`; None where it is no such word."""
    word, tilde, count = said.partition("~")
    if word != "last" or (tilde and not count.isdecimal()):
        return None
    return int(count) if tilde else 0


def _run_part(folder: str) -> str:
    """The run's id in a folder's name: what follows `YYYYMMDD-HHMMSS-`."""
    parts = folder.split("-", 2)
    return parts[2] if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal() else folder
