"""`chaos coverage`: what runs have proven of every alert, with what the rules themselves say. Wiring."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.app.coverage import possible_faults, tried_in
from chaos.app.suggesting import suggest
from chaos.coverage import Column, Matrix, matrix
from chaos.drivers.throwaway import Programs
from chaos.errors import ChaosError
from chaos.rehearsal.suggestion import Suggestion, rules_file
from chaos.report.coverage import page
from chaos.system import System

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Covered:
    """The matrix, and the rules that are suggested for what survived; empty when nobody asked for any."""

    found: Matrix
    suggestions: tuple[Suggestion, ...] = ()

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps(
            {**json.loads(self.found.to_json()), "suggestions": [asdict(one) for one in self.suggestions]}, indent=2
        )


class BelowThreshold(ChaosError):
    """The score is below what was asked for."""

    exit_code = 1


def cover(
    runs: Path,
    system: System | None,
    standings: Mapping[str, tuple[str, str]],
    *,
    max_age_s: float | None = None,
    programs: Programs | None = None,
    say: Say = lambda said: None,
) -> Covered:
    """What the runs in this folder prove. `standings` maps an alert to what its rule is like and why, where somebody asked.

    With `programs`, a rule is suggested for each fault that survived, and rehearsed.
    """
    tried = list(tried_in(runs, system.name if system is not None else None))
    match = dict(system.alerts.match) if system is not None else {}
    columns = [Column(alert, place, why) for alert, (place, why) in standings.items()]
    found = matrix(tried, possible_faults(system), columns, time.time(), max_age_s)
    say(f"{len(tried)} faults in the runs of {runs}" + (f" (alerts with {match})" if match else ""))
    suggestions: list[Suggestion] = []
    survivors = found.of("survived")
    if programs is not None and survivors:
        harmed = {one.run: one.harmed for one in tried}
        suggestions = suggest(survivors, {row.fault: harmed.get(row.run, ()) for row in survivors}, programs, say)
    return Covered(found, tuple(suggestions))


def write_page(covered: Covered, path: Path, title: str) -> None:
    """The page stands in this file."""
    path.write_text(page(covered.found, title), encoding="utf-8")


def write_rules(suggestions: Sequence[Suggestion], path: Path) -> int:
    """The suggested rules stand in this file, when there are any; how many. Nothing loads them."""
    count = sum(one.rule is not None for one in suggestions)
    if count:
        path.write_text(rules_file(suggestions), encoding="utf-8")
    return count


def demand(found: Matrix, least: float) -> None:
    """Raises BelowThreshold when the score is below, or when there is none yet: nothing was tried."""
    if found.score is None:
        raise BelowThreshold(
            f"--fail-under {least:.0%}: there is no score yet, since no fault that was tried broke the system"
        )
    if found.score < least:
        survived = ", ".join(row.fault for row in found.of("survived"))
        raise BelowThreshold(f"--fail-under {least:.0%}: the score is {found.score:.0%}; nobody was told of {survived}")
