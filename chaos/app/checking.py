"""`chaos check`: each file is read as what it is, and everything that is wrong with it is said. Wiring; asks no server."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.app import files as reading
from chaos.app.door import say_folded
from chaos.app.files import Loaded, Variables, read_text
from chaos.app.widths import fold
from chaos.document import Document, read_document
from chaos.errors import InvalidFile, Problem
from chaos.first_steps.writing import marks
from chaos.kinds import kind_of
from chaos.visible import visible


def command(files: Sequence[Path], system: str | None, variables: Mapping[str, str], state: Path) -> None:
    """Says which files are right, and what is left to fill in. Raises InvalidFile with every problem of all files."""
    problems: list[Problem] = []
    marked: dict[Path, None] = {}
    for path in files:
        try:
            said, read = checked(path, system, variables, state)
        except InvalidFile as error:
            problems += error.problems
            continue
        print(fold(visible(f"{path}: {said}"), sys.stdout))
        marked |= dict.fromkeys(read)
    if problems:
        raise InvalidFile(problems)
    _tell_marks(list(marked))


def checked(path: Path, system: str | None, variables: Mapping[str, str], state: Path) -> tuple[str, tuple[Path, ...]]:
    """What a right file is, and the files that were read for it, where something may be left to fill in. Raises InvalidFile."""
    text = read_text(path)
    document = read_document(text, str(path), Variables(variables, path.parent))
    match kind_of(document.data):
        case "system":
            from chaos.system import parse_system

            one, _ = parse_system(text, str(path), Variables(variables, path.parent))
            return f"the file is right: the system {one.name}", (path,)
        case "probes":
            from chaos.probe import parse_probes

            return f"the file is right: {len(parse_probes(text, str(path)))} probes", (path,)
        case "game day":
            return _game_day(path, document, system, variables, state), (path,)
        case _:
            return _experiment(path, system, variables, state)


def _experiment(
    path: Path, system: str | None, variables: Mapping[str, str], state: Path
) -> tuple[str, tuple[Path, ...]]:
    if system is None and not _system_there(path, variables, state):
        experiment = reading.check_alone(path, variables)
        said = f"the file is right; its system `{experiment.system}` is not there to check against"
        return f"{experiment.name}: {said}", ()
    loaded = reading.load(path, system=system, variables=variables, state=state)
    read = (loaded.system_path, path)
    said = f"{loaded.experiment.name}: the file is right, and fits the system {loaded.system.name}"
    if not _data_there(loaded):
        said += "; the data of its load is not there yet"
    return said, read


def _data_there(loaded: Loaded) -> bool:
    """Raises InvalidFile where the data of its load is not there, unless the system file marks it as still to be named."""
    if loaded.experiment.load is None:
        return True
    try:
        reading.data_path(loaded)
    except InvalidFile:
        text = read_text(loaded.system_path)
        name = loaded.experiment.load.data.partition(":")[2]
        marked = {text.splitlines()[line - 1].split(":")[0].strip() for line, _, _ in marks(text)}
        if name not in loaded.system.data or not {"data", name} & marked:
            raise
        return False
    return True


def _system_there(path: Path, variables: Mapping[str, str], state: Path) -> bool:
    experiment = reading.check_alone(path, variables)
    try:
        reading.system_path(experiment.system, path, state)
    except InvalidFile:
        return False
    return True


def _game_day(path: Path, document: Document, system: str | None, variables: Mapping[str, str], state: Path) -> str:
    """With each of its experiments, which are read by themselves where a system is not there."""
    from chaos.app.gameday.loading import load_day, sweep_problem
    from chaos.gameday import parse_gameday

    day, _ = parse_gameday(read_text(path), str(path), Variables(variables, path.parent))
    right = f"{day.name}: the file is right: a game day of {_counted(len(day.steps), 'experiment')}"
    try:
        loaded = load_day(path, system=system, variables=variables, state=state).loaded
    except InvalidFile as error:
        if system is not None or any(problem.where != "system" for problem in error.problems):
            raise
        alone = [reading.check_alone(path.parent / step.experiment, variables) for step in day.steps]
        sweeps = [sweep_problem(document, place, one) for place, one in enumerate(alone) if one.sweep is not None]
        if sweeps:
            raise InvalidFile(sweeps) from error
        return f"{right}; their systems are not all there to check against"
    there = [_data_there(one) for one in loaded]
    return right if all(there) else f"{right}; the data of their load is not all there yet"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _tell_marks(paths: Sequence[Path]) -> None:
    """What somebody (such as `chaos init`) has marked in right files as still to be filled in: said, and no mistake."""
    found = [(path, *mark) for path in paths for mark in marks(read_text(path))]
    for path, line, column, sentence in found:
        say_folded(f"{path}:{line}:{column}: to fill in: {sentence}")
    if found:
        are = "is" if len(found) == 1 else "are"
        say_folded(
            f"{_counted(len(found), 'place')} {are} still to be filled in; take `TODO` away from each that is done"
        )
