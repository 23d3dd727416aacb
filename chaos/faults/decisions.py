"""How a row gets another decision, or other scores, and stays what a model would say. Holds no fault of its own.

What is consistent: the label is the class that the scores decide for, probabilities sum to one, and a score that only moved keeps
its value. A model whose label is not its best class has a threshold that nobody has told us: there, its label is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chaos.faults.base import Call
from chaos.rows import Row, Rule

_LARGEST = Rule()
_ROUNDED = 5e-3
"""How far the sum of probabilities may be from one: half precision and many classes round that much."""


def scored(row: Row) -> bool:
    """Whether the row has a score for each of two or more classes."""
    return row.scores is not None and len(row.scores) == len(row.classes) >= 2


def probabilities(row: Row) -> Sequence[float] | None:
    """The row's scores, if they are the probabilities of its classes; else None."""
    if row.scores is None or not scored(row):
        return None
    good = all(0 <= score <= 1 for score in row.scores) and abs(math.fsum(row.scores) - 1) <= _ROUNDED
    return row.scores if good else None


def decided(row: Row, given: int, instead_of: int | None = None) -> Row:
    """The row with the class at `given` as its decision: its score and the best one (or that `instead_of` which) change places."""
    if row.scores is None or not scored(row):
        return row.saying(row.classes[given], row.scores)
    moved = [*row.scores]
    best = moved.index(max(moved)) if instead_of is None else instead_of
    moved[given], moved[best] = moved[best], moved[given]
    scores, rule = tuple(moved), row.rule
    if rule is not None and rule.decides(scores) != given:
        scores = rule.settled(scores if rule.place is None else row.scores, given)
    return row.saying(row.classes[given], scores)


def rescored(row: Row, scores: Sequence[float], *, keep: bool = False) -> Row:
    """The row with these scores, and the label that they decide for.

    `keep`: the label stays, and where the scores would decide otherwise they are moved until they decide for it.
    """
    fresh = tuple(scores)
    if fresh == row.scores:
        return row
    place = row.classes.index(row.label) if row.label in row.classes else None
    rule = row.rule
    if rule is None and place is not None and row.scores is not None and _LARGEST.decides(row.scores) == place:
        rule = _LARGEST
    if place is None or rule is None:
        return row.saying(row.label, fresh)
    now = rule.decides(fresh)
    if now == place:
        return row.saying(row.label, fresh)
    return row.saying(row.label, rule.settled(fresh, place)) if keep else row.saying(row.classes[now], fresh)


def comparable(row: Row, earlier: Row) -> bool:
    """Whether both can be answers of one model: the same classes, and the same kinds of values."""
    return earlier.classes == row.classes and earlier.rule == row.rule and _form(earlier) == _form(row)


def replayed(row: Row, earlier: Row) -> Row:
    """The row with the decision of an earlier one; itself, if that says the same or was another model's."""
    if not comparable(row, earlier) or (earlier.label, earlier.scores) == (row.label, row.scores):
        return row
    return row.saying(earlier.label, earlier.scores)


def _form(row: Row) -> tuple[object, ...]:
    return row.label is None, isinstance(row.label, str), None if row.scores is None else len(row.scores)


def standard_normal(call: Call, row: int, what: str) -> float:
    """A number of mean 0 and standard deviation 1 for this row and purpose, the same at every retry."""
    # Box and Muller (1958): a standard normal from two uniforms.
    first, second = 1.0 - call.chance(row, f"{what}, radius"), call.chance(row, f"{what}, angle")
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
