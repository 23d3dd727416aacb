"""What the Open Inference Protocol says, whether over HTTP or gRPC: from tensors to rows, and from changed rows to changed elements.

The label output is the one that the system file names, else `predict`, else the first with one value a row; scores are the one
named, else `predict_proba`. Shapes [n], [n, 1] and [n, k].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from chaos.protocols.base import Output, Undecodable
from chaos.rows import Label, Row, class_numbers, differing, like

_LABELS = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BYTES", "BOOL", "FP32", "FP64"}
_LABEL_TYPES = {str, int, float, bool, type(None)}
_WHOLE = {int, bool}
_NUMBER = {float, int}
_RESIZED = "a row whose number of scores was changed"


@dataclass(slots=True)
class Tensor:
    """One output that can be read: `values` of all rows, `width` of them a row; `place` is its number among the outputs."""

    place: int
    name: Any
    datatype: Any
    width: int
    values: Sequence[object]


Changes = tuple[Tensor, Sequence[int], Sequence[Label | None]]
"""Elements of a tensor that change: their numbers, ascending, and what each of them becomes."""


@dataclass(slots=True)
class Decision:
    """The outputs that hold an answer's decisions, and how many rows it has."""

    label: Tensor | None
    scores: Tensor | None
    length: int


def size_of(shape: object) -> tuple[int, int]:
    """How many values a tensor of this shape has, and how many a row. Raises Undecodable."""
    if not isinstance(shape, list) or not shape:
        raise Undecodable("an output without a shape")
    for side in shape:
        if type(side) is not int or side < 0:
            raise Undecodable("a shape that is no list of whole numbers")
    width = math.prod(shape[1:])
    return shape[0] * width, width


def decision_of(tensors: Sequence[Tensor], output: Output) -> Decision:
    """Where these outputs hold the decisions. Raises Undecodable when none does."""
    label = scores = None
    for tensor in tensors:
        if tensor.name == (output.label or "predict"):
            label = tensor
        if tensor.name == (output.scores or "predict_proba"):
            scores = tensor
    if label is None and output.label is None:
        ones = (one for one in tensors if one.width == 1 and one is not scores)
        label = next((one for one in ones if str(one.datatype) in _LABELS), None)
    if label is not None and label.width != 1:
        label = None
    if label is None and scores is None:
        raise Undecodable("neither a label output nor a score output")
    scored = len(scores.values) // scores.width if scores is not None and scores.width else 0
    length = len(label.values) if label is not None else scored
    if scores is not None and (not scores.width or scored != length):
        scores = None
    return Decision(label, scores, length)


def rows_of(decision: Decision, output: Output) -> Iterable[Row]:
    """The rows of an answer with this decision. Raises Undecodable."""
    label, scores, length = decision.label, decision.scores, decision.length
    labels: Sequence[Label | None] = label.values if label is not None else [None] * length  # type: ignore[assignment]
    types = {*map(type, labels)}
    if not types <= _LABEL_TYPES:
        raise Undecodable("a label that is neither text nor number")
    if scores is None:
        return map(Row, range(length), labels, repeat(None), repeat(output.classes))
    numbers = _numbers(scores)
    if output.classes or types.isdisjoint(_WHOLE):
        return map(Row, range(length), labels, numbers, repeat(output.classes))
    # A label that is a whole number is that of a class, and there is a score for each.
    numbered = class_numbers(scores.width)
    if types <= _WHOLE and all(numbers):
        if length == 1:
            return (Row(0, labels[0], numbers[0], numbered),)
        return map(Row, range(length), labels, numbers, repeat(numbered))
    both = zip(labels, numbers, strict=True)
    classes = [numbered if isinstance(found, int) and given else () for found, given in both]
    return map(Row, range(length), labels, numbers, classes)


def _numbers(scores: Tensor) -> Sequence[tuple[float, ...] | None]:
    """The scores of each row as decimals; None for a row with a value that is no number."""
    values, width = scores.values, scores.width
    if [*map(type, values)].count(float) < len(values):
        types = {*map(type, values)}
        if not types <= _LABEL_TYPES:
            raise Undecodable("scores that are lists or objects")
        if not types <= _NUMBER:
            rows = [values[start : start + width] for start in range(0, len(values), width)]
            return [tuple(_decimals(row)) if {*map(type, row)} <= _NUMBER else None for row in rows]
        values = _decimals(values)
    if len(values) == width:
        return [tuple(values)]  # type: ignore[arg-type]
    return [*zip(*[iter(values)] * width, strict=True)]


def _decimals(values: Sequence[object]) -> Sequence[float]:
    try:
        return [*map(float, values)]  # type: ignore[arg-type]
    except OverflowError as error:
        raise Undecodable("a score with hundreds of digits") from error


# --- from rows back to tensors ----------------------------------------------------------------------------------------


def changes_of(decision: Decision, before: Sequence[Row], after: Sequence[Row]) -> list[Changes]:
    """What the new rows change; values that stay are not among it. Raises Undecodable."""
    label, scores, length = decision.label, decision.scores, decision.length
    if not len(before) == len(after) == length:
        raise Undecodable("rows that are not those of this answer")
    if length == 1:
        return _changes_of_one(label, scores, before[0], after[0])
    found: list[Changes] = []
    if label is not None:
        was, fresh = [row.label for row in before], [row.label for row in after]
        numbers = differing(was, fresh)
        if numbers:
            found.append((label, numbers, [like(was[at], fresh[at]) for at in numbers]))
    if scores is not None:
        old, new = _scores(scores.width, before, after)
        numbers = differing(old, new)
        if numbers:
            found.append((scores, numbers, [new[at] for at in numbers]))
    return found


def _changes_of_one(label: Tensor | None, scores: Tensor | None, old: Row, new: Row) -> list[Changes]:
    """The same of an answer of one row, which most are, without a list of rows to look through."""
    found: list[Changes] = []
    if label is not None and new.label is not old.label and new.label != old.label:
        found.append((label, (0,), (like(old.label, new.label),)))
    if scores is not None and old.scores and new.scores:
        if len(new.scores) != scores.width:
            raise Undecodable(_RESIZED)
        numbers = differing(old.scores, new.scores)
        if numbers:
            found.append((scores, numbers, [new.scores[at] for at in numbers]))
    return found


def _scores(width: int, before: Sequence[Row], after: Sequence[Row]) -> tuple[Sequence[float], Sequence[float]]:
    """All scores before and after. Rows without scores before or after have none that differ. Raises Undecodable."""
    old: list[tuple[float, ...]] = [row.scores or () for row in before]
    new: list[tuple[float, ...]] = [row.scores or () for row in after]
    if not (all(old) and all(new)):
        nothing = (0.0,) * width
        both = [bool(was and fresh) for was, fresh in zip(old, new, strict=True)]
        old = [was if there else nothing for was, there in zip(old, both, strict=True)]
        new = [fresh if there else nothing for fresh, there in zip(new, both, strict=True)]
    if not {*map(len, old), *map(len, new)} <= {width}:
        raise Undecodable(_RESIZED)
    return tuple(chain.from_iterable(old)), tuple(chain.from_iterable(new))
