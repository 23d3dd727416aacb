"""A run's own side of its safety: its undo list, its locks, its warden, and whoever wants it to stop. Wiring.

Nothing is hurt before the undo list is on the disk and the warden has said that it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import psutil

from chaos.app.warden import Proxies
from chaos.drivers.catalogue import OURS
from chaos.drivers.state import Lock, RunState, State, lock_name
from chaos.engine import MAY_LAND_S
from chaos.errors import Refused, Unanswered, Unreachable
from chaos.undo_list import Step, UndoEntry, UndoList

READY_S = 6.0
"""How long an Apply waits for the warden, which begins to start before the run does; see `chaos.engine.APPLY_DEAD_S`."""
GONE = "the warden of this run is gone, so that nobody could undo anything if the run died, too"


def _lock_name(entry: UndoEntry) -> str:
    return lock_name(entry.driver, entry.settings, entry.beside, entry.container.name, entry.container.id)


@dataclass
class Safeguard:
    """Made and begun before the run; ended after it, whatever came of it."""

    state: State
    undo: UndoList
    proxies: Sequence[Proxies]
    targets: Sequence[str] = ()
    """The targets that the run hurts, by names that are the same in every run."""
    alone: bool = False
    """No other run may hurt one of the targets at the same time; else those that are not alone may."""
    _run: RunState = field(init=False)
    _alive: Lock | None = None
    _locks: list[Lock] = field(default_factory=list)
    _warden: subprocess.Popen[bytes] | None = None
    _ready: bool = False
    _why_not: str = ""
    _beat_s: float = 0.0
    _applying: set[str] = field(default_factory=set)
    _landing: dict[str, float] = field(default_factory=dict)
    """Effect whose call was given up without an answer → until when it may land, on the monotonic clock."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._run = self.state.run(self.undo.run)

    def begin(self) -> None:
        """The containers are this run's, the list is on the disk, and the warden is on its way. Raises Refused."""
        self._sweep()
        try:
            self._refuse_if_blocked()
            self._take_locks()
            self._alive = self._run.begin(self._on_disk())
            self._refuse_if_blocked()  # again, now that `chaos stop --all` would find it among the living
            self._start_warden()
        except BaseException:
            self.end(clean=True)
            raise

    def _refuse_if_blocked(self) -> None:
        by = self.state.blocked()
        if by is not None:
            raise Refused([f"every run was stopped by {by}; `chaos resume` allows them again"])

    def _sweep(self) -> None:
        """Nothing stays of dead runs that have left nothing."""
        for run in self.state.runs():
            with contextlib.suppress(OSError):
                if not run.warded() and not run.still_on():
                    run.forget()

    def _take_locks(self) -> None:
        for name, container in {_lock_name(entry): entry.container.name for entry in self.undo.entries}.items():
            lock = self.state.lock(name, self.undo.run)
            if lock is None:
                holder = self.state.holder(name) or "another run"
                raise Refused([f"{container} is being hurt by {holder}; wait for it, or `chaos stop {holder}`"])
            self._locks.append(lock)
        for target in self.targets:
            self._take_target(target)

    def _take_target(self, target: str) -> None:
        lock = self.state.lock(f"target {target}", self.undo.run, shared=not self.alone)
        if lock is None:
            holder = self.state.holder(f"target {target}") or "another run"
            why = "a run of a game day hurts a target alone" if self.alone else "that run of a game day hurts it alone"
            raise Refused([f"{target} is being hurt by {holder}, and {why}; wait for it, or `chaos stop {holder}`"])
        self._locks.append(lock)

    def _on_disk(self) -> UndoList:
        """The list without what somebody else's driver was told, which may be secret: its own warden has it in memory."""
        told = [entry if entry.driver in OURS else replace(entry, settings={}) for entry in self.undo.entries]
        return replace(self.undo, entries=tuple(told))

    def _start_warden(self) -> None:
        self._warden = subprocess.Popen(
            [sys.executable, "-P", "-m", "chaos.app.warden", str(self._run.path.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # What this run may hurt is nobody else's until its warden has let go of it as well.
            pass_fds=[lock.fileno() for lock in self._locks],
        )
        proxies = [asdict(one) for one in self.proxies]
        assert self._warden.stdin is not None
        try:
            self._warden.stdin.write(json.dumps({"undo": asdict(self.undo), "proxies": proxies}).encode() + b"\n")
            self._warden.stdin.flush()
            os.set_blocking(self._warden.stdin.fileno(), False)
        except OSError as error:
            raise Unreachable(f"the warden of this run could not be started: {error}") from error

    # --- while it runs ------------------------------------------------------------------------------------------------

    def await_warden(self) -> None:
        """The warden is ready. Raises Unreachable when it is not, or not any more."""
        with self._lock:
            if not self._ready:
                self._ready = self._hear_ready()
        if not self._ready:
            raise Unreachable(f"the warden of this run could not be started: {self._why_not}")
        if self.gone() is not None:
            raise Unreachable(GONE)

    def _hear_ready(self) -> bool:
        warden = self._warden
        assert warden is not None
        assert warden.stdout is not None
        readable, _, _ = select.select([warden.stdout], [], [], READY_S)
        said = warden.stdout.readline().decode(errors="replace").strip() if readable else ""
        self._why_not = said or ("it said nothing" if readable else f"it said nothing within {READY_S:g}s")
        return said == "ready"

    def beat(self) -> None:
        """The warden hears, often enough, that the run goes on. Never waits."""
        now_s = time.monotonic()
        if now_s - self._beat_s >= self.undo.lease_s / 6:
            self._beat_s = now_s
            self._tell("beat")

    def gone(self) -> str | None:
        """Why the run must end now: its warden is gone."""
        return GONE if self._warden is not None and self._ready and self._warden.poll() is not None else None

    def stop_asked(self) -> str | None:
        """Who wants the run to end, this one or every one."""
        return self._run.stop_asked() or self.state.blocked()

    @contextlib.contextmanager
    def on_the_list(self, effect: str, *, leased: bool) -> Iterator[None]:
        """Whoever comes after a sudden end of ours knows that this effect may be on, and whether it may still land.

        What has no lease, which would end it, is on the disk beforehand.
        """
        self.await_warden()
        with self._lock:
            self._applying.add(effect)
        came: Step | None = "failed"
        try:
            self._run.note("issued", effect, sync=not leased)
            by = (
                self.stop_asked()
            )  # after the line: whoever says stop writes first and looks then, so one of us sees the other
            if by is not None:
                raise Unreachable(f"nothing was done: {by}")
            yield
            came = "applied"
        except Unanswered:
            came = None  # it may land yet: the list goes on saying so
            with self._lock:
                self._landing[effect] = time.monotonic() + MAY_LAND_S
            raise
        finally:
            with self._lock:
                self._applying.discard(effect)
            if came is not None:
                with contextlib.suppress(OSError):  # then it is undone once more than is needed
                    self._run.note(came, effect, sync=False)

    def on_leash(self, pid: int) -> None:
        """The warden knows which process to end when this run cannot. Raises OSError when it does not."""
        with contextlib.suppress(psutil.NoSuchProcess):  # then there is nothing to end
            self._run.note_leash(pid, psutil.Process(pid).create_time())

    def call_has_ended(self, effect: str) -> bool:
        """Whether nothing of the effect's own call can land any more."""
        with self._lock:
            return effect not in self._applying and time.monotonic() >= self._landing.get(effect, 0.0)

    def note_undone(self, effect: str) -> None:
        """The effect is off, by an undo that began after its call had ended."""
        with contextlib.suppress(OSError):  # an undo never fails for want of a disk
            self._run.note("undone", effect, sync=False)

    def note_left(self, effect: str) -> None:
        """Nothing more of another tool's effect can be undone here; whether it is off, only its query can say."""
        with contextlib.suppress(OSError):
            self._run.note("left", effect, sync=False)

    # --- afterwards ---------------------------------------------------------------------------------------------------

    def end(self, *, clean: bool) -> None:
        """`clean`: nothing is left, and nothing of the run stays in the state. Else the warden goes on, and undoes what it can.

        Once it has ended, ending it again does nothing.
        """
        if clean:
            self._tell("done")
        warden, begun = self._warden, self._alive is not None
        held = [*self._locks, *([self._alive] if self._alive is not None else [])]
        self._locks, self._alive, self._warden = [], None, None
        for pipe in (warden.stdin, warden.stdout) if warden is not None else ():
            if pipe is not None:
                with contextlib.suppress(OSError):  # the warden is gone, and with it what was not said
                    pipe.close()
        for lock in held:
            lock.release()
        if clean and begun:
            self._run.forget()
        if clean and warden is not None:
            try:
                warden.wait(5)
            except subprocess.TimeoutExpired:
                warden.kill()
                warden.wait()

    def _tell(self, word: str) -> None:
        if self._warden is None or self._warden.stdin is None:
            return
        try:
            os.write(self._warden.stdin.fileno(), f"{word}\n".encode())
        except BlockingIOError:
            pass  # it does not read: then it is late, and acts by itself
        except (OSError, ValueError):
            pass  # it is gone, which `gone` says
