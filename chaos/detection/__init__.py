"""Alert histories → staged time to detect: a chain of gates, and the first one that failed. Pure.

    effect ─▶ signal ─▶ pending ─▶ firing ─▶ active ─▶ delivered            removal ─▶ reset
              G1        G2         G3        G4        G5                               G6

Zero is the first proven effect. Times come from Prometheus' own sample times and `activeAt`, from Alertmanager, and
from the sink that got the notification; never from when we happened to ask. Each stage states its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chaos.detection.ending import Ending, ending
from chaos.detection.gates import FAILURE, Detection, Gate, Outcome, Stage
from chaos.detection.heard import detect_heard
from chaos.detection.history import (
    BAND,
    BLIND_S,
    LOOK_S,
    AlertHistory,
    Moment,
    Samples,
    Times,
    already_active,
    baseline_band,
    evaluation_s,
    first_active,
    first_delivery,
    first_firing,
    first_pending,
    longest_gap,
    signal_left,
)
from chaos.detection.parts import offsets, parts
from chaos.detection.reasons import blind, elsewhere, grouped, instead, suppressed, unheard
from chaos.detection.silence import detect_silence
from chaos.plans import PlannedAlert
from chaos.units import format_measured


def detect(alert: PlannedAlert, history: AlertHistory, times: Times) -> Detection:
    """The staged detection of one expected alert."""
    if alert.via == "sink":
        return detect_heard(alert, history, times)
    if alert.via == "silence":
        return detect_silence(alert, history, times)
    walk = _walk(alert, history, times)
    stages = tuple(walk.values())
    end = ending(alert, history, times) if walk[Gate.firing].at_wall_s is not None else Ending()
    stages = (*stages, _reset(end, times))
    broken = _broken(alert, history, times, walk)
    if broken is not None:
        return Detection(alert.alert, "invalid", stages, Gate.alive, broken, alert.within_s)
    failed = _first_failed(_asked(alert, history), walk)
    outcome, explanation = _outcome(alert, history, times, walk, failed, end)
    return Detection(
        alert.alert,
        outcome,
        stages,
        Gate.reset if outcome == "unresolved" else failed,
        explanation,
        alert.within_s,
        _told(alert, walk).after_s,
        stages[-1].after_s,
        parts(alert, history, times, walk),
    )


_ORDER = (Gate.signal, Gate.pending, Gate.firing, Gate.active, Gate.delivered)


def _walk(alert: PlannedAlert, history: AlertHistory, times: Times) -> dict[Gate, Stage]:
    """The gates on the way to the receiver."""
    step = evaluation_s(alert, history, times)
    left = signal_left(alert, history, times)
    found: dict[Gate, Moment | None] = {
        Gate.signal: None if left is None else (left, times.scrape_s + step, _SOURCE[Gate.signal]),
        Gate.pending: first_pending(alert, history, times),
        Gate.firing: first_firing(alert, history, times),
        Gate.active: first_active(alert, history, times),
        Gate.delivered: first_delivery(alert, history, times),
    }
    moments = _in_order([None if one is None else one[0] for one in found.values()], times.effect)
    return {
        gate: Stage(
            gate, at, None if at is None else at - times.effect, one[1] if one else step, one[2] if one else _SOURCE[gate]
        )
        for (gate, one), at in zip(found.items(), moments, strict=True)
    }  # fmt: skip


_SOURCE: dict[Gate, str] = {
    Gate.signal: "left side of the rule against its baseline band",
    Gate.pending: "activeAt",
    Gate.firing: 'ALERTS{alertstate="firing"}',
    Gate.active: "Alertmanager's updatedAt",
    Gate.delivered: "the sink's clock",
}


def _reset(end: Ending, times: Times) -> Stage:
    zero = times.until
    after_s = None if end.at_wall_s is None else end.at_wall_s - zero
    return Stage(Gate.reset, end.at_wall_s, after_s, end.error_s, end.source)


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


def _told(alert: PlannedAlert, walk: Mapping[Gate, Stage]) -> Stage:
    """The gate at which somebody knows: the delivery where a receiver is named, else the firing."""
    return walk[Gate.delivered if alert.delivered_to is not None else Gate.firing]


def _broken(alert: PlannedAlert, history: AlertHistory, times: Times, walk: Mapping[Gate, Stage]) -> str | None:
    """Why nothing follows from this alert's silence, or from its firing: monitoring was not alive. None when it was."""
    blinded, deafened = "prometheus" in history.breaks, "alertmanager" in history.breaks
    if history.unhealthy is not None and not blinded:
        return f"the rule could not be evaluated: {history.unhealthy}"
    if not history.looked and not blinded:
        return "Prometheus did not answer"
    already = already_active(alert, history, times)
    if already is not None or _told(alert, walk).at_wall_s is not None:
        return already
    fired = walk[Gate.firing].at_wall_s
    sightless = blind(alert, history, times, fired) if not blinded else None
    if sightless is None and not deafened and fired is not None and walk[Gate.active].at_wall_s is None:
        return unheard(alert, history, times, fired)
    return sightless


def _asked(alert: PlannedAlert, history: AlertHistory) -> tuple[Gate, ...]:
    """The gates that somebody looked at: without a receiver none after the firing, without an Alertmanager not what it holds."""
    if alert.delivered_to is None:
        return _ORDER[:3]
    blindly = bool(history.routed) and not any(seen.asked for seen in history.routed)
    return tuple(gate for gate in _ORDER if gate is not Gate.active) if blindly else _ORDER


def _first_failed(order: Sequence[Gate], walk: Mapping[Gate, Stage]) -> Gate | None:
    """The first gate after the last one that was passed: a later gate that was passed proves the earlier ones."""
    passed = [place for place, gate in enumerate(order) if walk[gate].at_wall_s is not None]
    following = (max(passed) + 1) if passed else 0
    return order[following] if following < len(order) else None


def _outcome(
    alert: PlannedAlert,
    history: AlertHistory,
    times: Times,
    walk: Mapping[Gate, Stage],
    failed: Gate | None,
    end: Ending,
) -> tuple[Outcome, str]:
    told = _told(alert, walk).after_s
    if told is None:
        return _untold(alert, history, times, walk, failed)
    waited = grouped(alert, history, times, walk[Gate.active].at_wall_s)
    if alert.within_s is not None and told > alert.within_s:
        why = f"; {waited}" if waited else ""
        return "late", f"told after {format_measured(told, alert.within_s)}; asked for within {alert.within_s:g}s{why}"
    if alert.resolved_within_s is not None:
        open_ = _unresolved(alert, alert.resolved_within_s, history, times, end)
        if open_ is not None:
            return open_
    return "detected", f"told after {format_measured(told, alert.within_s)}" + (f"; {end.note}" if end.note else "")


def _untold(
    alert: PlannedAlert, history: AlertHistory, times: Times, walk: Mapping[Gate, Stage], failed: Gate | None
) -> tuple[Outcome, str]:
    hurt_for_s = times.until - times.effect
    if hurt_for_s < alert.lower_bound_s:
        soonest = f"nobody can be told sooner than {alert.lower_bound_s:g}s after it began"
        return "undecided", f"the fault was on for {format_measured(hurt_for_s, alert.lower_bound_s)}; {soonest}"
    if alert.delivered_to is not None and walk[Gate.firing].at_wall_s is not None:
        if history.sink_asked_wall_s < min(times.until, times.end - LOOK_S):
            return "not_observed", f"it fired, and no sink could say whether {alert.delivered_to} was told"
        quiet = suppressed(alert, history)
        active = walk[Gate.active].at_wall_s
        why = [quiet] if quiet else [grouped(alert, history, times, active), elsewhere(alert, history)]
        told = "; ".join(one for one in why if one)
        return "undelivered", FAILURE[failed or Gate.delivered] + (f" ({told})" if told else "")
    missed = FAILURE[failed or Gate.firing]
    if failed is Gate.signal and not history.signal and alert.left is not None:
        missed += "; what it reads has returned nothing at all: renamed, or not scraped"
    other = instead(alert, history, times)
    if other is not None:
        return "wrong_alert", f"{other} fired instead; {missed}"
    return "undetected", missed


def _unresolved(
    alert: PlannedAlert, within_s: float, history: AlertHistory, times: Times, end: Ending
) -> tuple[Outcome, str] | None:
    """What is wrong with, or open about, an end that was asked for; None when it came in time."""
    if times.removal is None:
        return "undecided", "the fault was not removed, so whether the alert resolves is open"
    if end.unproven:
        return "undecided", f"whether it resolved is open: {end.note}"
    if end.at_wall_s is None:
        until = min(times.end, history.sink_asked_wall_s + LOOK_S) if alert.delivered_to else times.end
        watched_s = until - times.removal
        if watched_s < within_s:
            asked = f"asked for resolved within {within_s:g}s"
            watched = format_measured(max(0.0, watched_s), within_s, digits=0)
            return "undecided", f"watched for {watched} after the removal; {asked}"
        return "unresolved", FAILURE[Gate.reset]
    after_s = end.at_wall_s - times.removal
    if after_s > within_s:
        note = f"; {end.note}" if end.note else ""
        return (
            "unresolved",
            f"resolved after {format_measured(after_s, within_s)}; asked for within {within_s:g}s{note}",
        )
    return None


__all__ = [
    "BAND",
    "BLIND_S",
    "FAILURE",
    "AlertHistory",
    "Detection",
    "Gate",
    "Outcome",
    "Samples",
    "Stage",
    "Times",
    "baseline_band",
    "detect",
    "longest_gap",
    "offsets",
]
