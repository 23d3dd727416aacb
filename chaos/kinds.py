"""The kinds of file that people write, told apart by their keys, and what is said of a file that is of another kind. Pure.

A file of another kind gets one sentence: everything else that is wrong with it would be wrong with the wrong thing.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import Literal

Kind = Literal["experiment", "system", "game day", "probes"]

CALLED: Mapping[Kind, str] = {
    "experiment": "an experiment", "system": "a system file", "game day": "a game day", "probes": "a file of probes",
}  # fmt: skip
SIGNS: Mapping[Kind, tuple[str, ...]] = {
    "experiment": ("steady_state", "blast_radius", "faults", "expect"),
    "system": ("targets", "telemetry"),
    "game day": ("purpose", "steps"),
    "probes": (),
}
"""Keys that no other kind has. A `steps` counts when an `experiment` is in it: pipelines of many tools have steps."""
_ANYBODYS = ("name", "description", "version")
"""Keys that so many files have that they say nothing."""
_USED: Mapping[Kind, str] = {
    "experiment": "`chaos run {path}` runs it",
    "system": "write `--system {path}` beside an experiment",
    "game day": "`chaos gameday run {path}` plays it",
    "probes": "put it into the folder `probes` beside the experiments",
}
_FIRST: Mapping[Kind, str] = {
    "experiment": "`chaos init` writes the first ones",
    "system": "`chaos init` writes one",
    "game day": "docs/gamedays.md shows one",
    "probes": "docs/how-to/write-a-probe.md shows one",
}
_OF_OTHER_TOOLS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(("apiVersion", "kind")), "a Kubernetes manifest"),
    (frozenset(("services",)), "a Compose file"),
    (frozenset(("groups",)), "a file of Prometheus' rules"),
    (frozenset(("scrape_configs",)), "a configuration of Prometheus"),
    (frozenset(("route", "receivers")), "a configuration of Alertmanager"),
    (frozenset(("title", "method")), "a file of Chaos Toolkit"),
)
_CLOSE = 0.75
"""How alike a key must be to one of SIGNS to count as its misspelling."""


def kind_of(data: object) -> Kind | None:
    """What a file with this content is, as far as its keys tell; None when they do not."""
    if not isinstance(data, Mapping) or not data:
        return None
    if all(isinstance(one, Mapping) and "query" in one for one in data.values()):
        return "probes"
    found: dict[Kind, int] = {kind: len(_signs(data, kind)) for kind in SIGNS}
    most = max(found, key=lambda kind: found[kind])
    return most if found[most] else None


def other_kind(data: object, wanted: Kind, path: str, known: frozenset[str]) -> str | None:
    """The one sentence about a file that is not of the kind that is wanted; None where it may be one, right or wrong.

    `known` are the keys that a file of this kind may have.
    """
    if not isinstance(data, Mapping) or not data or _signs(data, wanted):
        return None
    kind = kind_of(data)
    if kind is not None:
        return f"this is {CALLED[kind]}, not {CALLED[wanted]}; {_USED[kind].format(path=shlex.quote(path))}"
    wanted_name = CALLED[wanted].partition(" ")[2]
    other = next((called for keys, called in _OF_OTHER_TOOLS if keys <= set(data)), None)
    if other is not None:
        return f"this is {other}, and no {wanted_name}; {_FIRST[wanted]}"
    if _next_to_none(data, wanted, known):
        *several, last = (f"`{sign}`" for sign in SIGNS[wanted])
        return f"this is no {wanted_name}, which has {', '.join(several)} and {last}; {_FIRST[wanted]}"
    return None


def _next_to_none(data: Mapping[str, object], wanted: Kind, known: frozenset[str]) -> bool:
    """Whether hardly a key is one of this kind, and none is a sign of it misspelt. One key alone is told as what it is."""
    telling = [key for key in data if key not in _ANYBODYS]
    ours = sum(key in known for key in telling)
    misspelt = any(
        difflib.get_close_matches(key, SIGNS[wanted], n=1, cutoff=_CLOSE) for key in telling if key not in known
    )
    return len(telling) > max(1, 2 * ours) and not misspelt


def manifests(text: str) -> bool:
    """Whether this is the text of Kubernetes manifests, of which many stand in one file."""
    return all(re.search(rf"^{key}:\s", text, re.MULTILINE) for key in ("apiVersion", "kind"))


def _signs(data: Mapping[str, object], kind: Kind) -> list[str]:
    return [sign for sign in SIGNS[kind] if sign in data and (sign != "steps" or _of_experiments(data[sign]))]


def _of_experiments(steps: object) -> bool:
    return isinstance(steps, list) and any(isinstance(one, Mapping) and "experiment" in one for one in steps)
