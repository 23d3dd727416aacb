"""judge(lines) → Verdict: every question answered from the journal alone, then the worst that applies. Pure.

journal ─▶ trace ─▶ safety · validity · resilience · noticed ─▶ findings ─▶ Verdict
"""

from __future__ import annotations

from collections.abc import Sequence

from chaos.events import State
from chaos.journal import Line
from chaos.judging import arms, noticed, resilience, safety, steady, validity
from chaos.judging.trace import Trace, trace
from chaos.plans import PlannedEffect
from chaos.units import format_share
from chaos.verdict import EXIT_CODE, MEANING, EffectDone, Finding, Phase, Verdict, VerdictName


def judge(lines: Sequence[Line]) -> Verdict:
    """The verdict of a run. Raises BrokenJournal when the lines are no run."""
    seen = trace(lines)
    found = noticed.detections(seen)
    findings = (
        *safety.findings(seen),
        *validity.findings(seen),
        *resilience.findings(seen),
        *noticed.findings(seen, found),
    )
    name = worst(findings)
    return Verdict(
        run=seen.started.run,
        experiment=seen.plan.experiment,
        description=seen.plan.description,
        system=seen.plan.system,
        verdict=name,
        exit_code=EXIT_CODE[name],
        sentence=_sentence(seen, name, findings),
        findings=findings,
        detections=tuple(found),
        phases=_phases(seen),
        effects=tuple(_effects(seen)),
        arms=tuple(arms.arm_rows(seen)),
        probes=tuple(steady.probe_rows(seen)) if seen.collected is not None else (),
        load=_load(seen),
        started_wall_s=seen.first_wall_s,
        ended_wall_s=seen.last_wall_s,
        version=seen.started.version,
        seed=seen.plan.seed,
    )


def worst(findings: Sequence[Finding]) -> VerdictName:
    """The first verdict, from the worst on, that any finding carries. No findings at all prove nothing."""
    carried = {finding.verdict for finding in findings}
    return next((name for name in EXIT_CODE if name in carried), "invalid")


def _sentence(seen: Trace, name: VerdictName, findings: Sequence[Finding]) -> str:
    if name != "confirmed":
        first = next((finding for finding in findings if finding.verdict == name), None)
        told = f"{first.question.rstrip('?')}: {first.answer}" if first is not None else "there are no findings"
        return f"{MEANING[name][:1].upper()}{MEANING[name][1:]}. {told}."
    effects = "; ".join(effect.explain for effect in seen.plan.faults())
    if any(effect.kind in ("proxy", "load") and not effect.whole for effect in seen.plan.faults()):
        effects += f", for {format_share(seen.plan.traffic)} of traffic"
        effects += " (shadow: nobody was hurt)" if seen.plan.shadows() else ""
    noticed_ = [finding.answer.removeprefix("yes: ") for finding in findings if finding.question.endswith("tell?")]
    names = [alert.alert for alert in seen.plan.alerts]
    told = ", ".join(f"{alert} {answer}" for alert, answer in zip(names, noticed_, strict=False))
    return f"Every expectation was met. {effects[:1].upper()}{effects[1:]}" + (f": {told}." if told else ".")


def _phases(seen: Trace) -> tuple[Phase, ...]:
    named = (State.warmup, State.baseline, State.inject, State.undo, State.recovery)
    return tuple(Phase(state.value, *span) for state in named if (span := seen.span(state)) is not None)


def _effects(seen: Trace) -> list[EffectDone]:
    done: list[EffectDone] = []
    for effect in seen.plan.faults():
        if effect.id not in seen.issued:
            continue
        applied, undone = seen.applied.get(effect.id), seen.undone.get(effect.id)
        first, hurt = _happened(seen, effect)
        done.append(
            EffectDone(
                id=effect.id,
                target=effect.target,
                explain=effect.explain,
                first_effect_wall_s=first,
                removed_wall_s=seen.gone_since(effect) if undone else None,
                hurt=hurt,
                apply_call=applied.call if applied else "",
                undo_call=undone.call if undone else "",
            )
        )
    return done


def _happened(seen: Trace, effect: PlannedEffect) -> tuple[float | None, int]:
    """When this effect first showed, and how often it did: at the proxy, in the load, as a container that was hurt, or in a query."""
    if effect.kind == "container":
        applied = seen.applied.get(effect.id)
        return (applied.at_wall_s, 1) if applied is not None else (None, 0)
    if effect.fault_index is None:
        return None, 0
    if effect.kind == "external":
        on = [one.at_wall_s for one in seen.seen_of(effect) if one.on]
        return (on[0], 1) if on else (None, 0)
    if effect.kind == "load":
        touched = seen.touched(effect.fault_index)
        return touched.first_wall_s, touched.effects
    traffic = seen.traffic(effect.fault_index)
    return (traffic.first_effect_wall_s, traffic.effects) if traffic is not None else (None, 0)


def _load(seen: Trace) -> dict[str, float | int | None]:
    sent, asked = sum(sample.sent for sample in seen.samples), sum(sample.asked for sample in seen.samples)
    seconds = len(seen.samples)
    return {
        "seconds": seconds,
        "sent": sent,
        "unsent": sum(sample.unsent for sample in seen.samples),
        "asked per second": round(asked / seconds, 3) if seconds else None,
        "sent per second": round(sent / seconds, 3) if seconds else None,
    }
