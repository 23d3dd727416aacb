"""Which fault should make a rule fire, by what the rule reads. A table of clues; each gives points and its reason. Pure.

A word counts most where it cannot be chance: in the name of a metric or the value of a label, then in the alert's own name, then in the
metric's help text, and least in a sentence for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaos.first_steps.clue_table import CLUES, Clue
from chaos.first_steps.rule_reading import RuleReading

PLACES: Mapping[str, float] = {"text": 5.0, "name": 3.0, "help": 2.0, "summary": 1.0}
"""Where a word stands → how much it counts."""
SAID = {
    "text": "its metrics say",
    "name": "its name says",
    "help": "the metric's help text says",
    "summary": "its summary says",
}
SURE, LIKELY = 8.0, 4.0
"""From so many points on a guess is called sure, or likely."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One fault that may make the rule fire, with its points and why."""

    fault: str
    points: float
    reasons: tuple[str, ...]

    @property
    def how_sure(self) -> str:
        """`sure`, `likely` or `a guess`."""
        return "sure" if self.points >= SURE else "likely" if self.points >= LIKELY else "a guess"


def candidates(reading: RuleReading) -> tuple[Candidate, ...]:
    """Every fault that the clues speak for, the best first; none where nothing fits, or where the rule always fires."""
    if reading.shape == "always":
        return ()
    points: dict[str, float] = {}
    reasons: dict[str, dict[str, None]] = {}
    for clue in CLUES:
        for gained, reason in _speaks(clue, reading):
            points[clue.fault] = points.get(clue.fault, 0.0) + gained
            reasons.setdefault(clue.fault, {})[reason] = None
    found = [Candidate(fault, gained, tuple(reasons[fault])) for fault, gained in points.items()]
    return tuple(sorted(found, key=lambda one: -one.points))


def _speaks(clue: Clue, reading: RuleReading) -> Iterator[tuple[float, str]]:
    if clue.shapes and reading.shape not in clue.shapes:
        return
    if clue.low is not None and clue.low is not reading.low_is_bad:
        return
    if clue.without and re.search(clue.without, f"{reading.text} {reading.name}"):
        return
    found = [(place, match[0]) for place, match in _places(clue, reading)]
    if clue.words and not any(place in ("text", "name") for place, _ in found):
        # What only a sentence for people says is a hint, and nothing of how the rule is built adds to it.
        yield from ((PLACES[place], f"{SAID[place]} `{word}`") for place, word in found)
        return
    if clue.bonus:
        yield clue.bonus, clue.says
    for place, word in found:
        yield PLACES[place], f"{SAID[place]} `{word}`"


def _places(clue: Clue, reading: RuleReading) -> Iterator[tuple[str, re.Match[str]]]:
    for place in PLACES if clue.words else ():
        match = re.search(clue.words, getattr(reading, place))
        if match is not None:
            yield place, match
