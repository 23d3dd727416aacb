"""The steady state over the phases of a run: every probe against its bounds, at the moments that it is judged. Pure.

before       the state machine: nothing is hurt until these are met       (`chaos.progress.questions`; validity tells of it)
during       harms and holds, over the fault's own time                   `findings`
continuous   at every look from the baseline on                           `findings`
after        at the end of the recovery                                   `recovered`
eventually   from so long after the undo on                               `recovered`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from chaos.bounds import format_value
from chaos.events import State
from chaos.judging.excursions import Look, all_along, excursions, from_then_on, longest_unmet
from chaos.judging.trace import Trace
from chaos.observation import ProbeReading
from chaos.plans import PlannedProbe
from chaos.readings import Judged, Standing, broken_bound, enough, judged, own_baseline, unresolved, values_of
from chaos.statistics import clopper_pearson
from chaos.units import format_duration, format_measured
from chaos.verdict import Finding, ProbeRow, VerdictName

__all__ = ["bound_text", "findings", "probe_rows", "recovered", "unresolved", "worst_value"]

CHANCE = 0.99
"""How sure it must be that a share left its bound before the system is said not to have held."""
MADE_OF: dict[Standing, VerdictName] = {"met": "confirmed", "unknown": "inconclusive", "broken": "deviated"}
"""What a probe that should stay within its bounds makes of a run."""


def bound_text(probe: PlannedProbe) -> str:
    """`min 99.5%`, `max 250ms`, or both."""
    pairs = (("min", probe.bound("minimum")), ("max", probe.bound("maximum")))
    return ", ".join(f"{word} {bound}" for word, bound in pairs if bound is not None)


def worst_value(probe: PlannedProbe, reading: ProbeReading | None) -> float | None:
    """The worst of the reading's series: the one nearest to, or furthest beyond, a bound."""
    values = values_of(probe, reading) if reading is not None else ()
    if not values:
        return None
    return min(values) if probe.minimum is not None else max(values)


# --- one reading ------------------------------------------------------------------------------------------------------


def _stood(trace: Trace, probe: PlannedProbe, reading: ProbeReading | None) -> Judged:
    """The reading's worst series against its bounds; unknown where too few events are behind it."""
    seen = judged(probe, reading, trace.window("baseline", probe.title))
    if reading is None or not enough(probe, reading):
        return replace(seen, standing="unknown")
    return seen


def _surely(trace: Trace, probe: PlannedProbe, reading: ProbeReading | None) -> Judged:
    """The same, but for what chance may well have done: of something that should hold, that is unknown."""
    seen = _stood(trace, probe, reading)
    if seen.standing != "broken" or reading is None or reading.values != (seen.value,):
        return seen
    chance = _perhaps_chance(trace, probe, reading)
    return replace(seen, standing="unknown") if chance else seen


def _perhaps_chance(trace: Trace, probe: PlannedProbe, reading: ProbeReading) -> bool:
    """Whether so few events are behind the only value, a share, that its true value may well be within its bound (99 % interval).

    A short fault leaves few events: 87 % right of 80 is what a model with 93 % gives one time in fifty.
    """
    share = probe.unit == "ratio" and probe.signal != "fairness_gap"  # a difference of two shares is no share
    if not share or reading.count is None or not 0 <= reading.values[0] <= 1:
        return False
    events = max(1, round(reading.count))
    interval = clopper_pearson(round(reading.values[0] * events), events, CHANCE)
    baseline = own_baseline(reading.labels[0] if reading.labels else {}, trace.window("baseline", probe.title))
    return not all(broken_bound(probe, end, baseline) for end in interval)


def _read(seen: Judged, unit: str) -> str:
    """`84.0% (group="b")`: the worst series with its labels, or `no data`."""
    if seen.value is None:
        return "no data"
    return format_value(seen.value, unit) + (f" ({seen.series})" if seen.series else "")


# --- while the fault was on -------------------------------------------------------------------------------------------


def _role(trace: Trace, title: str) -> Literal["harm", "hold", "watched"]:
    return "harm" if title in trace.plan.harms else "hold" if title in trace.plan.holds else "watched"


def _during(trace: Trace, probe: PlannedProbe) -> Judged:
    """Over exactly the fault's time; a probe without a window is as bad as its worst look in that time."""
    stood = _stood if _role(trace, probe.title) == "harm" else _surely
    if probe.windowed:
        return stood(trace, probe, trace.window("fault", probe.title))
    first, removal = trace.first_effect(), trace.removal()
    if first is None:
        return Judged("unknown")
    end = trace.last_wall_s if removal is None else removal
    seen = [(at, stood(trace, probe, reading)) for at, reading in _looks(trace, probe) if first <= at <= end]
    known = [one for _, one in seen if one.value is not None]
    broken = [one for one in known if one.standing == "broken"]
    if not known or broken:
        return max(broken, key=lambda one: one.excess) if broken else Judged("unknown")
    met = [at for at, one in seen if one.standing == "met"]
    unwatched = not met or longest_unmet(met, first, end) > probe.tolerance_s
    worst = max(known, key=lambda one: one.excess)
    return replace(worst, standing="unknown" if unwatched else "met")


def _looks(trace: Trace, probe: PlannedProbe) -> list[tuple[float, ProbeReading]]:
    """Every live reading of the probe over its usual window, and when it was made."""
    return [
        (reading.at_wall_s, reading)
        for seen in trace.probes
        for reading in seen.readings
        if reading.probe == probe.title and reading.scope == "sliding"
    ]


def _row(trace: Trace, probe: PlannedProbe, seen: Judged) -> ProbeRow:
    role = _role(trace, probe.title)
    verdict = MADE_OF[seen.standing]
    if role == "harm":
        verdict = "confirmed" if seen.standing == "broken" else "inconclusive"
    baseline, recovery = (trace.window(phase, probe.title) for phase in ("baseline", "recovery"))
    return ProbeRow(
        probe.title,
        probe.unit,
        bound_text(probe),
        judged(probe, baseline, baseline).value,
        seen.value,
        judged(probe, recovery, baseline).value,
        role,
        "confirmed" if role == "watched" else verdict,
    )


def probe_rows(trace: Trace) -> list[ProbeRow]:
    """Every steady-state probe over the phases, each with what it makes of the run."""
    return [_row(trace, probe, _during(trace, probe)) for probe in trace.plan.steady()]


def _question(row: ProbeRow) -> str:
    return f"Did the fault harm {row.title}?" if row.role == "harm" else f"Did {row.title} hold?"


def _answer(row: ProbeRow, seen: Judged) -> str:
    during = f"{_read(seen, row.unit)} while the fault was on ({row.bound})"
    if row.fault is None:
        return f"cannot tell: {during}"
    match row.role, row.verdict:
        case "harm", "confirmed":
            return f"yes: {during}"
        case "harm", _:
            advice = "the fault was too weak to test anything: raise traffic or share"
            return f"not enough to leave its bound: {during}; {advice}"
        case _, "deviated":
            return f"no: {during}"
        case _, "confirmed":
            return f"yes: {during}"
        case _ if seen.silent:
            return f"cannot tell: {during}, and nothing is known of {seen.silent}"
        case _:
            return f"cannot tell: too few events behind {during}"


def findings(trace: Trace) -> Iterator[Finding]:
    """Every probe that was to be harmed or to hold, and every one that was to hold all along."""
    for probe in trace.plan.steady():
        seen = _during(trace, probe)
        row = _row(trace, probe, seen)
        if row.role != "watched":
            evidence = {"baseline": row.baseline, "fault": row.fault, "recovery": row.recovery, "bound": row.bound}
            if seen.series:
                evidence["series"] = seen.series
            yield Finding("resilience", _question(row), row.verdict, _answer(row, seen), evidence)
    for probe in trace.plan.steady():
        if "continuous" in probe.judged:
            yield _continuous(trace, probe)


# --- at every look ----------------------------------------------------------------------------------------------------


def _standings(trace: Trace, probe: PlannedProbe, start: float, end: float) -> list[tuple[Look, Judged]]:
    return [
        (Look(at, seen.standing), seen)
        for at, reading in _looks(trace, probe)
        if start <= at <= end
        for seen in (_surely(trace, probe, reading),)
    ]


def _end(trace: Trace) -> float:
    """When the recovery was over, or whatever the run came to instead."""
    collect = trace.entered(State.collect)
    return collect.wall_s if collect is not None else trace.last_wall_s


def _continuous(trace: Trace, probe: PlannedProbe) -> Finding:
    question = f"Did {probe.title} stay within its bound all along?"
    baseline = trace.entered(State.baseline)
    if baseline is None:
        return Finding("resilience", question, "inconclusive", "cannot tell: the baseline never began")
    start, end = baseline.wall_s, _end(trace)
    seen = _standings(trace, probe, start, end)
    standing = all_along([look for look, _ in seen], start, end, probe.tolerance_s)
    return _told(probe, question, standing, seen, start, end)


def _eventually(trace: Trace, probe: PlannedProbe) -> Finding:
    within = probe.within_s or 0.0
    question = f"Did {probe.title} come back within {format_duration(within)} of the undo, and stay?"
    removal = trace.removal()
    if removal is None:
        return Finding("resilience", question, "inconclusive", "cannot tell: nobody saw the end of the fault")
    deadline, end = removal + within, _end(trace)
    seen = _standings(trace, probe, removal, end)
    # A run that has settled ends before the time is over: what is met at its end was met in time.
    deadline = min(deadline, end)
    standing = from_then_on([look for look, _ in seen], removal, deadline, end, probe.tolerance_s)
    later = [(look, one) for look, one in seen if look.at_wall_s >= deadline]
    return _told(probe, question, standing, later if standing == "broken" else seen, deadline, end)


def _told(
    probe: PlannedProbe, question: str, standing: Standing, seen: list[tuple[Look, Judged]], start: float, end: float
) -> Finding:
    """The finding on a probe of which every look from start to end counts."""
    looks = [look for look, _ in seen]
    out_s = max((last - first for first, last in excursions(looks)), default=0.0)
    unmet_s = longest_unmet([look.at_wall_s for look in looks if look.standing == "met"], start, end)
    out, unmet = (format_measured(lasted_s, probe.tolerance_s) for lasted_s in (out_s, unmet_s))
    broken = [one for _, one in seen if one.standing == "broken"]
    worst = max(broken, key=lambda one: one.excess) if broken else Judged("unknown")
    allowed = f"less than {format_duration(probe.tolerance_s)} at a stretch is forgiven"
    match standing:
        case "met":
            answer = f"yes: {bound_text(probe)} at {len(looks)} looks"
            answer += f", but for {unmet} at a stretch at most; {allowed}" if broken else ""
        case "broken":
            lasted = f"for {out} at a stretch" if out_s else "at the last look that saw it"
            answer = f"no: out of {bound_text(probe)} {lasted}, at worst {_read(worst, probe.unit)}; {allowed}"
        case _:
            answer = f"cannot tell: for {unmet} at a stretch no look saw {bound_text(probe)} met; {allowed}"
    evidence: dict[str, str | float | int | None] = {
        "looks": len(looks), "out at least, s": round(out_s, 3), "unmet at most, s": round(unmet_s, 3),
        "worst": worst.value, "bound": bound_text(probe),
    }  # fmt: skip
    return Finding("resilience", question, MADE_OF[standing], answer, evidence)


# --- after the undo ---------------------------------------------------------------------------------------------------


def recovered(trace: Trace) -> Iterator[Finding]:
    """Whether every bound that is judged afterwards was met again after the undo, and whether what had time came back in time."""
    if trace.entered(State.recovery) is None:
        return
    after = [probe for probe in trace.plan.steady() if "after" in probe.judged]
    if after:
        yield _after(trace, after)
    for probe in trace.plan.steady():
        if "eventually" in probe.judged:
            yield _eventually(trace, probe)


def _after(trace: Trace, probes: list[PlannedProbe]) -> Finding:
    question = "Did the steady state come back after the undo?"
    seen = [(probe, _stood(trace, probe, trace.window("recovery", probe.title))) for probe in probes]
    bad = [
        f"{probe.title} {_read(one, probe.unit)} ({bound_text(probe)})"
        for probe, one in seen
        if one.standing == "broken"
    ]
    unread = [
        probe.title + (f" ({one.silent})" if one.silent else "") for probe, one in seen if one.standing == "unknown"
    ]
    if bad:
        return Finding("resilience", question, "deviated", "no: " + "; ".join(bad))
    if unread:
        return Finding("resilience", question, "inconclusive", f"cannot tell: not enough data for {', '.join(unread)}")
    return Finding("resilience", question, "confirmed", "yes, every bound is met again")
