"""Suggests the rule that is missing, for each fault that nobody was told of, and rehearses it. Wiring; applies nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from chaos.app.rehearsing import LOOKBACK, Lengths, Wanted, course_of, rehearse
from chaos.app.telemetry_kept import kept, query_of
from chaos.coverage import FaultRow
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs, throwaway
from chaos.errors import ChaosError
from chaos.judging.trace import trace
from chaos.plans import Plan, PlannedProbe
from chaos.promql import looks_back_s, selected
from chaos.rehearsal.alteration import Alteration, play
from chaos.rehearsal.models import NoModel
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import by_severity
from chaos.rehearsal.suggestion import Suggestion, rule_of, threshold
from chaos.rehearsal.timeline import openmetrics, timeline

SCENARIOS = 100
LEARNED_FROM = 40
"""Scenarios that the threshold is taken from; it is proven on others."""
PATIENCE = (0, 2, 5, 10, 20)
"""Evaluations that `for` may last, from the shortest on."""
TOLD = 0.9


def suggest(
    rows: Sequence[FaultRow], harmed: Mapping[str, Sequence[str]], programs: Programs, report: Callable[[str], None]
) -> list[Suggestion]:
    """One suggestion for each fault. `harmed` maps a fault to the probes that its run drove out of their bounds."""
    found: list[Suggestion] = []
    for row in rows:
        report(f"looking for a rule that sees {row.fault}")
        try:
            recording = kept(Path(row.folder))
            plan = trace(RunFolder(Path(row.folder)).lines()).plan
            alteration = measured(recording)
        except (ChaosError, NoModel) as error:
            found.append(Suggestion(row.fault, row.run, "", why_not=str(error)))
            continue
        tries = [
            _for_probe(row, probe, plan, alteration, recording.evaluation_s, programs)
            for probe in plan.steady()
            if probe.title in harmed.get(row.fault, ())
        ]
        best = [one for one in tries if one.rule is not None]
        found += best[:1] or tries[:1] or [Suggestion(row.fault, row.run, "", why_not="no probe left its bound")]
    return found


def _for_probe(
    row: FaultRow, probe: PlannedProbe, plan: Plan, alteration: Alteration, evaluation_s: float, programs: Programs
) -> Suggestion:
    query = query_of(probe, plan.window_s)
    low_is_bad = probe.minimum is not None
    fault_s = max((effect.duration_s for effect in plan.faults()), default=60.0)
    lengths = Lengths(max(plan.baseline_s, plan.window_s), fault_s, plan.recovery_s)
    nothing = Suggestion(row.fault, row.run, probe.title)
    usual, hurt = _values(programs, alteration, query, lengths, evaluation_s)
    apart = threshold(usual, hurt, low_is_bad=low_is_bad)
    if apart is None:
        return replace(nothing, why_not=f"{probe.title} reads with the fault what it sometimes reads without")
    bound, worst, middle = apart
    labels = dict(plan.match)
    for evaluations in PATIENCE:
        rule = rule_of(
            probe.title, query, bound, low_is_bad=low_is_bad,
            count=None if probe.count is None else probe.count.replace("$window", f"{plan.window_s:g}s"), needs=probe.needs,
            for_s=evaluations * evaluation_s, labels=labels,
        )  # fmt: skip
        severity = alteration.severity
        found = rehearse(
            programs,
            alteration,
            [Wanted(rule, {})],
            [0.0, severity],
            SCENARIOS,
            lengths,
            evaluation_s=evaluation_s,
            seed=1,
        )
        calm = [one for one in found if one.severity == 0.0]
        quiet = not any(one.early or one.fired_s is not None for one in calm) and not any(one.early for one in found)
        own = by_severity([one for one in found if one.severity == severity], None)[0]
        if quiet and own.share >= TOLD:
            hours = len(calm) * (lengths.baseline_s + lengths.fault_s + lengths.recovery_s) / 3600
            return replace(
                nothing,
                rule=rule,
                baseline=worst,
                at_fault=middle,
                caught=own,
                quiet_scenarios=len(calm),
                quiet_hours=hours,
            )
    return replace(
        nothing, why_not=f"no `for` was found with which {probe.title} both tells of the fault and is quiet without it"
    )


def _values(
    programs: Programs, alteration: Alteration, query: str, lengths: Lengths, evaluation_s: float
) -> tuple[list[float], list[float]]:
    """What the query reads without the fault, and in the later half of it."""
    read = alteration.read_by(selected(query))
    window_s = looks_back_s(query)
    course = course_of(read, lengths, window_s)
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
