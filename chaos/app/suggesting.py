"""Suggests the rule that is missing, for each fault that nobody was told of, and rehearses it. Wiring; applies nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from chaos.app.rehearsing import LOOKBACK, Lengths, Wanted, course_of, rehearse
from chaos.app.telemetry_kept import kept, query_of
from chaos.coverage import FaultRow
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs, throwaway
from chaos.errors import ChaosError
from chaos.judging.trace import trace
from chaos.plans import Plan, PlannedProbe
from chaos.promql import looks_back_s, metric_names, selected
from chaos.rehearsal.alteration import Alteration, play
from chaos.rehearsal.models import NoModel
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import AtSeverity, Rehearsed, by_severity
from chaos.rehearsal.recording import Recording
from chaos.rehearsal.suggestion import Suggestion, counted, rule_of, thresholds
from chaos.rehearsal.timeline import openmetrics, timeline
from chaos.telemetry import RuleInfo

SCENARIOS = 100
LEARNED_FROM = 40
"""Scenarios that the threshold is taken from; it is proven on others."""
PROOF = 4
"""The seed of the first scenarios that prove a rule; those before it have chosen."""
MOST_PROOFS = 5
PATIENCE = (0, 2, 5, 10, 20)
"""Evaluations that `for` may last, from the shortest on."""
TOLD = 0.9
SURELY = 0.97
"""Of those that tell as often as this, the one is taken whose threshold lies farthest from what is usual."""


def suggest(
    rows: Sequence[FaultRow], harmed: Mapping[str, Sequence[str]], programs: Programs, report: Callable[[str], None]
) -> list[Suggestion]:
    """One suggestion for each fault. `harmed` maps a fault to the probes that its run drove out of their bounds."""
    found: list[Suggestion] = []
    for row in rows:
        report(f"looking for a rule that sees {row.fault}")
        try:
            found.append(_for_fault(row, harmed.get(row.fault, ()), programs))
        except (ChaosError, NoModel, LookupError, TypeError, ValueError, ArithmeticError) as error:
            found.append(Suggestion(row.fault, row.run, "", why_not=str(error) or type(error).__name__))
    return found


@dataclass(frozen=True, slots=True)
class _Case:
    """One fault's run: what is looked for, and over what."""

    row: FaultRow
    plan: Plan
    recording: Recording
    alteration: Alteration
    lengths: Lengths
    within_s: float | None


def _for_fault(row: FaultRow, harmed: Sequence[str], programs: Programs) -> Suggestion:
    recording = kept(Path(row.folder))
    plan = trace(RunFolder(Path(row.folder)).lines()).plan
    fault_s = max((effect.duration_s for effect in plan.faults()), default=60.0)
    lengths = Lengths(max(plan.baseline_s, plan.window_s), fault_s, plan.recovery_s)
    within_s = min((alert.within_s for alert in plan.alerts if alert.within_s is not None), default=None)
    case = _Case(row, plan, recording, measured(recording), lengths, within_s)
    tries = [_for_probe(case, probe, programs) for probe in plan.steady() if probe.title in harmed]
    best = [one for one in tries if one.rule is not None]
    return (best or tries or [Suggestion(row.fault, row.run, "", why_not="no probe left its bound")])[0]


def _for_probe(case: _Case, probe: PlannedProbe, programs: Programs) -> Suggestion:
    query = query_of(probe, case.plan.window_s)
    count = query_of(replace(probe, query=probe.count), case.plan.window_s) if probe.count is not None else None
    nothing = Suggestion(case.row.fault, case.row.run, probe.title)
    if any(rule.record in metric_names(query) for rule in case.recording.recording_rules):
        return replace(
            nothing,
            why_not=f"{probe.title} reads what a recording rule makes; write a probe that reads what that one reads",
        )
    usual, hurt = _values(programs, case, counted(f"({query})", count, probe.needs))
    if not usual or not hurt:
        return replace(nothing, why_not=f"nothing of what {probe.title} reads was recorded")
    low_is_bad = probe.minimum is not None and (probe.maximum is None or median(hurt) < median(usual))
    tries = _tries(case, probe, thresholds(usual, hurt, low_is_bad=low_is_bad), query, count, low_is_bad=low_is_bad)
    if not tries:
        return replace(nothing, why_not=f"{probe.title} reads with the fault what it often reads without")
    # Chosen by some scenarios, and proven on others, which no other try has seen.
    for seed, (one, _) in enumerate(_chosen(tries, _played(case, [one.rule for one in tries], programs, seed=1), case)):
        if proof := _good(_played(case, [one.rule], programs, seed=PROOF + seed), case):
            hours = SCENARIOS * (case.lengths.baseline_s + case.lengths.fault_s + case.lengths.recovery_s) / 3600
            return replace(
                nothing, rule=one.rule, baseline=min(usual) if low_is_bad else max(usual), beyond=one.beyond,
                at_fault=median(hurt), caught=proof, quiet_scenarios=SCENARIOS, quiet_hours=hours,
            )  # fmt: skip
    asked = f" within {case.within_s:g}s" if case.within_s is not None else ""
    return replace(
        nothing,
        why_not=f"none of {len(tries)} rules over {probe.title} both tells of the fault{asked} and stays quiet without it",
    )


@dataclass(frozen=True, slots=True)
class _Try:
    """One rule that may do, and the share of what is usual beyond its threshold."""

    rule: RuleInfo
    beyond: float


def _tries(
    case: _Case,
    probe: PlannedProbe,
    bounds: Sequence[tuple[float, float]],
    query: str,
    count: str | None,
    *,
    low_is_bad: bool,
) -> list[_Try]:
    """Every threshold with every `for`."""
    return [
        _Try(
            rule_of(
                probe.title, query, bound, low_is_bad=low_is_bad, count=count, needs=probe.needs,
                for_s=evaluations * case.recording.evaluation_s, labels=dict(case.plan.match),
            ),
            beyond,
        )
        for bound, beyond in bounds
        for evaluations in PATIENCE
    ]  # fmt: skip


def _chosen(tries: Sequence[_Try], found: Sequence[Rehearsed], case: _Case) -> list[tuple[_Try, AtSeverity]]:
    """Those that did well, the best first, and no more than are worth a proof. `found` has every try's scenarios one after another."""
    each = len(found) // len(tries)
    good = [
        (one, did)
        for place, one in enumerate(tries)
        if (did := _good(found[place * each : (place + 1) * each], case)) is not None
    ]
    good.sort(key=lambda pair: (pair[1].share < SURELY, pair[0].beyond, pair[0].rule.for_s, -pair[1].share))
    return good[:MOST_PROOFS]


def _played(case: _Case, rules: Sequence[RuleInfo], programs: Programs, seed: int) -> list[Rehearsed]:
    return rehearse(
        programs, case.alteration, [Wanted(rule, {}) for rule in rules], [0.0, case.alteration.severity], SCENARIOS,
        case.lengths, evaluation_s=case.recording.evaluation_s, seed=seed,
    )  # fmt: skip


def _good(found: Sequence[Rehearsed], case: _Case) -> AtSeverity | None:
    """What the rule did under the fault, where it told in time and was quiet in every scenario without it; else None."""
    calm = [one for one in found if one.severity == 0.0]
    noisy = any(one.early or one.fired_s is not None for one in calm) or any(one.early for one in found)
    own = by_severity([one for one in found if one.severity > 0.0], case.within_s)[0]
    return own if not noisy and own.share >= TOLD else None


def _values(programs: Programs, case: _Case, query: str) -> tuple[list[float], list[float]]:
    """What the query reads without the fault, and in the later half of it."""
    read, evaluation_s = case.alteration.read_by(selected(query)), case.recording.evaluation_s
    if not read.fault.series:
        return [], []
    window_s = looks_back_s(query)
    course = course_of(read, case.lengths, window_s)
    chances = np.random.default_rng(2)
    played = [play(read, course, severity, chances) for severity in (0.0, read.severity) for _ in range(LEARNED_FROM)]
    line = timeline(
        read,
        course,
        len(played),
        window_s=window_s,
        evaluation_s=evaluation_s,
        evaluated_wall_s=read.baseline.start_wall_s,
    )
    usual: list[float] = []
    hurt: list[float] = []
    with throwaway(programs, LOOKBACK * line.slot_s) as store:
        store.put(openmetrics(read, line, played))
        server = store.driver()
        for place, one in enumerate(played):
            middle = (line.effect(place, one) + line.removal(place, one)) / 2
            since, until = (
                (line.watched(place), line.end(place)) if one.severity == 0.0 else (middle, line.removal(place, one))
            )
            for series in server.query_range(query, since, until, line.evaluation_s):
                (usual if one.severity == 0.0 else hurt).extend(
                    value for _, value in series.samples if not math.isnan(value)
                )
    return usual, hurt
