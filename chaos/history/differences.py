"""What was not the same in two runs: in their experiments, in what their plans found, in their systems, and in the version. Pure.

What a reader looks for comes first: which experiment, which fault, how severe, which rules. What differs in each run anyway is marked, so
that it stands in nobody's way: the addresses of a lab on this machine, and a seed that nobody has chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from chaos.plans import Plan
from chaos.verdict import Verdict

LONGEST = 120
"""Characters of a value that is shown; a longer one is cut."""
BEFORE = 20
"""Characters that stay before the first difference of two values that begin alike, where they are cut."""
SHORT_LIST = 6
"""So many entries are shown whole."""
ENTRIES = 4
"""So many entries are named of a longer list."""
FIRST = (
    ("experiment", "name"), ("experiment", "faults"), ("experiment", "sweep"), ("experiment", "blast_radius"), ("experiment", "expect"),
    ("plan", ""), ("version", ""), ("experiment", "load"), ("experiment", "steady_state"), ("system", "name"),
    ("system", "environment"), ("experiment", "description"), ("experiment", "owner"), ("experiment", "tags"), ("experiment", ""),
    ("system", ""),
)  # fmt: skip
"""What differs, and where in it: the order in which differences stand. Of an experiment, prose says least."""
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<host>\[[0-9a-f:.]+\]|[^/:?#]+)(?P<port>:\d+)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_THIS_MACHINE = re.compile(r"localhost|127(\.\d+){3}|\[::1\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: its verdict, its plan, and the texts that it was made of, as its folder keeps them."""

    verdict: Verdict
    plan: Plan
    experiment: str
    system: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was not the same: `what` is the experiment, the system, the plan or the version."""

    what: str
    place: str
    first: str
    second: str
    anyway: bool = False
    """Whether it differs in each run, and says nothing."""


Value = str | tuple[str, ...]
"""A scalar, or a list of scalars, which is one value."""


def differences(first: Side, second: Side) -> tuple[Difference, ...]:
    """What was not the same, what says most before what says little, and behind all of it what differs anyway."""
    return tuple(sorted(_each(first, second), key=_rank))


def _rank(one: Difference) -> tuple[bool, int]:
    matches = (number for number, (what, place) in enumerate(FIRST) if what == one.what and one.place.startswith(place))
    return one.anyway, next(matches, len(FIRST))


def _each(first: Side, second: Side) -> Iterator[Difference]:
    if first.verdict.version != second.verdict.version:
        yield Difference("version", "chaos-ml", first.verdict.version, second.verdict.version)
    for what, before, after in (
        ("experiment", _flat_text(first.experiment), _flat_text(second.experiment)),
        ("system", _flat_text(first.system), _flat_text(second.system)),
        ("plan", dict(_planned(first.plan)), dict(_planned(second.plan))),
    ):
        if before and after:
            for place in dict.fromkeys([*before, *after]):
                old, new = before.get(place), after.get(place)
                if old != new:
                    yield Difference(what, place, *shown(old, new), _anyway(what, place, old, new))


def _anyway(what: str, place: str, old: Value | None, new: Value | None) -> bool:
    """Whether it is the seed, or one service of a lab on this machine at another port."""
    if what == "plan":
        return place == "seed"
    pairs = list(zip(_entries(old), _entries(new), strict=False))
    same_number = len(_entries(old)) == len(_entries(new)) > 0
    return what == "system" and same_number and all(_moved(*pair) for pair in pairs)


def _entries(value: Value | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _moved(old: str, new: str) -> bool:
    """Whether these are addresses on this machine that differ in nothing but their port."""
    one, other = _ADDRESS.fullmatch(old), _ADDRESS.fullmatch(new)
    if one is None or other is None:
        return False
    here = all(_THIS_MACHINE.fullmatch(found["host"]) for found in (one, other))
    return here and (one["scheme"], one["rest"]) == (other["scheme"], other["rest"])


def shown(old: Value | None, new: Value | None) -> tuple[str, str]:
    """Both values as they are shown, short enough to be read, and with what differs between them in it."""
    if isinstance(old, tuple) or isinstance(new, tuple):
        return _listed(old, new), _listed(new, old)
    before, after = ("–" if value is None else value for value in (old, new))
    if max(len(before), len(after)) > LONGEST and old is not None and new is not None:
        alike = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        skipped = max(0, alike - BEFORE)
        before, after = (f"…{value[skipped:]}" if skipped else value for value in (before, after))
    return _cut(before), _cut(after)


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _listed(value: Value | None, other: Value | None) -> str:
    """The list whole where it is short; else how many entries it has, and those that the other one has not."""
    entries = _entries(value)
    if len(entries) <= SHORT_LIST:
        return _cut(", ".join(entries)) if entries else "–"
    alone = [one for one in entries if one not in _entries(other)]
    if not alone:
        return f"{len(entries)} entries"
    more = ", …" if len(alone) > ENTRIES else ""
    which = ": " if len(alone) == len(entries) else f", {len(alone)} of them here alone: "
    return _cut(f"{len(entries)} entries{which}{', '.join(alone[:ENTRIES])}{more}")


def _flat_text(text: str) -> dict[str, Value]:
    """Every value of a YAML text by its place; nothing of a text that cannot be read."""
    try:
        return dict(_flat(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), ""))  # noqa: S506 - safe, in C
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}


def _flat(value: object, place: str) -> Iterator[tuple[str, Value]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _flat(inner, f"{place}.{name}" if place else str(name))
        case list() if _plain(value):
            if value:
                yield place, tuple(_text(one) for one in value)
        case list():
            for number, inner in enumerate(value):
                yield from _flat(inner, f"{place}[{number}]")
        case None:
            return  # what an older version did not know is not there, and what says nothing is as good as not there
        case _:
            yield place, _text(value)


def _plain(values: Sequence[object]) -> bool:
    return not any(isinstance(one, dict | list) or one is None for one in values)


def _text(value: object) -> str:
    return " ".join(str(value).split())


def _planned(plan: Plan) -> Iterator[tuple[str, Value]]:
    """What the plan found on the day, and no file says: the rules, Prometheus' own pace, and who is in which arm."""
    for alert in plan.alerts:
        yield f"{alert.alert}: rule", _text(alert.expr)
        yield f"{alert.alert}: for", f"{alert.for_s:g}s"
        yield f"{alert.alert}: group_wait", f"{alert.group_wait_s:g}s"
        yield f"{alert.alert}: routed to", ", ".join(alert.routed_to)
    yield "scrape interval", f"{plan.scrape_s:g}s"
    yield "evaluation interval", f"{plan.evaluation_s:g}s"
    yield "seed", plan.seed
