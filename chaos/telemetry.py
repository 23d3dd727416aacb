"""What Prometheus and Alertmanager say, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


def carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether these labels contain all the wanted ones."""
    return all(labels.get(name) == value for name, value in wanted.items())


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels, and (wall_s, value) in order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """One instance of an alert as Prometheus has it."""

    labels: Mapping[str, str]
    state: Literal["inactive", "pending", "firing"]
    active_at_wall_s: float
    value: float | None = None


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """One loaded alerting rule, with its live state."""

    name: str
    expr: str
    for_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    keep_firing_s: float = 0.0
    health: str = "ok"
    last_error: str = ""
    state: str = "inactive"
    group: str = ""
    interval_s: float = 0.0
    last_evaluation_wall_s: float = 0.0
    evaluation_time_s: float = 0.0
    alerts: tuple[RuleAlert, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A rule that keeps the value of an expression as a series of its own, which other rules read."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """One alert as Alertmanager has it."""

    fingerprint: str
    labels: Mapping[str, str]
    state: str
    starts_at_wall_s: float
    ends_at_wall_s: float | None = None
    inhibited_by: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    updated_at_wall_s: float | None = None
    """When Alertmanager last heard of it."""


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """One group of alerts that are told together: to whom, and the labels that they share."""

    receiver: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence: who made it, why, and until when it lasts."""

    id: str
    created_by: str
    comment: str
    ends_at_wall_s: float


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """One alert inside a notification."""

    status: Literal["firing", "resolved"]
    fingerprint: str
    labels: Mapping[str, str]
    starts_at_wall_s: float
    ends_at_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification that a sink got."""

    id: int
    received_at_wall_s: float
    receiver: str
    status: str
    alerts: tuple[NotifiedAlert, ...]
    group: Mapping[str, str] | None = None
    """The labels of the group that was told; None where the sink does not keep them."""


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One scrape target of Prometheus."""

    job: str
    instance: str
    health: str
    interval_s: float
    last_error: str = ""
    last_scrape_wall_s: float = 0.0
