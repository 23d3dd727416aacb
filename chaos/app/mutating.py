"""Would the experiments notice if a rule were worse? Every mutant of every rule, over the telemetry of the runs at hand. Wiring.

run's telemetry ─▶ scenarios at the run's own severity ─▶ rule and mutants asked side by side ─▶ does the expectation fail?
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.app.rehearsing import Lengths, Wanted, rehearse
from chaos.app.telemetry_kept import NAME, kept
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs
from chaos.errors import ChaosError, Refused
from chaos.judging.trace import trace
from chaos.plans import Plan, PlannedAlert
from chaos.rehearsal.alteration import Alteration
from chaos.rehearsal.models import NoModel
from chaos.rehearsal.mutants import Judged, Mutant, MutationReport, Seen, judged, mutants
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.outcome import CLAIM, AtSeverity, Rehearsed, by_severity
from chaos.rehearsal.recording import Recording
from chaos.telemetry import RuleInfo, carries
from chaos.verdict import PROVES_NOTHING

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_RECOVERY_S = 10.0
"""Whether somebody is told in time is known by then."""
SHORTEST_BASELINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run at hand: what it expected, and what it kept."""

    plan: Plan
    recording: Recording
    alteration: Alteration

    @property
    def name(self) -> str:
        """The experiment, and where it stood in its sweep."""
        return f"{self.plan.experiment} at {self.plan.swept}" if self.plan.swept else self.plan.experiment

    def rule_of(self, alert: PlannedAlert) -> RuleInfo | None:
        """The rule as it was loaded then."""
        labels = {**alert.labels}
        rules = (one for one in self.recording.rules if one.name == alert.alert)
        return next((one for one in rules if carries({**labels, **one.labels}, labels)), None)


def mutation(
    runs: Path, system: str | None, programs: Programs, scenarios: int, say: Callable[[str], None], seed: int = 0
) -> MutationReport:
    """Every mutant of the rules that the newest run of each experiment expects to tell. Raises Refused when there is no run for it."""
    at_hand = {one.name: one for one in _runs(runs, system, say)}
    if not at_hand:
        raise Refused([f"no run in {runs} has kept its telemetry and proves something; run an experiment once"])
    rules: dict[str, RuleInfo] = {}
    for run in at_hand.values():  # the newest come last: a rule that was changed since is judged by what it is now
        rules |= {alert.alert: rule for alert in run.plan.alerts if (rule := run.rule_of(alert)) is not None}
    routed = {one.alert for run in at_hand.values() for one in run.plan.alerts if one.delivered_to is not None}
    made, left_out = _without_routes({name: mutants(rule) for name, rule in rules.items()}, routed)
    seen: dict[tuple[str, int], list[Seen]] = {}
    untold: dict[str, str] = {}
    for run in at_hand.values():
        for alert in run.plan.alerts:
            rule = run.rule_of(alert)
            if rule is None or not _same(rule, rules[alert.alert]):
                why = "no rule of it was kept" if rule is None else "its rule was another one then"
                untold.setdefault(alert.alert, f"{run.name}: {why}")
                continue
            say(f"{run.name}: {len(made[alert.alert])} mutants of {alert.alert}")
            found = _played(run, alert, rule, made[alert.alert], programs, scenarios, seed)
            if found is None:
                untold.setdefault(
                    alert.alert, f"{run.name}: rehearsed, the rule itself is not told in nine of ten scenarios"
                )
            for place, one in enumerate(found or ()):
                seen.setdefault((alert.alert, place), []).append(one)
    told = {name for name, _ in seen}
    results: list[Judged] = [
        judged(name, made[name][place], tuple(each)) for (name, place), each in sorted(seen.items())
    ]
    return MutationReport(
        tuple(results),
        tuple(at_hand),
        {name: why for name, why in untold.items() if name not in told},
        scenarios,
        left_out,
    )


def _without_routes(
    made: Mapping[str, tuple[Mutant, ...]], routed: AbstractSet[str]
) -> tuple[dict[str, tuple[Mutant, ...]], tuple[str, ...]]:
    """The mutants, but for those of labels of these alerts, and what is left out: Alertmanager's routes are not rehearsed, so
    whether a receiver would still be told, as the experiment asks (`delivered_to:`), is not known.
    """
    kept = {
        name: tuple(one for one in each if one.kind != "label" or name not in routed) for name, each in made.items()
    }
    left = [
        f"{name}: {one.change}: whether its receiver would still be told is not rehearsed"
        for name, each in made.items()
        for one in each
        if one not in kept[name]
    ]
    return kept, tuple(left)


def _same(one: RuleInfo, other: RuleInfo) -> bool:
    return (one.expr, one.for_s, dict(one.labels)) == (other.expr, other.for_s, dict(other.labels))


def _runs(runs: Path, system: str | None, say: Callable[[str], None]) -> Iterator[Run]:
    """The runs that can be rehearsed, the oldest first."""
    for path in sorted(runs.glob(f"*/{NAME}")) if runs.is_dir() else ():
        try:
            if json.loads((path.parent / "verdict.json").read_bytes())["verdict"] in PROVES_NOTHING:
                continue
            plan = trace(RunFolder(path.parent).lines()).plan
            if system is not None and plan.system != system:
                continue
            recording = kept(path.parent)
            yield Run(plan, recording, measured(recording))
        except (ChaosError, NoModel, OSError, LookupError, TypeError, ValueError) as error:
            say(f"{path.parent} is left out: {error}")


def _played(
    run: Run,
    alert: PlannedAlert,
    rule: RuleInfo,
    made: tuple[Mutant, ...],
    programs: Programs,
    scenarios: int,
    seed: int,
) -> list[Seen] | None:
    """How this run's expectation fares under each mutant; None where it is not met under the rule itself, so that nothing follows."""
    plan = run.plan
    fault_s = max((effect.duration_s for effect in plan.faults()), default=60.0)
    lengths = Lengths(
        max(SHORTEST_BASELINE_S, 5 * run.alteration.baseline.slot_s), fault_s, min(plan.recovery_s, LONGEST_RECOVERY_S)
    )
    named = [replace(one.rule, name=f"{rule.name} {place}") for place, one in enumerate(made)]
    found = rehearse(
        programs, run.alteration, [Wanted(one, dict(alert.labels)) for one in (rule, *named)], [run.alteration.severity],
        scenarios, lengths, evaluation_s=run.recording.evaluation_s, recording_rules=run.recording.recording_rules, seed=seed,
    )  # fmt: skip
    usual = _row(found, rule.name, alert.within_s)
    if usual.share < CLAIM:
        return None
    rows = [(_row(found, one.name, alert.within_s), _row(found, one.name, None)) for one in named]
    return [
        Seen(run.name, alert.within_s, row.share, row.scenarios, ever.median_s, usual.latest_s) for row, ever in rows
    ]


def _row(found: list[Rehearsed], name: str, within_s: float | None) -> AtSeverity:
    (row,) = by_severity([one for one in found if one.alert == name], within_s)
    return row


def command(
    runs: Path,
    system: str | None,
    variables: Mapping[str, str],
    fail_under: str | None,
    scenarios: int,
    say: Callable[[str], None],
    *,
    as_json: bool,
    console: Console,
) -> None:
    """`chaos coverage --mutate-rules`, whole. Raises BelowThreshold, after everything was shown."""
    from chaos.app.coverage_command import BelowThreshold, read_share
    from chaos.app.files import STATE, Variables, read_text, system_path
    from chaos.lab import monitoring
    from chaos.report.mutation import mutation_view
    from chaos.system import parse_system

    least, name = read_share(fail_under, "--fail-under"), None
    if system is not None:
        path = system_path(system, Path("chaos coverage"), STATE)
        name = parse_system(read_text(path), str(path), Variables(variables, path.parent))[0].name
    tools = monitoring.find(STATE, say)
    found = mutation(runs, name, Programs(tools.prometheus, tools.promtool), scenarios, say)
    if as_json:
        print(found.to_json())
    else:
        console.print(mutation_view(found))
    if least is not None and (found.score is None or found.score < least):
        seen = "no mutant could be played" if found.score is None else f"{found.score:.0%} of the mutants are noticed"
        raise BelowThreshold(f"--fail-under {least:.0%}: {seen}")
