"""Finds and reads the three kinds of file that people write; all problems of all of them come at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from chaos.document import LARGEST_FILE, Document, did_you_mean, nearest, read_document
from chaos.errors import InvalidFile, Problem
from chaos.experiment import Experiment, elsewhere, experiment_of, link, link_names, parse
from chaos.probe import Catalogue, merge
from chaos.system import System, parse_system

LARGEST_SECRET = 64 * 1024
"""Bytes of a file behind `${file:NAME}` that are read."""
STATE = Path(".chaos")
"""Where labs, tools and caches live, below the folder that the command is run in."""
MOST_NEAR = 200
"""So many files of a folder are looked at for one that may be meant."""
LANGUAGE_MODEL = "-llm"
"""`lab-llm` is the language model of the lab `lab`."""


class Variables(Mapping[str, str]):
    """What `${NAME}` becomes: `--var` first, then the environment; `${file:NAME}` reads a file beside the system file."""

    def __init__(self, given: Mapping[str, str], beside: Path | None = None) -> None:
        self._values = {**os.environ, **given}
        self._beside = beside

    def _file(self, name: str) -> str | None:
        wanted = name.removeprefix("file:")
        if self._beside is None or not name.startswith("file:") or "/" in wanted or wanted.startswith("."):
            return None
        try:
            with (self._beside / wanted).open("rb") as file:
                return file.read(LARGEST_SECRET).decode("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None

    def __getitem__(self, name: str) -> str:
        found = self._file(name)
        return found if found is not None else self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values or (isinstance(name, str) and self._file(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One experiment with everything it refers to."""

    experiment: Experiment
    document: Document
    text: str
    path: Path
    system: System
    system_path: Path
    probes: Catalogue
    swept: str | None = None
    """The severity, where this is one run of a sweep."""
    swept_rank: float = 0.0
    """The larger, the more severe among the runs of its sweep."""


def content(kind: str) -> Path:
    """The folder of shipped content (`probes` or `experiments`): inside the wheel, or beside the package in a checkout."""
    package = Path(str(package_files("chaos")))
    shipped = package / "_content" / kind
    return shipped if shipped.is_dir() else package.parent / kind


def read_text(path: Path) -> str:
    """The file's text. Raises InvalidFile when it cannot be read."""
    try:
        with path.open("rb") as file:  # no more than is looked at: it may be a device that never ends
            found = file.read(4 * LARGEST_FILE + 1)
        if len(found) > 4 * LARGEST_FILE:
            raise InvalidFile([Problem(str(path), 1, 1, "", f"the file is larger than {LARGEST_FILE:,} characters")])
        return found.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].split(b"\n")
        line, column = len(before), len(before[-1].decode("utf-8")) + 1
        raise InvalidFile([Problem(str(path), line, column, "", "this is not UTF-8 text; save it as UTF-8")]) from error
    except IsADirectoryError as error:
        inside = sorted(str(other) for other in path.glob("*.y*ml"))
        hint = f"; name a file in it, such as {inside[0]}" if inside else ", and no YAML file is in it"
        raise InvalidFile([Problem(str(path), 0, 0, "", f"this is a folder{hint}")]) from error
    except OSError as error:
        near = sorted(other.name for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        hint = f"; {did_you_mean(path.name, near)}" if near else ""
        raise InvalidFile([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}{hint}")]) from error


def probe_files(beside: Path | None) -> dict[str, str]:
    """Catalogue files, the user's own first: a `probes/` beside the experiments, then the shipped one."""
    folders = [
        folder for folder in ((beside / "probes", beside.parent / "probes") if beside else ()) if folder.is_dir()
    ]
    found: dict[str, str] = {}
    seen: set[Path] = set()
    for folder in [*folders, content("probes")]:
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        for path in sorted(folder.rglob("*.yaml")):
            found[str(path)] = read_text(path)
    return found


def _language_model(name: str, state: Path) -> list[Path]:
    """The system file of a lab's language model, where the name is that of one: the lab's own with LANGUAGE_MODEL behind it."""
    lab = name.removesuffix(LANGUAGE_MODEL)
    return [state / "labs" / lab / f"system{LANGUAGE_MODEL}.yaml"] if lab and lab != name else []


def system_path(name: str, experiment: Path, state: Path = STATE) -> Path:
    """The file behind a system's name: a path, or a lab that is up. Raises InvalidFile that says how to bring it up."""
    for candidate in (experiment.parent / name, Path(name)):
        if candidate.suffix in (".yaml", ".yml") and candidate.is_file():
            return candidate
    for lab in (state / "labs" / name / "system.yaml", *_language_model(name, state)):
        if lab.is_file():
            return lab
    if is_lab(name):
        name = name.removesuffix(LANGUAGE_MODEL) or name
        how = (
            "chaos lab up --docker"
            if name == "lab-docker"
            else "chaos lab up" + ("" if name == "lab" else f" --name {name}")
        )
        raise InvalidFile([Problem(str(experiment), 0, 0, "system", f"the lab `{name}` is not up; run `{how}` first")])
    raise InvalidFile([Problem(str(experiment), 0, 0, "system", _no_system(name, experiment, state))])


def is_lab(name: str) -> bool:
    """Whether this is what labs are called by default."""
    return name == "lab" or name.startswith("lab-")


def _no_system(name: str, experiment: Path, state: Path) -> str:
    """There is none of this name, and which one may be meant: a lab that is up, or a file that stands here or beside the experiment."""
    labs = sorted(path.parent.name for path in state.glob("labs/*/system.yaml"))
    here = [
        path
        for folder in (Path(), experiment.parent)
        for path in sorted(folder.glob("*.y*ml"))[:MOST_NEAR]
        if _is_system(path)
    ]
    known = {one: one for one in labs} | {word: path.name for path in here for word in (path.stem, path.name)}
    near = nearest(name, known)
    if near is not None:
        return f"there is no system `{name}`; did you mean `{known[near]}`?"
    hint = f" (labs that are up: {', '.join(labs)})" if labs else ""
    return f"there is no system `{name}`; write the path of a system file, or `lab`{hint}"


def _is_system(path: Path) -> bool:
    """Whether the file looks like a system, right or not."""
    try:
        return re.search(r"^(targets|telemetry):", read_text(path), re.MULTILINE) is not None
    except InvalidFile:
        return False


def load(
    path: Path, *, system: str | None = None, variables: Mapping[str, str] | None = None, state: Path = STATE
) -> Loaded:
    """The experiment, its system and the probes. Raises InvalidFile with every problem of all of them."""
    given = variables or {}
    problems: list[Problem] = []
    text = read_text(path)
    experiment: Experiment | None = None
    document: Document | None = None
    try:
        document = read_document(text, str(path), Variables(given))
    except InvalidFile as error:
        problems += error.problems
    if document is not None and (wrong_kind := elsewhere(document)) is not None:
        raise InvalidFile([wrong_kind])  # whatever else could be said would be said of the wrong thing
    try:
        if document is not None:
            experiment = experiment_of(document)
    except InvalidFile as error:
        problems += error.problems
    probes: Catalogue = {}
    try:
        probes = merge(probe_files(path.parent))
    except InvalidFile as error:
        problems += error.problems
    found: System | None = None
    where: Path | None = None
    name = system or _system_name(document)
    if name is not None:
        try:
            where = system_path(name, path, state)
            found, _ = parse_system(read_text(where), str(where), Variables(given, where.parent))
        except InvalidFile as error:
            wrong = error.problems
            if where is None and system is None and document is not None:
                wrong = [document.problem(("system",), problem.message) for problem in wrong]
            problems += wrong
    if document is not None and found is not None and probes:
        problems += link(experiment, document, found, probes) if experiment else link_names(document, found, probes)
    if problems or experiment is None or document is None or found is None or where is None:
        raise InvalidFile(problems)
    return Loaded(experiment, document, text, path, found, where, probes)


def _system_name(document: Document | None) -> str | None:
    """What the experiment calls its system, even when other parts of it are wrong."""
    name = document.data.get("system") if document is not None and isinstance(document.data, dict) else None
    return name if isinstance(name, str) else None


def load_system(
    name: str, variables: Mapping[str, str] | None = None, state: Path = STATE, *, experiment: Path | None = None
) -> tuple[System, Path]:
    """A system by its file or by a lab's name, and where its file is; it may stand beside the experiment. Raises InvalidFile."""
    where = system_path(name, experiment or Path(name), state)
    found, _ = parse_system(read_text(where), str(where), Variables(variables or {}, where.parent))
    return found, where


def check_alone(path: Path, variables: Mapping[str, str]) -> Experiment:
    """The experiment by itself, with its probes but without its system. Raises InvalidFile with every problem."""
    experiment, _ = parse(read_text(path), str(path), Variables(variables))
    return experiment


def data_path(loaded: Loaded) -> Path:
    """The file behind `load.data`: the system's `data:` under that name, or a file beside the experiment."""
    assert loaded.experiment.load is not None
    data = loaded.experiment.load.data
    _, _, name = data.partition(":")
    path = (
        loaded.system_path.parent / loaded.system.data[name]
        if name in loaded.system.data
        else loaded.path.parent / data
    )
    named = name in loaded.system.data
    if not named and not path.resolve().is_relative_to(loaded.path.parent.resolve()):
        message = f"{data!r} leads out of the experiment's folder; name it under `data:` in the system file"
        raise InvalidFile([loaded.document.problem(("load", "data"), message)])
    if not path.is_file():
        message = (
            f"there is no file {data!r} beside the experiment; write a path, or SYSTEM:NAME with a name under `data:`"
        )
        raise InvalidFile([loaded.document.problem(("load", "data"), message)])
    return path.resolve()
