"""What would fire if everybody were hurt: the arms' difference, measured live on a small share, put through the real rules. Wiring.

treatment arm's counts ─▶ statements ─▶ baseline as it would be with all traffic hurt ─▶ scenarios ─▶ would the rules tell?
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from chaos.app.files import STATE, Loaded
from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.app.telemetry_kept import kept
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs
from chaos.errors import ChaosError, Refused
from chaos.events import Projected, ProjectedAlert
from chaos.faults.base import Signal
from chaos.judging.arms import arm_rows
from chaos.judging.trace import Trace, trace
from chaos.lab import monitoring
from chaos.planning.alerts import matching_rule
from chaos.rehearsal.alteration import Alteration
from chaos.rehearsal.models import NoModel, Statement
from chaos.rehearsal.of_runs import stated
from chaos.rehearsal.outcome import Rehearsed
from chaos.rehearsal.recording import Recording
from chaos.rehearsal.report import RehearsalReport, RehearsedAlert, alert_report, severities
from chaos.rehearsal.statements import lag_of, measured_statement
from chaos.statistics import clopper_pearson
from chaos.units import format_share

log = logging.getLogger(__name__)

FEWEST = 20
"""Requests or outcomes of the treatment arm, of less than which no share is projected."""


def projection(
    loaded: Loaded, folder: Path, programs: Programs, scenarios: int, report: Callable[[str], None], seed: int = 0
) -> RehearsalReport:
    """What the expected alerts would do from the run's share of traffic up to all of it. Raises Refused when nobody can say."""
    recording, seen = kept(folder), trace(RunFolder(folder).lines())
    statements, told = measured_in_treatment(loaded, seen)
    if not statements:
        raise Refused(
            [
                (
                    "the treatment arm's counts say nothing of what the rules read: projected are accuracy, availability and the error "
                    f"ratio, of at least {FEWEST} requests or outcomes"
                )
            ]
        )
    source = f"what the treatment arm of {recording.about} showed at {format_share(recording.severity)} of traffic ({'; '.join(told)})"
    alteration = _altered(recording, statements, f"{source}, projected to all traffic")
    wanted, withins = _wanted(loaded, recording)
    lengths = _lengths(seen)

    def played(altered: Alteration, at: Sequence[float], chance: int) -> list[Rehearsed]:
        return rehearse(
            programs, altered, wanted, at, scenarios, lengths, evaluation_s=recording.evaluation_s,
            recording_rules=recording.recording_rules, seed=chance, report=report,
        )  # fmt: skip

    found = played(alteration, severities(1.0, seen.plan.traffic), seed)
    ends = [
        played(_altered(recording, measured_in_treatment(loaded, seen, end)[0], source), [1.0], seed + 1)
        for end in ("low", "high")
    ]
    slots = len(found) / len(wanted) * (lengths.baseline_s + lengths.fault_s + lengths.recovery_s)
    return RehearsalReport(
        experiment=loaded.experiment.name,
        system=loaded.system.name,
        source=alteration.source,
        measured=False,
        severity=1.0,
        scenarios=scenarios,
        virtual_hours=round(slots / 3600, 2),
        alerts=tuple(_said(one.rule.name, withins[one.rule.name], found, ends) for one in wanted),
        notes=(
            "a projection, and no proof: the arm's shares were measured, that all traffic behaves like it is assumed",
            "no queue fills, no retry storm, no cache: what only shows at full load is not in it",
        ),
    )


def _altered(recording: Recording, statements: Sequence[Statement], source: str) -> Alteration:
    """The run's telemetry as it would be by these statements. Raises Refused when nobody can say."""
    try:
        return stated(recording, statements, source)
    except NoModel as error:
        raise Refused([str(error)]) from error


def _wanted(loaded: Loaded, recording: Recording) -> tuple[list[Wanted], dict[str, float | None]]:
    """The expected alerts whose rules the run kept, and in which time each must tell. Raises Refused when there is none."""
    wanted: list[Wanted] = []
    withins: dict[str, float | None] = {}
    for alert in loaded.experiment.expect.alerts:
        rule = matching_rule(alert, recording.rules)
        if rule is not None:
            wanted.append(Wanted(rule, dict(alert.labels)))
            withins[rule.name] = alert.within
    if not wanted:
        raise Refused(["no expected alert has a rule in what the run recorded"])
    return wanted, withins


def _lengths(seen: Trace) -> Lengths:
    fault_s = max((effect.duration_s for effect in seen.plan.faults()), default=60.0)
    return Lengths(max(seen.plan.baseline_s, 10.0), fault_s, seen.plan.recovery_s)


def _said(
    alert: str, within_s: float | None, found: Sequence[Rehearsed], ends: Sequence[Sequence[Rehearsed]]
) -> RehearsedAlert:
    told = [alert_report(end, alert, within_s, 1.0).told for end in ends]
    return _sure(alert_report(found, alert, within_s, 1.0), told)


def _sure(one: RehearsedAlert, ends: Sequence[bool | None]) -> RehearsedAlert:
    """Nobody can say where the two ends of the arm's 95 % intervals say otherwise than its shares."""
    if all(told == one.told for told in ends):
        return one
    why = f"{one.sentence}; but within the 95 % interval of what the arm showed it may be otherwise, so nobody can say"
    return replace(one, told=None, sentence=why)


SCENARIOS = 100
"""Of a projection that a run makes by itself."""


def projected(loaded: Loaded, folder: Path, state: Path = STATE) -> Projected:
    """The same as a record for the run's journal; why there is nothing to say, where there is not."""
    try:
        tools = monitoring.find(state)
        found = projection(loaded, folder, Programs(tools.prometheus, tools.promtool), SCENARIOS, log.info)
    except Refused as error:
        return Projected(error="; ".join(error.reasons))
    except ChaosError as error:
        return Projected(error=str(error))
    alerts: list[ProjectedAlert] = []
    for one in found.alerts:
        row = next((row for row in one.rows if row.severity == 1.0), None)
        alerts.append(
            ProjectedAlert(
                one.alert,
                one.told,
                row.caught if row else 0,
                row.scenarios if row else 0,
                row.median_s if row else None,
                one.sentence,
            )
        )
    return Projected(found.source, tuple(alerts))


def measured_in_treatment(
    loaded: Loaded, seen: Trace, end: Literal["seen", "low", "high"] = "seen"
) -> tuple[list[Statement], list[str]]:
    """What each signal that the load counts by arm read in the treatment arm, as statements and in words: as it was seen, or one end of
    its 95 % interval.
    """
    row = next((row for row in arm_rows(seen) if row.arm == "treatment"), None)
    if row is None:
        return [], []
    counted = {Signal.accuracy: (row.wrong, row.labelled), Signal.availability: (row.errors, row.requests)}
    statements: list[Statement] = []
    told: list[str] = []
    for signal, (bad, count) in counted.items():
        if count < FEWEST:
            continue
        low, high = clopper_pearson(bad, count)
        value = 1 - {"seen": bad / count, "low": high, "high": low}[end]
        if end != "seen" and bad == 0:
            value = 1.0  # what was never seen is not made up
        made = next(_statements(loaded, signal, value), None)
        if made is not None:
            statements.append(made)
            told.append(f"{signal.value} {value:.3g} of {count}")
    return statements, told


def _statements(loaded: Loaded, signal: Signal, value: float) -> Iterator[Statement]:
    for probe in loaded.probes.values():
        if probe.signal is signal:
            made = measured_statement(probe, loaded.system, value, lag_of(loaded.experiment, signal))
            if made is not None:
                yield made
