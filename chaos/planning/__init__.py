"""Makes the plan: what would happen, to whom, who is told, and whether it may and can be detected at all. Pure.

experiment + system + probes + survey + seed ─▶ plan() ─▶ Plan     (Plan.refusals says why it must not run)
"""

from __future__ import annotations

from dataclasses import replace

from chaos.experiment import Experiment
from chaos.planning.aims import aimed, outcomes, towards
from chaos.planning.alerts import alerts_of
from chaos.planning.comparing import arms_notes, arms_of, arms_refusals
from chaos.planning.effects import effects_of
from chaos.planning.notes import notes_of, warnings_of
from chaos.planning.probes import guards_of, queries, steady_probes
from chaos.planning.refusals import allowed, refusals_of
from chaos.planning.rules import rules_said
from chaos.plans import (
    Plan,
    PlannedLoad,
)
from chaos.probe import Catalogue
from chaos.survey import Survey
from chaos.system import System
from chaos.units import parse_duration

__all__ = ["outcomes", "plan", "queries"]


def plan(experiment: Experiment, system: System, probes: Catalogue, survey: Survey, seed: str) -> Plan:
    """What this experiment would do to this system now. Decides everything that chance decides, from `seed`."""
    variables = system.probe_variables()
    load = _load(experiment)
    written, (experiment, beyond) = experiment, aimed(experiment, system, survey)
    effects, refused = effects_of(experiment, system, survey, seed)
    alerts, missing = alerts_of(experiment, system, probes, survey, load)
    rules = rules_said(experiment, survey)
    drawn = Plan(
        experiment=experiment.name,
        description=" ".join(experiment.description.split()),
        system=system.name,
        environment=system.environment,
        seed=seed,
        subjects=experiment.blast_radius.subjects,
        subject_by=experiment.subject_header(system),
        traffic=experiment.blast_radius.traffic,
        where=experiment.blast_radius.where,
        baseline_s=experiment.baseline,
        max_duration_s=experiment.blast_radius.max_duration,
        recovery_s=experiment.recovery,
        window_s=parse_duration(variables["window"]),
        scrape_s=survey.scrape_s,
        evaluation_s=survey.evaluation_s,
        load=load,
        probes=steady_probes(experiment, probes, variables),
        guards=guards_of(experiment, probes, variables),
        effects=towards(effects, written, survey),
        alerts=alerts,
        match=dict(system.alerts.match),
        harms=tuple(experiment.expect.harms),
        holds=tuple(experiment.holding()),
        quiet=experiment.expect.quiet is True,
        silent=tuple(experiment.expect.quiet) if isinstance(experiment.expect.quiet, list) else (),
        control=experiment.expect.control == "unharmed",
        arms_held=experiment.expect.arms == "held",
        mode=experiment.blast_radius.mode,
        judge=experiment.expect.judge,
        breaks=tuple(experiment.expect.breaks),
        lease_s=experiment.blast_radius.lease,
        most=experiment.blast_radius.most,
        allowed=allowed(experiment, system),
        warnings=(*warnings_of(experiment, system, alerts), *rules.warnings),
        notes=(*notes_of(experiment, alerts, survey), *rules.notes),
    )
    drawn = replace(drawn, arms=arms_of(drawn, survey))
    why = (*refusals_of(experiment, system, survey, drawn), *arms_refusals(drawn))
    refusals = (*survey.errors, *beyond, *refused, *missing, *rules.refusals, *why)
    return replace(drawn, refusals=refusals, notes=(*drawn.notes, *arms_notes(drawn)))


def _load(experiment: Experiment) -> PlannedLoad | None:
    load = experiment.load
    if load is None:
        return None
    return PlannedLoad(
        rate_per_s=load.rate,
        warmup_s=load.warmup,
        data=load.data,
        feedback_after_s=load.feedback.after if load.feedback else None,
        feedback_share=load.feedback.share if load.feedback else 0.0,
        returning=load.returning,
        limit=load.limit,
    )
