"""An alert that Prometheus does not know (Grafana's, a gateway's, a vendor's): what its receiver's sink heard is all that is known. Pure.

The gates before the delivery are not observed: that a page came proves them, and that none came says of none which one failed.
"""

from __future__ import annotations

from chaos.detection.gates import Detection, Gate, Outcome, Stage
from chaos.detection.history import LOOK_S, AlertHistory, Times, first_delivery, last_resolve
from chaos.observation import Delivered
from chaos.plans import PlannedAlert
from chaos.telemetry import carries
from chaos.units import format_measured

NOT_OBSERVED = "not observed: Prometheus does not know this alert"


def detect_heard(alert: PlannedAlert, history: AlertHistory, times: Times) -> Detection:
    """What became of an alert that only its receiver can tell of."""
    delivery = first_delivery(alert, history, times)
    told_s = None if delivery is None else max(0.0, delivery[0] - times.effect)
    resolved = last_resolve(alert, history, times) if delivery is not None else None
    reset = None if resolved is None or times.removal is None else max(resolved, times.removal)
    stages = (
        *(Stage(gate, None, None, 0.0, NOT_OBSERVED) for gate in (Gate.signal, Gate.pending, Gate.firing, Gate.active)),
        Stage(Gate.delivered, None if delivery is None else delivery[0], told_s, 0.1, "the sink's clock"),
        Stage(
            Gate.reset, reset, None if reset is None or times.removal is None else reset - times.removal, 0.1, "the sink's clock"
        ),
    )  # fmt: skip
    outcome, explanation = _outcome(alert, history, times, told_s, reset)
    failed = {"invalid": Gate.alive, "unresolved": Gate.reset, "undetected": Gate.delivered}.get(outcome)
    resolved_s = stages[-1].after_s
    return Detection(alert.alert, outcome, stages, failed, explanation, alert.within_s, told_s, resolved_s)


def _outcome(
    alert: PlannedAlert, history: AlertHistory, times: Times, told_s: float | None, reset: float | None
) -> tuple[Outcome, str]:
    earlier = _still_on(alert, history, times)
    if earlier is not None:
        return (
            "invalid",
            f"{alert.delivered_to} had been told of it {times.effect - earlier:.1f}s before the first effect, and of no end",
        )
    if told_s is None:
        if history.sink_asked_wall_s < min(times.until, times.end - LOOK_S):
            return "not_observed", f"no sink could say whether {alert.delivered_to} was told"
        hurt_for_s = times.until - times.effect
        if alert.within_s is not None and hurt_for_s < alert.within_s:
            return (
                "undecided",
                f"the fault was on for {format_measured(hurt_for_s, alert.within_s)}; asked for within {alert.within_s:g}s",
            )
        return (
            "undetected",
            f"{alert.delivered_to} was not told; Prometheus, which does not know this alert, cannot say which gate failed",
        )
    if alert.within_s is not None and told_s > alert.within_s:
        return "late", f"told after {format_measured(told_s, alert.within_s)}; asked for within {alert.within_s:g}s"
    return unresolved(alert, history, times, reset) or (
        "detected",
        f"told after {format_measured(told_s, alert.within_s)}",
    )


def unresolved(
    alert: PlannedAlert, history: AlertHistory, times: Times, reset: float | None
) -> tuple[Outcome, str] | None:
    """What is wrong with, or open about, an end that was asked for; None when it came in time, or nobody asked."""
    if alert.resolved_within_s is not None:
        if times.removal is None:
            return "undecided", "the fault was not removed, so whether the alert resolves is open"
        watched_s = min(times.end, history.sink_asked_wall_s + LOOK_S) - times.removal
        if reset is None and watched_s < alert.resolved_within_s:
            watched = format_measured(max(0.0, watched_s), alert.resolved_within_s, digits=0)
            return (
                "undecided",
                f"watched for {watched} after the removal; asked for within {alert.resolved_within_s:g}s",
            )
        if reset is None or reset - times.removal > alert.resolved_within_s:
            after = (
                "it did not resolve"
                if reset is None
                else f"resolved after {format_measured(reset - times.removal, alert.resolved_within_s)}"
            )
            return "unresolved", f"{after}; asked for within {alert.resolved_within_s:g}s"
    return None


def _still_on(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """When the receiver was last told before the effect that it fires, and of no end since; None when it was quiet."""
    before = [one for one in history.deliveries if one.received_at_wall_s < times.effect and _mine(alert, one)]
    last = {one.fingerprint: one for one in sorted(before, key=lambda one: one.received_at_wall_s)}
    return max((one.received_at_wall_s for one in last.values() if one.status == "firing"), default=None)


def _mine(alert: PlannedAlert, one: Delivered) -> bool:
    named = one.labels.get("alertname") == alert.alert and carries(one.labels, alert.labels)
    return named and alert.delivered_to in (None, one.receiver)
