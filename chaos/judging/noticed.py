"""Did monitoring catch it: every expected alert through its gates, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.detection import AlertHistory, Detection, Gate, Outcome, Times, detect
from chaos.events import State
from chaos.judging.trace import Trace
from chaos.observation import AlertSeen
from chaos.progress import carries
from chaos.verdict import Finding, VerdictName

_VERDICT: dict[Outcome, VerdictName] = {
    "detected": "confirmed",
    "late": "late",
    "undetected": "undetected",
    "undelivered": "undelivered",
    "unresolved": "unresolved",
    "not_observed": "inconclusive",
    "undecided": "inconclusive",
    "invalid": "invalid",
}

BLIND_S = 15.0
"""An alert may come and go unseen in a longer time without a look."""


def detections(trace: Trace) -> list[Detection]:
    """What became of each expected alert; empty when the fault never took effect."""
    effect = trace.first_effect()
    baseline = trace.span(State.baseline)
    if effect is None or baseline is None:
        return []
    times = Times(baseline[0], effect, trace.removal(), trace.last_wall_s, trace.plan.scrape_s, trace.plan.evaluation_s)
    return [
        detect(alert, _history(trace, alert.alert, alert.delivered_to, effect), times) for alert in trace.plan.alerts
    ]


def _history(trace: Trace, alert: str, receiver: str | None, effect: float) -> AlertHistory:
    looks = [seen for seen in trace.alerts if seen.at_wall_s >= effect]
    sick = next((seen.unhealthy[alert] for seen in looks if alert in seen.unhealthy), None)
    return AlertHistory(
        signal=tuple(one.samples for one in trace.series(f"signal:{alert}")),
        pending=tuple(one.samples for one in trace.series(f"alert:{alert}:pending")),
        firing=tuple(one.samples for one in trace.series(f"alert:{alert}:firing")),
        polled=trace.alerts,
        routed=trace.routed,
        deliveries=trace.deliveries,
        unhealthy=sick,
        looked=bool(looks),
        watched_sink=receiver is None or "deliveries" not in trace.failed or bool(trace.deliveries),
    )


def findings(trace: Trace, found: Sequence[Detection]) -> Iterator[Finding]:
    """One finding per expected alert, and one about everybody else."""
    held = not trace.plan.harms
    for one in found:
        stages: dict[str, str | float | int | None] = {
            f"{stage.gate.value}, s": None if stage.after_s is None else round(stage.after_s, 3) for stage in one.stages
        }
        told = one.explanation
        if one.outcome == "detected" and held:
            told += " (an early warning: the system held)"
        gate = (
            f" at the gate `{one.failed_gate.value}`"
            if one.failed_gate is not None and one.outcome not in ("late", "detected")
            else ""
        )
        answer = f"yes: {told}" if one.outcome == "detected" else f"{one.outcome}{gate}: {told}"
        yield Finding("detection", f"Did {one.alert} tell?", _VERDICT[one.outcome], answer, stages)
    if trace.plan.quiet or trace.plan.silent:
        yield _quiet(trace)


def _unexpected(trace: Trace, since: float) -> dict[str, AlertSeen]:
    expected = {alert.alert for alert in trace.plan.alerts}
    seen: dict[str, AlertSeen] = {}
    for look in trace.alerts:
        for alert in look.alerts:
            mine = carries(alert.labels, trace.plan.match) and alert.name not in expected
            watched = trace.plan.quiet or alert.name in trace.plan.silent
            if mine and watched and alert.state == "firing" and alert.active_at_wall_s >= since:
                seen.setdefault(alert.name, alert)
    return seen


def _longest_gap(trace: Trace, since: float) -> float:
    """The longest time without a look at the alerts, in seconds, from `since` until the last fault was taken back."""
    inject = trace.span(State.inject)
    until = inject[1] if inject is not None else trace.last_wall_s
    moments = [since, *(look.at_wall_s for look in trace.alerts if since <= look.at_wall_s <= until), until]
    return max(later - earlier for earlier, later in pairwise(moments))


def _when(at_wall_s: float, effect: float | None) -> str:
    if effect is None or at_wall_s < effect:
        return "in the baseline"
    return f"{at_wall_s - effect:.0f}s after the first effect"


def _quiet(trace: Trace) -> Finding:
    question = "Did every other alert stay quiet?"
    baseline = trace.span(State.baseline)
    if baseline is None or not trace.alerts:
        return Finding("detection", question, "inconclusive", "cannot tell: no alert was looked at")
    seen = _unexpected(trace, baseline[0])
    blind_s = _longest_gap(trace, baseline[0])
    if not seen and blind_s > max(BLIND_S, 3 * trace.plan.evaluation_s):
        return Finding("detection", question, "inconclusive", f"cannot tell: nobody saw the alerts for {blind_s:.0f}s")
    if not seen:
        return Finding("detection", question, "confirmed", "yes")
    effect = trace.first_effect()
    when = [f"{name} ({_when(alert.active_at_wall_s, effect)})" for name, alert in seen.items()]
    return Finding("detection", question, "false_alarm", f"no: {', '.join(when)}", {"alerts": ", ".join(seen)})


__all__ = ["Gate", "detections", "findings"]
