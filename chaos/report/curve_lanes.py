"""The lanes of a timeline that show values: the steady state's probes, and what each rule reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from chaos.detection import Detection, Gate, baseline_band
from chaos.events import State
from chaos.judging.trace import Trace
from chaos.observation import SeriesRead
from chaos.plans import PlannedAlert, PlannedProbe
from chaos.report.picture import CurveLane, Limit, Mark
from chaos.report.scales import Samples

CURVES = 12
"""A probe may return hundreds of series; so many are drawn, the others are counted."""

Clock = Callable[[float], float]
"""Wall-clock seconds to seconds on the axis."""


def probe_lane(trace: Trace, probe: PlannedProbe, clock: Clock) -> CurveLane:
    """What the probe read, within its bounds and the guards on it."""
    series = trace.series(f"probe:{probe.title}")
    curves = _curves(series, clock)
    if not series:  # the run ended before anything was collected: what was seen live is all there is
        live = _seen_live(trace, probe, clock)
        curves = (live,) if live else ()
    return CurveLane(
        probe.title,
        f"{_role(trace, probe)}{_unit(probe)}{_left_out(series)}",
        probe.unit,
        curves,
        (*_bounds(trace, probe), *_guards(trace, probe)),
        band=_band(trace, curves, clock, trace.plan.window_s if probe.windowed else 0.0),
        names=_names(series),
    )


def signal_lane(trace: Trace, alert: PlannedAlert, found: Detection | None, clock: Clock) -> CurveLane | None:
    """What the rule of an expected alert reads, against its threshold; None when nobody knows what that is."""
    series = trace.series(f"signal:{alert.alert}")
    if alert.left is None and not series:
        return None
    stages = found.stages if found is not None else ()
    moved = next((stage.after_s for stage in stages if stage.gate is Gate.signal), None)
    marks = (Mark(moved, "moved", f"left its baseline band {moved:+.1f} s"),) if moved is not None else ()
    curves = _curves(series, clock)
    note = f"what the rule reads{_left_out(series)}"
    band = _band(trace, curves, clock, alert.window_s)
    return CurveLane(alert.alert, note, "", curves, _threshold(alert), marks, band, _names(series))


# --- values -----------------------------------------------------------------------------------------------------------


def _curves(series: Sequence[SeriesRead], clock: Clock) -> tuple[Samples, ...]:
    return tuple(tuple((clock(at), value) for at, value in one.samples) for one in series[:CURVES])


def _names(series: Sequence[SeriesRead]) -> tuple[str, ...]:
    """By the labels that tell them apart: those that they share say nothing."""
    if len(series) < 2:
        return ()
    shared = set.intersection(*(set(one.labels.items()) for one in series)) | {
        ("__name__", one.labels.get("__name__", "")) for one in series
    }
    named = [
        ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items()) if (name, value) not in shared)
        for one in series
    ]
    return tuple(name or f"series {place}" for place, name in enumerate(named[:CURVES], 1))


def _left_out(series: Sequence[SeriesRead]) -> str:
    return f", {CURVES} of {len(series)} series drawn" if len(series) > CURVES else ""


def _seen_live(trace: Trace, probe: PlannedProbe, clock: Clock) -> Samples:
    return tuple(
        (clock(reading.at_wall_s), reading.values[0])
        for seen in trace.probes
        for reading in seen.readings
        if reading.probe == probe.title and reading.scope == "sliding" and reading.values
    )


def _band(trace: Trace, curves: Sequence[Samples], clock: Clock, window_s: float) -> tuple[float, float] | None:
    """What the only series read in the baseline; of several, none: each has its own."""
    span = trace.span(State.baseline)
    if span is None or len(curves) != 1:
        return None
    begin, end = clock(span[0]), min(clock(span[1]), clock(trace.first_effect() or span[1]))
    return baseline_band([one for one in curves[0] if begin <= one[0] <= end], window_s)


# --- bounds -----------------------------------------------------------------------------------------------------------


def _role(trace: Trace, probe: PlannedProbe) -> str:
    if probe.title in trace.plan.harms:
        return "meant to break"
    return "must hold" if probe.title in trace.plan.holds else "watched"


def _unit(probe: PlannedProbe) -> str:
    return "" if probe.unit in ("ratio", "share", "s", "seconds", "") else f", {probe.unit}"


def _bounds(trace: Trace, probe: PlannedProbe, *, guard: bool = False) -> list[Limit]:
    window = trace.window("baseline", probe.title)
    before = window.values[0] if window is not None and window.values else None
    found: list[Limit] = []
    for word, which in (("min", "minimum"), ("max", "maximum")):
        bound = probe.bound(which)
        value = None if bound is None else bound.resolve(before)
        if value is not None:
            said = f"guard {bound}" if guard else f"{word} {bound}"
            found.append(Limit(value, said, "below" if word == "min" else "above", guard))
    return found


def _guards(trace: Trace, probe: PlannedProbe) -> list[Limit]:
    """The bounds beyond which a guard would have ended the run."""
    names = (probe.title, f"guard:{probe.title}")
    watching = [guard.probe for guard in trace.plan.guards if guard.probe is not None and guard.probe.title in names]
    return [limit for one in watching for limit in _bounds(trace, one, guard=True)]


def _threshold(alert: PlannedAlert) -> tuple[Limit, ...]:
    if alert.threshold is None:
        return ()
    side = (alert.operator or " ")[0]
    beyond: Literal["below", "above", "neither"] = "below" if side == "<" else "above" if side == ">" else "neither"
    return (Limit(alert.threshold, f"{alert.operator} {alert.threshold:g}", beyond),)
