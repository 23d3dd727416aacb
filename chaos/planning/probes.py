"""What is read: the probes of the steady state, the guards, and the queries that show another tool's effect. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.bounds import Bound
from chaos.comparisons import Compared
from chaos.experiment import AlertMatch, Experiment, GuardArms, GuardProbe, SteadyEntry, SteadyInline, SteadyProbe
from chaos.faults.external import External
from chaos.plans import (
    PlannedGuard,
    PlannedProbe,
)
from chaos.probe import Catalogue
from chaos.system import System

COMPARED: Mapping[str, Compared] = {"mistakes": "wrong", "errors": "errors", "slow": "slow"}
"""What people write of the arms → what is compared."""


def _probe(
    title: str,
    entry: SteadyProbe | SteadyInline | GuardProbe,
    probes: Catalogue,
    variables: Mapping[str, str],
    *,
    steady: bool,
) -> PlannedProbe:
    kept = {**variables, "window": "$window"}
    when = _when(entry) if steady and not isinstance(entry, GuardProbe) else {}
    minimum, maximum = (None if bound is None else _text(bound) for bound in (entry.min, entry.max))
    if isinstance(entry, SteadyInline):
        return PlannedProbe(
            title, entry.promql.strip(), None, entry.unit, entry.better, entry.when_missing, 0, "none", False, None,
            minimum, maximum, steady, **when,
        )  # fmt: skip
    found = probes[entry.probe]
    query, count = found.render(kept)
    signal = found.signal.value if found.signal else None
    return PlannedProbe(
        title, query, count, found.unit, found.better, found.when_missing, found.needs, found.arms, found.windowed(),
        signal, minimum, maximum, steady, **when,
    )  # fmt: skip


def _when(entry: SteadyEntry) -> dict[str, Any]:
    return {"judged": entry.moments(), "within_s": entry.within, "tolerance_s": entry.tolerance_s()}


def _text(bound: Bound) -> str:
    return f"{bound.value!r}" if bound.kind == "number" else str(bound)


def steady_probes(experiment: Experiment, probes: Catalogue, variables: Mapping[str, str]) -> tuple[PlannedProbe, ...]:
    return tuple(_probe(entry.title, entry, probes, variables, steady=True) for entry in experiment.steady_state)


def queries(experiment: Experiment, system: System, probes: Catalogue) -> dict[str, str]:
    """Title of each steady-state probe, guard and effect of another tool → the PromQL that the run will ask, over the usual window."""
    variables = system.probe_variables()
    guards = [guard.probe for guard in guards_of(experiment, probes, variables) if guard.probe is not None]
    shown = [
        query_of(fault, f"effect of {fault.fault} at {fault.target}")
        for fault in experiment.faults
        if isinstance(fault, External)
    ]
    asked = [*steady_probes(experiment, probes, variables), *guards, *shown]
    return {probe.title: probe.query.replace("$window", variables["window"]) for probe in asked}


def guards_of(experiment: Experiment, probes: Catalogue, variables: Mapping[str, str]) -> tuple[PlannedGuard, ...]:
    guards: list[PlannedGuard] = []
    for guard in experiment.blast_radius.abort:
        match guard:
            case GuardProbe():
                probe = _probe(f"guard:{guard.probe}", guard, probes, variables, steady=False)
                bounds = " and ".join(
                    f"{word} {bound}" for word, bound in (("min", guard.min), ("max", guard.max)) if bound is not None
                )
                guards.append(PlannedGuard(f"{guard.probe} ({bounds})", probe, guard.for_))
            case AlertMatch():
                labels = ", ".join(f"{name}={value}" for name, value in guard.alert.items())
                guards.append(PlannedGuard(f"any unexpected alert with {labels}", alert=dict(guard.alert)))
            case GuardArms():
                title = f"{guard.arms} of treatment (worse than {guard.worse_than:g}x control)"
                guards.append(PlannedGuard(title, compared=COMPARED[guard.arms], worse_than=guard.worse_than))
    return tuple(guards)


def query_of(fault: External, name: str) -> PlannedProbe:
    said = fault.effect
    minimum, maximum = (None if bound is None else _text(bound) for bound in (said.min, said.max))
    return PlannedProbe(
        name, said.promql.strip(), None, said.unit, "neither", said.when_missing, 0, "none", False, None, minimum, maximum,
        steady=False,
    )  # fmt: skip
