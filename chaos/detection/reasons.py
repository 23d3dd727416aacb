"""Why an alert was not told, in words: monitoring was blind, something kept it quiet, its group waited, another one fired. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from chaos.detection.history import (
    AlertHistory,
    Times,
    deliveries_of,
    evaluation_s,
    longest_gap,
    routed_of,
)
from chaos.observation import AlertSeen
from chaos.plans import PlannedAlert
from chaos.telemetry import Silence, carries
from chaos.units import format_duration, format_measured

MOST_NAMED = 3
"""Alerts named in one sentence."""
LONGEST_COMMENT = 120
"""Characters of a silence's comment that are told."""


# --- monitoring was blind ---------------------------------------------------------------------------------------------


def blind(alert: PlannedAlert, history: AlertHistory, times: Times, fired: float | None) -> str | None:
    """Why its silence is nobody's miss: Prometheus did not answer, or did not evaluate its rule. None when it did."""
    until = times.until if fired is None else fired
    looks = [seen for seen in history.polled if times.effect <= seen.at_wall_s <= until]
    gap_s, began = longest_gap([seen.at_wall_s for seen in looks], times.effect, until)
    if gap_s > times.blind_s:
        return f"Prometheus did not answer for {gap_s:.0f}s, from {began - times.effect:.0f}s after the first effect on"
    told = [seen for seen in looks if seen.evaluated is not None]
    if not told:
        return None
    clocks = [seen.evaluated[alert.alert] for seen in told if seen.evaluated and alert.alert in seen.evaluated]
    if not clocks:
        return f"Prometheus had no rule {alert.alert} any more; somebody has changed its rules"
    step = evaluation_s(alert, history, times)
    gap_s, began = longest_gap([one.last_wall_s for one in clocks], times.effect, told[-1].at_wall_s)
    if gap_s > max(times.blind_s, 3 * step):
        return (
            f"its rule was not evaluated for {gap_s:.0f}s, from {began - times.effect:.0f}s after the first effect on"
        )
    return None


def unheard(alert: PlannedAlert, history: AlertHistory, times: Times, fired: float) -> str | None:
    """Why nothing can have been told: Alertmanager did not answer after it fired. None when it did, and when it is known to have it."""
    if any(routed_of(alert, seen) for seen in history.routed):
        return None
    looks = [seen.at_wall_s for seen in history.routed if seen.at_wall_s >= fired]
    gap_s, began = longest_gap(looks, fired, max(times.until, fired))
    if gap_s > times.blind_s or not looks:
        return f"it fired, and Alertmanager did not answer for {gap_s:.0f}s, from {began - times.effect:.0f}s after the first effect on"
    return None


# --- something kept it quiet ------------------------------------------------------------------------------------------


def suppressed(alert: PlannedAlert, history: AlertHistory) -> str | None:
    """Who silenced it, or which alert inhibits it; None when nothing did."""
    for seen in history.routed:
        for one in routed_of(alert, seen):
            if one.state != "suppressed":
                continue
            known = {silence.id: silence for silence in seen.silences}
            parts = [_silence(known.get(name), name) for name in one.silenced_by]
            names = {held.fingerprint: held.labels.get("alertname", held.fingerprint) for held in seen.alerts}
            parts += [f"inhibited by {names.get(source, source)}" for source in one.inhibited_by]
            return " and ".join(parts) or "muted"
    return None


def _silence(silence: Silence | None, name: str) -> str:
    if silence is None:
        return f"silenced by silence {name}"
    until = datetime.fromtimestamp(silence.ends_at_wall_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    said = " ".join(silence.comment.split())[:LONGEST_COMMENT]
    comment = f" ({said})" if said else ""
    return f"silenced by {silence.created_by or 'nobody'}'s silence {silence.id} until {until}{comment}"


def grouped(alert: PlannedAlert, history: AlertHistory, times: Times, active: float | None) -> str | None:
    """That it had to wait because its group had been told shortly before; None when nothing says so."""
    if active is None:
        return None
    mine = [group for seen in history.routed for one in routed_of(alert, seen) for group in one.groups]
    told_of_it = [one for one in deliveries_of(alert, history, times) if one.status == "firing"]
    until = told_of_it[0].received_at_wall_s if told_of_it else times.end
    told = [
        one.received_at_wall_s
        for one in history.deliveries
        if one.group is not None
        and any(dict(one.group) == dict(group.labels) and one.notified in ("", group.receiver) for group in mine)
        and one.received_at_wall_s < min(active, until)
        and alert.delivered_to in (None, one.receiver)
    ]
    if not told or active - max(told) >= alert.group_interval_s:
        return None
    waits = format_duration(alert.group_interval_s)
    before = format_measured(active - max(told), alert.group_interval_s, digits=0)
    return f"its group was told {before} before and waits group_interval {waits}"


def elsewhere(alert: PlannedAlert, history: AlertHistory) -> str | None:
    """Whom Alertmanager would tell instead of the wanted receiver; None when it would tell that one, or nobody knows."""
    receivers = {name for seen in history.routed for one in routed_of(alert, seen) for name in one.receivers}
    if not receivers or alert.delivered_to in receivers:
        return None
    return f"Alertmanager routes it to {', '.join(sorted(receivers))}"


# --- another one fired ------------------------------------------------------------------------------------------------


def instead(alert: PlannedAlert, history: AlertHistory, times: Times) -> str | None:
    """Which alerts fired since the effect instead of the expected one: its namesakes, else others of this system that nobody expects."""
    firing = [
        one
        for seen in history.polled if seen.at_wall_s >= times.effect
        for one in seen.alerts
        if one.state == "firing" and one.active_at_wall_s >= times.effect - times.evaluation_s
    ]  # fmt: skip
    namesakes = [one for one in firing if one.name == alert.alert]  # with the expected labels it would have been found
    others = [one for one in firing if one.name not in {alert.alert, *history.expected}]
    found = namesakes or [one for one in others if carries(one.labels, history.match)]
    told = dict.fromkeys(_named(one, alert, times) for one in sorted(found, key=lambda one: one.active_at_wall_s))
    names = list(told)[:MOST_NAMED] + ([f"{len(told) - MOST_NAMED} more"] if len(told) > MOST_NAMED else [])
    return ", ".join(names) or None


def _named(one: AlertSeen, alert: PlannedAlert, times: Times) -> str:
    wrong = alert.labels if one.name == alert.alert else {}
    labels = ", ".join(f'{name}="{one.labels.get(name, "")}"' for name in sorted(wrong))
    after_s = max(0.0, one.active_at_wall_s - times.effect)
    return f"{one.name}{f'{{{labels}}}' if labels else ''} (active {after_s:.1f}s after the first effect)"
