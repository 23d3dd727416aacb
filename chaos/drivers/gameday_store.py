"""What servers of game days know together: one SQLite file, in which every scheduled start belongs to one of them at most.

    day    name, decided            up to this moment every start is decided
    start  day, start (unique)      what became of it: playing | ended | interrupted | passed over

Everything about one day is decided in one transaction that holds the write lock from its beginning (BEGIN IMMEDIATE): history is read,
`chaos.gameday.due` says what to do, and the starts are claimed. So two servers never decide from the same history. A claim lives as long
as somebody holds its lock (the kernel's, beside the file): the server, and the process that plays the day. The file is for one machine,
as SQLite's own locks and the state of runs are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from chaos.drivers.state import Lock, locked
from chaos.errors import ChaosError
from chaos.gameday.due import Due, Pass, Play, Record, Status

BUSY_S = 20.0
"""How long a server waits for another one's transaction, which takes milliseconds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS day (name TEXT PRIMARY KEY, decided TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS start (
  day TEXT NOT NULL, start TEXT NOT NULL, status TEXT NOT NULL, why TEXT NOT NULL DEFAULT '',
  begun TEXT, attempt INTEGER NOT NULL DEFAULT 1, folder TEXT, ended TEXT, verdict TEXT,
  PRIMARY KEY (day, start)
);
"""


class NoStore(ChaosError):
    """The store of game days cannot be used."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A start as the store has it, with what `due` does not need to know."""

    day: str
    record: Record
    folder: str | None
    ended: datetime | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One start that is this process's to play, for as long as the lock is held."""

    day: str
    play: Play
    lock: Lock
    attempt: int
    """The first, or a later one."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What one transaction brought."""

    due: Due
    claims: tuple[Claim, ...]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class GameDayStore:
    """One store. Every call opens the file anew, so that no connection crosses a thread or a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locks = path.with_name(f"{path.name}-locks")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the write lock. Raises NoStore."""
        try:
            self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise NoStore(f"the store {self.path} cannot be opened ({error}); name another one with --store") from error
        try:
            found.execute("PRAGMA synchronous = FULL")  # a claim that was made stays made when the machine goes down
            found.executescript(_SCHEMA)
            found.execute("BEGIN IMMEDIATE")
            yield found
            found.execute("COMMIT")
        except sqlite3.Error as error:
            raise NoStore(f"the store {self.path} cannot be used ({error})") from error
        finally:
            found.close()  # what is not committed is as if it had never been

    def decide(self, day: str, now: datetime, decide: Callable[[datetime, list[Record]], Due]) -> Decided:
        """What `decide` says of the day's history is done, all of it or nothing, and nobody else does it.

        A day that nobody has looked at before has no missed starts: it begins now.
        """
        claims: list[Claim] = []
        try:
            with self._open() as store:
                row = store.execute("SELECT decided FROM day WHERE name = ?", (day,)).fetchone()
                since = _moment(row[0]) if row else now
                assert since is not None
                made = decide(since, [kept.record for kept in _kept(store, day)])
                for one in made.decisions:
                    if isinstance(one, Play):
                        claims.append(self._claim(store, day, one, now))
                    elif isinstance(one, Pass):
                        store.execute(
                            "INSERT INTO start (day, start, status, why) VALUES (?, ?, 'passed over', ?)",
                            (day, _text(one.start), f"{one.why}: {one.sentence}"),
                        )
                store.execute(
                    "INSERT INTO day VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET decided = excluded.decided",
                    (day, _text(made.decided)),
                )
        except BaseException:
            for claim in claims:
                claim.lock.release()
            raise
        return Decided(made, tuple(claims))

    def _claim(self, store: sqlite3.Connection, day: str, play: Play, now: datetime) -> Claim:
        lock = locked(self._lock(day, play.start), str(self.path))
        if lock is None:
            raise NoStore(f"the start {play.start.isoformat()} of {day} is somebody else's already")
        if play.again:
            store.execute(
                "UPDATE start SET status = 'playing', begun = ?, attempt = attempt + 1, why = '', "
                "folder = NULL, ended = NULL, verdict = NULL WHERE day = ? AND start = ?",
                (_text(now), day, _text(play.start)),
            )
        else:
            store.execute(
                "INSERT INTO start (day, start, status, begun) VALUES (?, ?, 'playing', ?)",
                (day, _text(play.start), _text(now)),
            )
        (attempt,) = store.execute(
            "SELECT attempt FROM start WHERE day = ? AND start = ?", (day, _text(play.start))
        ).fetchone()
        return Claim(day, play, lock, attempt)

    def plays_in(self, day: str, start: datetime, folder: str) -> None:
        """The claimed start is played in this folder."""
        with self._open() as store:
            store.execute("UPDATE start SET folder = ? WHERE day = ? AND start = ?", (folder, day, _text(start)))

    def attempt(self, day: str, start: datetime) -> int:
        """How often this start was begun."""
        return next((one.record.attempt for one in self.history(day) if one.record.start == start), 1)

    def end(
        self, day: str, start: datetime, status: Status, why: str, verdict: str | None, now: datetime, attempt: int
    ) -> bool:
        """This attempt at the start is over, in this way; whether it was not before."""
        with self._open() as store:
            done = store.execute(
                "UPDATE start SET status = ?, why = ?, verdict = ?, ended = ? WHERE day = ? AND start = ? AND attempt = ? "
                "AND status = 'playing'",
                (status, why, verdict, _text(now), day, _text(start), attempt),
            )
            return done.rowcount == 1

    def hold(self, day: str, start: datetime) -> Lock | None:
        """The claim on an orphan, for who sees to what it left; None when somebody else holds it."""
        return locked(self._lock(day, start), "looking after it")

    def orphans(self, day: str) -> list[Kept]:
        """The starts that are being played and that no living process holds."""
        with self._open() as store:
            playing = [one for one in _kept(store, day) if one.record.status == "playing"]
        found = []
        for one in playing:
            lock = locked(self._lock(day, one.record.start), "looking")
            if lock is not None:
                lock.release()
                found.append(one)
        return found

    def history(self, day: str | None = None) -> list[Kept]:
        """Every start that is known, the oldest first."""
        with self._open() as store:
            return _kept(store, day)

    def _lock(self, day: str, start: datetime) -> Path:
        return self._locks / sha256(f"{day} {_text(start)}".encode()).hexdigest()[:24]


def _kept(store: sqlite3.Connection, day: str | None) -> list[Kept]:
    rows = store.execute(
        "SELECT day, start, status, why, begun, attempt, folder, ended, verdict FROM start "
        "WHERE ?1 IS NULL OR day = ?1 ORDER BY start, day",
        (day,),
    )
    found = []
    for name, start, status, why, begun, attempt, folder, ended, verdict in rows:
        at = _moment(start)
        assert at is not None
        found.append(Kept(name, Record(at, status, why, _moment(begun), attempt), folder, _moment(ended), verdict))
    return found
