"""What drivers saw, as values: what goes into the journal and what the verdict is computed from.

Times are wall-clock seconds since the epoch, of the clock that made them: Prometheus' own sample times, the proxy's, the
sink's. Nothing here knows how it was fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chaos.exposure import Sample
from chaos.telemetry import AlertGroup, Silence


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One probe at one moment: the value of every series that its query returned.

    `scope` is `sliding` for the probe's usual window and `phase` for a window that began with the baseline or the first
    effect. `count` is the denominator, None when the probe has none or it returned nothing. `labels` are those of each value's
    series, in the same order; empty where nobody wrote them down.
    """

    probe: str
    scope: Literal["sliding", "phase"]
    window_s: float
    at_wall_s: float
    values: tuple[float, ...]
    count: float | None = None
    labels: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProbesRead:
    """All probes, once."""

    readings: tuple[ProbeReading, ...]
    kind: Literal["probes"] = "probes"


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """One alert instance as Prometheus has it."""

    name: str
    labels: Mapping[str, str]
    state: Literal["pending", "firing"]
    active_at_wall_s: float
    value: float | None = None


@dataclass(frozen=True, slots=True)
class RuleClock:
    """When a rule was last evaluated, by Prometheus' own word (0: never yet), and how often it is."""

    last_wall_s: float
    interval_s: float


@dataclass(frozen=True, slots=True)
class ScrapeClock:
    """When a target was last scraped, by Prometheus' own word, and how often it is."""

    job: str
    instance: str
    last_wall_s: float
    interval_s: float


@dataclass(frozen=True, slots=True)
class AlertsRead:
    """Every pending or firing alert of Prometheus, and the rules whose health is not ok (name → last error).

    `evaluated` has the clocks of the expected alerts' rules, those that are loaded; None when nobody asked for them.
    """

    at_wall_s: float
    alerts: tuple[AlertSeen, ...]
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["alerts"] = "alerts"
    evaluated: Mapping[str, RuleClock] | None = None


@dataclass(frozen=True, slots=True)
class RoutedAlert:
    """One alert instance as Alertmanager has it. `groups` are those of an expected alert alone."""

    fingerprint: str
    labels: Mapping[str, str]
    state: str
    starts_at_wall_s: float
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    updated_at_wall_s: float | None = None
    """When Alertmanager last heard of it."""
    groups: tuple[AlertGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutedRead:
    """Every alert that Alertmanager holds, and the silences that keep an expected one quiet. `asked`: the system has an Alertmanager."""

    at_wall_s: float
    alerts: tuple[RoutedAlert, ...]
    kind: Literal["routed"] = "routed"
    silences: tuple[Silence, ...] = ()
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """One alert in one notification that a receiver's sink got. `receiver` is the system file's name for it.

    `notified` is Alertmanager's name for the receiver, and `group` has the labels of the group that was told; None where the sink does
    not keep them.
    """

    receiver: str
    received_at_wall_s: float
    status: Literal["firing", "resolved"]
    fingerprint: str
    labels: Mapping[str, str]
    starts_at_wall_s: float
    ends_at_wall_s: float | None = None
    notified: str = ""
    group: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DeliveriesRead:
    """What arrived at the sinks since the last look. `unanswered` are the receivers whose sink could not be asked."""

    deliveries: tuple[Delivered, ...]
    kind: Literal["deliveries"] = "deliveries"
    unanswered: tuple[str, ...] = ()


SLOW_S = 2.5
"""From here on an answer is slow to the guard that every run with a proxy has; one of the bounds that proxies count by."""


@dataclass(frozen=True, slots=True)
class ArmTraffic:
    """What the proxies of a target saw of one arm since the run was armed; cumulative."""

    requests: int = 0
    first_attempts: int = 0
    errors: int = 0
    slow: int = 0
    """First attempts that took longer than SLOW_S."""
    answered: int = 0
    """First attempts that were answered, errors included: what `errors` and `slow` are parts of. 0 where nobody wrote it down."""
    subjects: int | None = None
    """First requests of their subjects, of those that were answered. None where nobody knows: an older proxy, or several that may each
    have met the same subject."""
    subjects_failed: int = 0
    subjects_slow: int = 0
    """What of these failed, and what took longer than SLOW_S."""


@dataclass(frozen=True, slots=True)
class FaultTraffic:
    """What one fault did at the proxies of its target; cumulative. Effect times are None before the first effect."""

    index: int
    selected_requests: int = 0
    selected_rows: int = 0
    changed_rows: int = 0
    injected: int = 0
    delayed_s: float = 0.0
    undecodable: int = 0
    first_effect_wall_s: float | None = None
    last_effect_wall_s: float | None = None

    @property
    def effects(self) -> int:
        """How often the fault really happened: rows changed, answers replaced or cut, or requests delayed."""
        return self.changed_rows + self.injected + (self.selected_requests if self.delayed_s > 0 else 0)


@dataclass(frozen=True, slots=True)
class ProxyRead:
    """The proxies of one target, summed. `untouched` counts treatment requests that passed unchanged after disarming."""

    target: str
    at_wall_s: float
    state: Literal["armed", "expired", "disarmed", "unknown"]
    treatment: ArmTraffic = ArmTraffic()
    control: ArmTraffic = ArmTraffic()
    outside: ArmTraffic = ArmTraffic()
    faults: tuple[FaultTraffic, ...] = ()
    untouched: int = 0
    kind: Literal["proxy"] = "proxy"


@dataclass(frozen=True, slots=True)
class LoadRead:
    """Seconds of the run's own load that ended since the last look."""

    samples: tuple[Sample, ...]
    kind: Literal["load"] = "load"


@dataclass(frozen=True, slots=True)
class ExternalSeen:
    """What showed of another tool's effect at one moment: `on` when the value lay within the bounds.

    `index` is the fault's. `value` is None when the query returned nothing: then nobody can say whether the effect is on.
    """

    index: int
    at_wall_s: float
    value: float | None
    on: bool


@dataclass(frozen=True, slots=True)
class ExternalRead:
    """The effects of other tools, once."""

    effects: tuple[ExternalSeen, ...]
    kind: Literal["external"] = "external"


Observation = ProbesRead | AlertsRead | RoutedRead | DeliveriesRead | ProxyRead | LoadRead | ExternalRead


@dataclass(frozen=True, slots=True)
class SeriesRead:
    """One time series over the run. `role`: what it is for (probe:NAME, signal:ALERT, alert:ALERT:STATE)."""

    role: str
    query: str
    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]
