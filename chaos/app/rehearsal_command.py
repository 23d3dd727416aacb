"""`chaos rehearse`: an experiment's questions in virtual time. Wiring: recording, alteration, scenarios, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.app.files import Loaded, check_alone, read_text, system_path
from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.app.surveyor import drivers_of
from chaos.app.telemetry_kept import kept, newest_run
from chaos.drivers.recorder import record
from chaos.drivers.throwaway import Programs
from chaos.errors import InvalidFile, Refused
from chaos.planning.alerts import matching_rule
from chaos.rehearsal.alteration import Alteration
from chaos.rehearsal.models import NoModel
from chaos.rehearsal.of_runs import baseline_of, measured, stated
from chaos.rehearsal.outcome import Rehearsed, by_severity, threshold
from chaos.rehearsal.recording import Recording
from chaos.rehearsal.report import RehearsalReport, alert_report, between, severities
from chaos.rehearsal.statements import statements_of
from chaos.rules_file import parse_rules
from chaos.telemetry import RecordingRule, RuleInfo
from chaos.units import format_duration

OVER_S = 3600.0
"""How much of a live Prometheus' past is taken for the baseline, unless it is said otherwise."""
KEPT_SYSTEM = "system.yaml"
"""The system file in a run's folder, without secrets."""
MOST_OF_A_SCENARIO_S = 12 * 3600.0
CALENDAR = ("hour(", "day_of_week(", "day_of_month(", "month(", "minute(")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for. `run` is a run's folder, or None for the newest one of the experiment; `model` takes none at all."""

    runs: Path
    run: Path | None = None
    model: bool = False
    over_s: float = OVER_S
    rules: Path | None = None
    scenarios: int = 50
    most: float | None = None
    seed: int = 0


def system_for(
    path: Path, system: str | None, variables: Mapping[str, str], asked: Asked, state: Path, say: Callable[[str], None]
) -> str | None:
    """The system to rehearse with: the one that is named or, where that is not here, the one that the run's folder keeps.

    None is the experiment's own. What is wrong with the files, whoever loads them says. Raises Refused for a folder that is not there.
    """
    if asked.run is not None and not asked.run.is_dir():
        raise Refused([f"there is no folder {asked.run}; name a run's folder, as `ls {asked.runs}` lists them"])
    try:
        experiment = check_alone(path, variables)
    except InvalidFile:
        return system
    name = system or experiment.system
    try:
        system_path(name, path, state)
    except InvalidFile:
        folder = None if asked.model else asked.run or newest_run(asked.runs, experiment.name)
        if folder is not None and (folder / KEPT_SYSTEM).is_file():
            say(f"the system `{name}` is not here; taking it as the run had it, from {folder / KEPT_SYSTEM}")
            return str((folder / KEPT_SYSTEM).resolve())
    return system


def command(
    loaded: Loaded, asked: Asked, state: Path, say: Callable[[str], None], *, projected: bool
) -> RehearsalReport:
    """What `chaos rehearse` shows: a rehearsal, or with `projected` what a run's treatment arm showed, projected to all traffic.

    Raises Refused with every reason why it cannot be made.
    """
    from chaos.app.projecting import projection
    from chaos.lab import monitoring

    tools = monitoring.find(state, say)
    programs = Programs(tools.prometheus, tools.promtool)
    if not projected:
        return rehearsal(loaded, asked, programs, say)
    folder = asked.run or newest_run(asked.runs, loaded.experiment.name)
    if folder is None:
        name = loaded.experiment.name
        why = f"no run of {name} in {asked.runs} has kept its telemetry; run it once, or name one with --run"
        raise Refused([why])
    return projection(loaded, folder, programs, asked.scenarios, say, asked.seed)


def rehearsal(loaded: Loaded, asked: Asked, programs: Programs, report: Callable[[str], None]) -> RehearsalReport:
    """The report. Raises Refused with every reason why it cannot be made."""
    begun = time.monotonic()
    recording, rules, recording_rules = _recorded(loaded, asked, report)
    wanted, withins, refused = _wanted(loaded, rules)
    if refused:
        raise Refused(refused)
    try:
        alteration = _alteration(loaded, recording, asked)
    except NoModel as error:
        raise Refused([str(error)]) from error
    lengths = _lengths(loaded, alteration)
    own = _own_severity(loaded, alteration)
    most = min(alteration.severity, asked.most or alteration.severity)
    ladder = severities(most, own if own <= alteration.severity + 1e-9 else most)

    def played(at: Sequence[float], seed: int) -> list[Rehearsed]:
        return rehearse(
            programs, alteration, wanted, at, asked.scenarios, lengths, evaluation_s=recording.evaluation_s,
            recording_rules=recording_rules, seed=seed, report=report,
        )  # fmt: skip

    found = played(ladder, asked.seed)
    closer = between(
        {
            one.rule.name: threshold(
                by_severity([each for each in found if each.alert == one.rule.name], withins[one.rule.name])
            )
            for one in wanted
        }
    )
    if closer:
        found += played(closer, asked.seed + 1)
    slots = len(found) / max(1, len(wanted)) * (lengths.baseline_s + lengths.fault_s + lengths.recovery_s)
    report(f"rehearsed {slots / 3600:.1f} hours in {time.monotonic() - begun:.1f}s")
    return RehearsalReport(
        experiment=loaded.experiment.name,
        system=loaded.system.name,
        source=alteration.source,
        measured=alteration.measured,
        severity=own,
        scenarios=asked.scenarios,
        virtual_hours=round(slots / 3600, 2),
        alerts=tuple(alert_report(found, one.rule.name, withins[one.rule.name], own) for one in wanted),
        notes=tuple(_notes(alteration, wanted, own, lengths.fault_s)),
    )


def _recorded(
    loaded: Loaded, asked: Asked, report: Callable[[str], None]
) -> tuple[Recording, list[RuleInfo], list[RecordingRule]]:
    """The telemetry to alter, and the rules to ask: a run's own, or those of a file or of the server now."""
    folder = (
        asked.run if asked.run is not None else None if asked.model else newest_run(asked.runs, loaded.experiment.name)
    )
    drivers = drivers_of(loaded.system, loaded.system_path.parent)
    if folder is not None:
        recording = kept(folder)
        report(f"taking the telemetry of {folder}")
        rules, recording_rules = list(recording.rules), list(recording.recording_rules)
    else:
        rules, recording_rules = drivers.rules.rules(), drivers.rules.recording_rules()
        recording = None
    if asked.rules is not None:
        try:
            rules, recording_rules = parse_rules(read_text(asked.rules))
        except ValueError as error:
            raise Refused([f"{asked.rules}: {error}"]) from error
        if recording is not None:
            rules = _with_phases(rules, recording)
    if recording is None:
        named = [rule for alert in loaded.experiment.expect.alerts if (rule := matching_rule(alert, tuple(rules)))]
        now = drivers.prometheus.now_wall_s()
        report(f"recording {asked.over_s / 60:g} minutes of {loaded.system.name}")
        recording = record(drivers.prometheus, named or rules, now - asked.over_s, now, recording_rules=recording_rules)
    return recording, rules, recording_rules


def _with_phases(rules: list[RuleInfo], recording: Recording) -> list[RuleInfo]:
    """Rules of a file, evaluated when and as often as those that were loaded while it was recorded."""
    known = {rule.name: rule for rule in recording.rules}
    usual = next(iter(recording.rules), None)
    found: list[RuleInfo] = []
    for rule in rules:
        like = known.get(rule.name, usual)
        found.append(
            replace(rule, interval_s=like.interval_s, last_evaluation_wall_s=like.last_evaluation_wall_s)
            if like
            else rule
        )
    return found


def _wanted(loaded: Loaded, rules: Sequence[RuleInfo]) -> tuple[list[Wanted], dict[str, float | None], list[str]]:
    wanted: list[Wanted] = []
    withins: dict[str, float | None] = {}
    refused: list[str] = []
    for alert in loaded.experiment.expect.alerts:
        rule = matching_rule(alert, tuple(rules))
        if rule is None:
            refused.append(
                f"there is no rule for the alert {alert.alert} in what is rehearsed; load it, or name its file with --rules"
            )
            continue
        wanted.append(Wanted(rule, dict(alert.labels)))
        withins[rule.name] = alert.within
    if not loaded.experiment.expect.alerts:
        refused.append("no alert is expected, so there is nothing to rehearse; write `expect: {alerts: [...]}`")
    return wanted, withins, refused


def _alteration(loaded: Loaded, recording: Recording, asked: Asked) -> Alteration:
    if recording.effect_wall_s is not None and not asked.model:
        return measured(recording)
    baseline = baseline_of(recording)
    statements = statements_of(loaded.experiment, loaded.system, loaded.probes, baseline)
    names = ", ".join(fault.fault for fault in loaded.experiment.faults)
    if not statements and not any(
        baseline.change[row].any() for row in range(len(baseline.series)) if baseline.counter[row]
    ):
        raise NoModel(
            f"nothing was counted in {recording.about}, so there is no baseline; is there traffic? --over takes more of the past"
        )
    if not statements:
        raise NoModel(
            f"what {names} does to the metrics that the rules read can be stated by nobody; run the experiment once for a short time, "
            "and it will be rehearsed from what was measured"
        )
    signals = ", ".join(
        f"{one.signal.value} becomes {one.treated:.3g}"
        if one.treated is not None
        else f"answers come {one.later_s:.3g}s later"
        for one in statements
    )
    return stated(
        recording, statements, f"a stated model of {names} ({signals} where it hurts), over {recording.about}"
    )


def _lengths(loaded: Loaded, alteration: Alteration) -> Lengths:
    faults = loaded.experiment.faults
    fault_s = max((fault.start + (fault.duration or 0.0) for fault in faults), default=60.0)
    baseline_s = max(loaded.experiment.baseline, 5 * alteration.baseline.slot_s)
    return Lengths(
        min(baseline_s, MOST_OF_A_SCENARIO_S), min(fault_s, MOST_OF_A_SCENARIO_S),
        min(max(loaded.experiment.recovery, 2 * alteration.baseline.slot_s), MOST_OF_A_SCENARIO_S),
    )  # fmt: skip


def _own_severity(loaded: Loaded, alteration: Alteration) -> float:
    """The experiment's share of traffic; all of what was measured where a fault knows no arms."""
    arms = any(fault.acts_on in ("answer", "request", "load") for fault in loaded.experiment.faults)
    return loaded.experiment.blast_radius.traffic if arms else alteration.severity


def _notes(alteration: Alteration, wanted: Sequence[Wanted], own: float, fault_s: float) -> list[str]:
    notes: list[str] = []
    known_s = alteration.fault.slots * alteration.fault.slot_s
    if alteration.measured and known_s < 0.9 * fault_s:
        known, here = format_duration(round(known_s)), format_duration(round(fault_s))
        notes.append(
            f"the fault was on for {known} then and is for {here} here: after what was seen, its later half is repeated"
        )
    mixed = alteration.mixes()
    if mixed and alteration.measured:
        notes.append(f"gauges do not add up over traffic, and are mixed in proportion: {', '.join(mixed)}")
    if own > alteration.severity + 1e-9:
        notes.append(
            f"the experiment hurts {own:.0%} of traffic, and only {alteration.severity:.0%} were measured: above that nothing is known"
        )
    calendar = [one.rule.name for one in wanted if any(word in one.rule.expr for word in CALENDAR)]
    if calendar:
        notes.append(f"{', '.join(calendar)} looks at the calendar, and scenarios are played at other times of day")
    if not alteration.measured:
        notes.append("what the model says nothing about stays as it is: no queue fills, no retry, no cache")
    return notes
