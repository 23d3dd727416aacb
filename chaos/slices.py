"""Slices of traffic: `json:$.region == "north"`, `header:x-group != "b"`, `cookie:plan == "free"`, `query:beta == "1"`.

One pure rule for proxy, plan and load.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from chaos.arms import HeaderValues, json_at, said_at, steps_of

_FORM = re.compile(
    r"""\s*(?:json:\$((?:\.\w+|\[\d{1,9}\])+)|(header|cookie|query):([A-Za-z0-9_.-]+))\s*(==|!=)\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)\s*"""
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One condition on a request. A request that lacks what is asked for is in no slice."""

    kind: str
    """json | header | cookie | query"""
    name: str
    """Of the header (lower-case), cookie or parameter; empty for `json`."""
    path: tuple[str | int, ...]
    equal: bool
    value: str | int | float | bool | None

    @staticmethod
    def parse(text: str) -> Slice:
        """The slice that this text means. Raises ValueError that says what to write."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f'{text!r} is no slice; write something like json:$.region == "north", header:x-group == "b", '
                'cookie:plan == "free" or query:beta == "1"'
            )
        path = steps_of(f"${match[1]}") if match[1] is not None else ()
        kind, name = match[2] or "json", match[3] or ""
        return Slice(kind, name.lower() if kind == "header" else name, path, match[4] == "==", json.loads(match[5]))

    @property
    def needs_body(self) -> bool:
        """Whether the request's body must be read to tell."""
        return self.kind == "json"

    def matches(self, headers: HeaderValues, body: bytes, target: str = "") -> bool:
        """Whether a request with these lower-case headers, this body and this target (path and query) is in the slice.

        Where a cookie or a parameter is repeated, the first counts: a request says one thing in one place.
        """
        if self.kind != "json":
            found = said_at(self.kind, self.name, headers, target)
            return found is not None and self._same(found) is self.equal
        try:
            value = json_at(body, self.path)
        except LookupError:
            return False
        return self._same(value) is self.equal

    def disjoint(self, other: Slice) -> bool:
        """Whether it is certain that no request is in both: they ask one place for what it cannot say twice.

        False means that nobody can tell: different places of a request say whatever they like.
        """
        if (self.kind, self.name, self.path) != (other.kind, other.name, other.path):
            return False
        same = self._same(other.value if other.kind == "json" else other._wanted())
        if self.equal and other.equal:
            return not same
        return same and self.equal is not other.equal

    def _wanted(self) -> str:
        """What a header, cookie or parameter says that says this value: those are text."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)

    def _same(self, found: object) -> bool:
        """Whether what was found in this slice's place is its value."""
        if self.kind != "json":
            return found == self._wanted()
        return found == self.value and isinstance(found, bool) is isinstance(self.value, bool)  # true is not 1 here

    @property
    def place(self) -> str:
        """What it asks for, as people write it."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"{self.kind}:{self.name}" if self.kind != "json" else f"json:${''.join(parts)}"

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.place} {'==' if self.equal else '!='} {json.dumps(self.value)}"


def conflict(mine: Slice | None, held: Mapping[str, Slice | None]) -> str | None:
    """Which of these runs a run with this slice cannot run beside, why, and what to do instead; None: beside all of them.

    `held` are runs and their slices. The sentence follows the words "is held by".
    """
    met = {run: theirs for run, theirs in held.items() if mine is None or theirs is None or not mine.disjoint(theirs)}
    if not met:
        return None
    clauses = [f"the run {run}, and {_why_both(mine, theirs)}" for run, theirs in met.items()]
    instead = _beside(list(held.values()))
    told = f"; wait for {'it' if len(met) == 1 else 'them'} to end"
    return ", and by ".join(clauses) + told + (f", or write {instead}" if instead is not None else "")


def _why_both(mine: Slice | None, theirs: Slice | None) -> str:
    if theirs is None:
        return "that one has no slice, so every request may be one of its own"
    if mine is None:
        return f"this run has no slice, so it would reach requests of that one's slice `{theirs}`"
    apart = "" if mine.place == theirs.place else ", for they ask different things"
    return f"one request can be in that one's slice `{theirs}` and in this one's, `{mine}`{apart}"


def _beside(held: list[Slice | None]) -> str | None:
    """A slice that has nothing in common with any of these, in words; None when there is none."""
    slices = [one for one in held if one is not None]
    if len(slices) < len(held) or len({one.place for one in slices}) != 1:
        return None
    if all(one.equal for one in slices):
        return f"`where: {slices[0].place} == VALUE` with another value"
    # Every value but one is taken; that one may be, too.
    return f"`where: {replace(slices[0], equal=True)}`" if len(slices) == 1 else None
