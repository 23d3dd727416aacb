"""Live runs: one reader of each journal that somebody looks at, however many do; none when nobody does.

journal.jsonl ─▶ JournalTail ─▶ Followed ─▶ Tail ─▶ every viewer hears of every change
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from chaos.errors import ChaosError
from chaos.followed import Followed
from chaos.journal import BrokenJournal, from_text

LOOK_S = 0.25
"""How often a journal is looked at; the runner itself writes it at least once a second."""
BEAT_S = 10.0
"""How long a viewer may hear nothing: a connection that is gone is noticed by then."""
MOST_BYTES = 8 * 1024 * 1024
"""Read at a time."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; a whole journal has a few megabytes, and a folder may come from somebody else."""


class JournalTail:
    """Reads a journal that grows. A line counts once its line break is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.followed: Followed | None = None

    def read(self) -> bool:
        """Whether there was anything new, which `followed` knows now. Raises OSError, and BrokenJournal for what is no journal."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            file.seek(self._offset)
            got = file.read(MOST_BYTES)
        self._offset += len(got)
        *whole, self._rest = (self._rest + got).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise BrokenJournal(f"a line is longer than {LONGEST_LINE:,} bytes, so this is no journal")
        for row in whole:
            line = from_text(row.decode("utf-8", "replace"))
            if self.followed is None:
                self.followed = Followed(line)
            else:
                self.followed.hear(line)
        return bool(whole)


@dataclass
class Tail:
    """What everybody who looks at one run shares."""

    journal: JournalTail
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    version: int = 0
    viewers: int = 0
    broken: str | None = None
    over: bool = False
    task: asyncio.Task[None] | None = None


class Tails:
    """The tails of a server. Belongs to one event loop; `alive` says whether the run of this id still goes on."""

    def __init__(self, alive: Callable[[str], bool], reading: Executor, beat_s: float = BEAT_S) -> None:
        self._beat_s = beat_s
        self._alive = alive
        self._reading = reading
        self._tails: dict[Path, Tail] = {}

    def count(self) -> int:
        """How many journals are being read."""
        return len(self._tails)

    def viewers(self) -> int:
        """How many look on, over all journals."""
        return sum(tail.viewers for tail in self._tails.values())

    async def follow(self, journal: Path) -> AsyncGenerator[Tail | None, None]:
        """The tail whenever it has changed, once when it is over, and None when nothing has happened for a beat."""
        tail = self._tails.get(journal)
        if tail is None:
            tail = self._tails[journal] = Tail(JournalTail(journal))
            tail.task = asyncio.create_task(self._read(tail))
        tail.viewers += 1
        seen = 0
        try:
            while True:
                if tail.version == seen and not tail.over and not await self._news(tail, seen):
                    yield None
                    continue
                seen, over = tail.version, tail.over
                yield tail
                if over:
                    return
        finally:
            tail.viewers -= 1
            if tail.viewers == 0 and self._tails.get(journal) is tail:
                del self._tails[journal]
                if tail.task is not None:
                    tail.task.cancel()

    async def _news(self, tail: Tail, seen: int) -> bool:
        try:
            # Not asyncio.wait_for: where news comes in the same moment, Python 3.11's forgets that a viewer is being sent away.
            async with asyncio.timeout(self._beat_s), tail.changed:
                await tail.changed.wait_for(lambda: tail.version != seen or tail.over)
        except TimeoutError:
            return False
        return True

    async def _read(self, tail: Tail) -> None:
        """Reads until the run has ended, has died, or its journal is none."""
        loop = asyncio.get_running_loop()
        while not tail.over:
            try:
                alive = await loop.run_in_executor(
                    self._reading, self._lives, tail
                )  # before it is read: the last line is older
                news = await loop.run_in_executor(self._reading, tail.journal.read)
            except (OSError, ChaosError, LookupError, TypeError, ValueError) as error:
                tail.broken = str(error) or type(error).__name__
                alive, news = False, False
            followed = tail.journal.followed
            tail.over = (followed is not None and followed.over()) or (not alive and not news)
            if news or tail.over:
                async with tail.changed:
                    tail.version += 1
                    tail.changed.notify_all()
            if not tail.over:
                await asyncio.sleep(LOOK_S)

    def _lives(self, tail: Tail) -> bool:
        return tail.journal.followed is None or self._alive(tail.journal.followed.id)
