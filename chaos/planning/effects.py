"""What is done, and to whom: every effect of every fault, with the containers that chance has picked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chaos.arms import unit_interval
from chaos.experiment import Experiment
from chaos.faults.base import Fault
from chaos.faults.containers import ContainerFault
from chaos.faults.external import External
from chaos.planning.probes import query_of
from chaos.plans import (
    PlannedEffect,
)
from chaos.survey import ContainerFound, Survey
from chaos.system import System


def effects_of(
    experiment: Experiment, system: System, survey: Survey, seed: str
) -> tuple[tuple[PlannedEffect, ...], list[str]]:
    effects: list[PlannedEffect] = []
    refused: list[str] = []
    held: set[str] = set()
    somebody = experiment.load is not None or experiment.blast_radius.subjects == "users"
    for fault in experiment.faults:
        target = system.targets.get(fault.target)
        divides = fault.acts_on not in ("container", "outside") and not fault.whole_target and somebody
        if divides and target is not None and target.proxies and fault.target not in held:
            held.add(fault.target)
            told = f"holds the fault proxies of {fault.target} and counts its arms; changes nothing"
            effects.append(PlannedEffect(f"hold@{fault.target}", fault.target, "hold", told))
    for index, fault in enumerate(experiment.faults):
        if fault.acts_on == "container":
            busy = {one.container.id for one in effects if one.container is not None and _overlaps(one, fault)}
            picked, why = _pick(system, survey, fault, index, busy, seed)
            refused += why
            effects += picked
        elif fault.acts_on == "load":
            effects.append(_effect(fault, index, "load", f"fault-{index}@load"))
        elif isinstance(fault, External):
            named = f"fault-{index}@{fault.target}"
            effects.append(replace(_effect(fault, index, "external", named), shows=query_of(fault, named)))
        else:
            effects.append(_effect(fault, index, "proxy", f"fault-{index}@{fault.target}"))
    hurt = _most_at_once(effects)
    if hurt > experiment.blast_radius.containers:
        refused.append(
            f"{hurt} containers would be hurt and the blast radius allows {experiment.blast_radius.containers}; "
            f"write `containers: {hurt}` under blast_radius, or hurt fewer"
        )
    return tuple(effects), refused


def _overlaps(effect: PlannedEffect, fault: Fault) -> bool:
    ends_s = fault.start + (fault.duration or 0.0)
    return effect.start_s < ends_s and fault.start < effect.start_s + effect.duration_s


def _most_at_once(effects: list[PlannedEffect]) -> int:
    """The largest number of containers that are hurt at the same time; that is always so at the start of some effect."""
    on = [effect for effect in effects if effect.container is not None]
    return max(
        (
            len(
                {
                    other.container.id
                    for other in on
                    if other.container is not None and other.start_s <= at_s < other.start_s + other.duration_s
                }
            )
            for at_s in {effect.start_s for effect in on}
        ),
        default=0,
    )


def _effect(
    fault: Fault, index: int, kind: str, name: str, container: ContainerFound | None = None, driver: str | None = None
) -> PlannedEffect:
    return PlannedEffect(
        id=name,
        target=fault.target,
        kind=kind,
        explain=fault.explain(),
        start_s=fault.start,
        duration_s=fault.duration or 0.0,
        fault_index=index,
        fault=fault.fault,
        fault_json=fault.model_dump_json(),
        until=fault.until,
        container=container,
        driver=driver,
        whole=fault.whole_target,
    )


def _pick(
    system: System, survey: Survey, fault: Fault, index: int, busy: set[str], seed: str
) -> tuple[list[PlannedEffect], list[str]]:
    """Containers are picked here, once, from the seed: the run hurts these and no others.

    Faults that follow each other hurt the same ones; those that overlap hurt different ones (`busy` are taken).
    """
    if not isinstance(fault, ContainerFault):
        return [], [f"{fault.fault} acts on containers and says no verb; make its class a ContainerFault"]
    found = survey.containers.get(fault.target, ())
    running = [container for container in found if container.status == "running"]
    eligible = [container for container in running if container.opted_in]
    wanted = fault.containers
    holders = sorted({container.held_by for container in found if container.held_by is not None})
    unheld = [container for container in eligible if container.held_by is None]
    if holders and len(unheld) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted and {len(unheld)} are free; others may be hurt by "
                f"{', '.join(holders)}: wait, or `chaos stop {holders[0]}`"
            )
        ]
    if not running:
        return [], [f"{fault.fault}: the target `{fault.target}` has no running container; is the system up?"]
    if len(eligible) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted and {len(eligible)} of {len(running)} running ones "
                f"carry the opt-in label {system.opt_in}; label those that may be hurt"
            )
        ]
    eligible = unheld
    free = [container for container in eligible if container.id not in busy]
    if len(free) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted while another fault hurts "
                f"{len(eligible) - len(free)} of its {len(eligible)}; let the faults follow each other with `start:`, or hurt fewer"
            )
        ]
    possible = [container for container in free if container.id not in survey.cannot.get(index, {})]
    if len(possible) < wanted:
        return [], _impossible(fault, free, survey.cannot.get(index, {}))
    order = sorted(possible, key=lambda container: unit_interval(seed, "container", fault.target, container.name))
    return [
        _effect(
            fault, index, "container", f"fault-{index}@{container.name}", container, survey.driver.get(fault.target)
        )
        for container in order[:wanted]
    ], []


def _impossible(fault: Fault, asked: list[ContainerFound], cannot: Mapping[str, str]) -> list[str]:
    """Why the fault cannot be done to these containers: each reason once, with all whom it is about."""
    reasons: dict[str, list[str]] = {}
    for container in asked:
        if container.id in cannot:
            reasons.setdefault(cannot[container.id], []).append(container.name)
    return [f"{fault.fault} cannot be done to {', '.join(names)}: {why}" for why, names in reasons.items()]
