"""trace ─▶ Picture: which lanes a run has, in seconds since its first effect (or its start, without one). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.detection import Detection, Gate
from chaos.events import ApplyFailed, EffectLost, GuardBreached, StopRequested
from chaos.journal import Line
from chaos.judging.trace import Trace
from chaos.observation import SeriesRead
from chaos.plans import PlannedAlert, PlannedProbe
from chaos.progress import carries
from chaos.report.picture import Bar, CurveLane, Limit, Mark, Picture, Span, StateLane
from chaos.report.scales import Samples, known
from chaos.verdict import Verdict

CURVES = 12
"""A probe may return hundreds of series; so many are drawn, the others are counted."""
OTHERS = 12
"""So many alerts that nobody expected get a lane of their own."""
PHASE = {"warmup": "warm-up", "baseline": "baseline", "inject": "fault on", "undo": "undo", "recovery": "recovery"}


@dataclass(frozen=True, slots=True)
class _Clock:
    """Wall-clock seconds to seconds on the axis."""

    zero_wall_s: float

    def __call__(self, wall_s: float) -> float:
        return wall_s - self.zero_wall_s


def picture_of(trace: Trace, verdict: Verdict, lines: Sequence[Line]) -> Picture:
    """The whole timeline: phases, steady state, what each rule read, alerts, notifications, what ended the run."""
    effect, removal = trace.first_effect(), trace.removal()
    clock = _Clock(trace.first_wall_s if effect is None else effect)
    ends = [
        trace.last_wall_s,
        *(one.received_at_wall_s for one in trace.deliveries),
        *(phase.end_wall_s for phase in verdict.phases),
    ]
    run = _run_lane(lines, clock)
    lanes = (
        *(_probe_lane(trace, probe, clock) for probe in trace.plan.steady()),
        *(lane for alert in trace.plan.alerts for lane in _alert_lanes(trace, alert, verdict, clock)),
        *_other_lanes(trace, clock),
        *([run] if run is not None else []),
    )
    spans = tuple(
        Span(PHASE.get(one.name, one.name), clock(one.start_wall_s), clock(one.end_wall_s)) for one in verdict.phases
    )
    return Picture(
        start_s=clock(min(trace.first_wall_s, trace.last_wall_s)),
        end_s=clock(max(ends)),
        zero="first effect" if effect is not None else "start of the run",
        spans=spans,
        fault=None if effect is None else (0.0, None if removal is None else clock(removal)),
        lanes=lanes,
        description=_description(spans, None if removal is None or effect is None else clock(removal), lanes),
    )


def _description(spans: Iterable[Span], removal_s: float | None, lanes: Iterable[CurveLane | StateLane]) -> str:
    """The picture in words, for those who hear it."""
    said = [f"{span.name} from {span.start_s:.0f} to {span.end_s:.0f} s" for span in spans]
    if removal_s is not None:
        said.append(f"the fault was on from 0 to {removal_s:.1f} s")
    for lane in lanes:
        if isinstance(lane, StateLane):
            said += [f"{lane.title} {bar.state} from {bar.start_s:.1f} to {bar.end_s:.1f} s" for bar in lane.bars]
        else:
            values = [value for curve in lane.curves for _, value in curve if known(value)]
            between = f"between {min(values):.4g} and {max(values):.4g}" if values else "no data"
            said.append(f"{lane.title}{f' ({lane.note})' if lane.note else ''}: {between}")
        said += [f"{lane.title}: {mark.text}" for mark in lane.marks]
    return "; ".join(said) + "."


# --- curves -----------------------------------------------------------------------------------------------------------


def _curves(series: Sequence[SeriesRead], clock: Callable[[float], float]) -> tuple[Samples, ...]:
    return tuple(tuple((clock(at), value) for at, value in one.samples) for one in series[:CURVES])


def _left_out(series: Sequence[SeriesRead]) -> str:
    return f", {CURVES} of {len(series)} series drawn" if len(series) > CURVES else ""


def _probe_lane(trace: Trace, probe: PlannedProbe, clock: Callable[[float], float]) -> CurveLane:
    series = trace.series(f"probe:{probe.title}")
    curves = _curves(series, clock)
    if not series:  # the run ended before anything was collected: what was seen live is all there is
        live = [
            (clock(reading.at_wall_s), reading.values[0])
            for seen in trace.probes
            for reading in seen.readings
            if reading.probe == probe.title and reading.scope == "sliding" and reading.values
        ]
        curves = (tuple(live),) if live else ()
    window = trace.window("baseline", probe.title)
    before = window.values[0] if window is not None and window.values else None
    limits: list[Limit] = []
    for word, which in (("min", "minimum"), ("max", "maximum")):
        bound = probe.bound(which)
        value = None if bound is None else bound.resolve(before)
        if value is not None:
            limits.append(Limit(value, f"{word} {bound}", "below" if word == "min" else "above"))
    role = (
        "meant to break"
        if probe.title in trace.plan.harms
        else "must hold"
        if probe.title in trace.plan.holds
        else "watched"
    )
    unit = "" if probe.unit in ("ratio", "share", "s", "seconds", "") else f", {probe.unit}"
    return CurveLane(probe.title, f"{role}{unit}{_left_out(series)}", probe.unit, curves, tuple(limits))


def _signal_lane(
    trace: Trace, alert: PlannedAlert, found: Detection | None, clock: Callable[[float], float]
) -> CurveLane | None:
    series = trace.series(f"signal:{alert.alert}")
    if alert.left is None and not series:
        return None
    limits: tuple[Limit, ...] = ()
    if alert.threshold is not None:
        side = (alert.operator or " ")[0]
        limits = (
            Limit(
                alert.threshold,
                f"{alert.operator} {alert.threshold:g}",
                "below" if side == "<" else "above" if side == ">" else "neither",
            ),
        )
    marks: list[Mark] = []
    moved = (
        next((stage.after_s for stage in found.stages if stage.gate is Gate.signal), None)
        if found is not None
        else None
    )
    if moved is not None:
        marks.append(Mark(moved, "moved", f"left its baseline band +{moved:.1f} s"))
    note = f"what the rule reads{_left_out(series)}"
    return CurveLane(alert.alert, note, "", _curves(series, clock), limits, tuple(marks))


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


def _collected_bars(trace: Trace, alert: str, clock: Callable[[float], float]) -> list[Bar]:
    evaluation_s = max(trace.plan.evaluation_s, 0.1)
    return [
        Bar(clock(start), clock(end), state)
        for state in ("pending", "firing")
        for one in trace.series(f"alert:{alert}:{state}")
        for start, end in stretches((at for at, _ in one.samples), evaluation_s, evaluation_s)
    ]


def _polled_bars(trace: Trace, alert: str, clock: Callable[[float], float]) -> list[Bar]:
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


def _notifications(trace: Trace, alert: str, clock: Callable[[float], float]) -> list[Mark]:
    marks: list[Mark] = []
    for one in trace.deliveries:
        if one.labels.get("alertname") == alert:
            at_s = clock(one.received_at_wall_s)
            words = "told" if one.status == "firing" else "told: resolved"
            sign: Literal["told", "resolved"] = "told" if one.status == "firing" else "resolved"
            marks.append(Mark(at_s, sign, f"{one.receiver} {words} {at_s:+.1f} s"))
    return marks


def _alert_lanes(
    trace: Trace, alert: PlannedAlert, verdict: Verdict, clock: Callable[[float], float]
) -> list[CurveLane | StateLane]:
    found = next((one for one in verdict.detections if one.alert == alert.alert), None)
    signal = _signal_lane(trace, alert, found, clock)
    bars = _collected_bars(trace, alert.alert, clock) or _polled_bars(trace, alert.alert, clock)
    marks = _notifications(trace, alert.alert, clock)
    latest_s = clock(trace.last_wall_s)
    if alert.within_s is not None and trace.first_effect() is not None and alert.within_s <= latest_s:
        marks.append(Mark(alert.within_s, "deadline", f"asked for within {alert.within_s:g} s"))
    note = "expected alert" + (f", {alert.severity}" if alert.severity else "")
    lane = StateLane(alert.alert, note, tuple(bars), tuple(marks))
    return [signal, lane] if signal is not None else [lane]


def _other_lanes(trace: Trace, clock: Callable[[float], float]) -> list[StateLane]:
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


def _run_lane(lines: Sequence[Line], clock: Callable[[float], float]) -> StateLane | None:
    """What ended the run early or went wrong in it."""
    marks: list[Mark] = []
    for line in lines:
        match line.record:
            case GuardBreached(guard=guard):
                said = f"guard breached: {guard}"
            case StopRequested(by=by):
                said = f"stopped: {by}"
            case EffectLost(effect=effect):
                said = f"could not be undone: {effect}"
            case ApplyFailed(effect=effect):
                said = f"could not be applied: {effect}"
            case _:
                continue
        marks.append(Mark(clock(line.wall_s), "stop", f"{said} {clock(line.wall_s):+.1f} s"))
    return StateLane("The run", "what interfered", (), tuple(marks)) if marks else None
