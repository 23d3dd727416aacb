"""What a shell is offered behind `chaos …`: read from folders and names alone, since a person waits for it with a finger on the key.

No library is loaded and nothing is asked for this: neither the catalogues nor any server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

MOST = 200
"""Offers beyond that help nobody."""
_FAULT = re.compile(r'^    fault: Literal\["(\w+)"\]', re.MULTILINE)
_PROBE = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
_PROTOCOL = re.compile(r"^PROTOCOL\b", re.MULTILINE)
_PROTOCOL_NAME = re.compile(r'^    name = "([\w-]+)"', re.MULTILINE)
_STATE = Path(".chaos")


def faults(incomplete: str) -> list[str]:
    """Names of faults: the shipped ones by their files, and those that packages add."""
    from importlib.metadata import entry_points

    shipped = [name for path in sorted(_here("faults").glob("*.py")) for name in _FAULT.findall(_text(path))]
    return _begin([*shipped, *(one.name for one in entry_points(group="chaos.faults"))], incomplete)


def probes(incomplete: str) -> list[str]:
    """Names of probes: the shipped ones, and those of a `probes` folder here."""
    folders = [_here("_content") / "probes", _here("").parent / "probes", Path("probes"), Path("experiments/probes")]
    files = [path for folder in folders for path in sorted(folder.rglob("*.yaml"))]
    return _begin([name for path in files for name in _PROBE.findall(_text(path))], incomplete)


def protocols(incomplete: str) -> list[str]:
    """Names of serving protocols: the shipped ones by their files, and those that packages add."""
    from importlib.metadata import entry_points

    files = [path for path in sorted(_here("protocols").glob("*.py")) if _PROTOCOL.search(_text(path))]
    shipped = [name for path in files for name in _PROTOCOL_NAME.findall(_text(path))]
    return _begin([*shipped, *(one.name for one in entry_points(group="chaos.protocols"))], incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds of files that have a schema."""
    return _begin(["experiment", "system", "probes", "gameday"], incomplete)


def labs(incomplete: str) -> list[str]:
    """Labs that are up in this folder."""
    return _begin([path.parent.name for path in sorted(_STATE.glob("labs/*/system.yaml"))], incomplete)


def systems(incomplete: str) -> list[str]:
    """Labs that are up, and YAML files."""
    return [*labs(incomplete), *yaml_files(incomplete)]


def yaml_files(incomplete: str) -> list[str]:
    """YAML files in the folder that is being written, and the folders in which there may be more."""
    return [*_entries(incomplete, lambda path: path.suffix in (".yaml", ".yml"))]


def run_folders(incomplete: str) -> list[str]:
    """Folders of runs, the newest first; else folders that may have some."""
    known = sorted((path.parent for path in Path("runs").glob("*/journal.jsonl")), reverse=True)
    return _begin(map(str, known), incomplete) or [*_entries(incomplete, lambda _: False)]


def living_runs(incomplete: str) -> list[str]:
    """Runs of this user that may go on."""
    from chaos.drivers.state import State

    folder = State.of_user().path / "runs"
    return _begin((path.name for path in sorted(folder.glob("*")) if not path.name.startswith(".")), incomplete)


_PLACES: Mapping[str, Callable[[str], list[str]]] = {
    "check": yaml_files, "plan": yaml_files, "run": yaml_files, "rehearse": yaml_files, "judge": run_folders,
    "faults": faults, "probes": probes, "protocols": protocols, "schema": kinds, "stop": living_runs,
}  # fmt: skip
"""Command → what its arguments are."""


def plain(environment: Mapping[str, str]) -> list[str] | None:
    """What bash is offered for an argument, without the library of the command line; None where it takes more to know.

    That library takes most of the time that a person would wait.
    """
    if environment.get("_CHAOS_COMPLETE") != "complete_bash":
        return None
    words, place = environment.get("COMP_WORDS", "").split(), environment.get("COMP_CWORD", "")
    if not place.isdigit() or len(words) not in (int(place), int(place) + 1) or int(place) < 2:
        return None
    offers = _PLACES.get(words[1])
    if offers is None or any(word.startswith("-") or set(word) & set("\\'\"") for word in words[2:]):
        return None
    return offers(words[int(place)] if len(words) > int(place) else "")


def _entries(incomplete: str, wanted: Callable[[Path], bool]) -> Iterator[str]:
    parent, _, begun = incomplete.rpartition("/")
    lead = f"{parent}/" if "/" in incomplete else ""
    folder = Path(lead or ".")
    try:
        found = sorted(folder.iterdir())[:5000]
    except OSError:
        return
    for path in found:
        if not path.name.startswith(begun) or (path.name.startswith(".") and not begun):
            continue
        if path.is_dir():
            yield f"{lead}{path.name}/"
        elif wanted(path):
            yield f"{lead}{path.name}"


def _begin(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)][:MOST]


def _here(folder: str) -> Path:
    return Path(__file__).parents[1] / folder


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
