"""Alert histories → staged time to detect: a chain of gates, and the first one that failed. Pure.

    effect ─▶ signal ─▶ pending ─▶ firing ─▶ active ─▶ delivered            removal ─▶ reset
              G1        G2         G3        G4        G5                               G6

Zero is the first proven effect. Times come from Prometheus' own sample times and `activeAt`, from Alertmanager, and
from the sink that got the notification; never from when we happened to ask. Each stage states its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Literal

from chaos.observation import AlertsRead, Delivered, RoutedRead
from chaos.plans import PlannedAlert
from chaos.progress import carries
from chaos.statistics import quantile_band, window_deviation


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

BAND = 5.0
"""A signal has left its baseline when it is this many standard deviations away. By chance, with a deviation estimated from twenty
seconds, that happens in less than one run in a hundred (tests/test_window_deviation.py); the baseline's own spread would be left in
three of four."""

Outcome = Literal["detected", "late", "undetected", "undelivered", "unresolved", "not_observed", "undecided", "invalid"]


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
    """What became of one expected alert."""

    alert: str
    outcome: Outcome
    stages: tuple[Stage, ...]
    failed_gate: Gate | None
    explanation: str
    within_s: float | None = None
    told_after_s: float | None = None
    resolved_after_s: float | None = None

    def stage(self, gate: Gate) -> Stage:
        """The stage of this gate."""
        return next(stage for stage in self.stages if stage.gate is gate)


Samples = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """Everything that was seen of one alert. Samples are (wall_s, value).

    `signal` is the left side of its rule; each of `firing` and `pending` holds the samples of ALERTS in that state.
    """

    signal: tuple[Samples, ...] = ()
    pending: tuple[Samples, ...] = ()
    firing: tuple[Samples, ...] = ()
    polled: Sequence[AlertsRead] = field(default=())
    routed: Sequence[RoutedRead] = field(default=())
    deliveries: Sequence[Delivered] = field(default=())
    unhealthy: str | None = None
    looked: bool = True
    """Whether Prometheus answered at all while the fault was on."""
    watched_sink: bool = True


@dataclass(frozen=True, slots=True)
class Times:
    """The moments that detection is measured against, in wall-clock seconds."""

    baseline: float
    effect: float
    removal: float | None
    end: float
    scrape_s: float
    evaluation_s: float


def detect(alert: PlannedAlert, history: AlertHistory, times: Times) -> Detection:
    """The staged detection of one expected alert."""
    stages = _stages(alert, history, times)
    by_gate = {stage.gate: stage for stage in stages}
    if history.unhealthy is not None or not history.looked:
        why = (
            f"the rule could not be evaluated: {history.unhealthy}"
            if history.unhealthy
            else "Prometheus did not answer"
        )
        return Detection(alert.alert, "invalid", stages, Gate.alive, why, alert.within_s)
    already = _already_active(alert, history, times)
    if already is not None:
        return Detection(alert.alert, "invalid", stages, Gate.alive, already, alert.within_s)
    told = by_gate[Gate.delivered] if alert.delivered_to is not None else by_gate[Gate.firing]
    failed = _first_failed(alert, by_gate)
    resolved = by_gate[Gate.reset]
    outcome, explanation = _outcome(alert, history, times, by_gate, told, failed)
    return Detection(
        alert.alert,
        outcome,
        stages,
        Gate.reset if outcome == "unresolved" else failed,
        explanation,
        alert.within_s,
        told.after_s,
        resolved.after_s,
    )


def _stages(alert: PlannedAlert, history: AlertHistory, times: Times) -> tuple[Stage, ...]:
    pending = _first_active(alert, history, times)
    firing = _first_sample(history.firing, times.effect) or _first_polled(alert, history, times, "firing")
    active = _first_routed(alert, history, times)
    delivered = _first_delivery(alert, history, times)
    reset = _reset(alert, history, times) if firing is not None else None
    signal = _signal_left(alert, history, times)
    signal, pending, firing, active, delivered = _in_order((signal, pending, firing, active, delivered), times.effect)
    evaluation = times.evaluation_s
    reset_seen_by = "the sink's clock" if alert.delivered_to else "end of ALERTS"

    def stage(gate: Gate, at: float | None, error_s: float, source: str, zero: float = times.effect) -> Stage:
        return Stage(gate, at, None if at is None else at - zero, error_s, source)

    return (
        stage(Gate.signal, signal, times.scrape_s + evaluation, "left side of the rule against its baseline band"),
        stage(Gate.pending, pending, evaluation, "activeAt"),
        stage(Gate.firing, firing, evaluation, 'ALERTS{alertstate="firing"}'),
        stage(Gate.active, active, 1.0, "Alertmanager, looked at every second"),
        stage(Gate.delivered, delivered, 0.1, "the sink's clock"),
        stage(Gate.reset, reset, evaluation, reset_seen_by, times.removal or times.end),
    )  # fmt: skip


def _in_order(passed: Sequence[float | None], effect: float) -> list[float | None]:
    """The gates' times, none before the effect and none after a later gate's.

    Each source is looked at with its own lag, and a gate was passed at the latest when a later one was.
    """
    ordered: list[float | None] = []
    latest = math.inf
    for at in reversed(passed):
        if at is not None:
            latest = max(effect, min(at, latest))
        ordered.append(None if at is None else latest)
    return ordered[::-1]


def _already_active(alert: PlannedAlert, history: AlertHistory, times: Times) -> str | None:
    """Why this alert cannot be attributed to the fault: it was on before anything was hurt. None when it was not."""
    before = times.effect - times.evaluation_s
    begun = [
        one.active_at_wall_s
        for seen in history.polled if seen.at_wall_s >= times.effect
        for one in seen.alerts
        if one.name == alert.alert and carries(one.labels, alert.labels) and one.active_at_wall_s < before
    ]  # fmt: skip
    begun += [at for samples in history.firing for at, _ in samples if times.baseline <= at < before]
    if not begun:
        return None
    early_s = times.effect - min(begun)
    return f"it was already active {early_s:.1f}s before the first effect, so it says nothing about the fault"


def _first_sample(series: Sequence[Samples], since: float) -> float | None:
    return min((at for samples in series for at, _ in samples if at >= since), default=None)


def _matching(alert: PlannedAlert, seen: AlertsRead, state: str) -> list[float]:
    return [
        one.active_at_wall_s
        for one in seen.alerts
        if one.name == alert.alert and one.state == state and carries(one.labels, alert.labels)
    ]


def _first_active(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """`activeAt` of the first episode after the effect; the evaluation that made the expression true."""
    polled = [
        at for seen in history.polled for state in ("pending", "firing") for at in _matching(alert, seen, state)
        if at >= times.effect - times.evaluation_s
    ]  # fmt: skip
    sampled = [_first_sample(history.pending, times.effect), _first_sample(history.firing, times.effect)]
    return min([*polled, *(at for at in sampled if at is not None)], default=None)


def _first_polled(alert: PlannedAlert, history: AlertHistory, times: Times, state: str) -> float | None:
    for seen in history.polled:
        if seen.at_wall_s >= times.effect and _matching(alert, seen, state):
            return seen.at_wall_s
    return None


def _first_routed(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    for seen in history.routed:
        for one in seen.alerts:
            mine = one.labels.get("alertname") == alert.alert and carries(one.labels, alert.labels)
            if mine and one.state == "active" and one.starts_at_wall_s >= times.effect - times.evaluation_s:
                return seen.at_wall_s
    return None


def _deliveries(alert: PlannedAlert, history: AlertHistory, times: Times) -> list[Delivered]:
    """What the wanted receiver was told of this alert since the effect, in order of time."""
    mine = [
        one
        for one in history.deliveries
        if one.labels.get("alertname") == alert.alert
        and carries(one.labels, alert.labels)
        and one.received_at_wall_s >= times.effect
        and alert.delivered_to in (None, one.receiver)
    ]
    return sorted(mine, key=lambda one: one.received_at_wall_s)


def _first_delivery(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    told = (one.received_at_wall_s for one in _deliveries(alert, history, times) if one.status == "firing")
    return next(told, None)


def _last_resolve(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """When the receiver knew that every instance it had been told of was resolved, or None when it does not know."""
    mine = _deliveries(alert, history, times)
    fired = {one.fingerprint for one in mine if one.status == "firing"}
    last = {one.fingerprint: one for one in mine if one.fingerprint in fired}
    if not last or any(one.status != "resolved" for one in last.values()):
        return None
    return max(one.received_at_wall_s for one in last.values())


def _reset(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """When the resolve reached the receiver, or (nobody asked for delivery) when ALERTS ended; never before removal."""
    if times.removal is None:
        return None
    if alert.delivered_to is not None:
        resolved = _last_resolve(alert, history, times)
        return None if resolved is None else max(resolved, times.removal)
    last = max((at for samples in history.firing for at, _ in samples), default=None)
    if last is None or times.end - last < 2 * times.evaluation_s:
        return None
    return max(last + times.evaluation_s, times.removal)


def _signal_left(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """The first sample after the effect outside the baseline's band, on the side of the threshold."""
    left: list[float] = []
    for samples in history.signal:
        quiet = [(at, value) for at, value in samples if times.baseline <= at <= times.effect and not math.isnan(value)]
        if len(quiet) < 3:
            continue
        low, high = quantile_band([value for _, value in quiet])
        middle = median(value for _, value in quiet)
        around = BAND * window_deviation(quiet, alert.window_s)
        low, high = min(low, middle - around), max(high, middle + around)
        downwards = alert.operator in ("<", "<=")
        upwards = alert.operator in (">", ">=")
        end = times.removal if times.removal is not None else times.end
        for at, value in samples:
            outside = (value < low and not upwards) or (value > high and not downwards)
            if times.effect <= at <= end + times.scrape_s + times.evaluation_s and outside:
                left.append(at)
                break
    return min(left, default=None)


_ORDER = (Gate.signal, Gate.pending, Gate.firing, Gate.active, Gate.delivered)


def _first_failed(alert: PlannedAlert, stages: Mapping[Gate, Stage]) -> Gate | None:
    """The first gate after the last one that was passed: a later gate that was passed proves the earlier ones."""
    order = _ORDER if alert.delivered_to is not None else _ORDER[:3]
    passed = [place for place, gate in enumerate(order) if stages[gate].at_wall_s is not None]
    following = (max(passed) + 1) if passed else 0
    return order[following] if following < len(order) else None


def _suppressed(alert: PlannedAlert, history: AlertHistory) -> str | None:
    for seen in history.routed:
        for one in seen.alerts:
            mine = one.labels.get("alertname") == alert.alert and carries(one.labels, alert.labels)
            if mine and one.state == "suppressed":
                inhibited = f"inhibited by {', '.join(one.inhibited_by)}"
                return f"silence {', '.join(one.silenced_by)}" if one.silenced_by else inhibited
    return None


def _outcome(
    alert: PlannedAlert,
    history: AlertHistory,
    times: Times,
    stages: Mapping[Gate, Stage],
    told: Stage,
    failed: Gate | None,
) -> tuple[Outcome, str]:
    if told.after_s is None:
        hurt_for_s = (times.end if times.removal is None else times.removal) - times.effect
        if hurt_for_s < alert.lower_bound_s:
            soonest = f"nobody can be told sooner than {alert.lower_bound_s:g}s after it began"
            return "undecided", f"the fault was on for {hurt_for_s:.1f}s; {soonest}"
        if alert.delivered_to is not None and stages[Gate.firing].at_wall_s is not None:
            if not history.watched_sink:
                return "not_observed", f"it fired, and no sink could say whether {alert.delivered_to} was told"
            gate = failed or Gate.delivered
            suppressed = _suppressed(alert, history)
            return "undelivered", FAILURE[gate] + (f" ({suppressed})" if suppressed else "")
        return "undetected", FAILURE[failed or Gate.firing]
    if alert.within_s is not None and told.after_s > alert.within_s:
        return "late", f"told after {told.after_s:.1f}s; asked for within {alert.within_s:g}s"
    if alert.resolved_within_s is not None:
        reset = stages[Gate.reset]
        if times.removal is None:
            return "undecided", "the fault was not removed, so whether the alert resolves is open"
        if reset.after_s is None:
            watched_s = times.end - times.removal
            if watched_s < alert.resolved_within_s:
                asked = f"asked for resolved within {alert.resolved_within_s:g}s"
                return "undecided", f"watched for {watched_s:.0f}s after the removal; {asked}"
            return "unresolved", FAILURE[Gate.reset]
        if reset.after_s > alert.resolved_within_s:
            return "unresolved", f"resolved after {reset.after_s:.1f}s; asked for within {alert.resolved_within_s:g}s"
    return "detected", f"told after {told.after_s:.1f}s"
