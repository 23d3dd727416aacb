"""Faults that aim at an outcome: the share that brings it about, found from what the system reads. Pure."""

from __future__ import annotations

from dataclasses import replace

from chaos.experiment import Experiment
from chaos.faults.aims import OutOfReach, about
from chaos.faults.base import Fault
from chaos.planning.probes import steady_probes
from chaos.plans import (
    PlannedEffect,
)
from chaos.probe import Catalogue
from chaos.survey import Survey
from chaos.system import System
from chaos.units import format_share

_COUNTED = ("accuracy", "availability", "error_ratio")
"""Signals that are shares of the events which the load counts by arm."""
REMEMBERED = "1h"
"""How old a reading may be from which a share is found: without traffic there is none now, but earlier ones are as good."""


def outcomes(experiment: Experiment, system: System, probes: Catalogue) -> dict[str, str]:
    """Title of each steady-state probe that a fault aims at, or whose events the load counts by arm → PromQL of its usual reading.

    That is the median over the last hour of the readings that had enough behind them and met the probe's own bound: one reading may be
    chance, one of a few outcomes mostly is, one without any is NaN, and one beyond its bound may be an earlier run's fault.
    """
    aims = {aim.outcome for fault in experiment.faults if (aim := fault.aim()) is not None}
    counted = _COUNTED if experiment.load is not None else ()
    variables = system.probe_variables()
    asked: dict[str, str] = {}
    for probe in steady_probes(experiment, probes, variables):
        if probe.title not in aims and probe.signal not in counted:
            continue
        least, most = probe.bound("minimum"), probe.bound("maximum")
        floor = least.value if least is not None and least.kind != "baseline" else 0.0
        reading = f"(({probe.query}) >= {floor:g})"
        if most is not None and most.kind != "baseline":
            reading = f"({reading} <= {most.value:g})"
        if probe.count is not None:
            reading += f" and on() (({probe.count}) >= {probe.needs:g})"
        asked[probe.title] = f"quantile_over_time(0.5, ({reading})[{REMEMBERED}:])".replace(
            "$window", variables["window"]
        )
    return asked


def aimed(experiment: Experiment, system: System, survey: Survey) -> tuple[Experiment, list[str]]:
    """The experiment with a share wherever an outcome was written, and why that cannot be."""
    found: list[Fault] = []
    refused: list[str] = []
    for fault in experiment.faults:
        try:
            found.append(_share_found(fault, experiment, system, survey))
        except OutOfReach as why:
            found.append(fault)
            refused.append(f"{fault.fault}: {why}")
    return experiment.model_copy(update={"faults": found}), refused


def _share_found(fault: Fault, experiment: Experiment, system: System, survey: Survey) -> Fault:
    aim = fault.aim()
    if aim is None:
        return fault
    beside = [other for other in experiment.faults if other is not fault and other.semantic and _at_once(fault, other)]
    if beside:
        told = f"{beside[0].fault} changes answers of {fault.target} at the same time, so nobody can say what {aim.outcome} becomes"
        raise OutOfReach(f"{told}; let them follow each other with `start:`, or write `share`")
    now = survey.outcomes.get(aim.outcome)
    if now is None or not 0 <= now <= 1:
        told = f"the probe {aim.outcome} has had no reading within its bounds, with enough outcomes behind it, in the last hour"
        raise OutOfReach(f"{told}, so no share can be found; let traffic with feedback pass first, or write `share`")
    target = system.targets.get(fault.target)
    said = target.output if target is not None else None
    known = len(said.classes) or (2 if said.positive is not None else None) if said is not None else None
    return fault.aimed(now, known)


def _at_once(fault: Fault, other: Fault) -> bool:
    """Whether both hurt one target for some time."""
    return (
        fault.target == other.target
        and fault.start < other.start + (other.duration or 0.0)
        and other.start < fault.start + (fault.duration or 0.0)
    )


def towards(effects: tuple[PlannedEffect, ...], written: Experiment, survey: Survey) -> tuple[PlannedEffect, ...]:
    """The effects, those whose share was found with what it was found for."""
    told: list[PlannedEffect] = []
    for effect in effects:
        aim = written.faults[effect.fault_index].aim() if effect.fault_index is not None else None
        now = survey.outcomes.get(aim.outcome) if aim is not None else None
        if aim is None or now is None:
            told.append(effect)
            continue
        why = f", so that {aim.outcome} falls from {about(now)} to {format_share(aim.to)}"
        told.append(replace(effect, explain=effect.explain + why, aim=aim))
    return tuple(told)
