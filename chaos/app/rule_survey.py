"""`chaos coverage`: every alert rule of a Prometheus, sorted by what is known of it without any experiment. Only reads."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.http import without_secrets
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.rule_facts import Servers, ask_about
from chaos.rulecheck.standing import PLACES, Place, Standing, standing
from chaos.units import format_duration, parse_duration
from chaos.visible import visible

STYLES: dict[Place, str] = {
    "cannot fire": "red", "always firing": "red", "never fired": "yellow", "fired": "green", "unknown": "dim",
}  # fmt: skip
QUERY_TIMEOUT_S = 10.0
"""A query over a week may take longer than a look during a run."""
SHORTEST_S = 60.0


@dataclass(frozen=True, slots=True)
class RuleSurvey:
    """What was found: where, over which time, each rule's standing in the rules' order, and what could not be asked."""

    prometheus: str
    over_s: float
    recorded_s: float
    rules: tuple[Standing, ...]
    untold: tuple[str, ...]

    def counts(self) -> dict[Place, int]:
        """How many rules have each place; places that nobody has are left out, except the four that are always of interest."""
        found = Counter(one.place for one in self.rules)
        return {place: found[place] for place in PLACES if found[place] or place != "unknown"}


def look(prometheus: str, alertmanager: str | None, over: str) -> RuleSurvey:
    """Every alert rule's standing. Raises Unreachable when Prometheus does not answer, BadParameter for what cannot be asked."""
    try:
        over_s = parse_duration(over)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--over") from error
    if over_s < SHORTEST_S:
        raise typer.BadParameter("less than a minute says nothing; write something like 7d", param_hint="--over")
    server = PrometheusDriver(_address(prometheus, "--prometheus"), timeout_s=QUERY_TIMEOUT_S)
    tells = AlertmanagerDriver(_address(alertmanager, "--alertmanager")) if alertmanager else None
    rules = server.rules()
    asked = ask_about(rules, Servers(server, server, tells), recording_s=over_s, closest=True)
    found = tuple(standing(rule, facts) for rule, facts in zip(rules, asked.facts, strict=True))
    return RuleSurvey(without_secrets(prometheus), over_s, asked.recording_s, found, tuple(asked.untold))


def _address(url: str, option: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(
            f"{url!r} is no address; write something like http://127.0.0.1:9090", param_hint=option
        )
    return url.rstrip("/")


def to_json(found: RuleSurvey) -> str:
    """One JSON object: counts, and every rule with its place, its sentence and all of its problems."""
    rules = [
        {
            "alert": one.alert,
            "group": one.group,
            "place": one.place,
            "sentence": one.sentence,
            "problems": [asdict(problem) for problem in one.problems],
        }
        for one in found.rules
    ]
    return json.dumps(
        {
            "prometheus": found.prometheus,
            "over_s": found.over_s,
            "recorded_s": found.recorded_s,
            "counts": found.counts(),
            "rules": rules,
            "untold": list(found.untold),
        }
    )


def view(found: RuleSurvey) -> RenderableType:
    """Counts first, then every rule with a sentence, the worst first."""
    parts: list[RenderableType] = [
        Text(visible(f"{len(found.rules)} alert rules of {found.prometheus}, {_looked_back(found)}"), overflow="fold"),
        _counts(found),
    ]
    for place in PLACES:
        here = [one for one in found.rules if one.place == place]
        if here:
            parts.append(Text(f"\n{PLACES[place].capitalize()}", style=f"bold {STYLES[place]}"))
            parts += [Padding(_rule(one), (0, 0, 0, 2)) for one in here]
    for said in found.untold:
        parts.append(Text(f"\n! {visible(said)}", style="yellow", overflow="fold"))
    return Group(*parts)


def _looked_back(found: RuleSurvey) -> str:
    said = f"over the last {format_duration(found.over_s)}"
    if found.recorded_s < 0.99 * found.over_s:
        return f"{said}, of which {format_duration(round(found.recorded_s))} are recorded"
    return said


def _counts(found: RuleSurvey) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for place, count in found.counts().items():
        table.add_row(Text(f"  {count}", style=STYLES[place] if count else "dim"), Text(PLACES[place]))
    return table


def _rule(one: Standing) -> RenderableType:
    name = Text(visible(one.alert), style="bold", overflow="fold")
    group = Text(visible(f"  {one.group}"), style="dim") if one.group else Text()
    told = [Padding(Text(visible(one.sentence), overflow="fold"), (0, 0, 0, 2))]
    told += [
        Padding(Text(visible(f"{_mark(problem.verdict)} {problem.sentence}"), overflow="fold"), (0, 0, 0, 2))
        for problem in one.also
    ]
    return Group(Text.assemble(name, group), *told)


def _mark(verdict: str) -> str:
    return "?" if verdict == "doubtful" else "✗"
