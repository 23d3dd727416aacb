"""What runs of this user leave for each other on this machine: who runs, who holds what, what is to be undone, who has said stop.

    STATE/stopped            `chaos stop --all` was said: no run begins until `chaos resume`
    STATE/locks/NAME         locked by the run that may hurt this container, as long as it or its warden lives
    STATE/runs/RUN/          undo.json, undo.log (`chaos.undo_list`); stop: somebody wants the run to end
                   alive     locked by the run
                   warded    locked by its warden

STATE is CHAOS_STATE, else XDG_STATE_HOME/chaos-ml, else ~/.local/state/chaos-ml. Locks are the kernel's (flock): they go with the
process that holds them, however it dies, and no pid is ever taken for another.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chaos.errors import ChaosError
from chaos.undo_list import Open, Step, UndoList, left_on, open_effects, step_line, steps_of, still_on


class NoState(ChaosError):
    """The folder of this user's runs cannot be used."""


class Lock:
    """A lock that this process holds, and whoever it hands the file to; free when the last of them is gone."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def fileno(self) -> int:
        """For a child that is to hold it, too."""
        return self._file.fileno()

    def release(self) -> None:
        """This process does not hold it any more."""
        self._file.close()


LOOKS_S = 0.3
"""Whoever looks whether a lock is held has it for a moment; whoever wants it waits so long for that to be over."""


def locked(path: Path, says: str, *, shared: bool = False) -> Lock | None:
    """The lock, or None when somebody else holds it. Its file tells who does; of several that share it, the last."""
    file = path.open("a+", encoding="utf-8")
    until_s = time.monotonic() + LOOKS_S
    while True:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > until_s:
                file.close()
                return None
            time.sleep(0.02)
    file.truncate(0)
    file.write(says)
    file.flush()
    return Lock(file)


def held(path: Path) -> bool:
    """Whether somebody holds this lock."""
    try:
        with path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class RunState:
    """One run's folder in the state."""

    path: Path

    @property
    def name(self) -> str:
        """The run's id."""
        return self.path.name

    def begin(self, undo: UndoList) -> Lock:
        """The run is known to live for as long as the lock is held, and what it may do can be undone by others.

        Nobody sees it before both are so: the folder is made under another name. Raises NoState.
        """
        fresh = self.path.with_name(f".{self.name}")
        try:
            for folder in (self.path.parent.parent, self.path.parent, fresh):
                _made_private(folder)
            alive = locked(fresh / "alive", self.name)
            if alive is None:
                raise NoState(f"a run called {self.name} is beginning already")
            with (fresh / "undo.json").open("x", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(undo.to_json())
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self.path)
            _synced(self.path.parent)
        except OSError as error:
            raise NoState(f"{self.path} cannot be written ({error.strerror}); {_ADVICE}") from error
        return alive

    def ward(self) -> Lock | None:
        """This process looks after the run's effects; None when another one does."""
        return locked(self.path / "warded", str(os.getpid()))

    def alive(self) -> bool:
        """Whether the run's own process lives."""
        return held(self.path / "alive")

    def warded(self) -> bool:
        """Whether somebody looks after its effects."""
        return held(self.path / "warded")

    def note(self, step: Step, effect: str, *, sync: bool = True) -> None:
        """The step is in the log; with `sync`, on the disk. Raises OSError when it is not."""
        descriptor = os.open(self.path / "undo.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            line = step_line(step, effect).encode()
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "there is no room for a line of the undo list")
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def undo_list(self) -> UndoList | None:
        """What the run may have done; None when it never came so far, and has done nothing."""
        try:
            return UndoList.from_json((self.path / "undo.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise NoState(f"{self.path / 'undo.json'} cannot be read: {error}") from error

    def to_undo(self, undo: UndoList) -> list[Open]:
        """Which of these effects are on, or may be."""
        return open_effects(undo.entries, self._steps())

    def still_on(self) -> list[str]:
        """The effects of the run that are on, or may be, those at proxies among them."""
        return list(still_on(self._steps()))

    def _steps(self) -> list[tuple[str, str]]:
        try:
            return steps_of((self.path / "undo.log").read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return []

    def log(self) -> UndoLog:
        """What the run does from now on, and has done, to be read for as long as somebody wants to."""
        return UndoLog(self.path / "undo.log")

    def note_leash(self, pid: int, create_time_s: float) -> None:
        """Others can end the command that the run is about to begin: by the process that holds its leash."""
        (self.path / "leash").write_text(f"{pid} {create_time_s!r}", encoding="utf-8")

    def leash(self) -> tuple[int, float] | None:
        """The pid and the creation time of the process that holds the run's command; None when the run has begun none."""
        try:
            pid, create_time_s = (self.path / "leash").read_text(encoding="utf-8").split()
            return int(pid), float(create_time_s)
        except (OSError, ValueError):
            return None

    def ask_to_stop(self, by: str) -> None:
        """The run hears within a fiftieth of a second that it is to end."""
        _written(self.path / "stop", by)

    def stop_asked(self) -> str | None:
        """Who wants the run to end; None when nobody does."""
        try:
            return (self.path / "stop").read_text(encoding="utf-8") or "chaos stop"
        except OSError:
            return None

    def forget(self) -> bool:
        """Nothing of the run is left here, unless it lives; whether that is so. Only for runs of which everything is undone."""
        try:
            alive = locked(self.path / "alive", self.name)
        except OSError:  # somebody else has forgotten it
            return True
        if alive is None:
            return False
        import shutil  # takes every compression along, and a stop that ends nothing itself waits for none of them

        shutil.rmtree(self.path, ignore_errors=True)
        alive.release()
        return True


class UndoLog:
    """The log of one run. Its last lines can be read even when the run has been forgotten meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.steps()

    def steps(self) -> list[tuple[str, str]]:
        """Every step up to now; none where nothing was ever issued."""
        try:
            self._file = self._file or self._path.open("rb")
        except FileNotFoundError:
            return []
        self._file.seek(0)
        return steps_of(self._file.read().decode(errors="replace"))

    def still_on(self) -> list[str]:
        """The effects that are on, or may be, and that are being undone."""
        return list(still_on(self.steps()))

    def left_on(self) -> list[str]:
        """The effects of other tools that were not seen off yet."""
        return left_on(self.steps())

    def close(self) -> None:
        """It is read no more."""
        if self._file is not None:
            self._file.close()


def _made_private(folder: Path) -> None:
    """The folder is there, and this user's alone: what stands in it says what is executed. Raises NoState, OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _is_private(folder)


def _is_private(folder: Path) -> None:
    """Raises NoState when somebody else could have written into it."""
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise NoState(f"{folder} is not this user's alone, so nothing in it is believed; {_ADVICE}")


def _written(path: Path, text: str) -> None:
    """The file has this text, whole or not at all; no link is followed. Several threads may write it at once."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def _synced(folder: Path) -> None:
    """The folder's own entries are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_name(driver: str, settings: Mapping[str, Any], beside: str | Path, name: str, identity: str) -> str:
    """What no two runs of a user may hurt at once: a container by its engine's id, a process by its name in its table."""
    if driver == "process":
        return f"{Path(beside, str(settings.get('table', ''))).resolve()} {name}"
    return f"{driver} {identity}"


_ADVICE = "name a folder of yours with CHAOS_STATE"


@dataclass(frozen=True, slots=True)
class State:
    """The state of this user's runs."""

    path: Path

    @staticmethod
    def of_user() -> State:
        """The state that every run of this user on this machine shares."""
        said = os.environ.get("CHAOS_STATE")
        if said:
            return State(Path(said))
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return State(Path(home) / "chaos-ml")

    def run(self, name: str) -> RunState:
        """The state of this run, which may not be there."""
        return RunState(self.path / "runs" / name)

    def runs(self) -> Iterator[RunState]:
        """Every run that lives, or has left something."""
        folder = self.path / "runs"
        if not folder.is_dir():
            return
        for level in (self.path, folder):
            _is_private(level)
        for path in sorted(folder.iterdir()):
            if not path.name.startswith("."):
                yield RunState(path)

    # --- stop everything ----------------------------------------------------------------------------------------------

    def block(self, by: str) -> None:
        """No run begins until `unblock`."""
        try:
            _made_private(self.path)
            _written(self.path / "stopped", by)
        except OSError as error:
            raise NoState(f"{self.path} cannot be written ({error.strerror}); {_ADVICE}") from error

    def blocked(self) -> str | None:
        """Who has forbidden runs; None when they may begin."""
        try:
            return (self.path / "stopped").read_text(encoding="utf-8") or "somebody"
        except OSError:
            return None

    def unblock(self) -> None:
        """Runs may begin."""
        (self.path / "stopped").unlink(missing_ok=True)

    # --- locks --------------------------------------------------------------------------------------------------------

    def lock(self, container: str, run: str, *, shared: bool = False) -> Lock | None:
        """The container is this run's to hurt, or (`shared`) also that of others who share it; None when another one's."""
        try:
            for folder in (self.path, self.path / "locks"):
                _made_private(folder)
            return locked(self._lock(container), run, shared=shared)
        except OSError as error:
            raise NoState(f"{self.path} cannot be written ({error.strerror}); {_ADVICE}") from error

    def holder(self, container: str) -> str | None:
        """The run that may hurt this container now; None when none may."""
        path = self._lock(container)
        return path.read_text(encoding="utf-8") or "another run" if held(path) else None

    def _lock(self, container: str) -> Path:
        from hashlib import sha256

        return self.path / "locks" / sha256(container.encode()).hexdigest()[:24]
