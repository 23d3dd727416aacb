"""The server of game days: looks what is due, claims it, lets a process of its own play it, and tells what was not played. Wiring.

    APScheduler ─▶ look ─▶ orphans: interrupted, recovered, told
                           store.decide(due) ─▶ claims: one process each   (chaos gameday run)
                                             ─▶ passed over: told

The scheduler only wakes. What is due, and that nobody else plays it, is decided by values in one transaction of the store: so a wake-up
that is late, early, doubled or lost changes nothing, and neither does a clock that jumps.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chaos.app.gameday.loading import LoadedDay
from chaos.app.stopping import LOOK_S, recover_all, undoing
from chaos.calendar import moment_text
from chaos.drivers.gameday_store import Claim, GameDayStore, Kept
from chaos.drivers.state import Lock, State
from chaos.errors import ChaosError, NotUndone
from chaos.gameday import Due, Pass, Record, Wait, due, starts
from chaos.gameday.due import Status, frozen
from chaos.gameday.messages import Message, interrupted, passed_over, refused
from chaos.units import format_duration

log = logging.getLogger("chaos.gameday")

STOP_S = 100.0
"""How long the days that go on may take to undo everything and to say what they saw, once the server is to end."""
UNDONE_S = 60.0
"""How long the warden of a run that died is waited for before people are told that something may still be on."""
REFUSED = (2, 3)
"""Exit codes of a day that could not begin, where it has not said itself how it ended: wrong files, a refusal."""

Say = Callable[[str], None]
Begin = Callable[[LoadedDay, Claim], "subprocess.Popen[bytes]"]


@dataclass(frozen=True, slots=True)
class Playing:
    """A day that a process of its own plays."""

    loaded: LoadedDay
    start: datetime
    attempt: int
    process: subprocess.Popen[bytes]


@dataclass
class Server:
    """Serves these days from one store. `look` may be called at any time and from any thread."""

    days: Sequence[LoadedDay]
    store: GameDayStore
    begin: Begin
    announce: Callable[[LoadedDay, Message], None]
    say: Say
    now: Callable[[], datetime]
    recover: Callable[[], str]
    """Undoes what dead runs have left, and says in a sentence what came of it. Raises when something is left."""
    _playing: list[Playing] = field(default_factory=list)
    _said: dict[str, str] = field(default_factory=dict)
    _recovering: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _untold: list[tuple[LoadedDay, Message]] = field(default_factory=list)
    _over: bool = False

    def look(self) -> None:
        """What is due now goes on or was passed over, and everybody was told. An error is said, and ends nothing."""
        try:
            with self._lock:
                self._look()
        finally:
            self._tell()  # a webhook that is slow to answer keeps no day from its start

    def _look(self) -> None:
        now = self.now()
        for loaded in self.days:
            if self._over:
                return
            try:
                self._reap(loaded)
                self._look_at(loaded, now)
                self._say_once(loaded, self.next_of(loaded))
            except ChaosError as error:
                self._say_once(loaded, f"{loaded.day.name}: {error}")
            except Exception as error:  # of one day; the others go on, and so does this one at the next look
                self._say_once(loaded, f"{loaded.day.name}: an error of our own: {error!r}")
                log.debug("", exc_info=True)

    def _tell(self) -> None:
        """People were told what the looks have found out, each thing by one thread."""
        while self._untold:
            try:
                loaded, message = self._untold.pop(0)
            except IndexError:  # another look was faster
                return
            try:
                self.announce(loaded, message)
            except Exception as error:  # those after it are told all the same
                self.say(f"{loaded.day.name}: people could not be told ({error!r}): {message.subject}")
                log.debug("", exc_info=True)

    def _say_once(self, loaded: LoadedDay, text: str) -> None:
        if self._said.get(loaded.day.name) != text:
            self._said[loaded.day.name] = text
            self.say(text)

    def next_of(self, loaded: LoadedDay) -> str:
        """What comes next of this day, in a sentence."""
        day, now = loaded.day, self.now()
        start = next(starts(day.calendar, now), None)
        if start is None:
            return f"{day.name}: no start comes"
        said = f"{day.name}: next {moment_text(start.astimezone(day.calendar.zone()))}"
        freeze = frozen(day, loaded.calendars(), start)
        return said if freeze is None else f"{said}, which is in a freeze: {freeze[1].sentence(freeze[0])}"

    # --- what is due ----------------------------------------------------------------------------------------------------

    def _look_at(self, loaded: LoadedDay, now: datetime) -> None:
        day = loaded.day

        def decide(since: datetime, known: list[Record]) -> Due:
            return due(day, loaded.calendars(), since, known, now)

        decided = self.store.decide(day.name, now, decide)
        passed = [one for one in decided.due.decisions if isinstance(one, Pass)]
        for one in passed:
            self.say(f"{day.name}: passed over: {one.sentence}")
        for waits in decided.due.decisions:
            if isinstance(waits, Wait):
                self._say_once(loaded, f"{day.name}: {waits.sentence}")
        for claim in decided.claims:
            self._begin(loaded, claim)
        if passed:
            self._untold.append((loaded, passed_over(day, passed)))

    def _begin(self, loaded: LoadedDay, claim: Claim) -> None:
        late_s = claim.play.late.total_seconds()
        late = f", {format_duration(round(late_s))} late" if late_s >= 1 else ""
        again = ", again" if claim.play.again else ""
        self.say(f"{loaded.day.name}: begins{late}{again}")
        try:
            process = self.begin(loaded, claim)
        except OSError as error:
            self._end(loaded, claim.play.start, claim.attempt, f"refused: {error}")
            self._untold.append((loaded, refused(loaded.day, f"its process could not be started: {error}")))
            return
        finally:
            claim.lock.release()  # the process has it now: the claim lives as long as that does
        self._playing.append(Playing(loaded, claim.play.start, claim.attempt, process))

    # --- what is over ---------------------------------------------------------------------------------------------------

    def _reap(self, loaded: LoadedDay) -> None:
        """Days whose process has ended are over; one that died without saying how was interrupted."""
        for one in [one for one in self._playing if one.loaded is loaded and one.process.poll() is not None]:
            self._playing.remove(one)
            code = one.process.returncode
            self.say(f"{loaded.day.name}: ended with exit code {code}")
            begun = any(kept.folder for kept in self.store.history(loaded.day.name) if kept.record.start == one.start)
            if (
                code in REFUSED
                and not begun
                and self._end(loaded, one.start, one.attempt, f"refused: exit code {code}")
            ):
                why = f"its process ended with exit code {code}; the server's log says why"
                self._untold.append((loaded, refused(loaded.day, why)))
        for kept in self.store.orphans(loaded.day.name):
            self._bury(loaded, kept)

    def _end(self, loaded: LoadedDay, start: datetime, attempt: int, why: str) -> bool:
        """A day that was never begun is over; whether nobody had said so before."""
        return self.store.end(loaded.day.name, start, "ended", why, "invalid", self.now(), attempt)

    def _bury(self, loaded: LoadedDay, kept: Kept) -> None:
        """What it left is being undone. Only then is the day interrupted, and may be begun again."""
        name, start, attempt = loaded.day.name, kept.record.start, kept.record.attempt
        verdict = _verdict_in(kept.folder)
        if verdict is not None:  # it was over, and died before it could say so
            self.store.end(name, start, "ended", "", verdict, self.now(), attempt)
            return
        lock = self.store.hold(name, start)
        if lock is None:  # another server was faster
            return
        if kept not in self.store.history(name):  # and is done
            lock.release()
            return
        self.say(f"{name}: interrupted: the process that played it is gone")
        thread = threading.Thread(
            target=self._recover, args=(loaded, start, attempt, lock), daemon=True
        )  # an engine that hangs keeps no other day
        self._recovering.append(thread)
        thread.start()

    def _recover(self, loaded: LoadedDay, start: datetime, attempt: int, lock: Lock) -> None:
        status: Status = "interrupted"
        verdict, why = None, "its process is gone"
        try:
            left = self.recover()
        except Exception as error:  # whatever it is, people are told, and nothing is hurt on top of it
            log.debug("", exc_info=True)
            left = f"What it left could not be undone: {error or type(error).__name__}; `chaos recover` tries again."
            status, verdict, why = "ended", "unsafe", f"its process is gone. {left}"
        try:
            first = self.store.end(loaded.day.name, start, status, why, verdict, self.now(), attempt)
        except ChaosError as error:
            self.say(f"{loaded.day.name}: {error}")
            first = True
        finally:
            lock.release()
        self.say(f"{loaded.day.name}: {left}")
        if first:
            self.announce(loaded, interrupted(loaded.day, start, left))

    # --- the end --------------------------------------------------------------------------------------------------------

    def stop(self, within_s: float = STOP_S) -> None:
        """Nothing new begins, and the days that went on have undone everything and are over. Raises NotUndone when not in time."""
        self._over = True
        asked = self._ask_to_end([])
        with self._lock:  # whoever looks now may have begun one more
            self._ask_to_end(asked)
        until_s = time.monotonic() + within_s
        left = [one for one in self._playing if not _ends(one.process, until_s)]
        for thread in self._recovering:
            thread.join(max(0.0, until_s - time.monotonic()))
        if left:
            names = ", ".join(one.loaded.day.name for one in left)
            raise NotUndone(f"after {within_s:g}s this still goes on: {names}", "chaos stop --all, then chaos recover")
        for one in self._playing:
            self.say(f"{one.loaded.day.name}: ended with exit code {one.process.returncode}")

    def _ask_to_end(self, asked: Sequence[Playing]) -> list[Playing]:
        """All that go on were asked to end, but for those that had been asked already."""
        found = [one for one in self._playing if one not in asked]
        for one in found:
            self.say(f"{one.loaded.day.name}: is ended, and undoes everything")
            one.process.send_signal(signal.SIGTERM)
        return [*asked, *found]


def _ends(process: subprocess.Popen[bytes], until_s: float) -> bool:
    try:
        process.wait(max(0.0, until_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _verdict_in(folder: str | None) -> str | None:
    """The verdict of a day's summary; None when there is none."""
    try:
        return str(json.loads((Path(folder or "") / "summary.json").read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def beginning(
    runs: Path, store: GameDayStore, variables: Mapping[str, str], *, yes: bool
) -> Callable[[LoadedDay, Claim], subprocess.Popen[bytes]]:
    """How a server begins a day: a process in a session of its own, which holds the claim. Variables go by the environment, where no
    other user reads them.
    """

    def begin(loaded: LoadedDay, claim: Claim) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable, "-P", "-m", "chaos", "gameday", "run", str(loaded.path), "--runs", str(runs),
                "--store", str(store.path), "--start", claim.play.start.isoformat(), *(["--yes"] if yes else []),
            ],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,
            pass_fds=[claim.lock.fileno()],
        )  # fmt: skip

    return begin


def recovered(state: State, runs: Path, within_s: float = UNDONE_S) -> str:
    """What dead runs with folders in `runs` have left is undone, by this process or by their wardens; the sentence says so.

    Raises NotUndone when something could not be, or a warden is not over in time.
    """
    until_s, found = time.monotonic() + within_s, False
    while True:
        said: list[str] = []
        lost = recover_all(state, said.append, runs)
        for line in said:
            log.info("%s", line)
        if lost:
            told = "; ".join(f"{one.entry.effect}: {one.error}; by hand: {one.entry.by_hand}" for one in lost)
            raise NotUndone(told, "chaos recover")
        found = found or bool(said)
        warded = undoing(state, runs)
        if not warded:
            return "What it left is undone." if found else "It left nothing."
        if time.monotonic() > until_s:
            raise NotUndone(f"after {within_s:g}s a warden still undoes {', '.join(warded)}", "chaos recover")
        time.sleep(LOOK_S)
