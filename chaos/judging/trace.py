"""A journal read once and sorted: what every part of the judge looks at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.events import (
    Applied,
    Apply,
    ApplyFailed,
    Collected,
    EffectLost,
    Failed,
    GuardBreached,
    LoadStopped,
    Observed,
    Projected,
    QueryFailed,
    RunStarted,
    State,
    StateEntered,
    StopRequested,
    Undone,
)
from chaos.exposure import Sample, Touched
from chaos.journal import BrokenJournal, Line
from chaos.observation import (
    AlertsRead,
    Delivered,
    DeliveriesRead,
    ExternalRead,
    ExternalSeen,
    FaultTraffic,
    LoadRead,
    ProbeReading,
    ProbesRead,
    ProxyRead,
    RoutedRead,
    SeriesRead,
)
from chaos.plans import Plan, PlannedEffect
from chaos.progress.externals import off_since


@dataclass(frozen=True, slots=True)
class Entered:
    """A state, when it was entered and why."""

    state: State
    wall_s: float
    why: str


@dataclass
class Trace:
    """The journal, sorted by what happened."""

    plan: Plan
    started: RunStarted
    first_wall_s: float
    last_wall_s: float
    states: list[Entered] = field(default_factory=list)
    issued: set[str] = field(default_factory=set)
    applied: dict[str, Applied] = field(default_factory=dict)
    apply_failed: dict[str, str] = field(default_factory=dict)
    undone: dict[str, Undone] = field(default_factory=dict)
    lost: list[EffectLost] = field(default_factory=list)
    stop: StopRequested | None = None
    trouble: str | None = None
    """An error of our own that ended the run."""
    guard: GuardBreached | None = None
    probes: list[ProbesRead] = field(default_factory=list)
    alerts: list[AlertsRead] = field(default_factory=list)
    routed: list[RoutedRead] = field(default_factory=list)
    deliveries: list[Delivered] = field(default_factory=list)
    sinks: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    """When the sinks were asked, and which of them did not answer."""
    proxies: dict[str, list[ProxyRead]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    externals: dict[int, list[ExternalSeen]] = field(default_factory=dict)
    """Index of a fault of another tool → everything that was seen of its effect since it was to begin."""
    failed: dict[str, list[str]] = field(default_factory=dict)
    load: LoadStopped | None = None
    collected: Collected | None = None
    projected: Projected | None = None

    # --- moments ------------------------------------------------------------------------------------------------------

    def entered(self, state: State) -> Entered | None:
        """When this state was first entered, or None."""
        return next((entered for entered in self.states if entered.state is state), None)

    def ended(self) -> bool:
        """Whether the run came to its end; a journal of a runner that died did not."""
        return self.entered(State.ended) is not None

    def span(self, state: State) -> tuple[float, float] | None:
        """When this state began and ended, in wall-clock seconds, or None when it was never entered."""
        for place, entered in enumerate(self.states):
            if entered.state is state:
                following = self.states[place + 1 : place + 2]
                return entered.wall_s, following[0].wall_s if following else self.last_wall_s
        return None

    def latest(self, target: str) -> ProxyRead | None:
        """The last look at the proxies of this target."""
        seen = self.proxies.get(target)
        return seen[-1] if seen else None

    def traffic(self, index: int) -> FaultTraffic | None:
        """What this fault did at the proxies, at the last look that knew it."""
        for seen in self.proxies.values():
            for read in reversed(seen):
                for fault in read.faults:
                    if fault.index == index:
                        return fault
        return None

    def touched(self, index: int, *, treatment: bool = True) -> Touched:
        """What this fault of the load did to the treatment arm, or to everybody else, over the whole run."""
        done = Touched()
        for sample in self.samples:
            for name, arm in sample.arms.items():
                if (name == "treatment") is treatment and str(index) in arm.faults:
                    done = done.plus(arm.faults[str(index)])
        return done

    def first_effect(self) -> float | None:
        """The first proven effect of any fault: a changed answer, a container hurt, a request or an outcome of the load,
        a query that shows what another tool did.
        """
        times = [
            found.first_effect_wall_s
            for effect in self.plan.faults()
            if effect.kind == "proxy" and effect.fault_index is not None and (found := self.traffic(effect.fault_index))
        ]
        times += [
            self.applied[effect.id].at_wall_s
            for effect in self.plan.faults()
            if effect.kind == "container" and effect.id in self.applied
        ]
        times += [
            self.touched(effect.fault_index).first_wall_s
            for effect in self.plan.faults()
            if effect.kind == "load" and effect.fault_index is not None
        ]
        times += [one.at_wall_s for seen in self.externals.values() for one in seen if one.on]
        return min((at for at in times if at is not None), default=None)

    def removal(self) -> float | None:
        """When the last effect that hurts had been taken back, or None when one never was."""
        hurting = [effect.id for effect in self.plan.faults() if effect.id in self.issued]
        if not hurting or any(name not in self.undone for name in hurting):
            return None
        return max(self.gone_since(self.plan.effect(name)) for name in hurting)

    def gone_since(self, effect: PlannedEffect) -> float:
        """When this effect, which was undone, had gone: what another tool does may have ended by itself before."""
        undone_wall_s = self.undone[effect.id].at_wall_s
        before = [one for one in self.seen_of(effect) if one.at_wall_s <= undone_wall_s]
        since = off_since(before)
        return undone_wall_s if since is None else since

    def seen_of(self, effect: PlannedEffect) -> Sequence[ExternalSeen]:
        """Everything that was seen of an effect of another tool, in order."""
        return self.externals.get(effect.fault_index, ()) if effect.fault_index is not None else ()

    # --- readings -----------------------------------------------------------------------------------------------------

    def window(self, phase: str, probe: str) -> ProbeReading | None:
        """The probe's value over exactly this phase, as collected at the end."""
        for name, reading in self.collected.windows if self.collected else ():
            if name == phase and reading.probe == probe:
                return reading
        return None

    def series(self, role: str) -> list[SeriesRead]:
        """The collected series of this role."""
        return [one for one in (self.collected.series if self.collected else ()) if one.role == role]

    def samples_between(self, start_wall_s: float, end_wall_s: float) -> list[Sample]:
        """The load's seconds that ended in this time."""
        return [sample for sample in self.samples if start_wall_s < sample.wall_s <= end_wall_s + 1.0]


def trace(lines: Sequence[Line]) -> Trace:
    """The sorted journal. Raises BrokenJournal when it does not begin with a run."""
    if not lines or not isinstance(lines[0].record, RunStarted):
        raise BrokenJournal("this journal does not begin with the start of a run")
    started = lines[0].record
    try:
        plan = Plan.from_json(started.plan)
    except ValueError as error:
        raise BrokenJournal(f"the plan in this journal cannot be read: {error}") from error
    sorted_ = Trace(plan, started, lines[0].wall_s, lines[-1].wall_s)
    for line in lines[1:]:
        _sort(sorted_, line)
    return sorted_


def _sort(into: Trace, line: Line) -> None:
    match line.record:
        case StateEntered(state=state, why=why):
            into.states.append(Entered(state, line.wall_s, why))
        case Apply(effect=name):
            into.issued.add(name)
        case Applied(effect=name) as applied:
            into.applied.setdefault(name, applied)
            into.undone.pop(name, None)  # an Apply that landed late: what was undone before it may be there again
        case ApplyFailed(effect=name, error=error):
            into.apply_failed[name] = error
        case Undone(effect=name) as undone:
            into.undone[name] = undone
        case EffectLost() as lost:
            into.lost.append(lost)
        case StopRequested() as stop:
            into.stop = into.stop or stop
        case Failed(error=error):
            into.trouble = into.trouble or error
        case GuardBreached() as guard:
            into.guard = into.guard or guard
        case Observed(observation=seen):
            _sort_observation(into, seen)
            if isinstance(seen, DeliveriesRead):
                into.sinks.append((line.wall_s, frozenset(seen.unanswered)))
        case QueryFailed(question=question, error=error):
            into.failed.setdefault(question, []).append(error)
        case LoadStopped() as load:
            into.load = load
        case Collected() as collected:
            into.collected = collected
        case Projected() as projected:
            into.projected = projected
        case _:
            pass  # commands and starts tell the judge nothing that their answers do not


def _sort_observation(into: Trace, seen: object) -> None:
    match seen:
        case ProbesRead():
            into.probes.append(seen)
        case AlertsRead():
            into.alerts.append(seen)
        case RoutedRead():
            into.routed.append(seen)
        case DeliveriesRead():
            into.deliveries += seen.deliveries
        case ProxyRead():
            into.proxies.setdefault(seen.target, []).append(seen)
        case LoadRead():
            into.samples += seen.samples
        case ExternalRead():
            begun = {effect.fault_index for effect in into.plan.externals() if effect.id in into.issued}
            for one in seen.effects:
                if one.index in begun:
                    into.externals.setdefault(one.index, []).append(one)
        case _:
            raise AssertionError(seen)
