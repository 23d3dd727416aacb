"""The parent's side of several workers: keeps them running, tells all of them the same, and adds up what they count.

What is told is always the whole table, so the last one that arrives is what holds, whatever was lost before. A worker is asked
for a sign of life ten times a second. One that does not acknowledge within SILENT_S that a fault is to end is killed and replaced: no
answer of the control API ever rests on a worker that may not have heard of it. As long as nothing has to end, it has PATIENT_S: on a
machine with too much to do, killing it would only cost its clients their connections. Replacements get the table before they accept
anybody, from the listening sockets that this process holds: whoever waits there meanwhile is not lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.proxy.counters import Counters
from chaos.proxy.registry import Registry
from chaos.proxy.serving import DRAIN_S, DataOptions
from chaos.proxy.sharing import NOBODY, PLACES, Shares
from chaos.proxy.tally import add_counters, add_run
from chaos.proxy.worker import GOODBYE_S, Pipe, Table, table_of

SILENT_S = 0.5
"""A worker that has not acknowledged after so long that a fault is to end is killed and replaced."""
PATIENT_S = 2.0
"""So is one that has not acknowledged anything else for so long: what begins, what goes on, or a sign of life."""
START_S = 15.0
"""How long a new worker may take until its first word; it serves nobody before."""
LATE_S = 0.25
"""When this process itself was stopped for so long, nobody's silence means anything."""
START_TRIES = 3
AGAIN_S = 0.25
"""The pause after a worker that died before it served; doubled each time, up to AGAIN_MOST_S."""
AGAIN_MOST_S = 10.0


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    begun_s: float
    place: int
    """Its place in the shares."""
    born_s: float
    """When it was started; unlike `begun_s`, that never moves."""
    pipe: Pipe | None = None
    spoke: bool = False
    """It has said hello, and was told what to do: from then on it counts."""
    serves: bool = False
    gone: bool = False
    gone_s: float = 0.0
    asked: dict[int, tuple[float, float, asyncio.Future[str | None]]] = field(default_factory=dict)
    """Number of each message without an answer → when it was sent, how long its answer may take, and who waits for it."""


class Workers:
    """`count` worker processes that serve these routes and obey `registry`."""

    def __init__(
        self,
        count: int,
        routes: Mapping[str, Sequence[socket.socket]],
        options: DataOptions,
        registry: Registry,
        counters: Counters,
    ) -> None:
        self.count = count
        self.replaced = 0
        self._routes = routes
        self._options = options
        self._registry = registry
        self._counters = counters
        self._shares = Shares()
        self._workers: set[_Worker] = set()
        self._number = 0
        self._ending = False
        self._failures = 0
        self._not_before_s = 0.0
        self._ticked_s = time.monotonic()

    # --- for the control API ------------------------------------------------------------------------------------------

    def serving(self) -> int:
        """How many workers serve now."""
        return sum(worker.serves and not worker.gone for worker in self._workers)

    async def obey(self, within_s: float = SILENT_S) -> list[str]:
        """No worker obeys anything older than what the registry says now: each has acknowledged it, or is gone.

        Returns what went wrong: workers that had to be killed because they were silent, or refused. Takes at most about `within_s`.
        """
        waiting = [self._ask(worker, {"table": self._table(worker)}, within_s) for worker in self._listening()]
        return [problem for problem in await asyncio.gather(*waiting) if problem is not None]

    async def gather(self) -> None:
        """Everything that living workers have counted is in the registry and the counters."""
        await asyncio.gather(*[self._ask(worker, {}, PATIENT_S) for worker in self._listening()])

    def _listening(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.spoke and not worker.gone]

    def _table(self, worker: _Worker) -> list[dict[str, Any]]:
        """What this worker must obey: the same as every other, under its own part of each run's cap."""
        holds = table_of(self._registry).holds
        return Table(tuple(hold.part(self.count, worker.born_s) for hold in holds)).as_json()

    def _ask(self, worker: _Worker, message: dict[str, Any], within_s: float) -> asyncio.Future[str | None]:
        """What will say that the worker has heard: None, or what went wrong."""
        self._number += 1
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        worker.asked[self._number] = (time.monotonic(), within_s, answered)
        assert worker.pipe is not None
        worker.pipe.send({**message, "n": self._number})
        return answered

    # --- the workers' lives -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Every worker serves. Raises OSError when START_TRIES of them end before they do."""
        for _ in range(self.count):
            await self._spawn()
        while self.serving() < self.count:
            self.tick()
            if self._failures >= START_TRIES:
                await self.stop()
                raise OSError(f"{self._failures} workers ended before they served")
            await self.replenish()
            await asyncio.sleep(0.02)

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        inherited = [listener.fileno() for listeners in self._routes.values() for listener in listeners]
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 -- returns in a millisecond or two, and must be reaped by hand
                [sys.executable, "-m", "chaos.proxy.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno(), self._shares.number, *inherited],
                stdin=subprocess.DEVNULL,
            )
        taken = {worker.place for worker in self._workers}
        now_s = time.monotonic()
        worker = _Worker(process, now_s, next(place for place in range(PLACES) if place not in taken), now_s)
        self._workers.add(worker)
        pipe = worker.pipe = Pipe(lambda message: self._heard(worker, message), lambda: self._lost(worker))
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: pipe, sock=ours)

    def _heard(self, worker: _Worker, message: dict[str, Any]) -> None:
        if "hello" in message:
            worker.spoke = True
            routes = [[text, [one.fileno() for one in listeners]] for text, listeners in self._routes.items()]
            ca = self._options.upstream_ca
            begin = {
                "routes": routes,
                "shares": self._shares.number,
                "place": worker.place,
                "record_bodies": self._options.record_bodies,
                "protocol": self._options.protocol,
                "upstream_ca": str(ca) if ca is not None else None,
                "observe": self._options.observe,
                "shadow_to": self._options.shadow_to,
            }
            told = {"begin": begin, "table": self._table(worker)}
            self._ask(worker, told, PATIENT_S).add_done_callback(lambda done: self._begun(worker, done))
            return
        add_counters(self._counters, message["counters"])
        for run, taken in message["runs"].items():
            state = self._registry.runs.get(run)
            if state is not None:
                add_run(state, taken)
        _, _, answered = worker.asked.pop(message["ack"], (0.0, 0.0, None))
        if answered is not None and not answered.done():
            answered.set_result(message["problem"])

    def _begun(self, worker: _Worker, done: asyncio.Future[str | None]) -> None:
        if not worker.gone and not done.cancelled() and done.result() is None:
            worker.serves = True
            self._failures = 0

    def _lost(self, worker: _Worker) -> None:
        """The worker is gone, or about to go: nothing waits for it any more."""
        if worker.gone:
            return
        worker.gone, worker.gone_s = True, time.monotonic()
        self._shares.say(worker.place, NOBODY)
        for _, _, answered in worker.asked.values():
            if not answered.done():
                answered.set_result(None)
        worker.asked.clear()

    def tick(self) -> None:
        """Called about ten times a second: asks for signs of life, kills who is silent, replaces who is gone."""
        now_s = time.monotonic()
        late, self._ticked_s = now_s - self._ticked_s > LATE_S, now_s
        for worker in list(self._workers):
            if late:
                worker.asked = {
                    number: (now_s, within_s, waits) for number, (_, within_s, waits) in worker.asked.items()
                }
                worker.begun_s = now_s
            if worker.gone or worker.process.poll() is not None:
                self._bury(worker, now_s)
            elif not worker.spoke:
                if now_s - worker.begun_s > START_S:
                    worker.process.kill()
            elif worker.asked:
                if any(now_s - asked_s > within_s for asked_s, within_s, _ in worker.asked.values()):
                    self._silence(worker)
            else:
                self._ask(worker, {}, PATIENT_S)

    def _silence(self, worker: _Worker) -> None:
        """It is killed. Whoever waits for it hears so once it is dead, which `_lost` sees at the closed pipe."""
        print(
            f"chaos proxy: the worker {worker.process.pid} was silent for too long and is replaced",
            file=sys.stderr,
        )
        worker.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(1.0)  # a matter of microseconds: nothing can put SIGKILL off
        for _, _, answered in worker.asked.values():
            if not answered.done():
                answered.set_result(f"the worker {worker.process.pid} did not answer")
        worker.asked.clear()
        self._lost(worker)

    def _bury(self, worker: _Worker, now_s: float) -> None:
        """A dead worker is forgotten; one that has hung up may still let answers go out before it ends."""
        if worker.process.poll() is None:
            if now_s - worker.gone_s > GOODBYE_S:
                worker.process.kill()
            return
        self._lost(worker)
        self._workers.discard(worker)
        if not worker.serves:
            pause_s = min(AGAIN_S * 2**self._failures, AGAIN_MOST_S)
            self._failures += 1
            self._not_before_s = now_s + pause_s

    async def replenish(self) -> None:
        """As many workers as there should be have been started; those that are on their way out do not count."""
        while (
            not self._ending
            and sum(not worker.gone for worker in self._workers) < self.count
            and time.monotonic() >= self._not_before_s
        ):
            self.replaced += 1
            try:
                await self._spawn()
            except OSError as error:  # no process, no descriptor, no memory: the others go on meanwhile
                print(f"chaos proxy: a worker cannot be started: {error}", file=sys.stderr)
                self._not_before_s = time.monotonic() + AGAIN_MOST_S

    async def stop(self) -> None:
        """Every worker has let its answers go out and has ended; what it counted is counted."""
        self._ending = True
        until_s = time.monotonic() + DRAIN_S + 2 * GOODBYE_S
        for worker in self._workers:
            if worker.pipe is not None:
                worker.pipe.hang_up()
        while time.monotonic() < until_s and any(worker.process.poll() is None for worker in self._workers):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            worker.process.wait()

    def metrics(self) -> str:
        """Two families in Prometheus' text format."""
        return (
            "# HELP chaos_proxy_workers Worker processes that serve.\n"
            "# TYPE chaos_proxy_workers gauge\n"
            f"chaos_proxy_workers {self.serving()}\n"
            "# HELP chaos_proxy_workers_replaced_total Workers that died or were silent, and were replaced.\n"
            "# TYPE chaos_proxy_workers_replaced_total counter\n"
            f"chaos_proxy_workers_replaced_total {self.replaced}\n"
        )
