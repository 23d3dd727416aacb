"""The gates of a detection, what failing at each means, and what comes of walking them. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Gate(StrEnum):
    """The gates, in order; the value is what the report calls them."""

    alive = "alive"
    signal = "signal"
    pending = "pending"
    firing = "firing"
    active = "active"
    delivered = "delivered"
    reset = "reset"


FAILURE: dict[Gate, str] = {
    Gate.alive: "monitoring itself was broken",
    Gate.signal: "the fault is not visible in what the rule reads: an instrumentation gap",
    Gate.pending: "what the rule reads moved, but never crossed its threshold: the threshold is too lax",
    Gate.firing: "the threshold was crossed, but not for long enough: `for` is too long, or it flaps",
    Gate.active: "it fired in Prometheus and did not become active in Alertmanager: inhibited, silenced, or not sent",
    Gate.delivered: "it was active and the receiver was not told: routed elsewhere, or delivery failed",
    Gate.reset: "it did not resolve after the fault was gone",
}

Outcome = Literal[
    "detected", "late", "undetected", "wrong_alert", "undelivered", "unresolved", "not_observed", "undecided", "invalid"
]


@dataclass(frozen=True, slots=True)
class Stage:
    """One gate: when it was passed, in seconds after the first effect (reset: after the removal), and how exactly.

    `at_wall_s` is None when it was not passed. `error_s` bounds how much earlier it may really have happened.
    """

    gate: Gate
    at_wall_s: float | None
    after_s: float | None
    error_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Detection:
    """What became of one expected alert.

    `parts` takes the time until somebody was told apart, in seconds: what was waited for, one after the other. `told_after_s` counts
    from the first effect, `resolved_after_s` from the removal.
    """

    alert: str
    outcome: Outcome
    stages: tuple[Stage, ...]
    failed_gate: Gate | None
    explanation: str
    within_s: float | None = None
    told_after_s: float | None = None
    resolved_after_s: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    def stage(self, gate: Gate) -> Stage:
        """The stage of this gate."""
        return next(stage for stage in self.stages if stage.gate is gate)
