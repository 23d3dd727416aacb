"""The consumer of a shadow: hurt copies of answers are sent to its telemetry, and nobody ever waits for that.

copy of an answer ─▶ queue (bounded) ─▶ one connection ─▶ POST URL        full, too late, disarmed: dropped and counted
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaos.proxy.counters import Counters

MOST_QUEUED = 256
MOST_QUEUED_BYTES = 16 * 1024 * 1024
SEND_S = 2.0
"""How long the consumer may take to answer one POST."""


@dataclass(frozen=True, slots=True, repr=False)
class ShadowAnswer:
    """An answer as the treatment arm would have got it from `run`: what is posted, and the headers beside it."""

    run: str
    headers: Mapping[str, str]
    body: bytes


def parse_consumer(text: str) -> str:
    """The URL that copies are posted to. Raises ValueError that says what to write."""
    parts = urlsplit(text)
    shown = "this" if "@" in text else repr(text)  # what stands before an @ may be a password
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number
        good = False
    if not good or parts.fragment or not text.isprintable() or " " in text:
        raise ValueError(f"{shown} is no consumer; write http://HOST[:PORT][/PATH] or https://…, without a password")
    return text


class Consumer:
    """Posts copies to `url`, one after the other on a connection of its own. `armed` says whether a run still holds the proxy.

    Each copy is counted once: `delivered` (the consumer answered 2xx), `failed` (anything else), or `dropped`: the queue was full,
    the run was disarmed meanwhile, or the proxy ended.
    """

    def __init__(self, url: str, counters: Counters, armed: Callable[[str], bool]) -> None:
        import aiohttp  # now, and not while somebody waits; a proxy without a consumer does without

        self._http = aiohttp
        self._url = url
        self._counters = counters
        self._armed = armed
        self._queue: deque[ShadowAnswer] = deque()
        self._queued = 0
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def send(self, answer: ShadowAnswer) -> None:
        """The copy is queued, or dropped when the queue is full; returns at once. Called within the event loop."""
        if len(self._queue) >= MOST_QUEUED or self._queued + len(answer.body) > MOST_QUEUED_BYTES:
            self._counters.shadow_answers["dropped"] += 1
            return
        self._queue.append(answer)
        self._queued += len(answer.body)
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Sends whatever is queued, until it is cancelled; the connection is then closed."""
        http = self._http
        session = http.ClientSession(
            connector=http.TCPConnector(limit=1),
            timeout=http.ClientTimeout(total=SEND_S),
            cookie_jar=http.DummyCookieJar(),
        )
        async with session:
            while True:
                await self._more.wait()
                if not self._queue:
                    self._more.clear()
                    continue
                answer = self._queue.popleft()
                self._queued -= len(answer.body)
                outcome = "dropped"
                try:
                    if self._armed(answer.run):
                        outcome = await self._post(session, answer)
                finally:
                    self._counters.shadow_answers[outcome] += 1

    async def _post(self, session: object, answer: ShadowAnswer) -> str:
        http = self._http
        assert isinstance(session, http.ClientSession)
        try:
            async with session.post(self._url, data=answer.body, headers=answer.headers, allow_redirects=False) as told:
                return "delivered" if 200 <= told.status < 300 else "failed"
        except (http.ClientError, TimeoutError, OSError, ValueError):
            return "failed"

    async def close(self) -> None:
        """Nothing more is sent; what is left counts as dropped."""
        self._counters.shadow_answers["dropped"] += len(self._queue)
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


def shadow_text(url: str | None, counters: Counters) -> str:
    """What became of copies, in Prometheus' text format; nothing without a consumer."""
    if url is None:
        return ""
    name = "chaos_proxy_shadow_answers_total"
    lines = [f"# HELP {name} Copies of answers for the shadow's consumer.", f"# TYPE {name} counter"]
    lines += [f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in counters.shadow_answers.items()]
    return "\n".join(lines) + "\n"
