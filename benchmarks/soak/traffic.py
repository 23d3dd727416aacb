"""Clients of every kind, each at its own steady rate, and what an answer may be.

A client asks again when its time has come, and never catches up on what it missed: a slow proxy gets less, not more. Every answer
is compared with what the backend sends. One that a run may hurt may also be changed, or an injected error, and no other may.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.proxy.cases import BATCHES, LARGE, MODELS, REQUEST, SMALL, Model, answer, change, request_ids, selected
from benchmarks.soak.backend import EVENTS
from benchmarks.soak.client import Answer, Cut, Line, head_of
from benchmarks.soak.samples import Tally

TREATED = 0.1
INJECTED = 503
PATIENCE_S = 20.0
"""An answer that has not come within this time is one that nobody asked for."""
SEEN_BEFORE_LEAVING = 64 * 1024
STREAM = b"".join(EVENTS)
HUGE = MODELS["10MB"]


class Unexpected(Exception):
    """An answer that nobody asked for; the text says which, without anything that differs from request to request."""


@lru_cache(maxsize=len(MODELS))
def bodies(model: Model) -> tuple[bytes, bytes]:
    """What the backend answers, and what the proxy makes of it where `wrong_predictions` hurts it: nothing above 8 MB."""
    whole = answer(model)
    return whole, change(whole) if model is not HUGE else whole


def prepare() -> None:
    """Every body is known, so that no client has to wait while it is made."""
    for model in MODELS.values():
        bodies(model)


@lru_cache(maxsize=1024)
def _alike(got: bytes, wanted: bytes) -> bool:
    try:
        return bool(json.loads(got) == json.loads(wanted))
    except ValueError:
        return False


def judged(got: Answer, model: Model, request_id: str) -> str:
    """What this answer is. Raises Unexpected."""
    may_be_hurt = selected(request_id, TREATED)
    whole, changed = bodies(model)
    if got.status == 200 and got.body == whole:
        return "whole"
    if got.status == INJECTED and may_be_hurt:
        return "injected"
    if got.status == 200 and may_be_hurt and (got.body == changed or _alike(got.body, changed)):
        return "changed"
    if got.status == 200:
        raise Unexpected(f"a wrong body where a run may {'' if may_be_hurt else 'not '}hurt")
    raise Unexpected(f"status {got.status}, {got.headers.get('x-chaos-proxy', 'not by the proxy')}")


def judged_stream(got: Answer, request_id: str) -> str:
    """What this streamed answer is. Raises Unexpected."""
    if got.status == 200 and got.body == STREAM:
        return "whole"
    if got.status == INJECTED and selected(request_id, TREATED):
        return "injected"
    raise Unexpected(f"status {got.status}, {len(got.body)} bytes")


@dataclass(frozen=True, slots=True)
class Where:
    """The proxy's two routes: behind one of them stands an upstream that closes as it likes."""

    steady: tuple[str, int]
    wild: tuple[str, int]


def request(path: str, request_id: str, query: str = "") -> bytes:
    """One request as a client sends it."""
    asked = f"{path}?as={query}" if query else path
    head = (
        f"POST {asked} HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
    )
    return head.encode() + REQUEST


Act = Callable[[Line, str], Awaitable[str]]
"""What a client does with its connection and this request id; the outcome. Raises Unexpected."""


def _whole(model: Model, query: str = "") -> Act:
    async def act(line: Line, request_id: str) -> str:
        return judged(await line.ask(request(model.path, request_id, query)), model, request_id)

    return act


async def _stream(line: Line, request_id: str) -> str:
    return judged_stream(await line.ask(request("/v1/chat/completions", request_id, "events")), request_id)


def _leaves(path: str, query: str, seen: int, *, abruptly: bool) -> Act:
    async def act(line: Line, request_id: str) -> str:
        reader = await line.send(request(path, request_id, query))
        status, _ = await head_of(reader)
        try:
            if status == 200:
                await reader.readexactly(seen)
            elif status != INJECTED or not selected(request_id, TREATED):
                raise Unexpected(f"before leaving: status {status}")
        finally:
            line.close(abruptly=abruptly)
        return "left in the middle"

    return act


async def _after_drop(line: Line, request_id: str) -> str:
    """The upstream closes after each answer without a word; whoever asks at that moment may find nobody there."""
    try:
        return judged(await line.ask(request(SMALL.path, request_id, "dropping")), SMALL, request_id)
    except Cut as cut:
        if cut.begun:
            raise
        return "hung up between two requests"


async def _broken(line: Line, request_id: str) -> str:
    """The upstream closes in the middle of the answer: so it must look from here, and never whole."""
    try:
        got = await line.ask(request(LARGE.path, request_id, "breaking"))
    except Cut:
        return "broken by the upstream"
    if got.status == INJECTED and selected(request_id, TREATED):
        return "injected"
    if got.status == 502:
        return "broken by the upstream"
    raise Unexpected(f"an answer that the upstream broke came as a whole one, status {got.status}")


@dataclass(frozen=True, slots=True)
class Kind:
    """Clients that do the same. `share` of the whole rate is theirs, but at most `most_per_s` requests a second."""

    name: str
    share: float
    clients: int
    act: Act
    wild: bool = False
    most_per_s: float = 2000.0

    def per_s(self, rate: float) -> float:
        """Requests a second when all kinds together have this rate."""
        return min(self.share * rate, self.most_per_s)


KINDS = (
    Kind("small", 0.48, 16, _whole(SMALL)),
    Kind("large", 0.15, 8, _whole(LARGE)),
    Kind("batch", 0.05, 4, _whole(BATCHES[1])),
    Kind("chunked", 0.2, 8, _whole(LARGE, "chunked")),
    Kind("1 MB", 0.01, 2, _whole(MODELS["1MB"]), most_per_s=2.0),
    Kind("10 MB", 0.01, 2, _whole(HUGE), most_per_s=0.5),
    Kind("events", 0.02, 16, _stream, most_per_s=8.0),
    Kind("leaves 10 MB", 0.01, 2, _leaves(HUGE.path, "", SEEN_BEFORE_LEAVING, abruptly=False), most_per_s=2.0),
    Kind("breaks off 10 MB", 0.01, 2, _leaves(HUGE.path, "", SEEN_BEFORE_LEAVING, abruptly=True), most_per_s=2.0),
    Kind("leaves events", 0.01, 4, _leaves("/v1/chat/completions", "events", 100, abruptly=False), most_per_s=4.0),
    Kind("upstream closes", 0.02, 4, _whole(SMALL, "closing"), wild=True, most_per_s=20.0),
    Kind("upstream drops", 0.02, 4, _after_drop, wild=True, most_per_s=20.0),
    Kind("upstream breaks", 0.01, 4, _broken, wild=True, most_per_s=10.0),
)
OUTCOMES = ("whole", "changed", "injected", "left in the middle", "broken by the upstream")
"""What must have happened at least once for a soak to mean anything."""


async def send(kind: Kind, rate: float, where: Where, tally: Tally) -> None:
    """All clients of one kind ask at their rate, until they are cancelled; then their connections are closed."""
    ids = itertools.cycle(request_ids())
    async with asyncio.TaskGroup() as group:
        for number in range(kind.clients):
            group.create_task(_client(kind, kind.per_s(rate), number, ids.__next__, where, tally))


async def _client(
    kind: Kind, per_s: float, number: int, next_id: Callable[[], str], where: Where, tally: Tally
) -> None:
    loop, pause_s = asyncio.get_running_loop(), kind.clients / per_s
    due_s, line = loop.time() + number / per_s, Line(*(where.wild if kind.wild else where.steady))
    try:
        while True:
            await asyncio.sleep(due_s - loop.time())
            try:
                began_s = loop.time()
                async with asyncio.timeout(PATIENCE_S):
                    outcome = await kind.act(line, next_id())
                tally.met(kind.name, outcome, loop.time() - began_s)
            except (Unexpected, Cut) as error:
                tally.complain(f"{kind.name}: {error}")
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                line.close()
                tally.complain(f"{kind.name}: {type(error).__name__}")
            due_s = max(due_s + pause_s, loop.time())
    finally:
        line.close()
