"""Did the system hold: harms seen, holds kept, control unharmed, recovered?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from chaos.bounds import format_value
from chaos.events import State
from chaos.judging.trace import Trace
from chaos.judging.validity import arm_counts, compare
from chaos.observation import ProbeReading
from chaos.plans import PlannedProbe
from chaos.progress import broken_bound, enough, values_of
from chaos.statistics import clopper_pearson
from chaos.units import format_share
from chaos.verdict import ArmRow, Finding, ProbeRow, VerdictName

_COUNTED = {"accuracy": "wrong", "error_ratio": "errors", "availability": "errors"}
"""Signal → which of the load's counts per arm it is made of."""


CHANCE = 0.99
"""How sure it must be that a share left its bound before the system is said not to have held."""


def bound_text(probe: PlannedProbe) -> str:
    """`min 99.5%`, `max 250ms`, or both."""
    pairs = (("min", probe.bound("minimum")), ("max", probe.bound("maximum")))
    return ", ".join(f"{word} {bound}" for word, bound in pairs if bound is not None)


def _unresolved(probe: PlannedProbe, baseline: float | None) -> bool:
    """Whether a bound is a multiple of a baseline that nobody read."""
    bounds = (probe.bound("minimum"), probe.bound("maximum"))
    return baseline is None and any(bound is not None and bound.kind == "baseline" for bound in bounds)


def _value(probe: PlannedProbe, reading: ProbeReading | None) -> float | None:
    """The worst of the reading's series: the one nearest to, or furthest beyond, a bound."""
    values = values_of(probe, reading) if reading is not None else ()
    if not values:
        return None
    return min(values) if probe.minimum is not None else max(values)


def _during(trace: Trace, probe: PlannedProbe) -> ProbeReading | None:
    """Over exactly the fault's time; for a probe without a window, the worst live reading in that time."""
    if probe.windowed:
        return trace.window("fault", probe.title)
    first, removal = trace.first_effect(), trace.removal()
    readings = [
        reading
        for seen in trace.probes
        for reading in seen.readings
        if reading.probe == probe.title and reading.scope == "sliding" and first is not None
        and first <= reading.at_wall_s <= (removal or trace.last_wall_s)
    ]  # fmt: skip
    known = [reading for reading in readings if _value(probe, reading) is not None]
    pick = min if probe.minimum is not None else max
    return pick(known, key=lambda reading: _value(probe, reading) or 0.0) if known else None


def _role(trace: Trace, title: str) -> Literal["harm", "hold", "watched"]:
    return "harm" if title in trace.plan.harms else "hold" if title in trace.plan.holds else "watched"


def probe_rows(trace: Trace) -> list[ProbeRow]:
    """Every steady-state probe over the phases, each with what it makes of the run."""
    rows: list[ProbeRow] = []
    for probe in trace.plan.steady():
        baseline = _value(probe, trace.window("baseline", probe.title))
        reading = _during(trace, probe)
        recovery = _value(probe, trace.window("recovery", probe.title))
        verdict = _judged(trace, probe, reading, baseline)
        rows.append(
            ProbeRow(
                probe.title,
                probe.unit,
                bound_text(probe),
                baseline,
                _value(probe, reading),
                recovery,
                _role(trace, probe.title),
                verdict,
            )
        )
    return rows


def _judged(trace: Trace, probe: PlannedProbe, reading: ProbeReading | None, baseline: float | None) -> VerdictName:
    role = _role(trace, probe.title)
    values = values_of(probe, reading) if reading is not None else ()
    if reading is None or not values or not enough(probe, reading) or _unresolved(probe, baseline):
        return "inconclusive" if role != "watched" else "confirmed"
    broken = any(broken_bound(probe, value, baseline) for value in values)
    match role:
        case "harm":
            return "confirmed" if broken else "inconclusive"
        case "hold" if broken:
            return "inconclusive" if _perhaps_chance(probe, reading, baseline) else "deviated"
        case "hold":
            return "confirmed"
        case _:
            return "confirmed"


def _perhaps_chance(probe: PlannedProbe, reading: ProbeReading, baseline: float | None) -> bool:
    """Whether so few events are behind a share that its true value may well be within its bound (99 % interval).

    A short fault leaves few events: 87 % right of 80 is what a model with 93 % gives one time in fifty.
    """
    share = probe.unit == "ratio" and probe.signal != "fairness_gap"  # a difference of two shares is no share
    if not share or reading.count is None or len(reading.values) != 1 or not 0 <= reading.values[0] <= 1:
        return False
    events = max(1, round(reading.count))
    interval = clopper_pearson(round(reading.values[0] * events), events, CHANCE)
    return not all(broken_bound(probe, end, baseline) for end in interval)


def findings(trace: Trace) -> Iterator[Finding]:
    """Harms, holds, control, recovery. Nothing is said about a fault that never took effect."""
    if trace.first_effect() is None:
        return
    for row in probe_rows(trace):
        if row.role == "watched":
            continue
        seen = "no data" if row.fault is None else format_value(row.fault, row.unit)
        evidence = {"baseline": row.baseline, "fault": row.fault, "recovery": row.recovery, "bound": row.bound}
        yield Finding("resilience", _question(row), row.verdict, _answer(row, seen), evidence)
    yield from _delivered(trace)
    yield from _control(trace)
    yield from _arms_held(trace)
    yield from _recovered(trace)


def _question(row: ProbeRow) -> str:
    return f"Did the fault harm {row.title}?" if row.role == "harm" else f"Did {row.title} hold?"


def _answer(row: ProbeRow, seen: str) -> str:
    during = f"{seen} while the fault was on ({row.bound})"
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
        case _:
            return f"cannot tell: too few events behind {during}"


def _delivered(trace: Trace) -> Iterator[Finding]:
    """What became of outcomes that were asked for, by the load's own counts of the treatment arm. Judges nothing."""
    for effect in trace.plan.faults():
        if effect.aim is None or trace.plan.shadows():
            continue
        outcome, asked = effect.aim.outcome, format_share(effect.aim.to)
        question = f"What was {outcome} in the treatment arm, where {asked} was asked for?"
        row = next((row for row in arm_rows(trace) if row.arm == "treatment"), None)
        if outcome != "accuracy":
            yield Finding("resilience", question, "confirmed", f"not known: the load does not count {outcome} by arm")
        elif row is None or row.wrong_share is None or row.wrong_interval is None:
            yield Finding(
                "resilience", question, "confirmed", "not known: no outcome of the treatment arm has come back"
            )
        else:
            low, high = 1 - row.wrong_interval[1], 1 - row.wrong_interval[0]
            value = 1 - row.wrong_share
            answer = f"{value:.3f} ± {(high - low) / 2:.2f} of {row.labelled}"
            if not low <= effect.aim.to <= high:
                answer += f"; {asked} lies outside of [{low:.1%}, {high:.1%}]"
            evidence = {"asked": effect.aim.to, "delivered": value, "low": low, "high": high}
            yield Finding("resilience", question, "confirmed", answer, evidence)


def _control(trace: Trace) -> Iterator[Finding]:
    """The control arm, by the load's own counts, against the bounds of the probes that are made of the same counts."""
    first, removal = trace.first_effect(), trace.removal()
    if not trace.plan.control or first is None or not trace.samples:
        return
    during = trace.samples_between(first, removal or trace.last_wall_s)
    worst: VerdictName = "confirmed"
    told: list[str] = []
    for probe in trace.plan.steady():
        what = _COUNTED.get(probe.signal or "")
        if what is None:
            continue
        counts = [arm_counts(sample, what)[1] for sample in during]
        exposed, bad = sum(one.exposed for one in counts), sum(one.bad for one in counts)
        judged, text = _control_probe(trace, probe, exposed, bad)
        told.append(text)
        if judged == "deviated" or worst == "confirmed":
            worst = judged
    if told:
        yield Finding("resilience", "Was the control arm unharmed?", worst, "; ".join(told))
    else:
        why = "no steady-state probe is made of counts whose arm the load knows (accuracy, availability, error_ratio)"
        yield Finding("resilience", "Was the control arm unharmed?", "inconclusive", why)


def _control_probe(trace: Trace, probe: PlannedProbe, exposed: int, bad: int) -> tuple[VerdictName, str]:
    if exposed == 0:
        return "inconclusive", f"{probe.title}: nothing was counted"
    low, high = clopper_pearson(bad, exposed)
    good_is_high = probe.signal in ("accuracy", "availability")
    share = bad / exposed
    value = 1 - share if good_is_high else share
    interval = (1 - high, 1 - low) if good_is_high else (low, high)
    baseline = _value(probe, trace.window("baseline", probe.title))
    text = f"{probe.title} {value:.1%} [{interval[0]:.1%}, {interval[1]:.1%}] of {exposed}"
    if _unresolved(probe, baseline):
        return "inconclusive", f"{text}, and its baseline is not known"
    if not broken_bound(probe, value, baseline):
        return "confirmed", text
    if broken_bound(probe, interval[0], baseline) and broken_bound(probe, interval[1], baseline):
        return "deviated", f"{text}, out of {bound_text(probe)}"
    return "inconclusive", f"{text}, too few to tell"


def _arms_held(trace: Trace) -> Iterator[Finding]:
    first, removal = trace.first_effect(), trace.removal()
    if first is None or not trace.samples or trace.plan.traffic >= 1 or not trace.plan.divides():
        return
    during = trace.samples_between(first, removal or trace.last_wall_s)
    for what in ("wrong", "errors"):
        result = compare(during, what)
        low, high = result.interval
        answer = f"risk ratio {result.ratio:.2f} [{low:.2f}, {high:.2f}], {result.decision}"
        if math.isnan(result.ratio):
            answer = f"no such events; {result.decision}"
        evidence = {
            "ratio": None if math.isnan(result.ratio) else result.ratio,
            "low": low,
            "high": None if math.isinf(high) else high,
            "decision": result.decision,
        }
        verdict: VerdictName = "confirmed"
        if trace.plan.arms_held:
            verdict = {"held": "confirmed", "broken": "deviated"}.get(result.decision, "inconclusive")  # type: ignore[assignment]
        title = "mistakes" if what == "wrong" else "errors"
        yield Finding("resilience", f"How does treatment compare with control in {title}?", verdict, answer, evidence)


def _recovered(trace: Trace) -> Iterator[Finding]:
    if trace.entered(State.recovery) is None:
        return
    question = "Did the steady state come back after the undo?"
    bad: list[str] = []
    unread: list[str] = []
    for probe in trace.plan.steady():
        reading = trace.window("recovery", probe.title)
        values = values_of(probe, reading) if reading is not None else ()
        baseline = _value(probe, trace.window("baseline", probe.title))
        if reading is None or not values or not enough(probe, reading) or _unresolved(probe, baseline):
            unread.append(probe.title)
        elif any(broken_bound(probe, value, baseline) for value in values):
            bad.append(f"{probe.title} {format_value(_value(probe, reading) or 0.0, probe.unit)} ({bound_text(probe)})")
    if bad:
        yield Finding("resilience", question, "deviated", "no: " + "; ".join(bad))
    elif unread:
        yield Finding("resilience", question, "inconclusive", f"cannot tell: not enough data for {', '.join(unread)}")
    else:
        yield Finding("resilience", question, "confirmed", "yes, every bound is met again")


def arm_rows(trace: Trace) -> list[ArmRow]:
    """What the load saw of each arm while the fault was on."""
    first, removal = trace.first_effect(), trace.removal()
    if first is None or not trace.plan.divides():
        return []
    rows: list[ArmRow] = []
    during = trace.samples_between(first, removal or trace.last_wall_s)
    for arm in ("treatment", "control"):
        seen = [sample.arms[arm] for sample in during if arm in sample.arms]
        requests, errors = sum(one.answered for one in seen), sum(one.errors for one in seen)
        labelled, wrong = sum(one.labelled for one in seen), sum(one.wrong for one in seen)
        buckets: dict[float, int] = {}
        for one in seen:
            for bound, count in one.latency_le.items():
                buckets[float(bound)] = buckets.get(float(bound), 0) + count
        rows.append(
            ArmRow(
                arm=arm,
                requests=requests,
                errors=errors,
                labelled=labelled,
                wrong=wrong,
                error_share=errors / requests if requests else None,
                wrong_share=wrong / labelled if labelled else None,
                wrong_interval=clopper_pearson(wrong, labelled) if labelled else None,
                p99_s=_quantile(buckets, 0.99),
            )
        )
    return rows


def _quantile(buckets: dict[float, int], share: float) -> float | None:
    """The upper bound of the bucket in which this quantile lies."""
    total = max(buckets.values(), default=0)
    if total == 0:
        return None
    return next((bound for bound in sorted(buckets) if buckets[bound] >= share * total), None)
