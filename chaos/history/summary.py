"""One run in a few lines: what lists, trends, exports and the page of all runs need of it. Pure.

It is made of the run's verdict and of the first line of its journal, which says what was planned: neither takes long to read, so a
thousand runs can be looked at together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from chaos.detection import Detection, Gate
from chaos.events import RunStarted
from chaos.journal import BrokenJournal, Line
from chaos.plans import Plan
from chaos.verdict import PROVES_NOTHING, TOLD, UNKNOWN, Verdict, VerdictName

_SAYS_WHOSE = re.compile(r"^(owner|tags)\s*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Head:
    """What the first line of a journal says: the run's id, its plan, and whose the experiment is."""

    run: str
    plan: Plan
    owner: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultSummary:
    """One fault of a run, on one target. `explain` is its sentence; the times are None where it never was on, or never went."""

    fault: str
    target: str
    explain: str
    first_effect_wall_s: float | None
    removed_wall_s: float | None


@dataclass(frozen=True, slots=True)
class AlertSummary:
    """What became of one expected alert. Gates' times are seconds from the first effect (reset: from the removal), None where not passed;
    `errors` bounds how much earlier each may really have been passed.
    """

    alert: str
    outcome: str
    within_s: float | None
    told_after_s: float | None
    """Until somebody was told: the delivery where a receiver was named, else the firing. None: nobody was."""
    failed_gate: str | None
    gates: Mapping[str, float | None]
    errors: Mapping[str, float]

    @property
    def told(self) -> bool | None:
        """Whether somebody was told in time; None where nobody can say."""
        return None if self.outcome in UNKNOWN else self.outcome in TOLD

    @property
    def error_s(self) -> float:
        """How much earlier than `told_after_s` somebody may have been told."""
        gate = next((name for name in (Gate.delivered, Gate.firing) if self.gates.get(name.value) is not None), None)
        return self.errors.get(gate.value, 0.0) if gate is not None else 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run. Times are seconds since the epoch; `folder` is the name of its folder in the folder of runs."""

    run: str
    folder: str
    experiment: str
    system: str
    environment: str
    owner: str
    tags: tuple[str, ...]
    started_wall_s: float
    ended_wall_s: float
    verdict: VerdictName
    exit_code: int
    sentence: str
    faults: tuple[FaultSummary, ...]
    alerts: tuple[AlertSummary, ...]
    version: str
    seed: str
    swept: str | None = None
    """The severity of this run where it is one of a sweep: `7.05%`. Such a run may miss without anything being amiss."""
    projected: bool = False
    """Whether its alerts were judged by a projection to all traffic."""

    @property
    def proves(self) -> bool:
        """Whether anything follows from its alerts."""
        return self.verdict not in PROVES_NOTHING

    @property
    def title(self) -> str:
        """The experiment, with the severity where the run is one of a sweep: what is repeated under this name can be compared."""
        return self.experiment if self.swept is None else f"{self.experiment} at {self.swept}"


def head_of(line: Line) -> Head:
    """What this line says, which must be a journal's first. Raises BrokenJournal when it begins no run."""
    started = line.record
    if not isinstance(started, RunStarted):
        raise BrokenJournal("this journal does not begin with the start of a run")
    try:
        plan = Plan.from_json(started.plan)
    except ValueError as error:
        raise BrokenJournal(f"the plan in this journal cannot be read: {error}") from error
    owner, tags = _whose(started.experiment)
    return Head(started.run, plan, owner, tags)


def _whose(text: str) -> tuple[str, tuple[str, ...]]:
    """Owner and tags of an experiment's text; nothing where it cannot be read, since nothing is judged by them."""
    if _SAYS_WHOSE.search(text) is None:
        return "", ()
    try:
        said = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - the safe loader, in C
    except (yaml.YAMLError, RecursionError, ValueError):
        return "", ()
    if not isinstance(said, dict):
        return "", ()
    owner, tags = said.get("owner"), said.get("tags")
    return str(owner or ""), tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()


def summary_of(verdict: Verdict, head: Head, folder: str = "") -> RunSummary:
    """The run in short. Raises BrokenJournal when verdict and journal are of different runs."""
    if verdict.run != head.run:
        raise BrokenJournal(f"the verdict is of {verdict.run}, and the journal of {head.run}")
    done = {effect.id: effect for effect in verdict.effects}
    faults = tuple(
        FaultSummary(
            effect.fault or effect.kind,
            effect.target,
            effect.explain,
            done[effect.id].first_effect_wall_s if effect.id in done else None,
            done[effect.id].removed_wall_s if effect.id in done else None,
        )
        for effect in head.plan.faults()
    )
    return RunSummary(
        run=verdict.run,
        folder=folder,
        experiment=verdict.experiment,
        system=verdict.system,
        environment=head.plan.environment,
        owner=head.owner,
        tags=head.tags,
        started_wall_s=verdict.started_wall_s,
        ended_wall_s=verdict.ended_wall_s,
        verdict=verdict.verdict,
        exit_code=verdict.exit_code,
        sentence=verdict.sentence,
        faults=faults,
        alerts=tuple(_alert(one) for one in verdict.detections),
        version=verdict.version,
        seed=verdict.seed,
        swept=head.plan.swept,
        projected=head.plan.judge == "projected",
    )


def _alert(one: Detection) -> AlertSummary:
    return AlertSummary(
        alert=one.alert,
        outcome=one.outcome,
        within_s=one.within_s,
        told_after_s=one.told_after_s,
        failed_gate=one.failed_gate.value if one.failed_gate is not None else None,
        gates={stage.gate.value: stage.after_s for stage in one.stages},
        errors={stage.gate.value: stage.error_s for stage in one.stages if stage.after_s is not None},
    )
