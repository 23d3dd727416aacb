"""Runs a sweep: one run after the other, each when its alerts are quiet again, until the answer is in. Wiring."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from chaos.app.files import Loaded
from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.app.running import Ended
from chaos.app.surveyor import Drivers, drivers_of
from chaos.app.telemetry_kept import kept
from chaos.coverage.tried import state_of
from chaos.drivers.throwaway import Programs
from chaos.errors import ChaosError, Refused, Unreachable
from chaos.experiment import TRAFFIC, Bisection, at, sweep_of, text_of
from chaos.planning.alerts import matching_rule
from chaos.rehearsal.models import NoModel
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import CLAIM_FROM, AtSeverity, Rehearsed, by_severity, threshold
from chaos.rehearsal.report import between
from chaos.sensitivity import Curve, Sensitivity, Swept, Trial, TrialAlert, next_severity, sensitivity
from chaos.telemetry import carries
from chaos.verdict import EXIT_CODE, PROVES_NOTHING, TOLD, UNKNOWN, Verdict, VerdictName

QUIET_S = 300.0
"""How long the alerts of one run may take to be quiet before the next."""
LOOK_S = 1.0
LADDER = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
"""Parts of the largest severity that was measured, at which the curve is rehearsed first."""
ENDS_ALL: tuple[VerdictName, ...] = ("unsafe", "interrupted", "aborted")
"""After a run that ended so nothing more is hurt: what a guard ended at one severity is not tried again, and not at a larger one."""


@dataclass(frozen=True, slots=True)
class Swung:
    """A sweep that is over: what it says, and the worst that happened on the way (an exit code; 0 when nothing did)."""

    found: Sensitivity
    worst: int


def sweep(
    loaded: Loaded, run: Callable[[Loaded], Ended], programs: Programs | None, report: Callable[[str], None]
) -> Swung:
    """Every run of the sweep has been made. `run` makes one; `programs` rehearse the curve between, None leaves it out."""
    found = swept_of(loaded)
    trials: list[Trial] = []
    worst, stopped = 0, None
    try:
        while (severity := next_severity(found, trials)) is not None:
            report(f"sweep: run {len(trials) + 1} at {found.text(severity)}")
            one = at_severity(loaded, severity)
            if trials:
                until_quiet(one, report)
            ended = run(one)
            trials.append(trial_of(ended.verdict, severity, found.text(severity), str(ended.folder)))
            if ended.verdict.verdict in ENDS_ALL:
                worst, stopped = (
                    EXIT_CODE[ended.verdict.verdict],
                    f"the run at {found.text(severity)} ended {ended.verdict.verdict}",
                )
                break
    except KeyboardInterrupt:
        worst, stopped = EXIT_CODE["interrupted"], "somebody ended the sweep"
    except ChaosError as error:
        if not trials:
            raise
        worst, stopped = error.exit_code, " ".join(str(error).split())
    parameter = loaded.experiment.sweep.parameter if loaded.experiment.sweep else ""
    curve, basis = _rehearsed(loaded, trials, programs, report) if programs is not None and worst == 0 else ({}, None)
    return Swung(sensitivity(loaded.experiment.name, parameter, found, trials, curve, basis, stopped), worst)


def swept_of(loaded: Loaded) -> Swept:
    """The experiment's sweep, which it must have."""
    said = sweep_of(loaded.experiment)
    assert said is not None, "only an experiment with a sweep is swept"
    text = partial(text_of, loaded.experiment)
    if isinstance(said.severities, Bisection):
        ends = said.severities
        return Swept((ends.low, ends.high), True, ends.steps, text, said.repeats)
    return Swept(said.severities, False, len(said.severities), text, said.repeats)


def at_severity(loaded: Loaded, severity: float) -> Loaded:
    """The experiment at one severity, with a text that says the same and keeps `${NAME}` as it was written."""
    said = sweep_of(loaded.experiment)
    assert said is not None
    text, found = text_of(loaded.experiment, severity), swept_of(loaded)
    written: Any = yaml.safe_load(loaded.text)
    written.pop("sweep", None)
    place = written["blast_radius"] if said.fault_index is None else written["faults"][said.fault_index]
    place[said.parameter] = text if said.fault_index is None else _plain(text)
    heading = f"# {loaded.path.name} at {text} of its sweep\n"
    dumped = heading + yaml.safe_dump(written, sort_keys=False, allow_unicode=True)
    return replace(
        loaded, experiment=at(loaded.experiment, severity), text=dumped, swept=text, swept_rank=found.severer(severity)
    )


def _plain(text: str) -> str | float:
    """A number where the parameter is one without a unit."""
    try:
        return float(text)
    except ValueError:
        return text


def trial_of(verdict: Verdict, severity: float, text: str, folder: str) -> Trial:
    """What one run says."""
    broken = {"broken": True, "held": False}.get(state_of(verdict)[0])
    alerts = tuple(
        TrialAlert(
            one.alert,
            None if one.outcome in UNKNOWN else one.outcome in TOLD,
            one.told_after_s,
            one.failed_gate.value if one.failed_gate else None,
            one.outcome,
        )
        for one in verdict.detections
    )
    return Trial(severity, text, verdict.verdict, verdict.verdict not in PROVES_NOTHING, broken, alerts, folder)


def until_quiet(loaded: Loaded, report: Callable[[str], None], *, answered: bool = True) -> None:
    """No expected alert is pending, firing or held by Alertmanager. Raises Refused when that does not come.

    `answered`: the system has answered before, so that one look that fails is bad luck; else Unreachable is raised at once.
    """
    drivers = drivers_of(loaded.system, loaded.system_path.parent)
    names = {alert.alert for alert in loaded.experiment.expect.alerts if alert.via != "silence"}
    until_s, said = time.monotonic() + QUIET_S, False
    while time.monotonic() < until_s:
        try:
            on, answered = _on(loaded, drivers), True
        except Unreachable as error:  # one look that failed ends no sweep
            if not answered:
                raise
            report(str(error))
            on = names
        if not on:
            return
        if not said:
            report(f"waiting until {', '.join(sorted(on))} is quiet again")
            said = True
        time.sleep(LOOK_S)
    raise Refused(
        [f"{', '.join(sorted(names))} did not become quiet within {QUIET_S:g}s, so the next run would prove nothing"]
    )


def _on(loaded: Loaded, drivers: Drivers) -> set[str]:
    """The expected alerts that are pending, firing, or held by Alertmanager, of this system's labels alone."""
    on: set[str] = set()
    seen = [{**one.labels, "alertname": rule.name} for rule in drivers.rules.rules() for one in rule.alerts]
    if drivers.alertmanager is not None:
        seen += [dict(one.labels) for one in drivers.alertmanager.alerts()]
    for alert in loaded.experiment.expect.alerts:
        if alert.via == "silence":  # it is to be heard all the time
            continue
        wanted = {**loaded.system.alerts.match, **alert.labels, "alertname": alert.alert}
        on |= {alert.alert for labels in seen if carries(labels, wanted)}
    return on


def _rehearsed(
    loaded: Loaded, trials: Sequence[Trial], programs: Programs, report: Callable[[str], None]
) -> tuple[dict[str, Curve], str | None]:
    """Alert → from which severity on rehearsal catches it, by what the most severe run measured; nothing where shares do not mix."""
    proving = [trial for trial in trials if trial.proves]
    mixes = loaded.experiment.sweep is not None and loaded.experiment.sweep.parameter.rpartition(".")[2] in (
        TRAFFIC,
        "share",
    )
    if not proving or not mixes:
        return {}, None
    largest = max(proving, key=lambda trial: trial.severity)
    try:
        recording = kept(Path(largest.folder))
        alteration = replace(measured(recording), severity=1.0)
        wanted = [
            (Wanted(rule, dict(alert.labels)), alert.within)
            for alert in loaded.experiment.expect.alerts
            if (rule := matching_rule(alert, recording.rules)) is not None
        ]
        fault_s = max((fault.duration or 60.0 for fault in loaded.experiment.faults), default=60.0)
        lengths = Lengths(max(loaded.experiment.baseline, 10.0), fault_s, loaded.experiment.recovery)

        def played(parts: Sequence[float], seed: int) -> list[Rehearsed]:
            return rehearse(
                programs, alteration, [one for one, _ in wanted], parts, CLAIM_FROM, lengths,
                evaluation_s=recording.evaluation_s, recording_rules=recording.recording_rules, seed=seed, report=report,
            )  # fmt: skip

        done = played(LADDER, 0)
        closer = between({one.rule.name: threshold(_rows(done, one, within)) for one, within in wanted}, 3)
        done += played(closer, 1) if closer else []
    except (ChaosError, NoModel) as error:
        report(f"the curve is not rehearsed: {error}")
        return {}, None
    curve: dict[str, Curve] = {}
    for one, within in wanted:
        rows = _rows(done, one, within)
        caught = threshold(rows)
        scaled = tuple(replace(row, severity=row.severity * largest.severity) for row in rows)
        smallest = None if caught.smallest is None else caught.smallest * largest.severity
        curve[one.rule.name] = Curve(smallest, caught.claimed, scaled)
    return curve, f"the measured effect of the run at {largest.text}, {CLAIM_FROM} scenarios for each severity"


def _rows(done: Sequence[Rehearsed], one: Wanted, within: float | None) -> tuple[AtSeverity, ...]:
    return by_severity([each for each in done if each.alert == one.rule.name], within)
