"""Did monitoring catch it: every expected alert through its gates, and nobody else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.detection import BLIND_S, AlertHistory, Detection, Gate, Outcome, Samples, Times, detect, offsets
from chaos.events import State
from chaos.judging.trace import Trace
from chaos.observation import AlertSeen
from chaos.plans import PlannedAlert
from chaos.telemetry import carries
from chaos.verdict import Finding, VerdictName

_VERDICT: dict[Outcome, VerdictName] = {
    "detected": "confirmed",
    "late": "late",
    "undetected": "undetected",
    "wrong_alert": "undetected",
    "undelivered": "undelivered",
    "unresolved": "unresolved",
    "not_observed": "inconclusive",
    "undecided": "inconclusive",
    "invalid": "invalid",
}


PROJECTED: frozenset[Outcome] = frozenset({"undetected", "wrong_alert", "undecided"})
"""What a projection can answer: an alert that fired live, and reached nobody, late, or for ever, is a weakness that was proven."""


def detections(trace: Trace) -> list[Detection]:
    """What became of each expected alert; empty when the fault never took effect."""
    times = times_of(trace)
    if times is None:
        return []
    return [detect(alert, history(trace, alert, times.effect), times) for alert in trace.plan.alerts]


def times_of(trace: Trace) -> Times | None:
    """What detection is measured against; None when the fault never took effect."""
    effect = trace.first_effect()
    baseline = trace.span(State.baseline)
    if effect is None or baseline is None:
        return None
    removal = trace.removal()
    return Times(baseline[0], effect, removal, trace.last_wall_s, trace.plan.scrape_s, trace.plan.evaluation_s)


def history(trace: Trace, alert: PlannedAlert, effect: float) -> AlertHistory:
    """Everything that was seen of this alert."""
    looks = [seen for seen in trace.alerts if seen.at_wall_s >= effect]
    sick = next((seen.unhealthy[alert.alert] for seen in looks if alert.alert in seen.unhealthy), None)
    asked = [at for at, unanswered in trace.sinks if alert.delivered_to not in unanswered]
    return AlertHistory(
        signal=tuple(trace.series(f"signal:{alert.alert}")),
        pending=_samples(trace, alert, "pending"),
        firing=_samples(trace, alert, "firing"),
        polled=trace.alerts,
        routed=trace.routed,
        deliveries=trace.deliveries,
        unhealthy=sick,
        looked=bool(looks),
        sink_asked_wall_s=max(asked, default=-math.inf),
        sink_looks=tuple(sorted(asked)),
        scrapes=trace.collected.scrapes if trace.collected is not None else (),
        expected=frozenset(one.alert for one in trace.plan.alerts),
        breaks=frozenset(trace.plan.breaks),
        match=trace.plan.match,
    )


def _samples(trace: Trace, alert: PlannedAlert, state: str) -> tuple[Samples, ...]:
    """The samples of ALERTS in this state: of the instances with the expected labels alone."""
    series = trace.series(f"alert:{alert.alert}:{state}")
    return tuple(one.samples for one in series if carries(one.labels, alert.labels))


def findings(trace: Trace, found: Sequence[Detection]) -> Iterator[Finding]:
    """One finding per expected alert, and one about everybody else."""
    held = not trace.plan.harms
    for one, alert in zip(found, trace.plan.alerts, strict=False):  # nothing is found where the fault never took effect
        stages = _evidence(trace, alert, one)
        told = one.explanation
        if one.outcome == "detected" and held:
            told += " (an early warning: the system held)"
        gate = (
            f" at the gate `{one.failed_gate.value}`"
            if one.failed_gate is not None and one.outcome not in ("late", "detected")
            else ""
        )
        answer = f"yes: {told}" if one.outcome == "detected" else f"{one.outcome}{gate}: {told}"
        if trace.plan.judge == "projected" and one.outcome in PROJECTED:
            yield _projected(trace, one, f"live {answer}", stages)
        else:
            yield Finding("detection", f"Did {one.alert} tell?", _VERDICT[one.outcome], answer, stages)
    if trace.plan.quiet or trace.plan.silent:
        yield _quiet(trace)


def _projected(trace: Trace, live: Detection, answer: str, stages: dict[str, str | float | int | None]) -> Finding:
    """What an alert that did not tell live would do with all traffic hurt."""
    question = f"Would {live.alert} tell, were all traffic hurt?"
    said = trace.projected
    found = next((one for one in said.alerts if one.alert == live.alert), None) if said is not None else None
    if found is None or found.told is None:
        why = said.error if said is not None and said.error else "nothing was projected"
        return Finding("detection", question, "inconclusive", f"cannot tell: {why}; {answer}", stages)
    counted = f"{found.caught} of {found.scenarios} scenarios"
    if any(alert.alert == live.alert and alert.delivered_to is not None for alert in trace.plan.alerts):
        answer += "; whether the receiver would be told is not projected"
    after = f", after {found.median_s:.0f}s" if found.median_s is not None else ""
    evidence = stages | {
        "projected, told": found.caught,
        "projected, scenarios": found.scenarios,
        "projected, s": found.median_s,
    }
    if found.told:
        return Finding(
            "detection", question, "confirmed", f"projected, and no proof: told in {counted}{after}; {answer}", evidence
        )
    return Finding("detection", question, "undetected", f"no: projected, told in {counted}; {answer}", evidence)


def _evidence(trace: Trace, alert: PlannedAlert, found: Detection) -> dict[str, str | float | int | None]:
    """The time of each stage; what the time until somebody was told is made of; and where in their intervals the servers look."""
    evidence: dict[str, str | float | int | None] = {
        f"{stage.gate.value}, s": None if stage.after_s is None else round(stage.after_s, 3) for stage in found.stages
    }
    times = times_of(trace)
    if times is not None:
        known = {**found.parts, **offsets(alert, history(trace, alert, times.effect), times)}
        evidence |= {name: round(value, 3) for name, value in known.items()}
    return evidence


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


__all__ = ["Gate", "detections", "findings", "history", "times_of"]
