"""A dead man's switch: what tells is that its receiver hears an alert no more that it hears again and again. Pure.

told ── told ── told ──x effect            (silent_for)            the switch trips ── told again
└ the last word before the silence ──────────────▶ └ that is when somebody knows
"""

from __future__ import annotations

import math
from itertools import pairwise

from chaos.detection.gates import Detection, Gate, Outcome, Stage
from chaos.detection.heard import unresolved
from chaos.detection.history import LOOK_S, AlertHistory, Times
from chaos.plans import PlannedAlert
from chaos.telemetry import carries
from chaos.units import format_measured

SOURCE = "the sink's clock"
NOT_OBSERVED = "not observed: what tells is a silence"


def detect_silence(alert: PlannedAlert, history: AlertHistory, times: Times) -> Detection:
    """What became of an alert that tells by silence: when its receiver's switch tripped, and when it was heard again."""
    assert alert.silent_for_s is not None, "an alert that tells by silence says how long one is"
    beats = _beats(alert, history)
    tripped = _tripped(beats, alert.silent_for_s, history.sink_asked_wall_s + LOOK_S, times)
    told_s = None if tripped is None else max(0.0, tripped - times.effect)
    again = None if tripped is None else next((at for at in beats if at > max(tripped, times.until)), None)
    reset_s = None if again is None or times.removal is None else again - times.removal
    outcome, why = _outcome(alert, alert.silent_for_s, beats, history, times, told_s, again)
    if tripped is not None and not _was_watched(alert, alert.silent_for_s, beats, history, times, outcome):
        outcome = "not_observed"
        why = f"the sink did not answer often enough to say that {alert.delivered_to} was silent for {alert.silent_for_s:g}s"
    failed = {"invalid": Gate.alive, "unresolved": Gate.reset, "undetected": Gate.delivered}.get(outcome)
    stages = (
        *(Stage(gate, None, None, 0.0, NOT_OBSERVED) for gate in (Gate.signal, Gate.pending, Gate.firing, Gate.active)),
        Stage(Gate.delivered, tripped, told_s, 0.1, SOURCE),
        Stage(Gate.reset, again, reset_s, 0.1, SOURCE),
    )
    return Detection(alert.alert, outcome, stages, failed, why, alert.within_s, told_s, reset_s)


def _beats(alert: PlannedAlert, history: AlertHistory) -> list[float]:
    """When the receiver heard that it fires."""
    return sorted(
        one.received_at_wall_s
        for one in history.deliveries
        if (one.labels.get("alertname"), one.receiver, one.status) == (alert.alert, alert.delivered_to, "firing")
        and carries(one.labels, alert.labels)
    )


def _tripped(beats: list[float], silent_for_s: float, known: float, times: Times) -> float | None:
    """When the first silence was long enough that did not end before the effect; of what comes after `known` nobody knows."""
    known = min(times.end, known)
    for last, following in pairwise([*beats, math.inf]):
        at = last + silent_for_s
        if times.effect <= at < following and last < times.until and at <= known:
            return at
    return None


def _was_watched(
    alert: PlannedAlert, silent_for_s: float, beats: list[float], history: AlertHistory, times: Times, outcome: Outcome
) -> bool:
    """Whether the silence stands even if the receiver had heard the alert whenever its sink did not answer: data that is lost
    must not tell better of an alert than what was heard.
    """
    looks = history.sink_looks
    if looks is None or outcome in ("invalid", "not_observed"):
        return True
    unseen = [at for earlier, later in pairwise(looks) if later - earlier > LOOK_S for at in _every(earlier, later)]
    at = _tripped(sorted([*beats, *unseen]), silent_for_s, max(looks, default=-math.inf), times)
    if at is None:
        return False
    return outcome == "late" or alert.within_s is None or at - times.effect <= alert.within_s


def _every(begin: float, end: float) -> list[float]:
    """Moments from one to the other that lie so close that no silence fits between them."""
    steps = math.ceil((end - begin) / LOOK_S)
    return [begin + (end - begin) * step / steps for step in range(steps + 1)]


def _outcome(
    alert: PlannedAlert,
    silent_for_s: float,
    beats: list[float],
    history: AlertHistory,
    times: Times,
    told_s: float | None,
    again: float | None,
) -> tuple[Outcome, str]:
    before = [at for at in beats if at < times.effect]
    if not before:
        return "invalid", f"{alert.delivered_to} did not hear it before anything was hurt, so its silence says nothing"
    # From the baseline on: whoever began to listen later, or lost what was said earlier, would know of no silence before that. Two words
    # in it, since of an alert that comes more rarely than that nobody knows how long it is silent by itself.
    known = [at for at in before if at > times.baseline]
    if len(known) < 2:
        return (
            "invalid",
            f"{alert.delivered_to} heard it less than twice in the baseline, so nobody knows how often it comes; write a longer one",
        )
    quiet_s = max(later - earlier for earlier, later in pairwise([times.baseline, *known, times.effect]))
    if quiet_s >= silent_for_s:
        return (
            "invalid",
            f"{alert.delivered_to} heard nothing for {quiet_s:.0f}s before anything was hurt; write a longer `silent_for:`",
        )
    if told_s is None:
        if history.sink_asked_wall_s < min(times.until, times.end - LOOK_S):
            return "not_observed", f"no sink could say whether {alert.delivered_to} heard it"
        if times.until - times.effect < silent_for_s:
            return (
                "undecided",
                f"the fault was on for {format_measured(times.until - times.effect, silent_for_s)}; the switch waits {silent_for_s:g}s",
            )
        return "undetected", f"{alert.delivered_to} went on hearing it, never silent for {silent_for_s:g}s"
    if alert.within_s is not None and told_s > alert.within_s:
        after = format_measured(told_s, alert.within_s)
        return "late", f"silent for {silent_for_s:g}s only after {after}; asked for within {alert.within_s:g}s"
    return unresolved(alert, history, times, again) or (
        "detected",
        f"told by a silence of {silent_for_s:g}s, after {format_measured(told_s, alert.within_s)}",
    )
