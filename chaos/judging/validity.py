"""Did the fault really happen, only where it was allowed, under the load asked for, before eyes that were open?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaos.comparisons import Compared, compare
from chaos.detection import BLIND_S, longest_gap
from chaos.events import State
from chaos.exposure import Sample
from chaos.judging.trace import Trace
from chaos.plans import PlannedEffect
from chaos.statistics import sample_ratio_mismatch
from chaos.verdict import Finding

LOAD_FLOOR = 0.9
"""Below this share of the asked rate the load was not what the experiment speaks of."""
LOAD_LAG_S = 3.0
"""How much of a phase's end may still be missing from the load's reports."""
UNSEEN_S = 10.0
"""When the proxies were last asked so long before the undo, their counts say nothing about the time under fault."""
MISMATCH = 0.001
"""Chance below which a split as uneven as the one seen is taken for a broken assignment."""
ALREADY_APART = 0.001
"""The chance, over the whole baseline, of taking equal arms for unequal ones. Every run asks, so the 5 % of a comparison that is
the run's purpose would make one healthy run in fifty worthless."""


def findings(trace: Trace) -> Iterator[Finding]:
    """Baseline, effect, load, arms, monitoring."""
    yield from _baseline(trace)
    if trace.entered(State.inject) is not None:
        for index in sorted({effect.fault_index for effect in trace.plan.faults() if effect.fault_index is not None}):
            yield _effect(trace, index)
    yield from _load(trace)
    yield from _arms(trace)
    yield from _eyes(trace)
    yield from _levels(trace)


def _baseline(trace: Trace) -> Iterator[Finding]:
    question = "Did the steady state hold before anything was hurt?"
    if trace.entered(State.inject) is not None:
        yield Finding("validity", question, "confirmed", "yes, every bound was met on enough data")
        return
    why = next((entered.why for entered in trace.states if entered.state is State.undo), "the run never came that far")
    if trace.stop is None and trace.guard is None:
        yield Finding("validity", question, "invalid", f"no: {why.removeprefix('the baseline is not met: ')}")


def _effect(trace: Trace, index: int) -> Finding:
    effects = [effect for effect in trace.plan.faults() if effect.fault_index == index]
    question = f"Did {effects[0].fault} happen at {effects[0].target}?"
    failed = [trace.apply_failed[effect.id] for effect in effects if effect.id in trace.apply_failed]
    if failed:
        return Finding("validity", question, "invalid", f"no: {failed[0]}")
    if all(effect.id not in trace.issued for effect in effects):
        return Finding("validity", question, "invalid", "no: the run ended before it began")
    match effects[0].kind:
        case "container":
            return _container_effect(trace, effects, question)
        case "load":
            return _load_effect(trace, index, question)
        case "external":
            return _external_effect(trace, effects[0], question)
        case _:
            return _proxy_effect(trace, index, question)


def _container_effect(trace: Trace, effects: list[PlannedEffect], question: str) -> Finding:
    done = [trace.applied[effect.id] for effect in effects if effect.id in trace.applied]
    calls = "; ".join(f"{one.call} → {_seen(one.evidence)}" for one in done)
    if len(done) == len(effects):
        return Finding("validity", question, "confirmed", f"yes: {calls}", {"containers": len(done)})
    return Finding(
        "validity",
        question,
        "invalid",
        f"{len(done)} of {len(effects)} containers were hurt",
        {"containers": len(done)},
    )


def _seen(evidence: Mapping[str, str]) -> str:
    """What a container was like afterwards, and what was measured of it."""
    measured = [f"{what} {value}" for what, value in evidence.items() if what not in ("status", "container", "id")]
    return evidence.get("status", "?") + (f" ({', '.join(measured)})" if measured else "")


def _proxy_effect(trace: Trace, index: int, question: str) -> Finding:
    seen = trace.traffic(index)
    if seen is None or seen.effects == 0:
        undecodable = seen.undecodable if seen is not None else 0
        why = "no: the proxy touched no request"
        if undecodable:
            unread = f"{undecodable} answers could not be read in the target's protocol"
            why = f"no: {unread}, so nothing could be changed in them"
        return Finding("validity", question, "invalid", why, {"undecodable": undecodable})
    evidence: dict[str, str | float | int | None] = {
        "selected requests": seen.selected_requests,
        "selected rows": seen.selected_rows,
        "changed rows": seen.changed_rows,
        "answers replaced or cut": seen.injected,
        "added delay, s": round(seen.delayed_s, 3),
        "undecodable answers": seen.undecodable,
    }
    shadow = trace.plan.shadows()
    changed = "would have changed in copies (shadow: nobody was hurt)" if shadow else "changed"
    parts = [f"{seen.changed_rows} predictions {changed}"] if seen.changed_rows else []
    parts += [f"{seen.injected} answers replaced or cut"] if seen.injected else []
    parts += [f"{seen.selected_requests} requests delayed by {seen.delayed_s:.1f}s in all"] if seen.delayed_s else []
    return Finding("validity", question, "confirmed", f"yes: {', '.join(parts)}", evidence)


def _external_effect(trace: Trace, effect: PlannedEffect, question: str) -> Finding:
    """By its query alone: the command's word proves nothing."""
    seen = trace.seen_of(effect)
    on = [one for one in seen if one.on]
    ended = trace.undone.get(effect.id)
    said = f"; {ended.call}" if ended is not None and ended.call else ""
    evidence: dict[str, str | float | int | None] = {"looks": len(seen), "looks that showed it": len(on)}
    if not on:
        known = any(one.value is not None for one in seen)
        why = "its query never showed it" if known else "its query never returned anything"
        return Finding("validity", question, "invalid", f"no: {why}{said}", evidence)
    first, last = on[0].at_wall_s, on[-1].at_wall_s
    begun = trace.applied.get(effect.id)
    late = f", {first - begun.at_wall_s:.1f}s after it was to begin" if begun is not None else ""
    answer = (
        f"yes: its query showed it for {last - first:.1f}s{late}{said}; leases did not apply: another tool did this"
    )
    return Finding("validity", question, "confirmed", answer, evidence)


def _load_effect(trace: Trace, index: int, question: str) -> Finding:
    """By the load's own counts, arm by arm: a deed outside the treatment arm breaks the promise of the blast radius."""
    done, outside = trace.touched(index), trace.touched(index, treatment=False).effects
    evidence: dict[str, str | float | int | None] = {
        "requests shifted": done.shifted,
        "outcomes changed": done.relabelled,
        "outcomes lost": done.lost,
        "outcomes late": done.delayed,
        "outside the treatment arm": outside,
    }
    if outside:
        return Finding("validity", question, "invalid", f"no: {outside} times outside the treatment arm", evidence)
    if done.effects == 0:
        return Finding("validity", question, "invalid", "no: the load changed no request and no outcome", evidence)
    counts = (
        (done.shifted, "requests shifted"),
        (done.relabelled, "outcomes told as others"),
        (done.lost, "outcomes lost"),
        (done.delayed, "outcomes told late"),
    )
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    return Finding("validity", question, "confirmed", f"yes: {told}", evidence)


def _load(trace: Trace) -> Iterator[Finding]:
    load = trace.plan.load
    span = trace.span(State.inject)
    if load is None or span is None:
        return
    during = trace.samples_between(*span)[1:]
    if not during:
        yield Finding(
            "validity",
            "Was the load what was asked for?",
            "invalid",
            "no: the load reported nothing while the fault was on",
        )
        return
    sent = sum(sample.sent for sample in during)
    # Seconds that the load did not report count as seconds in which it sent nothing.
    seconds = max(float(len(during)), span[1] - span[0] - LOAD_LAG_S)
    asked = max(sum(sample.asked for sample in during), load.rate_per_s * seconds)
    evidence = {
        "asked per second": round(asked / seconds, 2),
        "sent per second": round(sent / seconds, 2),
        "unsent": sum(sample.unsent for sample in during),
    }
    answer = f"{sent / seconds:.1f} of {load.rate_per_s:g} requests/s"
    good = sent >= LOAD_FLOOR * asked
    yield Finding(
        "validity",
        "Was the load what was asked for?",
        "confirmed" if good else "invalid",
        ("yes: " if good else "no: ") + answer,
        evidence,
    )


def first_exposures(samples: list[Sample]) -> tuple[int, int]:
    """Subjects' first requests in treatment and control, as the load counted them."""
    return (
        sum(sample.arms["treatment"].first for sample in samples if "treatment" in sample.arms),
        sum(sample.arms["control"].first for sample in samples if "control" in sample.arms),
    )


def _arms(trace: Trace) -> Iterator[Finding]:
    if not trace.samples or not trace.plan.divides():
        return
    treatment, control = first_exposures(trace.samples)
    chance = sample_ratio_mismatch(treatment, control, trace.plan.traffic)
    evidence: dict[str, str | float | int | None] = {
        "treatment": treatment,
        "control": control,
        "planned share": trace.plan.traffic,
        "p": chance,
    }
    question = "Were subjects split as planned?"
    if chance < MISMATCH:
        yield Finding(
            "validity", question, "invalid", f"no: {treatment} to {control}, planned {trace.plan.traffic:.0%}", evidence
        )
    else:
        yield Finding("validity", question, "confirmed", f"yes: {treatment} to {control}", evidence)
    yield from _agreement(trace)
    yield from _same_before(trace)


def _agreement(trace: Trace) -> Iterator[Finding]:
    """Load and proxies count the same subjects in the same arms, up to what is on its way between two looks."""
    load = trace.plan.load
    held = dict.fromkeys(effect.target for effect in trace.plan.effects if effect.kind == "hold")
    span = trace.span(State.inject)
    for target in held:
        armed = [look for look in trace.proxies.get(target, ()) if look.state == "armed"]
        if load is None or target in trace.plan.whole_targets():
            continue
        question = f"Do load and proxies at {target} count the same arms?"
        if not armed or (span is not None and span[1] - armed[-1].at_wall_s > max(UNSEEN_S, 3.0 * len(held))):
            yield Finding("validity", question, "inconclusive", "cannot tell: nobody asked the proxies before the undo")
            continue
        last = armed[-1]
        until = [sample for sample in trace.samples if sample.wall_s <= last.at_wall_s]
        treatment, control = first_exposures(until)
        slack = 3 * load.rate_per_s + 0.01 * (treatment + control)
        apart = abs(last.treatment.first_attempts - treatment) + abs(last.control.first_attempts - control)
        evidence = {
            "proxy treatment": last.treatment.first_attempts, "load treatment": treatment,
            "proxy control": last.control.first_attempts, "load control": control,
        }  # fmt: skip
        at_proxy = f"{last.treatment.first_attempts}/{last.control.first_attempts} at the proxy"
        counts = f"{at_proxy}, {treatment}/{control} at the load"
        good = apart <= slack
        yield Finding(
            "validity", question, "confirmed" if good else "invalid", ("yes: " if good else "no: ") + counts, evidence
        )


def _same_before(trace: Trace) -> Iterator[Finding]:
    span = trace.span(State.baseline)
    if span is None:
        return
    before = trace.samples_between(*span)
    question = "Were the arms alike before the fault (A/A)?"
    if not before:
        yield Finding("validity", question, "inconclusive", "cannot tell: the load reported nothing in the baseline")
        return
    # Not by slow requests: their bound is chosen from the control arm's baseline, which would make treatment look slower there.
    asked: tuple[Compared, ...] = ("errors", "wrong")
    apart = [what for what in asked if compare(before, what, ALREADY_APART).result.decision == "broken"]
    if apart:
        yield Finding("validity", question, "invalid", f"no: they already differ in {' and '.join(apart)}")
    else:
        yield Finding("validity", question, "confirmed", f"yes, over {len(before)} looks")


def _eyes(trace: Trace) -> Iterator[Finding]:
    span = trace.span(State.inject)
    if span is None or not trace.plan.alerts:
        return
    looks = [seen for seen in trace.alerts if span[0] <= seen.at_wall_s <= span[1]]
    question = "Was monitoring itself alive?"
    if "prometheus" in trace.plan.breaks:
        answer = f"left out: the fault is meant to break Prometheus, which answered in {len(looks)} looks"
        yield Finding("validity", question, "confirmed", answer, {"looks": len(looks)})
        return
    expected = {alert.alert for alert in trace.plan.alerts}
    sick = {name: why for seen in looks for name, why in seen.unhealthy.items() if name in expected}
    if not looks:
        errors = trace.failed.get("alerts", ["nobody asked"])
        yield Finding("validity", question, "invalid", f"no: Prometheus did not answer: {errors[-1]}")
    elif sick:
        yield Finding(
            "validity", question, "invalid", "no: " + "; ".join(f"{name}: {why}" for name, why in sick.items())
        )
    else:
        yield Finding("validity", question, "confirmed", f"yes, in each of {len(looks)} looks", {"looks": len(looks)})


def _levels(trace: Trace) -> Iterator[Finding]:
    """Of a probe without a window the worst look counts, so what should hold may have broken while nobody looked."""
    effect = trace.first_effect()
    until = trace.removal() or trace.last_wall_s
    if effect is None or until <= effect:
        return
    for probe in trace.plan.steady():
        if probe.windowed or probe.title not in trace.plan.holds:
            continue
        looks = [one.at_wall_s for seen in trace.probes for one in seen.readings if one.probe == probe.title]
        gap_s, _ = longest_gap(looks, effect, until)
        if gap_s > max(BLIND_S, 3 * trace.plan.scrape_s):
            question = f"Was {probe.title} looked at all the time?"
            yield Finding("validity", question, "inconclusive", f"no: nobody looked for {gap_s:.0f}s under the fault")
