"""Where a JSON answer says what it says of each row: a label, scores, a single score, each with its address.

A row is a label, a score, a list of scores, or an object that holds them under the keys that the system file names, else under usual
ones; rows are a list, or an object of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chaos.json_places import Address
from chaos.protocols.base import Output, Undecodable

LABEL_KEYS = ("label", "prediction", "predicted_label", "predicted_class", "class", "class_id", "class_ids", "predict")
"""Where a row that is an object has its label, when the system file does not say."""
SCORES_KEYS = ("scores", "probabilities", "probability", "proba", "predict_proba")


class Found(NamedTuple):
    """What an answer says of one row, and the addresses where it says so; None what it does not say."""

    label: object = None
    label_at: Address | None = None
    scores: Any = None
    scores_at: Address | None = None
    score: object = None
    score_at: Address | None = None


def of_list_or_columns(value: Any, at: Address, output: Output) -> Sequence[Found]:
    """Rows of a list (one item a row) or of an object of columns (one list a name). Raises Undecodable."""
    if isinstance(value, list):
        return [of_item(item, (*at, index), output) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise Undecodable("neither a list of rows nor an object of columns")
    columns: dict[str, tuple[Any, Address]] = {}
    for kind, key in _chosen(value, output).items():
        if not isinstance(value[key], list):
            raise Undecodable(f"the column {key!r} is no list")
        columns[kind] = value[key], (*at, key)
    if len({len(column) for column, _ in columns.values()}) != 1:
        raise Undecodable("columns of different lengths")
    count = len(next(iter(columns.values()))[0])
    return [
        _of_parts({kind: (column[index], (*where, index)) for kind, (column, where) in columns.items()}, output)
        for index in range(count)
    ]


def of_item(value: Any, at: Address, output: Output) -> Found:
    """What one item says: a label, a score, a list of scores, or an object that holds them. Raises Undecodable."""
    if isinstance(value, dict):
        parts = {kind: (value[key], (*at, key)) for kind, key in _chosen(value, output).items()}
        return _of_parts(parts, output)
    if isinstance(value, list) and len(value) > 1:  # by far the most frequent, and the longest answers
        return Found(scores=value, scores_at=at)
    return _of_parts({"item": (value, at)}, output)


def _chosen(mapping: dict[str, Any], output: Output) -> dict[str, str]:
    """Which key of an object is the `label`, the `scores` and the `score`; the only key of an object is the `item` itself."""
    chosen: dict[str, str] = {}
    for kind, named, usual in (
        ("label", output.label, LABEL_KEYS),
        ("scores", output.scores, SCORES_KEYS if output.score is None else ()),
        ("score", output.score, ()),
    ):
        key = named if named is not None else next((one for one in usual if one in mapping), None)
        if key is not None and key in mapping:
            chosen[kind] = key
        elif named is not None:
            raise Undecodable(f"no {named!r}")
    if not chosen and len(mapping) == 1:
        chosen["item"] = next(iter(mapping))
    if not chosen:
        raise Undecodable("an object without a key that is known to hold the decision; name it under `output:`")
    return chosen


def _of_parts(parts: Mapping[str, tuple[Any, Address]], output: Output) -> Found:
    """Parts by kind, each unwrapped from lists of one; an `item` is told by what it is."""
    known: dict[str, tuple[Any, Address]] = {}
    for kind, (given, given_at) in parts.items():
        value, at, told = given, given_at, kind
        while isinstance(value, list) and len(value) == 1:
            value, at = value[0], (*at, 0)
        if kind == "item" and isinstance(value, list):
            told = "scores"
        elif kind == "item":
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            told = "score" if number and (output.positive is not None or output.threshold is not None) else "label"
        known[told] = value, at
    label, label_at = known.get("label", (None, None))
    scores, scores_at = known.get("scores", (None, None))
    score, score_at = known.get("score", (None, None))
    if scores_at is not None and isinstance(scores, (int, float)) and not isinstance(scores, bool):
        # One number where scores are kept is the score of the positive class.
        scores, scores_at, score, score_at = None, None, scores, scores_at
    return Found(label, label_at, scores, scores_at, score, score_at)
