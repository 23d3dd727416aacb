"""`chaos coverage`: what runs have proven of every alert, with what the rules themselves say. Wiring."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chaos.app.coverage import possible_faults, tried_in
from chaos.app.suggesting import suggest
from chaos.coverage import Column, Matrix, matrix
from chaos.drivers.throwaway import Programs
from chaos.drivers.whole_file import write_asked
from chaos.errors import ChaosError
from chaos.rehearsal.suggestion import Suggestion, rules_file
from chaos.report.coverage import page, percent
from chaos.system import System
from chaos.units import parse_duration, parse_share

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Covered:
    """The matrix, and the rules that are suggested for what survived; empty when nobody asked for any. `harmed` maps a run to the
    probes that it drove out of their bounds.
    """

    found: Matrix
    harmed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    suggestions: tuple[Suggestion, ...] = ()

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps(
            {**json.loads(self.found.to_json()), "suggestions": [asdict(one) for one in self.suggestions]}, indent=2
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for. Times and shares are texts as they were written."""

    runs: Path
    system: str | None
    variables: Mapping[str, str]
    over: str
    html: Path | None = None
    suggest: Path | None = None
    fail_under: str | None = None
    max_age: str | None = None


class BelowThreshold(ChaosError):
    """The score is below what was asked for."""

    exit_code = 1


def cover(
    runs: Path,
    system: System | None,
    standings: Mapping[str, tuple[str, str]],
    *,
    max_age_s: float | None = None,
    say: Say = lambda said: None,
) -> Covered:
    """What the runs in this folder prove. `standings` maps an alert to what its rule is like and why, where somebody asked."""
    tried = list(tried_in(runs, system.name if system is not None else None))
    columns = [Column(alert, place, why) for alert, (place, why) in standings.items()]
    found = matrix(tried, possible_faults(system), columns, time.time(), max_age_s)
    say(f"{len(tried)} run{'s' if len(tried) != 1 else ''} of faults in {runs}")
    return Covered(found, {one.run: one.harmed for one in tried})


def suggestions_for(covered: Covered, programs: Programs, say: Say) -> tuple[Suggestion, ...]:
    """A rule for each fault that survived, rehearsed, or why there is none."""
    survivors = covered.found.of("survived")
    return tuple(suggest(survivors, {row.fault: covered.harmed.get(row.run, ()) for row in survivors}, programs, say))


def write_page(covered: Covered, path: Path, title: str) -> None:
    """The page stands in this file. Raises ChaosError when it cannot be written."""
    write_asked(path, page(covered.found, title))


def write_rules(suggestions: Sequence[Suggestion], path: Path) -> None:
    """The suggested rules stand in this file, when there are any. Nothing loads them. Raises ChaosError when it cannot be written."""
    if any(one.rule is not None for one in suggestions):
        write_asked(path, rules_file(suggestions))


def demand(found: Matrix, least: float) -> None:
    """Raises BelowThreshold when the score is below, or when there is none yet: nothing was tried."""
    if found.score is None:
        raise BelowThreshold(
            f"--fail-under {least:.0%}: there is no score yet, since no fault that was tried broke the system"
        )
    if found.score < least:
        survived = ", ".join(row.fault for row in found.of("survived"))
        raise BelowThreshold(
            f"--fail-under {least:.0%}: the score is {percent(found.score)}; nobody was told of {survived}"
        )


def command(wish: Wish, state: Path, say: Say, console: Console, *, as_json: bool) -> None:
    """`chaos coverage`, whole. Raises BelowThreshold, after everything was shown."""
    from chaos.lab import monitoring
    from chaos.report.coverage import coverage_view
    from chaos.report.suggestions import file_sentence, suggestions_view

    least = _said(wish.fail_under, parse_share, "--fail-under")
    max_age_s = _said(wish.max_age, parse_duration, "--max-age")
    system, standings = _system(wish, state, say) if wish.system is not None else (None, {})
    programs = None
    if wish.suggest is not None:
        tools = monitoring.find(state, say)
        programs = Programs(tools.prometheus, tools.promtool)
    covered = cover(wish.runs, system, standings, max_age_s=max_age_s, say=say)
    if not as_json:
        console.print(coverage_view(covered.found))
    if wish.html is not None:
        write_page(covered, wish.html, system.name if system is not None else str(wish.runs))
        say(f"the matrix is in {wish.html}")
    if programs is not None and wish.suggest is not None:
        covered = replace(covered, suggestions=suggestions_for(covered, programs, say))
        if covered.suggestions and not as_json:
            console.print(suggestions_view(covered.suggestions))
        stands, tried = wish.suggest.exists(), covered.found.score is not None
        write_rules(covered.suggestions, wish.suggest)
        say(file_sentence(covered.suggestions, str(wish.suggest), stands=stands, tried=tried))
    if as_json:
        print(covered.to_json())
    if least is not None:
        demand(covered.found, least)


def read_share(text: str | None, option: str) -> float | None:
    """The share that this option says; None without it. Raises BadParameter."""
    return _said(text, parse_share, option)


def _said(text: str | None, parse: Callable[[str], float], option: str) -> float | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _system(wish: Wish, state: Path, say: Say) -> tuple[System, dict[str, tuple[str, str]]]:
    """The system, and what its alerting rules are like; of a Prometheus that does not answer nothing is said but that."""
    from chaos.app import rule_survey
    from chaos.app.files import Variables, read_text, system_path
    from chaos.system import parse_system
    from chaos.telemetry import carries

    assert wish.system is not None
    path = system_path(wish.system, Path("chaos coverage"), state)
    system, _ = parse_system(read_text(path), str(path), Variables(wish.variables, path.parent))
    telemetry = system.telemetry
    try:
        found = rule_survey.look(telemetry.rules or telemetry.prometheus, telemetry.alertmanager, wish.over)
    except ChaosError as error:
        say(f"what the rules are like is not known: {error}")
        return system, {}
    return system, {
        one.alert: (one.place, one.sentence)
        for one in found.rules
        if carries({**one.labels, "alertname": one.alert}, system.alerts.match)
    }
