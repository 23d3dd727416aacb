"""`chaos check --live`: the files are right, and then every expected alert's rule is asked for at the system's own monitoring."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.app import files as reading
from chaos.app.files import Loaded
from chaos.app.surveyor import Drivers, drivers_of
from chaos.app.widths import fold
from chaos.drivers.rule_facts import Servers, ask_about
from chaos.errors import InvalidFile, Problem
from chaos.planning.alerts import matching_rule, not_loaded
from chaos.planning.rules import sentence
from chaos.rulecheck.checker import check
from chaos.rulecheck.facts import RuleProblem
from chaos.telemetry import RuleInfo
from chaos.visible import visible


@dataclass(frozen=True, slots=True)
class CheckedAlert:
    """One expected alert of one file. `rule` is None when no rule is loaded for it, which `missing` says."""

    place: int
    alert: str
    rule: RuleInfo | None
    missing: str | None
    problems: tuple[RuleProblem, ...]

    def wrong(self) -> list[str]:
        """Why the experiment would prove nothing with this alert, one sentence each."""
        if self.rule is None:
            return [self.missing or ""]
        return [sentence(self.rule, one) for one in self.problems if one.verdict != "doubtful"]

    def doubts(self) -> list[str]:
        """What may be wrong with it, one sentence each."""
        if self.rule is None:
            return []
        return [sentence(self.rule, one) for one in self.problems if one.verdict == "doubtful"]


def command(
    files: Sequence[Path],
    system: str | None,
    variables: Mapping[str, str],
    state: Path,
    say: Callable[[str], None],
    *,
    as_json: bool,
) -> None:
    """Prints what was found. Raises InvalidFile for everything that is wrong, Unreachable when Prometheus does not answer."""
    problems: list[Problem] = []
    rows: list[dict[str, object]] = []
    for path in files:
        try:
            loaded = reading.load(path, system=system, variables=variables, state=state)
        except InvalidFile as error:
            problems += error.problems
            continue
        checked, untold = look(loaded, drivers_of(loaded.system, loaded.system_path.parent))
        for said in untold:
            say(f"! {said}")
        for one in checked:
            problems += [loaded.document.problem(("expect", "alerts", one.place), said) for said in one.wrong()]
        if as_json:
            rows.append(_row(loaded, checked))
        else:
            _tell(loaded, checked)
    if as_json:
        print(json.dumps(rows))
    if problems:
        raise InvalidFile(problems)


def look(loaded: Loaded, drivers: Drivers) -> tuple[list[CheckedAlert], list[str]]:
    """Each expected alert with what is wrong with its rule, and what could not be asked."""
    # Of what only a sink knows there is no rule that anybody could look at.
    expected = {
        place: alert for place, alert in enumerate(loaded.experiment.expect.alerts) if alert.via == "prometheus"
    }
    if not expected:
        return [], []
    rules = tuple(drivers.rules.rules())
    found = [matching_rule(alert, rules) for alert in expected.values()]
    there = [rule for rule in found if rule is not None]
    asked = ask_about(there, Servers(drivers.prometheus, drivers.rules, drivers.alertmanager))
    known = iter(asked.facts)
    checked = [
        CheckedAlert(place, alert.alert, None, not_loaded(alert, rules), ())
        if rule is None
        else CheckedAlert(place, alert.alert, rule, None, check(rule, next(known)))
        for (place, alert), rule in zip(expected.items(), found, strict=True)
    ]
    return checked, asked.untold


def _tell(loaded: Loaded, checked: list[CheckedAlert]) -> None:
    right = [one.alert for one in checked if not one.wrong()]
    said = f"{loaded.path}: {loaded.experiment.name}: the file is right, and fits the system {loaded.system.name}"
    if right:
        said += f"; can fire: {', '.join(right)}"
    elif not checked:
        said += "; it expects no alert"
    print(fold(visible(said), sys.stdout))
    for one in checked:
        for doubt in one.doubts():
            print(fold(visible(f"  ? {doubt}"), sys.stdout))


def _row(loaded: Loaded, checked: list[CheckedAlert]) -> dict[str, object]:
    return {
        "file": str(loaded.path),
        "experiment": loaded.experiment.name,
        "system": loaded.system.name,
        "alerts": [
            {
                "alert": one.alert,
                "loaded": one.rule is not None,
                "can_fire": not one.wrong(),
                "problems": [asdict(problem) for problem in one.problems],
            }
            for one in checked
        ],
    }
