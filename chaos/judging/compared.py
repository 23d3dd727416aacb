"""How treatment compares with control: the findings of the run's own set of comparisons, and what is told beside them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.comparisons import (
    ALPHA,
    EACH,
    JUDGED,
    TITLE,
    Compared,
    Comparison,
    compare,
    deciding,
    mean_latency,
    moved,
    segments,
    slow_bound,
)
from chaos.events import State
from chaos.exposure import Sample
from chaos.judging.trace import Trace
from chaos.statistics import e_benjamini_hochberg
from chaos.units import format_duration
from chaos.verdict import Finding, VerdictName

INTERFERENCE = 0.001
"""The chance of taking a control arm that stayed as it was for one that was moved."""

Evidence = dict[str, str | float | int | None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the load saw before and under the fault, and when the fault began to act."""

    before: list[Sample]
    during: list[Sample]
    first_wall_s: float
    bound_s: float | None


def findings(trace: Trace) -> Iterator[Finding]:
    """The comparisons that judge, then what judges nothing: positive decisions, mean latency, groups."""
    seen = _seen(trace)
    if seen is None:
        if trace.plan.arms_held and trace.first_effect() is not None:
            why = "cannot tell: the run's own load counted nothing in two arms"
            yield Finding("resilience", "How does treatment compare with control?", "inconclusive", why)
        return
    for what in JUDGED:
        yield _judged(trace, seen, what)
    yield from _positive(seen)
    yield from _mean_latency(seen)
    yield from _segments(seen)


def _seen(trace: Trace) -> _Seen | None:
    first, removal = trace.first_effect(), trace.removal()
    if first is None or not trace.samples or trace.plan.traffic >= 1 or not trace.plan.divides():
        return None
    span = trace.span(State.baseline)
    before = trace.samples_between(*span) if span is not None else []
    before = [sample for sample in before if sample.wall_s <= first]
    during = trace.samples_between(first, removal or trace.last_wall_s)
    return _Seen(before, during, first, slow_bound(before))


def _judged(trace: Trace, seen: _Seen, what: Compared) -> Finding:
    question = f"How does treatment compare with control in {TITLE[what]}?"
    found = compare(seen.during, what, EACH, seen.bound_s)
    apart = moved(seen.before, seen.during, what, INTERFERENCE, seen.bound_s)
    evidence = evidence_of(found, seen.first_wall_s) | {"control moved": str(apart).lower()}
    if what == "slow" and seen.bound_s is None:
        verdict: VerdictName = "inconclusive" if _asked(trace, what) else "confirmed"
        return Finding("resilience", question, verdict, "cannot tell: no latency was counted in the baseline", evidence)
    answer = answer_of(found, seen.first_wall_s)
    if apart:
        answer += "; control has left its own baseline, so a fault that reached it, too, would not show here"
    return Finding("resilience", question, verdict_of(trace, found, apart=apart), answer, evidence)


def _asked(trace: Trace, what: Compared) -> bool:
    """Whether `arms: held` is to be decided by this comparison: those of the steady state's probes, else all."""
    return trace.plan.arms_held and what in deciding(probe.signal for probe in trace.plan.steady())


def verdict_of(trace: Trace, found: Comparison, *, apart: bool) -> VerdictName:
    """Harm that was proven counts against `arms: held` wherever it shows. A control arm that was moved proves nothing to have held."""
    if not trace.plan.arms_held:
        return "confirmed"
    if found.result.decision == "broken":
        return "deviated"
    decided = found.result.decision == "held" and not apart
    return "confirmed" if decided or not _asked(trace, found.what) else "inconclusive"


def answer_of(found: Comparison, first_wall_s: float, source: str = "") -> str:
    """The ratio, what was decided, after how long, and who counted."""
    result = found.result
    decision: str = result.decision
    if found.decided_wall_s is not None:
        decision += f" after {max(0.0, found.decided_wall_s - first_wall_s):.0f}s"
    than = f" (slower than {format_duration(found.bound_s)})" if found.what == "slow" and found.bound_s else ""
    by = f", {source}" if source else ""
    if math.isnan(result.ratio):
        return f"no such events{than}{by}; {decision}"
    low, high = result.interval
    return f"risk ratio {result.ratio:.2f} [{low:.2f}, {high:.2f}]{than}, {decision} (alpha {result.alpha:.1%}{by})"


def evidence_of(found: Comparison, first_wall_s: float) -> Evidence:
    """The same as numbers."""
    result = found.result
    low, high = result.interval
    evidence: Evidence = {
        "ratio": None if math.isnan(result.ratio) else result.ratio,
        "low": low,
        "high": None if math.isinf(high) else high,
        "decision": result.decision,
        "decided after, s": None if found.decided_wall_s is None else round(found.decided_wall_s - first_wall_s, 3),
        "alpha": round(result.alpha, 6),
        "e-value": round(result.e_broken, 6),
    }
    return evidence | ({"slower than, s": found.bound_s} if found.what == "slow" else {})


def _positive(seen: _Seen) -> Iterator[Finding]:
    """More or fewer positive decisions are neither better nor worse; whether there are is read off the confidence sequence."""
    found = compare(seen.during, "positive", EACH)
    if math.isnan(found.result.ratio):
        return
    low, high = found.result.interval
    differ = "they differ" if not low <= 1 <= high else "no difference is proven"
    answer = f"ratio {found.result.ratio:.2f} [{low:.2f}, {high:.2f}], {differ} (alpha {EACH:.1%}; judges nothing)"
    evidence: Evidence = {"ratio": found.result.ratio, "low": low, "high": None if math.isinf(high) else high}
    question = f"How does treatment compare with control in {TITLE['positive']}?"
    yield Finding("resilience", question, "confirmed", answer, evidence)


def _mean_latency(seen: _Seen) -> Iterator[Finding]:
    found = mean_latency(seen.during, EACH)
    low, high = found.interval
    if math.isinf(high) or not any(arm.first_latency_s for sample in seen.during for arm in sample.arms.values()):
        return
    differ = "they differ" if found.decided else "no difference is proven"
    answer = (
        f"{found.difference * 1000:+.1f}ms [{low * 1000:+.1f}ms, {high * 1000:+.1f}ms], {differ} "
        f"(asymptotic, alpha {EACH:.1%}; judges nothing)"
    )
    evidence: Evidence = {"difference, s": found.difference, "low, s": low, "high, s": high}
    yield Finding(
        "resilience", "How does treatment compare with control in mean latency?", "confirmed", answer, evidence
    )


def _segments(seen: _Seen) -> Iterator[Finding]:
    """The groups of a table, corrected for how many there are (e-BH)."""
    table = segments(seen.during)
    if len(table) < 2:
        return
    names = list(table)
    worse = [names[place] for place in e_benjamini_hochberg([table[name].e_broken for name in names], ALPHA)]
    told = ", ".join(f"{name} (risk ratio {table[name].ratio:.2f})" for name in worse) or "in none that is proven"
    answer = f"{told}; {len(names)} groups were compared, on average at most {ALPHA:.0%} of those named are not (e-BH; judges nothing)"
    evidence: Evidence = {f"e-value of {name}": round(min(table[name].e_broken, 1e12), 6) for name in names}
    yield Finding("resilience", "In which groups does treatment make more mistakes?", "confirmed", answer, evidence)
