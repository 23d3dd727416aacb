"""Reads a game day with every experiment that it names; all problems of all files come at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.app.files import STATE, Loaded, Variables, load, read_text
from chaos.calendar import Calendar
from chaos.document import Document, read_document
from chaos.errors import InvalidFile, Problem
from chaos.experiment import Experiment
from chaos.gameday import GameDay, Step
from chaos.strict import validate

BETWEEN_S = 75.0
"""What a run may take besides what its file says: the undo, collecting and judging."""


@dataclass(frozen=True, slots=True)
class LoadedDay:
    """One game day with everything that it refers to; `loaded` has the experiment of each step."""

    day: GameDay
    path: Path
    loaded: tuple[Loaded, ...]

    def names(self) -> list[str]:
        """What the experiments of the steps are called."""
        return [one.experiment.name for one in self.loaded]

    def calendars(self) -> list[tuple[str, Calendar]]:
        """The calendar of every system, by its name."""
        return list({one.system.name: (one.system.name, one.system.calendar) for one in self.loaded}.values())

    def own_calendar(self) -> tuple[str, Calendar]:
        """The calendar of the day itself, by its name."""
        return f"the game day {self.day.name}", self.day.calendar

    def longest_s(self, first: int = 0) -> float:
        """The most that the day may take from this step on, with nobody keeping it waiting."""
        return sum(
            step.pause + longest_s(one.experiment)
            for step, one in zip(self.day.steps[first:], self.loaded[first:], strict=True)
        )


def longest_s(experiment: Experiment) -> float:
    """The most that a run of this experiment takes, as far as its file says."""
    warmup_s = experiment.load.warmup if experiment.load else 0.0
    return warmup_s + experiment.baseline + experiment.blast_radius.max_duration + experiment.recovery + BETWEEN_S


def load_day(
    path: Path, *, system: str | None = None, variables: Mapping[str, str] | None = None, state: Path = STATE
) -> LoadedDay:
    """The game day and its experiments. `system` overrides what the files say. Raises InvalidFile with every problem."""
    given = variables or {}
    document = read_document(read_text(path), str(path), Variables(given, path.parent))
    day, problems = validate(document, GameDay, "game day")
    if day is None:
        raise InvalidFile(problems)
    loaded: list[Loaded] = []
    for index, step in enumerate(day.steps):
        try:
            one = _experiment(path, day, step, system, given, state)
            loaded.append(one)
        except InvalidFile as error:
            problems += [found for found in error.problems if found not in problems]
            continue
        if one.experiment.sweep is not None:
            problems.append(sweep_problem(document, index, one.experiment))
    if problems:
        raise InvalidFile(problems)
    return LoadedDay(day, path, tuple(loaded))


def sweep_problem(document: Document, step: int, experiment: Experiment) -> Problem:
    """What is said of a step whose experiment is a sweep."""
    said = f"{experiment.name} is a sweep, which is a day of its own; name an experiment without `sweep:`"
    return document.problem(("steps", step, "experiment"), said)


def _experiment(
    path: Path, day: GameDay, step: Step, system: str | None, given: Mapping[str, str], state: Path
) -> Loaded:
    """The experiment of one step; a system that this file names is looked for beside it first."""
    name = system or step.system or day.system
    beside = path.parent / name if name is not None and system is None else None
    return load(
        path.parent / step.experiment,
        system=str(beside) if beside is not None and beside.is_file() else name,
        variables=given,
        state=state,
    )


def load_days(paths: list[Path], *, variables: Mapping[str, str], state: Path = STATE) -> list[LoadedDay]:
    """Several game days, each with a name of its own. Raises InvalidFile with every problem of all of them."""
    found: list[LoadedDay] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            one = load_day(path, variables=variables, state=state)
        except InvalidFile as error:
            problems += error.problems
            continue
        if twin := next((other for other in found if other.day.name == one.day.name), None):
            said = f"{twin.path} is called {one.day.name}, too; a server tells game days apart by their names"
            problems.append(Problem(str(path), 1, 1, "name", said))
        found.append(one)
    if problems:
        raise InvalidFile(problems)
    return found
