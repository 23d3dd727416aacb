"""The lanes of a timeline that show states: each fault on, alerts pending and firing with who was told, guards, what interfered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from chaos.events import ApplyFailed, EffectLost, GuardBreached, StopRequested
from chaos.journal import Line
from chaos.judging.trace import Trace
from chaos.plans import PlannedAlert, PlannedGuard
from chaos.report.curve_lanes import Clock
from chaos.report.picture import Bar, Mark, StateLane
from chaos.telemetry import carries
from chaos.units import format_duration, format_measured
from chaos.verdict import EffectDone, Verdict

OTHERS = 12
"""So many alerts that nobody expected get a lane of their own."""
FAULTS = 8
"""So many effects get one; the rest are counted."""


# --- faults -----------------------------------------------------------------------------------------------------------


def fault_lanes(trace: Trace, verdict: Verdict, clock: Clock) -> list[StateLane]:
    """Each effect that hurt, from its first proven effect until it was taken back (or until the run's last word)."""
    lanes = [_fault_lane(trace, effect, clock) for effect in verdict.effects[:FAULTS]]
    left = len(verdict.effects) - len(lanes)
    return [*lanes, StateLane(f"{left} more effects", "not drawn")] if left > 0 else lanes


def _fault_lane(trace: Trace, effect: EffectDone, clock: Clock) -> StateLane:
    named = next((one.fault for one in trace.plan.effects if one.id == effect.id and one.fault), effect.id)
    begin = effect.first_effect_wall_s
    if begin is None:
        return StateLane(named, f"at {effect.target}", quiet="no effect was proven")
    end = trace.last_wall_s if effect.removed_wall_s is None else effect.removed_wall_s
    note = f"at {effect.target}: {effect.explain}" + (
        "" if effect.removed_wall_s is not None else ", removal not proven"
    )
    return StateLane(named, note, (Bar(clock(begin), clock(max(begin, end)), "on"),))


# --- alerts -----------------------------------------------------------------------------------------------------------


def stretches(times: Iterable[float], every_s: float, lasts_s: float) -> list[tuple[float, float]]:
    """Sample times joined to (start, end) unless more than 2.5 times `every_s` apart; the last one lasts `lasts_s`."""
    joined: list[tuple[float, float]] = []
    for at in sorted(times):
        if joined and at - joined[-1][1] <= 2.5 * every_s:
            joined[-1] = (joined[-1][0], at)
        else:
            joined.append((at, at))
    return [(start, end + lasts_s) for start, end in joined]


def _collected_bars(trace: Trace, alert: str, clock: Clock) -> list[Bar]:
    evaluation_s = max(trace.plan.evaluation_s, 0.1)
    return [
        Bar(clock(start), clock(end), state)
        for state in ("pending", "firing")
        for one in trace.series(f"alert:{alert}:{state}")
        for start, end in stretches((at for at, _ in one.samples), evaluation_s, evaluation_s)
    ]


def _polled_bars(trace: Trace, alert: str, clock: Clock) -> list[Bar]:
    """From the looks of the run itself: exact to the second between two looks."""
    bars: list[Bar] = []
    for state in ("pending", "firing"):
        times = [
            seen.at_wall_s
            for seen in trace.alerts
            if any(one.name == alert and one.state == state for one in seen.alerts)
        ]
        bars += [Bar(clock(start), clock(end), state) for start, end in stretches(times, 2.0, 1.0)]
    return bars


def _notifications(trace: Trace, alert: str, clock: Clock, within_s: float | None = None) -> list[Mark]:
    marks: list[Mark] = []
    for one in trace.deliveries:
        if one.labels.get("alertname") == alert:
            at_s = clock(one.received_at_wall_s)
            words = "told" if one.status == "firing" else "told: resolved"
            sign: Literal["told", "resolved"] = "told" if one.status == "firing" else "resolved"
            marks.append(Mark(at_s, sign, f"{one.receiver} {words} {format_measured(at_s, within_s, sign='+')[:-1]} s"))
    return marks


def alert_lane(trace: Trace, alert: PlannedAlert, clock: Clock) -> StateLane:
    """When this expected alert was pending and firing, who was told, and until when it was asked for."""
    bars = _collected_bars(trace, alert.alert, clock) or _polled_bars(trace, alert.alert, clock)
    marks = _notifications(trace, alert.alert, clock, alert.within_s)
    latest_s = clock(trace.last_wall_s)
    if alert.within_s is not None and trace.first_effect() is not None and alert.within_s <= latest_s:
        marks.append(Mark(alert.within_s, "deadline", f"asked for within {alert.within_s:g} s"))
    note = "expected alert" + (f", {alert.severity}" if alert.severity else "")
    quiet = "" if any(mark.sign != "deadline" for mark in marks) else "never pending, never firing"
    return StateLane(alert.alert, note, tuple(bars), tuple(marks), quiet)


def other_lanes(trace: Trace, clock: Clock) -> list[StateLane]:
    """Alerts that nobody expected: those of this system first."""
    expected = {alert.alert for alert in trace.plan.alerts}
    mine: dict[str, bool] = {}
    for seen in trace.alerts:
        for one in seen.alerts:
            if one.name not in expected:
                mine[one.name] = mine.get(one.name, False) or carries(one.labels, trace.plan.match)
    for told in trace.deliveries:
        name = told.labels.get("alertname", "")
        if name and name not in expected:
            mine[name] = mine.get(name, False) or carries(told.labels, trace.plan.match)
    ordered = sorted(mine, key=lambda name: (not mine[name], name))
    return [
        StateLane(
            name,
            "another alert of this system" if mine[name] else "an alert of something else",
            tuple(_polled_bars(trace, name, clock)),
            tuple(_notifications(trace, name, clock)),
            mine=mine[name],
        )
        for name in ordered[:OTHERS]
    ]


# --- the run ----------------------------------------------------------------------------------------------------------


def guard_lane(trace: Trace, lines: Sequence[Line], clock: Clock) -> StateLane | None:
    """The guards: which one ended the run and when, or that all of them held."""
    marks = [
        _mark(f"guard breached: {line.record.guard}", clock(line.wall_s))
        for line in lines
        if isinstance(line.record, GuardBreached)
    ]
    if not trace.plan.guards and not marks:
        return None
    named = ", ".join(_guard_text(guard) for guard in trace.plan.guards)
    return StateLane("Guards", named, (), tuple(marks), "" if marks else "held all along")


def _guard_text(guard: PlannedGuard) -> str:
    return guard.title + (f" for {format_duration(guard.for_s)}" if guard.for_s else "")


def run_lane(lines: Sequence[Line], clock: Clock) -> StateLane | None:
    """What else ended the run early or went wrong in it."""
    marks: list[Mark] = []
    for line in lines:
        match line.record:
            case StopRequested(by=by):
                said = f"stopped: {by}"
            case EffectLost(effect=effect):
                said = f"could not be undone: {effect}"
            case ApplyFailed(effect=effect):
                said = f"could not be applied: {effect}"
            case _:
                continue
        marks.append(_mark(said, clock(line.wall_s)))
    return StateLane("The run", "what interfered", (), tuple(marks)) if marks else None


def _mark(said: str, at_s: float) -> Mark:
    return Mark(at_s, "stop", f"{said} {at_s:+.1f} s")
