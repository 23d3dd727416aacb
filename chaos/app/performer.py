"""Performs the engine's commands with real drivers, and turns what they say into events. Wiring; decides nothing.

One World per run. Its parts are called from many threads: state that is shared is guarded by a lock that is never held
while something remote is waited for.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from chaos.app.look import Look
from chaos.app.safeguard import Safeguard
from chaos.drivers.base import Act, Before, Container, ContainerDriver, Performed
from chaos.drivers.external import ExternalCommand
from chaos.drivers.load import LoadDriver
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.errors import NotUndone
from chaos.events import (
    Applied,
    Apply,
    Collect,
    Command,
    Event,
    Finish,
    LoadStarted,
    LoadStopped,
    Observed,
    Query,
    Renew,
    Renewed,
    StartLoad,
    StopLoad,
    Undo,
    Undone,
)
from chaos.faults.containers import act_of
from chaos.observation import LoadRead, ProxyRead
from chaos.plans import Plan, PlannedEffect
from chaos.undo_list import EXTERNAL_BY_HAND


@dataclass
class HeldProxies:
    """The proxies of one target under this run: which faults are on, and how to arm them."""

    fleet: ProxyFleet
    run: str
    arming: Callable[[Mapping[int, str], float], Arming]
    """Fault index → the fault's JSON, and how long the proxies had been held when the first fault came; as an arming."""
    later: set[str] = field(default_factory=set)
    """Effects that have not been applied yet: while there are any, an undo keeps the hold."""
    on: dict[int, str] = field(default_factory=dict)
    holds: bool = False
    """Whether the plan has a hold on this target: then its undo ends the run here, and no fault's does."""
    over: bool = False
    """The run has let go of these proxies: nothing may arm them again."""
    wanted: int = 0
    """Grows whenever the faults that should be on change."""
    held_since_s: float | None = None
    hurt_since_s: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, effect: PlannedEffect) -> str:
        """The effect is armed on every proxy of the target, or on none."""
        with self.lock:
            self.later.discard(effect.id)
            if effect.fault_index is not None:
                self.on[effect.fault_index] = effect.fault_json or ""
            self.wanted += 1
        return self._settle()

    def undo(self, effect: PlannedEffect) -> str:
        """The effect is off on every proxy. The whole run is disarmed unless other faults of it are on or still to come."""
        with self.lock:
            if effect.fault_index is not None:
                self.on.pop(effect.fault_index, None)
            # As long as the run holds these proxies, its hold is what lets go of them.
            self.over = self.over or effect.kind == "hold" or not (self.holds or self.on or self.later)
            self.wanted += 1
        return self._settle()

    def _held_s(self, faults: Mapping[int, str]) -> float:
        """Seconds between the first arming and the first fault; both are noted when they come."""
        now_s = time.monotonic()
        with self.lock:
            self.held_since_s = now_s if self.held_since_s is None else self.held_since_s
            if faults and self.hurt_since_s is None:
                self.hurt_since_s = now_s
            return (self.hurt_since_s or now_s) - self.held_since_s

    def _settle(self) -> str:
        """The proxies are as `on` and `over` say, also when another thread changed those in the meantime.

        No lock is held during a call, so an undo never waits for one that hangs. Whoever's call ends last looks whether it
        was overtaken, and puts right what it may have put wrong.
        """
        while True:
            with self.lock:
                wanted, faults, over = self.wanted, dict(self.on), self.over
            if over:
                self.fleet.disarm(self.run)
            else:
                self.fleet.arm(self.run, self.arming(faults, self._held_s(faults)))
            with self.lock:
                if wanted == self.wanted:
                    return f"DELETE /runs/{self.run}" if over else f"PUT /runs/{self.run} with {len(faults)} faults"


class World:
    """The performer of real runs."""

    def __init__(
        self,
        plan: Plan,
        *,
        proxies: Mapping[str, HeldProxies],
        containers: Mapping[str, ContainerDriver],
        load: LoadDriver | None,
        look: Look,
        safeguard: Safeguard | None = None,
        command: ExternalCommand | None = None,
    ) -> None:
        self.command = command
        self.safeguard = safeguard
        self.plan = plan
        self.proxies = proxies
        self.containers = containers
        self.load = load
        self.look = look
        self._turns = itertools.cycle(proxies)

    def perform(self, command: Command) -> Event | None:
        """The command has been performed; what came of it."""
        match command:
            case Apply(effect=name):
                return self._apply(self.plan.effect(name))
            case Undo(effect=name, attempt=attempt):
                return self._undo(self.plan.effect(name), attempt)
            case Renew(effect=name):
                self._renew(self.plan.effect(name))
                return Renewed(name)
            case Query():
                return self._query(command)
            case StartLoad():
                if self.load is not None:
                    self.load.start()
                return LoadStarted()
            case StopLoad():
                return LoadStopped(self.load.stop() if self.load is not None else None)
            case Collect(windows=windows):
                return self.look.collect(windows)
            case Finish():
                return None

    def _renew(self, effect: PlannedEffect) -> None:
        if effect.kind == "load":
            self._loading().renew()
        else:
            held = self.proxies[effect.target]
            held.fleet.renew(held.run)

    def _loading(self) -> LoadDriver:
        assert self.load is not None, "an effect of the load is planned only where there is one"
        return self.load

    def _apply(self, effect: PlannedEffect) -> Event:
        if effect.kind == "load":
            assert effect.fault_index is not None
            with self._on_the_list(effect):
                said = self._loading().hurt(effect.fault_index)
            return Applied(effect.id, said.at_wall_s, f"load: faults on {list(said.on)}")
        if effect.kind == "external":
            with self._on_the_list(effect):
                begun = self.command.begin() if self.command is not None else "waits for who begins it by hand"
            return Applied(effect.id, time.time(), begun)
        if effect.kind != "container":
            with self._on_the_list(effect):
                call = self.proxies[effect.target].apply(effect)
            return Applied(effect.id, time.time(), call)
        driver, act, container, before = self._container(effect)
        with self._on_the_list(effect):
            done = driver.apply(act, container, before)
        return Applied(effect.id, done.at_wall_s, done.call, _evidence(done))

    def _undo(self, effect: PlannedEffect, attempt: int) -> Event:
        # Asked before: an Apply that lands while the undo looks is not undone by it.
        ended = self.safeguard is None or self.safeguard.call_has_ended(effect.id)
        done = self._undone(effect, attempt)
        if ended and self.safeguard is not None:
            self.safeguard.note_undone(effect.id)
        return done

    def _undone(self, effect: PlannedEffect, attempt: int) -> Event:
        if effect.kind == "load":
            assert effect.fault_index is not None
            said = self._loading().heal(effect.fault_index)
            told = f"load: faults on {list(said.on)}" if said is not None else "load: ended, and its faults with it"
            return Undone(effect.id, attempt, said.at_wall_s if said is not None else time.time(), told)
        if effect.kind == "external":
            return self._undo_external(effect, attempt)
        if effect.kind != "container":
            call = self.proxies[effect.target].undo(effect)
            return Undone(effect.id, attempt, time.time(), call)
        driver, act, container, before = self._container(effect)
        done = driver.undo(act, container, before)
        return Undone(effect.id, attempt, done.at_wall_s, done.call, _evidence(done))

    def _undo_external(self, effect: PlannedEffect, attempt: int) -> Event:
        """The command has ended; that the effect has, too, only its query can say. Raises NotUndone when it does not."""
        call = self.command.end() if self.command is not None else "waited for who ends it by hand"
        if self.safeguard is not None:
            self.safeguard.note_left(effect.id)  # whatever is left is nothing that anybody of ours could undo
        [seen] = self.look.external([effect]).effects
        assert effect.shows is not None
        if seen.on or seen.value is None:
            reads = f"reads {seen.value:.4g}" if seen.value is not None else "returns nothing, which proves nothing"
            raise NotUndone(f"{call}, and {effect.shows.query} {reads}", EXTERNAL_BY_HAND)
        return Undone(effect.id, attempt, seen.at_wall_s, call, {"the effect's query reads": f"{seen.value:.4g}"})

    def _on_the_list(self, effect: PlannedEffect) -> AbstractContextManager[None]:
        if self.safeguard is None:
            return nullcontext()
        return self.safeguard.on_the_list(effect.id, leased=effect.kind != "container")

    def _container(self, effect: PlannedEffect) -> tuple[ContainerDriver, Act, Container, Before]:
        found = effect.container
        assert found is not None
        container = Container(found.name, found.id, found.labels, "running", found.started_at)
        return self.containers[effect.target], act_of(effect.fault_json or "{}"), container, found.before

    def _query(self, query: Query) -> Event | None:
        match query.question:
            case "probes":
                return Observed(self.look.probes(query.phase_s))
            case "guards":
                return Observed(self.look.guards(), question="guards")
            case "alerts":
                return Observed(self.look.alerts())
            case "routed":
                return Observed(self.look.routed())
            case "deliveries":
                return Observed(self.look.deliveries())
            case "proxy":
                return Observed(self._proxy_read())
            case "load":
                return self._load_read()
            case "external":
                return Observed(self.look.external(self.plan.externals()))

    def _load_read(self) -> Event:
        if self.load is None:
            return Observed(LoadRead(()))
        if not self.load.alive():
            return LoadStopped(error="Locust is gone; see locust/ in the run folder")
        return Observed(LoadRead(tuple(self.load.new_samples())))

    def _proxy_read(self) -> ProxyRead:
        # One target per look keeps the event simple; several targets take turns.
        target = next(self._turns)
        held = self.proxies[target]
        return held.fleet.read(held.run, target, time.time())


def _evidence(done: Performed) -> dict[str, str]:
    """What the driver saw, for the journal."""
    return {**done.evidence, "status": done.status, "container": done.container, "id": done.id}
