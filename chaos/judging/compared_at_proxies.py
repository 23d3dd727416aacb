"""How treatment compares with control by what fault proxies counted: where no load of the run's own knows more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.comparisons import COUNTED, TITLE, Compared, Comparison, begun, deciding, moved_counts
from chaos.events import State
from chaos.judging.compared import INTERFERENCE, answer_of, by_requests, evidence_of, verdict_of
from chaos.judging.trace import Trace
from chaos.observation import SLOW_S, ProxyRead
from chaos.proxy_counts import KNOWN, Window, counted_in, each_at_proxies, summed, windows
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
        if counted_in(looks):
            yield from _at(trace, target, looks, first, each_at_proxies(len(targets)))
        elif trace.plan.arms_held:
            why = (
                "cannot tell: no proxy counted subjects in two arms, or several proxies or workers did, each of which "
                "may have met the same ones"
            )
            yield Finding("resilience", f"How does treatment compare with control at {target}?", "inconclusive", why)
    yield from by_requests(trace, [target for target in targets if not counted_in(trace.proxies.get(target, []))])
    yield from _unknown(trace)


def _unknown(trace: Trace) -> Iterator[Finding]:
    """What `arms: held` is to be decided by, and proxies do not know."""
    asked = deciding(probe.signal for probe in trace.plan.steady()) if trace.plan.arms_held else ()
    named = any(probe.signal in COUNTED for probe in trace.plan.steady())
    if "wrong" in asked and named:
        why = "cannot tell: proxies do not know which answers are wrong, and the run has no load of its own"
        yield Finding("resilience", "How does treatment compare with control in mistakes?", "inconclusive", why)


def _at(trace: Trace, target: str, looks: Sequence[ProxyRead], first: float, alpha: float) -> Iterator[Finding]:
    span = trace.span(State.baseline)
    before = list(windows(looks, span[0], first)) if span is not None else []
    during = list(windows(looks, first, trace.removal()))
    for what in KNOWN:
        found = _compare(during, what, alpha)
        apart = moved_counts(summed(before, what)[1], summed(during, what)[1], INTERFERENCE)
        evidence = evidence_of(found, first) | {
            "control moved": str(apart).lower(),
            "counted by": f"the proxy of {target}",
        }
        answer = answer_of(found, first, f"by the proxy of {target}")
        if apart:
            answer += "; control has left its own baseline, so a fault that reached it, too, would not show here"
        question = f"How does treatment compare with control in {TITLE[what]} at {target}?"
        yield Finding("resilience", question, verdict_of(trace, found, apart=apart), answer, evidence)


def _compare(during: Sequence[Window], what: Compared, alpha: float) -> Comparison:
    running = begun(what, alpha, bound_s=SLOW_S if what == "slow" else None)
    for wall_s, counted in during:
        running = running.with_window(wall_s, *counted[what])
    return running


def arm_rows(trace: Trace) -> list[ArmRow]:
    """What the proxies saw of each arm's subjects while the fault was on, target by target."""
    first, targets = trace.first_effect(), trace.plan.compared_at()
    rows: list[ArmRow] = []
    for target in targets if first is not None else ():
        looks = trace.proxies.get(target, [])
        if first is None or not counted_in(looks):
            continue
        counts = summed(windows(looks, first, trace.removal()), "errors")
        named = f" at {target}" if len(targets) > 1 else ""
        rows += [_row(f"{arm}{named}", one) for arm, one in zip(("treatment", "control"), counts, strict=True)]
    return rows


def _row(arm: str, seen: ArmCounts) -> ArmRow:
    share = seen.bad / seen.exposed if seen.exposed else None
    return ArmRow(arm, seen.exposed, seen.bad, 0, 0, share, None, None, None)
