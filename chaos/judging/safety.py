"""Was everything undone, and did the run end by itself?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from chaos.detection import BLIND_S, longest_gap
from chaos.engine import Trigger
from chaos.events import State
from chaos.judging.trace import Trace
from chaos.plans import REMOVAL_PROOF, PlannedEffect
from chaos.verdict import Finding

CLOCK_STEP_S = 1.0
"""How far a clock may be set within a run before a fault of the load looks as if it had outlived its undo."""


def findings(trace: Trace) -> Iterator[Finding]:
    """Undone, removed, interrupted, aborted, cut short."""
    yield _undone(trace)
    yield from _removed(trace)
    if trace.stop is not None:
        yield Finding("safety", "Did the run end by itself?", "interrupted", f"no: {trace.stop.by}")
    elif trace.guard is not None:
        yield Finding(
            "safety",
            "Did every guard hold?",
            "aborted",
            f"no: {trace.guard.guard}: {trace.guard.why}",
            {"guard": trace.guard.guard},
        )
    elif (why := trace.trouble or _cut_short(trace)) is not None:
        yield Finding("safety", "Did the run end by itself?", "invalid", f"no: {why}")


BY_THEMSELVES = {
    State.inject: (Trigger.over.value, Trigger.decided.value),
    State.recovery: (Trigger.over.value, Trigger.settled.value),
}
"""Why a fault ends, and a recovery, when nothing goes wrong."""


def _cut_short(trace: Trace) -> str | None:
    """Why the fault, or the recovery after it, ended before its time by an error of our own; None when neither did.

    A load that dies after the undo is one: whether the system has come back was then asked of nobody.
    """
    moves = pairwise(trace.states)
    return next(
        (after.why for before, after in moves if after.why not in BY_THEMSELVES.get(before.state, (after.why,))), None
    )


def _undone(trace: Trace) -> Finding:
    question = "Was every effect undone?"
    if trace.lost:
        by_hand = "; ".join(f"{lost.effect}: {lost.by_hand}" for lost in trace.lost)
        return Finding("safety", question, "unsafe", f"no; by hand: {by_hand}", {"effects": len(trace.lost)})
    open_ = sorted(trace.issued - set(trace.undone))
    if open_ and not trace.ended():
        leased = all(trace.plan.effect(name).lease() is not None for name in open_)
        if leased:
            told = (
                f"the runner died; the leases of {', '.join(open_)} ended {trace.plan.lease_s:g}s later by themselves"
            )
            return Finding("safety", question, "invalid", told)
        by_hand = "; ".join(trace.plan.by_hand.get(name, name) for name in open_)
        told = f"the runner died and {', '.join(open_)} may still be there; {by_hand}"
        return Finding("safety", question, "unsafe", told)
    remaining = [name for name in open_ if trace.plan.effect(name).lease() is None]
    if remaining:
        by_hand = "; ".join(f"{name}: {trace.plan.by_hand.get(name, name)}" for name in remaining)
        return Finding(
            "safety", question, "unsafe", f"cannot tell, nobody saw it; by hand: {by_hand}", {"effects": len(remaining)}
        )
    if open_:
        told = f"nobody answered for {', '.join(open_)}; the lease ended {trace.plan.lease_s:g}s after its last renewal"
        return Finding("safety", question, "inconclusive", told, {"effects": len(open_)})
    hurt = [name for name in trace.issued if trace.plan.effect(name).kind != "hold"]
    answer = f"yes, {len(hurt)} of {len(hurt)}" if hurt else "nothing was hurt, so there was nothing to undo"
    return Finding("safety", question, "confirmed", answer, {"effects": len(hurt)})


def _removed(trace: Trace) -> Iterator[Finding]:
    """Removal is proven by requests of the treatment arm that passed unchanged, and by the inspection of containers."""
    yield from _removed_from_load(trace)
    yield from _removed_elsewhere(trace)
    targets = {effect.target for effect in trace.plan.faults() if effect.kind == "proxy" and effect.id in trace.issued}
    for target in sorted(targets):
        seen = trace.latest(target)
        count, wanted = seen.untouched if seen is not None else 0, trace.plan.removal_proof(target)
        question = f"Is the removal at {target} proven?"
        evidence = {"untouched treatment requests": count, "asked for": wanted}
        if count >= wanted:
            answer = f"yes: {count} treatment requests passed unchanged afterwards"
            yield Finding("safety", question, "confirmed", answer, evidence)
        elif trace.entered(State.recovery) is not None:
            answer = f"only {count} treatment requests were seen afterwards; more load or recovery time would settle it"
            yield Finding("safety", question, "inconclusive", answer, evidence)


def _removed_elsewhere(trace: Trace) -> Iterator[Finding]:
    """By the query that showed what another tool did: it does not any more, and goes on not to."""
    for effect in trace.plan.externals():
        undone = trace.undone.get(effect.id)
        if undone is None:
            continue
        question = f"Is the removal of {effect.fault} at {effect.target} proven?"
        after = [one for one in trace.seen_of(effect) if one.at_wall_s > undone.at_wall_s]
        again = next((one for one in after if one.on), None)
        evidence: dict[str, str | float | int | None] = {
            "looks afterwards": len(after),
            "looks that showed it again": sum(one.on for one in after),
        }
        if again is not None:
            later_s = again.at_wall_s - undone.at_wall_s
            answer = f"no: it was there again {later_s:.1f}s later; {trace.plan.by_hand.get(effect.id, effect.id)}"
            yield Finding("safety", question, "unsafe", answer, evidence)
        elif _unseen_s(trace, undone.at_wall_s, [one.at_wall_s for one in after]) > BLIND_S:
            answer = "it had ended, and then nobody looked for long enough that it may have been there again"
            yield Finding("safety", question, "inconclusive", answer, evidence)
        else:
            reads = undone.evidence.get("the effect's query reads", "as if it were off")
            answer = f"yes: its query reads {reads}, and {undone.call or 'that was all'}"
            yield Finding("safety", question, "confirmed", answer, evidence)


def _unseen_s(trace: Trace, since: float, looks: list[float]) -> float:
    """The longest time without a look from then until the recovery was over, in seconds."""
    recovery = trace.span(State.recovery)
    return longest_gap(looks, since, recovery[1])[0] if recovery is not None and recovery[1] > since else 0.0


def _removed_from_load(trace: Trace) -> Iterator[Finding]:
    """By the load's own word, and by the treatment arm's requests that it sent untouched afterwards."""
    effects = [effect for effect in trace.plan.faults() if effect.kind == "load" and effect.id in trace.issued]
    gone = {effect.id: trace.undone[effect.id].at_wall_s for effect in effects if effect.id in trace.undone}
    if not effects or len(gone) < len(effects) or trace.entered(State.recovery) is None:
        return
    later = [effect.id for effect in effects if _done_until(trace, effect) > gone[effect.id] + CLOCK_STEP_S]
    # A second that had begun before the undo may hold what was done in its first part.
    after = [sample.arms.get("treatment") for sample in trace.samples if sample.wall_s > max(gone.values()) + 1.0]
    count = sum(arm.sent for arm in after if arm is not None and not arm.faults)
    question = "Is the removal from the load proven?"
    evidence = {"untouched treatment requests": count, "asked for": REMOVAL_PROOF}
    if later:
        yield Finding("safety", question, "unsafe", f"no: {', '.join(later)} went on after its undo", evidence)
    elif count >= REMOVAL_PROOF:
        answer = f"yes: {count} treatment requests were sent untouched afterwards"
        yield Finding("safety", question, "confirmed", answer, evidence)
    else:
        answer = f"only {count} treatment requests were sent afterwards; more load or recovery time would settle it"
        yield Finding("safety", question, "inconclusive", answer, evidence)


def _done_until(trace: Trace, effect: PlannedEffect) -> float:
    """When this fault of the load last did something, to whomever; long ago if it never did."""
    assert effect.fault_index is not None
    moments = (trace.touched(effect.fault_index, treatment=treated).last_wall_s for treated in (True, False))
    return max((moment for moment in moments if moment is not None), default=0.0)
