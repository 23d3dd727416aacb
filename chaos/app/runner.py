"""The loop around the state machine: performs commands, returns events, writes the journal ahead of every effect.

    queue of events ─▶ Run.step ─▶ commands ─▶ one thread each ─▶ queue of events
                          │
                        journal   (a thread of its own; an Apply waits for the disk before it is performed)

Every command has a thread of its own, so an undo never queues behind a call that hangs. The loop itself waits for nothing: not for
the disk, and not for whoever reads the live view. An Undo acts even when the journal cannot be written; an Apply does not.
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

from chaos.app.scribe import NotWritten, Scribe
from chaos.drivers.folder import JournalWriter
from chaos.engine import Run
from chaos.errors import ChaosError, Unanswered
from chaos.events import (
    Apply,
    ApplyFailed,
    Collect,
    Collected,
    Command,
    Event,
    Failed,
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
    State,
    StopLoad,
    StopRequested,
    Ticked,
    Undo,
    UndoFailed,
)

log = logging.getLogger("chaos.run")

TICK_S = 0.1
LISTEN_S = 0.02
"""How often the loop looks whether somebody wants the run to end: more often than it ticks, since that costs two looks for a file."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
APPLY_WAITS_S = 4.0
"""How long an Apply waits for the disk; with what a driver's call may take besides, it has ended before the engine takes it for dead."""
UNDO_ANYWAY_S = 90.0
"""When errors of our own go on for so long, the state machine is not asked any more."""


class Performer(Protocol):
    """Touches the world: performs one command and says what came of it. May raise; called from many threads."""

    def perform(self, command: Command) -> Event | None:
        """The command has been performed."""
        ...


class Safety(Protocol):
    """Who else looks after the run, and who wants it to end. Nothing here may wait."""

    def beat(self) -> None:
        """The run goes on."""
        ...

    def gone(self) -> str | None:
        """Why the run must end, because nobody would be there to undo what it does."""
        ...

    def stop_asked(self) -> str | None:
        """Who wants the run to end."""
        ...


class Runner:
    """One run, from its first record to its last."""

    def __init__(
        self,
        run: Run,
        performer: Performer,
        journal: JournalWriter,
        watch: Callable[[Run, float], None] | None = None,
        safety: Safety | None = None,
    ) -> None:
        self.run = run
        self.performer = performer
        self.journal = journal
        self.watch = watch
        self.safety = safety
        self._scribe = Scribe(journal, self._journal_failed)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._begun_s = time.monotonic()
        self._journal_error: str | None = None
        self._next_tick_s = 0.0
        self._finished = False
        self._unguarded = False
        self._stop_heard = False
        self.interrupts = 0

    def at_s(self) -> float:
        """Monotonic seconds since the run began."""
        return time.monotonic() - self._begun_s

    def fail(self, error: str) -> None:
        """The run ends as soon as everything is undone, and proves nothing. Safe from any thread."""
        self._events.put(Failed(error))

    def stop(self, by: str) -> None:
        """The run ends as soon as everything is undone. Safe from any thread and from a signal handler."""
        self._events.put(StopRequested(by))

    def play(self, started: RunStarted) -> None:
        """The run is over, everything is undone or named as lost, and the journal is on the disk. Once."""
        self._scribe.begin()
        try:
            self._scribe.await_disk(self._scribe.add(started, self.at_s(), time.time(), soon=True), APPLY_WAITS_S)
        except NotWritten as error:
            self._scribe.leave()
            raise ChaosError(
                f"the journal cannot be written: {error}; nothing was hurt. Make room or use --runs"
            ) from error
        raised: BaseException | None = None
        raised_at_s = 0.0
        while not self._finished:
            try:
                self._turn()
            except BaseException as error:  # whatever happens to us, effects are undone before anybody hears of it
                if raised is not None and self.at_s() - raised_at_s > UNDO_ANYWAY_S:
                    self._undo_directly()
                    raise
                if raised is None:
                    raised, raised_at_s = error, self.at_s()
                    log.debug("the run is ended by %r", error, exc_info=True)
                if isinstance(error, KeyboardInterrupt):
                    self.stop("Ctrl-C")
                else:
                    self.fail(f"an error of our own: {error or type(error).__name__}")
        try:
            self._scribe.close()
        except NotWritten as error:
            log.error("the journal could not be closed: %s", error)
        if raised is not None:
            raise raised

    def _turn(self) -> None:
        """One event is heard, and what it asks for is on its way."""
        event = self._next()
        if isinstance(event, Ticked):
            self._next_tick_s = self.at_s() + TICK_S
            self._mind_safety()
        else:
            self._write(event)
        failed: Exception | None = None
        for out in self.run.step(event, self.at_s()):
            try:
                if isinstance(out, (Apply, Undo, Renew, Query, StartLoad, StopLoad, Collect)):
                    self._dispatch(out)
                elif not isinstance(out, Finish):
                    self._write(out, soon=True)
            except Exception as error:  # one command that cannot be begun keeps no other one, least of all an Undo
                failed = failed or error
        self._finished = self.run.state is State.ended
        if failed is not None:
            raise failed
        self._show()

    def _mind_safety(self) -> None:
        if self.safety is None:
            return
        self.safety.beat()
        gone = self.safety.gone()
        if gone is not None and not self._unguarded:
            self._unguarded = True
            self.fail(gone)
        self._listen()

    def _listen(self) -> None:
        """Whoever wants the run to end is heard, once."""
        if self.safety is None or self._stop_heard:
            return
        by = self.safety.stop_asked()
        if by is not None:
            self._stop_heard = True
            self.stop(by)

    def _next(self) -> Event:
        """The next event, or the tick when it is due; somebody's stop is among the events as soon as it is asked for."""
        while True:
            left_s = self._next_tick_s - self.at_s()
            try:
                return self._events.get(timeout=max(0.001, min(left_s, LISTEN_S)))
            except queue.Empty:
                if left_s <= LISTEN_S:
                    return Ticked(time.time())
                self._listen()

    def _show(self) -> None:
        """The live view is drawn; one that cannot be drawn any more (a closed pipe, say) is given up, and the run goes on."""
        if self.watch is None:
            return
        try:
            self.watch(self.run, self.at_s())
        except (Exception, SystemExit) as error:
            self.watch = None
            log.debug("the live view ended: %r", error)

    def _undo_directly(self) -> None:
        """The last resort when not even the state machine works: every effect that may be on is undone, once, in order."""
        for name, effect in self.run.effects.items():
            if effect.active():
                try:
                    self.performer.perform(Undo(name, effect.undo_attempt + 1))
                except Exception as error:
                    log.error(
                        "%s could not be undone (%s); by hand: %s", name, error, self.run.plan.by_hand.get(name, "?")
                    )

    def _write(self, record: Record | Event, *, soon: bool = False) -> int | None:
        """The number of the record's line; None when it cannot be written at all."""
        if isinstance(record, Ticked):
            return None
        try:
            return self._scribe.add(record, self.at_s(), time.time(), soon=soon)
        except ValueError as error:  # a text that has no encoding
            self._journal_failed(error)
            return None

    def _journal_failed(self, error: Exception) -> None:
        if self._journal_error is None:
            self._journal_error = str(error)
            log.error("the journal cannot be written: %s; the run ends and undoes everything", error)
            self.fail(f"the journal cannot be written: {error}")

    def _dispatch(self, command: Command) -> None:
        match command:
            case Apply():
                number = self._write(command, soon=True)
                self._begin(self._perform_once_written, command, number)
            case Undo():
                # The act first: an undo never waits for a disk.
                self._begin(self._perform, command)
                self._write(command, soon=True)
            case StartLoad() | StopLoad() | Collect():
                self._write(command)
                self._begin(self._perform, command)
            case _:
                self._begin(self._perform, command)

    def _begin(self, perform: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=perform, args=arguments, daemon=True).start()

    def _perform_once_written(self, command: Apply, number: int | None) -> None:
        """Nothing is hurt of which the journal does not say so beforehand."""
        try:
            if number is None:
                raise NotWritten("its line has no encoding")
            self._scribe.await_disk(number, APPLY_WAITS_S)
        except NotWritten as error:
            log.debug("%s: %s", command, error)
            self._events.put(ApplyFailed(command.effect, "the journal could not be synced, so nothing was done"))
            return
        self._perform(command)

    def _perform(self, command: Command) -> None:
        try:
            event = self.performer.perform(command)
        except Exception as error:  # whatever a driver meets becomes an event; nothing is swallowed
            log.debug("%s failed", command, exc_info=True)
            event = failure(command, str(error) or type(error).__name__, may_land=isinstance(error, Unanswered))
        if event is not None:
            self._events.put(event)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a closed terminal undo, judge what was seen, and leave. A second one skips the judging, never the undo."""

        def heard(number: int, _frame: FrameType | None) -> None:
            self.interrupts += 1
            self.stop(signal.Signals(number).name)

        before = {number: signal.signal(number, heard) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def failure(command: Command, error: str, *, may_land: bool = False) -> Event | None:
    """The event that says that a command failed. `may_land`: it was given up without an answer, and may take hold later."""
    match command:
        case Apply(effect=name):
            return ApplyFailed(name, error, may_land)
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
