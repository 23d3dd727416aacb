"""One worker of several: serves data, obeys the last table that it was told, and never decides anything itself.

    parent ── {"begin", "table", "n"} ─▶ worker ── {"hello"} · {"ack": n, "counters", "runs"} ─▶ parent

The table says everything: which runs hold the proxy, with what, and until when on the monotonic clock that all processes of a
machine share. So a worker whose parent is stopped disarms itself in time, and one whose parent is gone disarms at once and ends.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from chaos.caps import Most
from chaos.proxy.armed import Armed, RunState, armed_with
from chaos.proxy.arming import Arming, Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.footprint import prepare, settle
from chaos.proxy.registry import Registry
from chaos.proxy.serving import DataOptions, DataSide, loop_factory, parse_route
from chaos.proxy.sharing import Share, Shares
from chaos.proxy.tally import take_counters, take_run

EXPIRY_S = 0.1
"""How often leases are looked at besides at every request; releases those who wait in a delay."""
GOODBYE_S = 1.0
_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Hold:
    """One run that holds the proxy, with what, and until when. Times are those of the monotonic clock, in seconds."""

    run: str
    generation: int
    arming: Arming
    begun_s: float
    renewed_s: float
    lease_s: float
    deadline_s: float
    since_s: dict[int, float]
    """When each fault, by its index, was armed first."""

    @property
    def until_s(self) -> float:
        """From then on, nobody obeys this any more."""
        return min(self.renewed_s + self.lease_s, self.begun_s + self.deadline_s)

    def part(self, workers: int, born_s: float) -> Hold:
        """What one of so many workers is told: its part of the run's cap, or none of it when it was born under this run.

        A worker that dies takes with it what it has hurt, so whoever replaces it hurts nothing more for this run.
        """
        if self.arming.most is None:
            return self
        most = Most.parse(self.arming.most)
        part = Most(0, most.what) if born_s > self.begun_s else most.part(workers)
        return replace(self, arming=self.arming.model_copy(update={"most": str(part)}))

    def as_json(self) -> dict[str, Any]:
        """For a worker."""
        told = {name: getattr(self, name) for name in Hold.__slots__}
        return {**told, "arming": self.arming.model_dump(mode="json")}

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Hold:
        """As `as_json` made it."""
        since_s = {int(index): since for index, since in told["since_s"].items()}
        return cls(**{**told, "arming": parse_arming(told["arming"]), "since_s": since_s})


@dataclass(frozen=True, slots=True)
class Table:
    """What every worker must obey: every run that holds the proxy, the oldest hold first. Whole and immutable; empty: nobody."""

    holds: tuple[Hold, ...] = ()

    def as_json(self) -> list[dict[str, Any]]:
        """For a worker."""
        return [hold.as_json() for hold in self.holds]

    @classmethod
    def of_json(cls, told: list[dict[str, Any]]) -> Table:
        """As `as_json` made it."""
        return cls(tuple(Hold.of_json(hold) for hold in told))


def table_of(registry: Registry) -> Table:
    """What workers must obey now."""
    return Table(
        tuple(
            Hold(
                state.run, state.generation, state.last_arming, state.begun_s, state.renewed_s, state.lease_s,
                state.deadline_s, dict(state.since_s),
            )
            for state in registry.holders.values()
            if state.last_arming is not None
        )
    )  # fmt: skip


class Follower(Registry):
    """A registry that arms nothing by itself: it is what the last table says."""

    def follow(self, table: Table) -> None:
        """The data plane obeys this table as a whole from the next request on.

        Raises Refusal when something in it cannot be done here. Then none of what the table changes is obeyed, neither as it was
        nor as it should be; runs that it leaves as they were go on.
        """
        now_s = self._monotonic()
        self._forget(now_s)
        holds = {hold.run: hold for hold in table.holds if now_s <= hold.until_s}
        same = {one.run: one for one in self.active if one.run in holds and one.generation == holds[one.run].generation}
        changed: dict[str, Armed] = {}
        refused: Refusal | None = None
        try:
            for run, hold in holds.items():
                if run not in same:
                    changed[run] = self._built(hold, now_s)
        except Refusal as refusal:
            refused, changed = refusal, {}
        obeyed = {**same, **changed}
        for run in obeyed:
            state, hold = self.runs.setdefault(run, RunState(run)), holds[run]
            state.begun_s, state.renewed_s = hold.begun_s, hold.renewed_s
            state.lease_s, state.deadline_s = hold.lease_s, hold.deadline_s
            if run in changed:
                state.adopt(changed[run])
        self._swap(obeyed[run] for run in holds if run in obeyed)
        if refused is not None:
            raise refused

    def _built(self, hold: Hold, now_s: float) -> Armed:
        return armed_with(
            hold.arming,
            self.runs.get(hold.run) or RunState(hold.run),
            generation=hold.generation,
            since_s=hold.since_s,
            protocol=self._protocol,
            now_s=now_s,
        )


class Pipe(asyncio.Protocol):
    """One end of the pipe between parent and worker: whole JSON messages, handed over in the turn in which they arrive."""

    def __init__(self, heard: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._closed = asyncio.Event()
        self._said_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        """Every message that is whole by now has been handed over."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            message = json.loads(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
            self._heard(message)

    def eof_received(self) -> bool:
        """The other side says nothing any more: from a parent, that means to end, and the last counts still go up."""
        self._lost()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The other side is gone."""
        self._transport = None
        self._closed.set()
        self._lost()

    def send(self, message: dict[str, Any]) -> None:
        """The message is on its way, unless the other side is gone."""
        if self._transport is not None and not self._transport.is_closing() and not self._said_all:
            body = json.dumps(message).encode()
            self._transport.write(_LENGTH.pack(len(body)) + body)

    def hang_up(self) -> None:
        """Nothing more is said; what the other side says is still heard."""
        if self._transport is not None and not self._transport.is_closing():
            self._said_all = True
            self._transport.write_eof()

    async def close(self) -> None:
        """What was sent has gone out, or nobody took it for GOODBYE_S; the pipe is closed."""
        if self._transport is not None:
            self._transport.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), GOODBYE_S)


class Worker:
    """Everything that a worker process is."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.counters = Counters()
        self.registry: Follower | None = None
        self.data: DataSide | None = None
        self._pipe = Pipe(self._heard, self._parent_gone)
        self._beginning: asyncio.Task[None] | None = None
        self._share: Share | None = None

    async def work(self, pipe: socket.socket) -> int:
        """Serves until the parent hangs up or SIGTERM comes; answers under way go out before it ends. The exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ended.set)
        # Ctrl-C at a terminal reaches the whole group: the parent tells when to end.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        await loop.create_unix_connection(lambda: self._pipe, sock=pipe)
        self._pipe.send({"hello": True})
        while not self.ended.is_set():
            if self.registry is not None:
                self.registry.expire()
            if self.data is not None and self._share is not None:
                self._share.say(self.data.connections())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), EXPIRY_S)
        if self._beginning is not None:
            await self._beginning
        if self.data is not None:
            await self.data.stop()
        self._report(None)
        await self._pipe.close()
        return 0

    def _parent_gone(self) -> None:
        """Nobody could disarm any more: nothing is armed from now on."""
        if self.registry is not None:
            self.registry.disarm(None)
        self.ended.set()

    def _heard(self, message: dict[str, Any]) -> None:
        if "begin" in message:
            self._begin(message)
            return
        problem: str | None = None
        if "table" in message:
            problem = self._follow(message["table"])
        self._report(message["n"], problem)

    def _follow(self, told: list[dict[str, Any]]) -> str | None:
        assert self.registry is not None
        try:
            self.registry.follow(Table.of_json(told))
        except Refusal as refusal:
            return str(refusal)
        return None

    def _begin(self, message: dict[str, Any]) -> None:
        """The table is obeyed from here on; only then does anybody come in."""
        begin = message["begin"]
        ca = begin["upstream_ca"]
        ca = Path(ca) if ca is not None else None
        options = DataOptions(begin["record_bodies"], begin["protocol"], ca, begin["observe"], begin["shadow_to"])
        self.registry = Follower(time.monotonic, options.protocol)
        self.data = DataSide(self.registry, self.counters, options)
        self._share = Share(Shares(begin["shares"]), begin["place"])
        problem = self._follow(message["table"])
        listening = self._listen(self.data, begin["routes"], message["n"], problem)
        self._beginning = asyncio.get_running_loop().create_task(listening)

    async def _listen(self, data: DataSide, routes: list[Any], number: int, problem: str | None) -> None:
        for text, descriptors in routes:
            listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            for listener in listeners:
                listener.setblocking(False)
            await data.start(parse_route(text), listeners, self._share)
        settle()
        self._report(number, problem)

    def _report(self, number: int | None, problem: str | None = None) -> None:
        """Everything counted since the last report goes up, with the number of the message that it answers."""
        runs = self.registry.runs if self.registry is not None else {}
        taken = {name: told for name, state in runs.items() if (told := take_run(state))}
        self._pipe.send({"ack": number, "problem": problem, "counters": take_counters(self.counters), "runs": taken})


def main(arguments: list[str]) -> int:
    """Serves for the parent at the other end of the socket with this number. The exit code."""
    prepare()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        pipe = socket.socket(fileno=int(arguments[0]))

        async def work() -> int:
            return await Worker().work(pipe)

        return runner.run(work())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
