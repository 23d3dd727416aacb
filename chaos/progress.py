"""What a run has seen so far, as far as it decides what happens next. Pure; fed by the engine, shown by the live view.

Nothing here is a finding: findings are computed from the journal when the run is over (`verdict.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.arms_watch import ArmsWatch
from chaos.comparisons import TITLE, Compared
from chaos.exposure import Sample
from chaos.observation import (
    SLOW_S,
    AlertsRead,
    ArmTraffic,
    Delivered,
    DeliveriesRead,
    ExternalRead,
    ExternalSeen,
    LoadRead,
    Observation,
    ProbeReading,
    ProbesRead,
    ProxyRead,
    RoutedRead,
)
from chaos.plans import REMOVAL_PROOF, Plan, PlannedAlert, PlannedEffect, PlannedGuard, PlannedProbe
from chaos.readings import broken_bound, enough, judged, values_of

__all__ = ["Progress", "broken_bound", "carries", "off_since", "shown"]


def carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether these labels contain all the wanted ones."""
    return all(labels.get(name) == value for name, value in wanted.items())


def shown(effect: PlannedEffect, reading: ProbeReading) -> ExternalSeen:
    """What this reading shows of another tool's effect: on as soon as one of its values lies within the bounds."""
    assert effect.shows is not None
    assert effect.fault_index is not None
    values = values_of(effect.shows, reading)
    within = [value for value in values if broken_bound(effect.shows, value, None) is None]
    value = next(iter(within or values), None)
    return ExternalSeen(effect.fault_index, reading.at_wall_s, value, on=bool(within))


def off_since(seen: Sequence[ExternalSeen]) -> float | None:
    """When the effect was first seen off after it was last seen on; None when it was never on, or not seen off since."""
    last = max((place for place, one in enumerate(seen) if one.on), default=None)
    if last is None:
        return None
    return next((one.at_wall_s for one in seen[last + 1 :] if one.value is not None), None)


@dataclass
class Progress:
    """The latest of everything, by name."""

    plan: Plan
    sliding: dict[str, ProbeReading] = field(default_factory=dict)
    phase: dict[str, ProbeReading] = field(default_factory=dict)
    baseline: dict[str, ProbeReading] = field(default_factory=dict)
    """Probe → its last reading of the baseline that rested on enough events: what multiples of the baseline are multiples of."""
    sliding_at_s: dict[str, float] = field(default_factory=dict)
    firing: dict[str, float] = field(default_factory=dict)
    """Expected alert → when it was first seen firing after the first effect (its activeAt)."""
    active: dict[str, str] = field(default_factory=dict)
    """Alert name → state, of every alert that Prometheus has now."""
    deliveries: list[Delivered] = field(default_factory=list)
    """Everything that the sinks got, also before the first effect is known: a look may come late."""
    proxies: dict[str, ProxyRead] = field(default_factory=dict)
    control_history: dict[str, list[ArmTraffic]] = field(default_factory=dict)
    control_before: dict[str, ArmTraffic] = field(default_factory=dict)
    """The control arm at each target before the first effect."""
    alert_labels: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)
    sent: int = 0
    untouched_by_load: int = 0
    """Treatment requests that the load has sent since its own faults last did something."""
    first_effect_wall_s: float | None = None
    removed_wall_s: float | None = None
    alerts_at_s: float | None = None
    externals: dict[int, list[ExternalSeen]] = field(default_factory=dict)
    """Index of a fault of another tool → everything that was seen of its effect, since it was to begin once that was so."""
    awaited: set[int] = field(default_factory=set)
    """The faults of other tools that were to begin: what is seen of them from then on is their effect."""
    arms: ArmsWatch = field(init=False)

    def __post_init__(self) -> None:
        self.arms = ArmsWatch.of(self.plan)

    def learn(self, seen: Observation, at_s: float) -> None:
        """Takes in one observation made about `at_s` seconds into the run."""
        match seen:
            case ProbesRead():
                for reading in seen.readings:
                    if reading.scope == "phase":
                        self.phase[reading.probe] = reading
                    else:
                        self.sliding[reading.probe] = reading
                        self.sliding_at_s[reading.probe] = at_s
            case AlertsRead():
                self._learn_alerts(seen, at_s)
            case DeliveriesRead():
                self.deliveries += seen.deliveries
            case ProxyRead():
                self.proxies[seen.target] = seen
                self.arms.learn(seen)
                self.control_history.setdefault(seen.target, []).append(seen.control)
                effects = [fault.first_effect_wall_s for fault in seen.faults if fault.first_effect_wall_s is not None]
                for wall_s in effects:
                    self.effect_seen(wall_s)
                if self.first_effect_wall_s is None:
                    self.control_before[seen.target] = seen.control
            case LoadRead():
                for sample in seen.samples:
                    self._learn_second(sample)
            case ExternalRead():
                for one in seen.effects:
                    self.externals.setdefault(one.index, []).append(one)
                    if one.on and one.index in self.awaited:
                        self.effect_seen(one.at_wall_s)
            case RoutedRead():
                pass

    def _learn_second(self, sample: Sample) -> None:
        self.sent += sample.sent
        self.arms.learn(sample)
        deeds = [touched for arm in sample.arms.values() for touched in arm.faults.values()]
        for touched in deeds:
            if touched.first_wall_s is not None:
                self.effect_seen(touched.first_wall_s)
        treated = sample.arms.get("treatment")
        self.untouched_by_load = 0 if deeds else self.untouched_by_load + (treated.sent if treated is not None else 0)

    def effect_seen(self, wall_s: float) -> None:
        """The first effect is the earliest that anybody saw."""
        self.first_effect_wall_s = wall_s if self.first_effect_wall_s is None else min(self.first_effect_wall_s, wall_s)

    def await_external(self, effect: PlannedEffect) -> None:
        """This effect of another tool is to begin now; what was seen of it before counts no more."""
        assert effect.fault_index is not None
        self.awaited.add(effect.fault_index)
        self.externals.pop(effect.fault_index, None)

    def seen_of(self, effect: PlannedEffect) -> Sequence[ExternalSeen]:
        """Everything that was seen of an effect of another tool, in order."""
        return self.externals.get(effect.fault_index, ()) if effect.fault_index is not None else ()

    def gone_since(self, effect: PlannedEffect, undone_wall_s: float) -> float:
        """When this effect was gone that an undo has found gone: another tool's may have ended by itself before."""
        since = off_since(self.seen_of(effect))
        return undone_wall_s if since is None else min(since, undone_wall_s)

    def externals_on(self) -> list[PlannedEffect]:
        """The effects of other tools that were on when they were last seen."""
        return [effect for effect in self.plan.externals() if (seen := self.seen_of(effect)) and seen[-1].on]

    def _learn_alerts(self, seen: AlertsRead, at_s: float) -> None:
        self.alerts_at_s = at_s
        self.active = {}
        self.alert_labels = {}
        for alert in seen.alerts:
            self.active[alert.name] = "firing" if "firing" in (alert.state, self.active.get(alert.name)) else "pending"
            if alert.state == "firing":
                self.alert_labels.setdefault(alert.name, []).append(alert.labels)
        if self.first_effect_wall_s is None:
            return
        for planned in self.plan.alerts:
            for alert in seen.alerts:
                matches = alert.name == planned.alert and carries(alert.labels, planned.labels)
                if matches and alert.state == "firing" and alert.active_at_wall_s >= self.first_effect_wall_s - 1.0:
                    self.firing.setdefault(planned.alert, alert.active_at_wall_s)

    def _heard(self, alert: PlannedAlert) -> list[Delivered]:
        """What this alert's receiver was told of it since the first effect, in order; an instance with other labels is another alert."""
        first = self.first_effect_wall_s
        mine = (
            one
            for one in self.deliveries
            if first is not None
            and one.received_at_wall_s >= first
            and (one.labels.get("alertname", ""), one.receiver) == (alert.alert, alert.delivered_to)
            and carries(one.labels, alert.labels)
        )
        return sorted(mine, key=lambda one: one.received_at_wall_s)

    def told(self, alert: PlannedAlert) -> dict[str, str]:
        """Fingerprint → the last status that the receiver was told since the first effect, of each instance of the alert."""
        return {one.fingerprint: one.status for one in self._heard(alert)}

    def delivered(self, alert: PlannedAlert) -> bool:
        """Whether the receiver was told that this alert fires, since the first effect."""
        return any(one.status == "firing" for one in self._heard(alert))

    # --- questions that the engine asks -------------------------------------------------------------------------------

    def unread(self) -> bool:
        """Whether a probe that the baseline is judged by has not been read at all in this phase."""
        return any(probe.title not in self.phase for probe in self.plan.steady() if "before" in probe.judged)

    def baseline_problems(self) -> list[str]:
        """Why the baseline is not met: a bound broken, too little data, or an expected alert that is already active."""
        problems: list[str] = []
        for probe in self.plan.steady():
            problem = self._not_met(probe)
            if problem is not None and "before" in probe.judged:
                problems.append(problem)
        problems += [
            f"{alert.alert} is already {self.active[alert.alert]}"
            for alert in self.plan.alerts
            if alert.alert in self.active and alert.via != "silence"
        ]
        problems += [
            f"what another tool is to do to {effect.target} is there already: {effect.shows.query} reads as if it were on"
            for effect in self.externals_on()
            if effect.shows is not None
        ]
        return problems

    def _not_met(self, probe: PlannedProbe) -> str | None:
        """Why the baseline of this probe is not met, or None; what it read is what multiples of the baseline are multiples of."""
        reading = self.phase.get(probe.title)
        if reading is None or not values_of(probe, reading):
            return f"{probe.title} has no data"
        if not enough(probe, reading):
            return f"{probe.title} rests on {reading.count or 0:g} events and needs {probe.needs:g}"
        self.baseline[probe.title] = reading
        seen = judged(probe, reading, reading)
        match seen.standing:
            case "broken":
                return f"{probe.title} is {seen.told()}"
            case "unknown":
                return f"{probe.title} has no data for {seen.silent or 'one of its series'}"
            case _:
                return None

    def _told(self, alert: PlannedAlert) -> bool:
        if alert.via == "silence":  # how long it lasts is known when it is over
            return False
        if alert.via != "sink" and alert.alert not in self.firing:
            return False
        return alert.delivered_to is None or self.delivered(alert)

    def harmed(self, title: str) -> bool:
        """Whether this probe has left its bound since the first effect, on enough events."""
        probe = next(probe for probe in self.plan.steady() if probe.title == title)
        reading = self.phase.get(title)
        if reading is None or not enough(probe, reading):
            return False
        return judged(probe, reading, self.baseline.get(title)).standing == "broken"

    def decided(self) -> bool:
        """Whether every question that a fault can decide has its answer; then nobody needs to be hurt longer.

        Where nothing is asked that has one (an alert, or arms that are to hold), it never is. A harm alone is none: its bound is no
        test that may be looked at again and again until it breaks.
        """
        if self.first_effect_wall_s is None or not (self.plan.alerts or self._arms_decide()):
            return False
        told = all(self._told(alert) for alert in self.plan.alerts)
        return told and all(self.harmed(name) for name in self.plan.harms) and not self._arms_open()

    def _arms_decide(self) -> bool:
        """Whether the arms' comparisons may end the fault by themselves: what begins later may still change what they say."""
        return bool(self.arms.deciding) and self.plan.begins_at_once()

    def _arms_open(self) -> list[Compared]:
        """The comparisons of the arms that were asked for and are undecided, though their samples have come."""
        return self.arms.open(self.first_effect_wall_s) if self.first_effect_wall_s is not None else []

    def read_until_wall_s(self) -> float:
        """The time of the youngest reading of a steady-state probe; 0 when there is none."""
        names = [probe.title for probe in self.plan.steady()]
        return max((self.sliding[name].at_wall_s for name in names if name in self.sliding), default=0.0)

    def waiting_for(self) -> list[str]:
        """What is still open under fault, in words, for the live view."""
        open_ = [
            f"the external effect at {effect.target}"
            for effect in self.plan.externals()
            if not any(one.on for one in self.seen_of(effect))
        ]
        if self.first_effect_wall_s is None:
            return open_ or ["the first effect"]
        for alert in self.plan.alerts:
            if alert.via == "silence":
                open_.append(f"{alert.delivered_to} to hear no more of {alert.alert}")
            elif not self._told(alert):
                fired = (alert.via == "sink" or alert.alert in self.firing) and alert.delivered_to
                open_.append(f"{alert.alert} to {f'reach {alert.delivered_to}' if fired else 'fire'}")
        open_ += [f"{name} to leave its bound" for name in self.plan.harms if not self.harmed(name)]
        return open_ + [
            f"treatment and control to be told apart, or alike, in {TITLE[what]}" for what in self._arms_open()
        ]

    def unsettled(self) -> list[str]:
        """What has not come back since the undo, in words; empty when everything has."""
        waiting = [f"the external effect at {effect.target} to end" for effect in self.externals_on()]
        for target, seen in self.proxies.items():
            hurt = any(effect.target == target and effect.kind == "proxy" for effect in self.plan.faults())
            wanted = self.plan.removal_proof(target)
            if hurt and seen.untouched < wanted:
                waiting.append(f"{wanted} untouched treatment requests at {target} ({seen.untouched} so far)")
        hurt = any(effect.kind == "load" for effect in self.plan.faults())
        if hurt and self.untouched_by_load < REMOVAL_PROOF:
            waiting.append(
                f"{REMOVAL_PROOF} untouched treatment requests of the load ({self.untouched_by_load} so far)"
            )
        beats = {alert.alert for alert in self.plan.alerts if alert.via == "silence"}
        waiting += [f"{name} to resolve" for name in self.firing if name in self.active and name not in beats]
        for alert in (one for one in self.plan.alerts if one.via != "silence"):
            # An alert that flaps is told again: what counts is what the receiver knows last.
            if "firing" in self.told(alert).values():
                waiting.append(f"{alert.delivered_to} to hear that {alert.alert} is resolved")
        for probe in self.plan.steady():
            if not {"after", "eventually"} & set(probe.judged):
                continue
            if judged(probe, self.sliding.get(probe.title), self.baseline.get(probe.title)).standing != "met":
                waiting.append(f"{probe.title} to be back within its bound")
        return waiting

    def breached(self, at_s: float, breaking_since: dict[str, float]) -> tuple[str, str] | None:
        """The first guard that is broken now, and why. `breaking_since` keeps since when each is broken or blind."""
        for guard in self.plan.guards:
            why = self._unexpected(guard.alert) if guard.alert is not None else None
            if guard.probe is not None:
                why = self._guard_broken(guard, guard.probe, at_s, breaking_since)
            if why is not None:
                return guard.title, why
        proven = self.arms.breached(self.first_effect_wall_s) if self.first_effect_wall_s is not None else None
        return proven or self._control_hurt()

    def _guard_broken(
        self, guard: PlannedGuard, probe: PlannedProbe, at_s: float, breaking_since: dict[str, float]
    ) -> str | None:
        """Out of its bound for as long as it allows, or not read for the longer of that and three evaluations."""
        reading = self.sliding.get(probe.title)
        values = values_of(probe, reading) if reading is not None else ()
        blind = f"{guard.title}, unread"
        if values:
            breaking_since[blind] = self.sliding_at_s[probe.title]
        if at_s - breaking_since.setdefault(blind, at_s) >= max(guard.for_s, 3 * self.plan.evaluation_s, 3.0):
            return "it cannot be read"
        seen = judged(probe, reading, self.baseline.get(probe.title.removeprefix("guard:")))
        broken = seen.standing == "broken"
        if broken and at_s - breaking_since.setdefault(guard.title, at_s) >= guard.for_s:
            return f"it reads {seen.told()}"
        if values and not broken:
            breaking_since.pop(guard.title, None)
        return None

    def _unexpected(self, labels: Mapping[str, str]) -> str | None:
        expected = {alert.alert for alert in self.plan.alerts}
        for name, instances in self.alert_labels.items():
            if name not in expected and any(
                carries({**instance, "alertname": name}, {**self.plan.match, **labels}) for instance in instances
            ):
                return f"{name} fires and nobody expected it"
        return None

    def _control_hurt(self) -> tuple[str, str] | None:
        """The proxy's own guard: of the control arm's requests of the last looks, half fail, or half are slow that were fast before."""
        for target, history in self.control_history.items():
            recent = history[-6:]
            answered = recent[-1].first_attempts - recent[0].first_attempts
            if answered < 20:
                continue
            failed, slow = recent[-1].errors - recent[0].errors, recent[-1].slow - recent[0].slow
            if failed * 2 >= answered:
                return f"control arm at {target}", f"{failed} of {answered} control requests failed"
            before = self.control_before.get(target)
            usually_fast = before is not None and before.slow * 10 <= before.first_attempts
            if usually_fast and slow * 2 >= answered:
                return f"control arm at {target}", f"{slow} of {answered} control requests took longer than {SLOW_S:g}s"
        return None
