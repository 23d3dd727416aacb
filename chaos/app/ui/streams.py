"""Live runs as server-sent events: of one run, or of all that go on in one stream, since a browser has few connections. Wiring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from chaos.app.ui import views
from chaos.app.ui.tails import JournalTail, Tail

RETRY = "retry: 1000\n\n"
BEAT = ": nothing new\n\n"

Tailing = AsyncGenerator[Tail | None, None]


def event(name: str, text: str, number: int | None = None) -> str:
    """One event. Every line of the text is a line of its data, so none can end it."""
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return (f"id: {number}\n" if number is not None else "") + f"event: {name}\n{data}\n"


def at_s(journal: JournalTail) -> float:
    """Seconds since the run began: by the clock, for nothing may have been written for a moment."""
    followed = journal.followed
    return max(followed.at_s, time.time() - followed.began_wall_s) if followed is not None else 0.0


async def of_one(tails: Tailing, last: int) -> AsyncIterator[str]:
    """The number of the journal's last line, and all that there is to show then. Nothing up to line `last` is sent again."""
    yield RETRY
    async with aclosing(tails):
        async for tail in tails:
            if tail is None:
                yield BEAT
                continue
            number = _number(tail)
            if number > last or tail.over:
                last = number
                yield event("now", _shown(tail, short=False), number)
            if tail.over:
                yield event("over", "", number)


async def of_several(tails: Mapping[str, Tailing]) -> AsyncIterator[str]:
    """Each run's news as `nowNAME`, in short. A browser that was away gets all of them anew."""
    news: asyncio.Queue[tuple[str, Tail | None]] = asyncio.Queue(1)  # a viewer that is slow gets less, not later

    async def hear(name: str, tailing: Tailing) -> None:
        async with aclosing(tailing):
            async for tail in tailing:
                await news.put((name, tail))

    hearing = [asyncio.create_task(hear(name, tailing)) for name, tailing in tails.items()]
    try:
        yield RETRY
        ended: set[str] = set()
        while len(ended) < len(tails):
            name, tail = await news.get()
            yield BEAT if tail is None else event(f"now{name}", _shown(tail, short=True))
            if tail is not None and tail.over:
                ended.add(name)
                yield event("over", "")
    finally:
        for one in hearing:
            one.cancel()


def _number(tail: Tail) -> int:
    return tail.journal.followed.sequence if tail.journal.followed is not None else 0


def _shown(tail: Tail, *, short: bool) -> str:
    return views.now_part(tail.journal.followed, at_s(tail.journal), short=short, over=tail.over, broken=tail.broken)
