"""trace ─▶ Picture: which lanes a run has, in seconds since its first effect (or its start, without one). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaos.journal import Line
from chaos.judging.trace import Trace
from chaos.report.curve_lanes import Clock, probe_lane, signal_lane
from chaos.report.picture import CurveLane, Picture, Span, StateLane
from chaos.report.scales import known
from chaos.report.state_lanes import alert_lane, fault_lanes, guard_lane, other_lanes, run_lane
from chaos.verdict import Verdict

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
    lanes = tuple(_lanes(trace, verdict, lines, clock))
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


def _lanes(trace: Trace, verdict: Verdict, lines: Sequence[Line], clock: Clock) -> Iterator[CurveLane | StateLane]:
    yield from fault_lanes(trace, verdict, clock)
    for probe in trace.plan.steady():
        yield probe_lane(trace, probe, clock)
    for alert in trace.plan.alerts:
        found = next((one for one in verdict.detections if one.alert == alert.alert), None)
        signal = signal_lane(trace, alert, found, clock)
        if signal is not None:
            yield signal
        yield alert_lane(trace, alert, clock)
    yield from other_lanes(trace, clock)
    for lane in (guard_lane(trace, lines, clock), run_lane(lines, clock)):
        if lane is not None:
            yield lane


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
