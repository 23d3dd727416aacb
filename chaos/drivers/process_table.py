"""The local processes of a system, on disk: who they are, how they were started, what they may be hurt for.

A process lab writes this table when it comes up; the process driver reads it to find, hurt and start again. A pid alone
names nobody (pids are used again), so every entry carries the process's creation time as well.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from chaos.errors import Unreachable


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One process: its name is unique in the table; `pid` and `create_time_s` are its latest incarnation's."""

    name: str
    argv: tuple[str, ...]
    cwd: str
    log: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    create_time_s: float = 0.0
    ended: str = ""
    """`pid:create_time` of the incarnation that a run has ended, written down before it did: only that one is started again."""

    def running(self) -> psutil.Process | None:
        """The live process of this entry, or None when it is gone, a zombie, or its pid is somebody else's."""
        if not self.pid:
            return None
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.create_time_s) < 0.05
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


ON_HOLD = ("/bin/sh", "-c", 'read -r go && exec "$@" < /dev/null', "sh")
"""Waits for a line, and becomes the program; without one, when whoever was to write it is dead, it ends instead."""


def spawn(entry: ProcessEntry, known: Callable[[ProcessEntry], None] = lambda _: None) -> ProcessEntry:
    """Starts the entry's program in a session of its own, its output appended to its log; the entry with its new pid.

    `known` gets that entry before the program begins: where this process dies meanwhile, nothing runs that nobody knows of. Raises
    OSError when there is no such program.
    """
    surroundings = {**os.environ, **entry.env}
    if shutil.which(entry.argv[0], path=surroundings.get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), entry.argv[0])
    with Path(entry.log).open("ab") as log:
        started = subprocess.Popen(
            (*ON_HOLD, *entry.argv),
            cwd=entry.cwd,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert started.stdin is not None
    with started.stdin as hold:
        fresh = replace(entry, pid=started.pid, create_time_s=psutil.Process(started.pid).create_time())
        known(fresh)
        hold.write(b"go\n")
    return fresh


class ProcessTable:
    """A table on disk. Reading is atomic; `update` holds a lock, so that two writers never lose each other's entry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[ProcessEntry]:
        """Every entry, in the order of the file; empty when there is no file. Raises Unreachable when it is no table."""
        try:
            rows = json.loads(self.path.read_text())
            return [ProcessEntry(**{**row, "argv": tuple(row["argv"])}) for row in rows["processes"]]
        except FileNotFoundError:
            return []
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise Unreachable(f"{self.path} is no table of processes: {error}; bring the system up again") from error

    @contextmanager
    def reserved(self, name: str, within_s: float) -> Iterator[None]:
        """Nobody else puts this entry back meanwhile. Raises Unreachable when somebody does for longer than `within_s`."""
        until_s = time.monotonic() + within_s
        with self.path.with_name(f"{self.path.name}.{name}.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > until_s:
                        raise Unreachable(
                            f"somebody else is putting {name} back, and does not come to an end"
                        ) from None
                    time.sleep(0.02)
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def update(self, *changed: ProcessEntry) -> None:
        """These entries stand in the table afterwards, replacing those of the same name."""
        with self._locked():
            named = {entry.name: entry for entry in self.entries()}
            named |= {entry.name: entry for entry in changed}
            text = json.dumps({"processes": [asdict(entry) for entry in named.values()]}, indent=1)
            fresh = self.path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(text)
            fresh.replace(self.path)
