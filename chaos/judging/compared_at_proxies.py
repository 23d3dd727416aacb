"""How treatment compares with control by what fault proxies counted: where no load of the run's own knows more. Pure.

By subjects where a target's proxy knows them, which is judged; by requests where none does, which is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaos.comparisons import COUNTED, TITLE, Compared, Comparison, begun, deciding, moved_counts
from chaos.events import State
from chaos.judging.compared import INTERFERENCE, Evidence, answer_of, evidence_of, verdict_of
from chaos.judging.trace import Trace
from chaos.observation import SLOW_S, ProxyRead
from chaos.proxy_counts import (
    KNOWN,
    Window,
    counts_subjects,
    each_at_proxies,
    summed,
    windows_of_requests,
    windows_of_subjects,
)
from chaos.statistics import ArmCounts
from chaos.verdict import ArmRow, Finding


def findings(trace: Trace) -> Iterator[Finding]:
    """Errors and slow answers at each target whose proxies compare, and what nobody could tell."""
    first = trace.first_effect()
    if first is None:
        return
    targets = trace.plan.compared_at()
    for target in targets:
        looks = trace.proxies.get(target, [])
        if counts_subjects(looks):
            yield from _by_subjects(trace, target, looks, first, each_at_proxies(len(targets)))
        elif trace.plan.arms_held:
            why = (
                "cannot tell: no proxy counted subjects in two arms, or several proxies or workers did, each of which "
                "may have met the same ones"
            )
            yield Finding("resilience", f"How does treatment compare with control at {target}?", "inconclusive", why)
    yield from _by_requests(trace, [one for one in targets if not counts_subjects(trace.proxies.get(one, []))], first)
    yield from _unknown(trace)


def _unknown(trace: Trace) -> Iterator[Finding]:
    """What `arms: held` is to be decided by, and proxies do not know."""
    asked = deciding(probe.signal for probe in trace.plan.steady()) if trace.plan.arms_held else ()
    named = any(probe.signal in COUNTED for probe in trace.plan.steady())
    if "wrong" in asked and named:
        why = "cannot tell: proxies do not know which answers are wrong, and the run has no load of its own"
        yield Finding("resilience", "How does treatment compare with control in mistakes?", "inconclusive", why)


@dataclass(frozen=True, slots=True)
class _Told:
    """What two arms' counts say of one thing."""

    found: Comparison
    apart: bool
    """Whether control has left its own baseline."""
    evidence: Evidence


def _told(before: Sequence[Window], during: Sequence[Window], what: Compared, alpha: float, first: float) -> _Told:
    running = begun(what, alpha, bound_s=SLOW_S if what == "slow" else None)
    for window in during:
        running = running.with_window(window.until_wall_s, *window.counted[what])
    apart = moved_counts(summed(before, what)[1], summed(during, what)[1], INTERFERENCE)
    return _Told(running, apart, evidence_of(running, first) | {"control moved": str(apart).lower()})


def _by_subjects(
    trace: Trace, target: str, looks: Sequence[ProxyRead], first: float, alpha: float
) -> Iterator[Finding]:
    span = trace.span(State.baseline)
    before = list(windows_of_subjects(looks, span[0], first)) if span is not None else []
    during = list(windows_of_subjects(looks, first, trace.removal()))
    for what in KNOWN:
        told = _told(before, during, what, alpha, first)
        question = f"How does treatment compare with control in {TITLE[what]} at {target}?"
        answer = answer_of(told.found, first, f"by the proxy of {target}")
        if told.apart:
            answer += "; control has left its own baseline, so a fault that reached it, too, would not show here"
        verdict = verdict_of(trace, told.found, apart=told.apart)
        evidence = told.evidence | {"counted by": f"the proxy of {target}"}
        yield Finding("resilience", question, verdict, answer, evidence)


def _by_requests(trace: Trace, targets: Iterable[str], first: float) -> Iterator[Finding]:
    """A comparison that errs more often than alpha says is no proof, so it settles no verdict."""
    span = trace.span(State.baseline)
    until = (trace.removal() or trace.last_wall_s) + 1.0
    counted = {target: list(windows_of_requests(trace.proxies.get(target, ()))) for target in targets}
    answered = {target: seen for target, seen in counted.items() if any(map(_anything, seen))}
    for target, seen in answered.items():
        before = [one for one in seen if span is not None and span[0] < one.until_wall_s <= min(span[1], first)]
        during = [one for one in seen if first < one.until_wall_s <= until]
        for what in KNOWN:
            told = _told(before, during, what, each_at_proxies(len(answered)), first)
            question = f"How does treatment compare with control in {TITLE[what]}, by the proxies at {target}?"
            answer = answer_of(told.found, first)
            answer += "; requests are counted, and whoever comes back is counted again; judges nothing"
            yield Finding("resilience", question, "confirmed", answer, told.evidence | {"source": "proxy"})


def _anything(window: Window) -> bool:
    return any(arm.exposed for arm in window.counted["errors"])


def arm_rows(trace: Trace) -> list[ArmRow]:
    """What the proxies saw of each arm's subjects while the fault was on, target by target."""
    first, targets = trace.first_effect(), trace.plan.compared_at()
    rows: list[ArmRow] = []
    for target in targets if first is not None else ():
        looks = trace.proxies.get(target, [])
        if first is None or not counts_subjects(looks):
            continue
        counts = summed(windows_of_subjects(looks, first, trace.removal()), "errors")
        named = f" at {target}" if len(targets) > 1 else ""
        rows += [_row(f"{arm}{named}", one) for arm, one in zip(("treatment", "control"), counts, strict=True)]
    return rows


def _row(arm: str, seen: ArmCounts) -> ArmRow:
    share = seen.bad / seen.exposed if seen.exposed else None
    return ArmRow(arm, seen.exposed, seen.bad, 0, 0, share, None, None, None)
