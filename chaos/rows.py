"""Rows: what one prediction is, whichever protocol carried it.

A protocol decodes an answer into rows, a fault edits rows, the protocol encodes back what changed. Rows are values:
a fault returns a new row where it hurts and the very same object where it does not.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress, count
from typing import SupportsIndex, TypeVar, dataclass_transform

Label = str | int | float | bool
_T = TypeVar("_T")
_STRIDE = 128
"""How many scores are compared at a time."""


@dataclass_transform(frozen_default=True)
def _value(cls: type[_T]) -> type[_T]:
    """A class of values, of which there are hundreds in an answer: the type checker alone keeps them from being assigned to.

    A frozen dataclass would do so at run time, and would take four times as long to make one.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass(frozen=True, slots=True)
class Rule:
    """How scores decide where an answer has no label of its own: the largest one; or `place` (of two) from `threshold` on."""

    place: int | None = None
    threshold: float = 0.5

    def decides(self, scores: Sequence[float]) -> int:
        """The place of the class that these scores decide for."""
        if self.place is None:
            return scores.index(max(scores))
        return self.place if scores[self.place] >= self.threshold else 1 - self.place

    def settled(self, scores: tuple[float, ...], wanted: int) -> tuple[float, ...]:
        """Scores that decide for the class at `wanted`: these, if they do; else the best one and its own change places, or the
        score goes as far to the other side of the threshold, each side measured by its own length: 50% for 96.5% at 93%.
        """
        if self.decides(scores) == wanted:
            return scores
        if self.place is None:
            moved, best = [*scores], scores.index(max(scores))
            moved[wanted], moved[best] = moved[best], moved[wanted]
            if self.decides(moved) != wanted:  # a tie, which the first one wins
                moved[wanted] = math.nextafter(moved[wanted], math.inf)
            return tuple(moved)
        mirrored = self._mirrored(scores[self.place])
        return (1 - mirrored, mirrored) if self.place == 1 else (mirrored, 1 - mirrored)

    def _mirrored(self, score: float) -> float:
        threshold = self.threshold
        if score < threshold:
            return max(threshold, min(1.0, threshold + (threshold - score) / threshold * (1 - threshold)))
        below = threshold - (score - threshold) / (1 - threshold) * threshold
        return max(0.0, min(math.nextafter(threshold, 0), below))


@_value
class Row:
    """One prediction.

    `index` is its place in the answer, from 0. `label` is the decision. `scores` are per class and sum to one where the
    model gives probabilities; None where it gives none. `classes` are the labels that the scores belong to, in the same
    order; empty when nobody knows them. `rule` is how the scores decide where the answer has no label of its own: there,
    label and scores cannot contradict each other.
    """

    index: int
    label: Label | None = None
    scores: tuple[float, ...] | None = None
    classes: tuple[Label, ...] = ()
    rule: Rule | None = field(default=None, compare=False, repr=False)

    def saying(self, label: Label | None, scores: tuple[float, ...] | None) -> Row:
        """The same row with another decision."""
        return Row(self.index, label, scores, self.classes, self.rule)


Value = str | int | float | bool | None


@_value
class Input:
    """What the model is asked to predict from: one row of a request.

    `index` is its place in the request, from 0. `values` has one value a feature, None where the field is null; `names` are the
    features' names in the same order, as the request or the system file says them, else "0", "1", …. Names that are left out of a
    changed input are dropped from the request, and further ones are added to it, where its form can do so.
    """

    index: int
    values: tuple[Value, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one row's text, as a streamed answer brings it.

    `row` is the row's index, `text` the piece, and `start` how many characters of the row the model had said before it.
    """

    row: int
    text: str
    start: int


KEPT_BEGINNING = 512
"""Characters of a row's text that are kept while it is streamed, for faults that must know how it began."""


@dataclass(slots=True)
class TextSoFar:
    """How much of one row's text the model has said so far, and how much of it the client got, in characters.

    `beginning` is what the model said first, at most KEPT_BEGINNING characters of it, without the piece that a fault is asked about.
    """

    said: int = 0
    got: int = 0
    beginning: str = ""
    changed: bool = False
    """Whether the client got anything else than the model said."""

    def add(self, said: str, got: str) -> None:
        """One more piece was said, and became what the client got."""
        self.said += len(said)
        self.got += len(got)
        self.changed = self.changed or said != got
        if len(self.beginning) < KEPT_BEGINNING:
            self.beginning = (self.beginning + said)[:KEPT_BEGINNING]


class _Numbers(tuple[int, ...]):
    """0, 1, 2, … as a tuple in which nothing is searched for: every number stands at its own place."""

    __slots__ = ()

    def __contains__(self, label: object) -> bool:
        return (type(label) is int and 0 <= label < len(self)) or super().__contains__(label)

    def index(self, label: object, *between: SupportsIndex) -> int:
        """Where the label stands."""
        if type(label) is int and 0 <= label < len(self) and not between:
            return label
        return super().index(label, *between)


@lru_cache(maxsize=16)
def class_numbers(many: int) -> tuple[int, ...]:
    """The classes 0, 1, 2, … of a model that has so many and names none; made once, because every answer of it has the same."""
    return tuple(range(many)) if many < _STRIDE else _Numbers(range(many))


def differing(old: Sequence[object], new: Sequence[object]) -> list[int]:
    """The places at which two sequences of one length differ. What is the very same object does not, be it NaN."""
    if len(old) <= _STRIDE:
        others = compress(count(), map(operator.is_not, old, new))
        return [place for place in others if old[place] != new[place]]
    found: list[int] = []
    for start in range(0, len(old), _STRIDE):
        was, fresh = old[start : start + _STRIDE], new[start : start + _STRIDE]
        if was != fresh:  # of a thousand scores, mostly two: the stretches that are equal cost next to nothing
            others = compress(count(), map(operator.is_not, was, fresh))
            found += [start + place for place in others if was[place] != fresh[place]]
    return found


def like(old: Label | None, new: Label | None) -> Label | None:
    """The new label as the old one's type writes it: truth stays true or false, decimals and whole numbers stay what they are."""
    if type(old) is type(new):
        return new
    if isinstance(old, bool) and not isinstance(new, (bool, str)) and new in (0, 1):
        return bool(new)
    if isinstance(old, float) and isinstance(new, int):
        return float(new)
    if type(old) is int and isinstance(new, (bool, float)) and float(new).is_integer():
        return int(new)
    return new
