"""What a run has seen so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.arms_watch import ArmsWatch
from chaos.exposure import Sample
from chaos.observation import (
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
from chaos.plans import Plan, PlannedAlert, PlannedEffect
from chaos.progress.externals import off_since
from chaos.readings import enough, values_of
from chaos.telemetry import carries


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

    def keep_baseline(self) -> None:
        """What this phase has read on enough events is what multiples of the baseline are multiples of."""
        for probe in self.plan.steady():
            reading = self.phase.get(probe.title)
            if reading is not None and values_of(probe, reading) and enough(probe, reading):
                self.baseline[probe.title] = reading

    def read_until_wall_s(self) -> float:
        """The time of the youngest reading of a steady-state probe; 0 when there is none."""
        names = [probe.title for probe in self.plan.steady()]
        return max((self.sliding[name].at_wall_s for name in names if name in self.sliding), default=0.0)
