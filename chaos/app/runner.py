"""The loop around the state machine: performs commands, returns events, writes the journal ahead of every effect.

    queue of events ─▶ Run.step ─▶ commands ─▶ one thread each ─▶ queue of events
                          │
                        journal   (Apply and Undo synced before they are performed)

Every command has a thread of its own, so an undo never queues behind a call that hangs. An Undo acts even when the journal
cannot be written; an Apply does not.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from chaos.drivers.folder import JournalWriter
from chaos.engine import Run
from chaos.errors import ChaosError
from chaos.events import (
    Apply,
    ApplyFailed,
    Collect,
    Collected,
    Command,
    Event,
    Finish,
    LoadStarted,
    LoadStopped,
    Query,
    QueryFailed,
    Record,
    Renew,
    Renewed,
    RunStarted,
    StartLoad,
    StopLoad,
    StopRequested,
    Ticked,
    Undo,
    UndoFailed,
)

log = logging.getLogger("chaos.run")

TICK_S = 0.1


class Performer(Protocol):
    """Touches the world: performs one command and says what came of it. May raise; called from many threads."""

    def perform(self, command: Command) -> Event | None:
        """The command has been performed."""
        ...


class Runner:
    """One run, from its first record to its last."""

    def __init__(
        self,
        run: Run,
        performer: Performer,
        journal: JournalWriter,
        watch: Callable[[Run, float], None] = lambda run, at_s: None,
    ) -> None:
        self.run = run
        self.performer = performer
        self.journal = journal
        self.watch = watch
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._begun_s = time.monotonic()
        self._journal_error: str | None = None
        self.interrupts = 0

    def at_s(self) -> float:
        """Monotonic seconds since the run began."""
        return time.monotonic() - self._begun_s

    def stop(self, by: str) -> None:
        """The run ends as soon as everything is undone. Safe from any thread and from a signal handler."""
        self._events.put(StopRequested(by))

    def play(self, started: RunStarted) -> None:
        """The run is over, everything is undone or named as lost, and the journal is on the disk."""
        self._write(started, sync=True)
        if self._journal_error is not None:
            raise ChaosError(
                f"the journal cannot be written: {self._journal_error}; nothing was hurt. Make room or use --runs"
            )
        finished = False
        next_tick_s = 0.0
        while not finished:
            event = self._next(next_tick_s)
            if isinstance(event, Ticked):
                next_tick_s = self.at_s() + TICK_S
            else:
                self._write(event)
            for out in self.run.step(event, self.at_s()):
                if isinstance(out, Finish):
                    finished = True
                elif isinstance(out, (Apply, Undo, Renew, Query, StartLoad, StopLoad, Collect)):
                    self._dispatch(out)
                else:
                    self._write(out, sync=True)
            self.watch(self.run, self.at_s())
        try:
            self.journal.close()
        except OSError as error:
            log.error("the journal could not be closed: %s", error)

    def _next(self, tick_s: float) -> Event:
        try:
            return self._events.get(timeout=max(0.001, tick_s - self.at_s()))
        except queue.Empty:
            return Ticked(time.time())

    def _write(self, record: Record | Event, *, sync: bool = False) -> bool:
        if isinstance(record, Ticked):
            return True
        try:
            self.journal.write(record, self.at_s(), time.time(), sync=sync)
        except OSError as error:
            self._journal_failed(error)
            return False
        return True

    def _journal_failed(self, error: OSError) -> None:
        if self._journal_error is None:
            self._journal_error = str(error)
            log.error("the journal cannot be written: %s; the run ends and undoes everything", error)
            self.stop(f"the journal cannot be written: {error}")

    def _dispatch(self, command: Command) -> None:
        match command:
            case Apply(effect=name):
                if not self._write(command, sync=True):
                    self._events.put(ApplyFailed(name, "the journal could not be synced, so nothing was done"))
                    return
                threading.Thread(target=self._perform, args=(command,), daemon=True).start()
            case Undo():
                # The act first: an undo never waits for a disk.
                threading.Thread(target=self._perform, args=(command,), daemon=True).start()
                self._write(command, sync=True)
            case StartLoad() | StopLoad() | Collect():
                self._write(command)
                threading.Thread(target=self._perform, args=(command,), daemon=True).start()
            case _:
                threading.Thread(target=self._perform, args=(command,), daemon=True).start()

    def _perform(self, command: Command) -> None:
        try:
            event = self.performer.perform(command)
        except Exception as error:  # whatever a driver meets becomes an event; nothing is swallowed
            log.debug("%s failed", command, exc_info=True)
            event = failure(command, str(error) or type(error).__name__)
        if event is not None:
            self._events.put(event)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM undo, judge what was seen, and leave. A second one skips the judging, never the undo."""

        def heard(number: int, _frame: FrameType | None) -> None:
            self.interrupts += 1
            self.stop(signal.Signals(number).name)

        before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def failure(command: Command, error: str) -> Event | None:
    """The event that says that a command failed."""
    match command:
        case Apply(effect=name):
            return ApplyFailed(name, error)
        case Undo(effect=name, attempt=attempt):
            return UndoFailed(name, attempt, error)
        case Renew(effect=name):
            return Renewed(name, error)
        case Query(question=question):
            return QueryFailed(question, error)
        case StartLoad():
            return LoadStarted(error)
        case StopLoad():
            return LoadStopped(error=error)
        case Collect():
            return Collected(errors=(error,))
        case Finish():
            return None
