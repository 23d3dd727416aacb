"""What protocols with JSON answers share: from a place in the answer to a row, and from a changed row back to the bytes.

The answer carries a label, scores (one per class: a list, or an object by class), a single score of the positive class, or several
of these. Where there is no label, the scores decide: the largest one, or for two classes the threshold of the system file. So a
fault that changes the decision changes the scores, until they say what the new label says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos import json_places, json_spans
from chaos.json_places import Address
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Label, Row

LABEL_KEYS = ("label", "prediction", "predicted_label", "predicted_class", "class", "class_id", "class_ids", "predict")
"""Where a row that is an object has its label, when the system file does not say."""
SCORES_KEYS = ("scores", "probabilities", "probability", "proba", "predict_proba")


@dataclass(frozen=True, slots=True)
class Found:
    """What an answer says of one row, and the addresses where it says so; None what it does not say."""

    label: object = None
    label_at: Address | None = None
    scores: Any = None
    scores_at: Address | None = None
    score: object = None
    score_at: Address | None = None


class JsonAnswers:
    """The half of a protocol that is the same wherever answers are JSON. Subclasses say where the rows are."""

    name: str

    def found(self, whole: Any, output: Output) -> Sequence[Found]:
        """What the decoded answer says, row by row. Raises Undecodable when it is no answer of this protocol."""
        raise NotImplementedError

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        del headers
        _, whole = loaded(body)
        return [row(index, one, output) for index, one in enumerate(self.found(whole, output))]

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced, and nothing else. Raises Undecodable."""
        del headers
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
        if not changed:
            return body, {}
        text, whole = loaded(body)
        found = self.found(whole, output)
        edits = [
            (old.index, address, was, fresh)
            for old, new in changed
            for address, was, fresh in _edits(found[old.index], old, new, output)
        ]
        places = json_places.find(text, [address for _, address, _, _ in edits])
        # A score that only moved keeps the form in which the server wrote it: 0.30 stays 0.30, and 1 stays 1.
        written = {
            (index, was): text[places[address].start : places[address].end]
            for index, address, was, _ in edits
            if isinstance(was, float)
        }
        fresh_texts = [
            (places[address], (written.get((index, fresh)) if isinstance(fresh, float) else None) or _dumped(fresh))
            for index, address, _, fresh in edits
        ]
        return json_spans.replace(text, fresh_texts).encode("utf-8"), {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, which is what most servers with JSON answers say."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


# --- from the answer to rows ------------------------------------------------------------------------------------------


def loaded(body: bytes) -> tuple[str, Any]:
    """The text and its value. Raises Undecodable."""
    try:
        text = body.decode("utf-8")
        return text, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"this is no JSON: {error}") from error


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


def row(index: int, found: Found, output: Output) -> Row:
    """The row that this says. Raises Undecodable."""
    if found.label is not None and not isinstance(found.label, (str, int, float)):
        raise Undecodable("a label that is neither text nor number")
    label: Label | None = found.label
    if found.scores_at is not None:
        numbers = _numbers(_values(found.scores))
        classes = _classes(found, len(numbers), output)
    elif found.score_at is not None:
        classes, positive = _two(output)
        score = _number(found.score)
        if not (0 <= score <= 1 or math.isnan(score)):
            raise Undecodable(f"{score} is no probability; a single score lies between 0 and 1")
        numbers = (1 - score, score) if positive == 1 else (score, 1 - score)
    else:
        return Row(index, label, None, output.classes or (_two(output)[0] if output.positive is not None else ()))
    if found.label_at is None and not any(map(math.isnan, numbers)):
        label = classes[_decided(numbers, classes, found, output)]
    return Row(index, label, numbers, classes)


def _values(scores: Any) -> Sequence[Any]:
    if isinstance(scores, dict):
        return list(scores.values())
    if not isinstance(scores, list) or not scores:
        raise Undecodable("scores that are neither a list of numbers nor an object of them")
    return scores


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    if {*map(type, values)} == {float}:
        return tuple(values)
    return tuple(_number(one) for one in values)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undecodable("a score that is no number")
    try:
        return float(value)
    except OverflowError as error:
        raise Undecodable("a score with hundreds of digits") from error


def _classes(found: Found, count: int, output: Output) -> tuple[Label, ...]:
    """The classes that the scores belong to; empty when a label of text stands beside scores that nobody has named."""
    if isinstance(found.scores, dict):
        known: dict[str, Label] = {str(one): one for one in output.classes}
        return tuple(known.get(key, key) for key in map(str, found.scores))
    if output.classes:
        if len(output.classes) != count:
            raise Undecodable(f"{count} scores for {len(output.classes)} classes")
        return output.classes
    if output.positive is not None and count == 2:
        return _two(output)[0]
    return tuple(range(count)) if found.label is None or isinstance(found.label, int) else ()


def _two(output: Output) -> tuple[tuple[Label, ...], int]:
    """The two classes of a single score, and the place of the positive one."""
    positive = output.positive
    if output.classes:
        if len(output.classes) != 2 or (positive is not None and positive not in output.classes):
            raise Undecodable("a single score belongs to one of two classes")
        return output.classes, output.classes.index(positive) if positive is not None else 1
    if positive is None:
        return (0, 1), 1
    other: Label = not positive if isinstance(positive, bool) else f"not {positive}"
    if positive in (0, 1) and not isinstance(positive, bool):
        other = 1 - int(positive)
    return (other, positive), 1


def _threshold(classes: tuple[Label, ...], found: Found, output: Output) -> tuple[int, float] | None:
    """The place of the positive class and its threshold; None where the largest score decides."""
    asked = found.score_at is not None or output.positive is not None or output.threshold is not None
    if len(classes) != 2 or not asked:
        return None
    place = classes.index(output.positive) if output.positive is not None and output.positive in classes else 1
    return place, 0.5 if output.threshold is None else output.threshold


def _decided(scores: Sequence[float], classes: tuple[Label, ...], found: Found, output: Output) -> int:
    """The place of the class that these scores decide for."""
    thresholded = _threshold(classes, found, output)
    if thresholded is None:
        return max(range(len(scores)), key=scores.__getitem__)
    place, threshold = thresholded
    return place if scores[place] >= threshold else 1 - place


# --- from rows back to the answer -------------------------------------------------------------------------------------


def _edits(found: Found, old: Row, new: Row, output: Output) -> Iterator[tuple[Address, object, object]]:
    """Addresses of what differs, with the value that stands there and the one that shall."""
    if found.label_at is not None and new.label != old.label:
        yield found.label_at, None, _like(old.label, new.label)
    if old.scores is None or new.scores is None:
        return
    fresh = new.scores
    if found.label_at is None and new.label != old.label and new.label in old.classes:
        fresh = _settled(fresh, old, old.classes.index(new.label), found, output)
    if found.score_at is not None:
        place = _two(output)[1]
        if fresh[place] is not old.scores[place] and fresh[place] != old.scores[place]:
            yield found.score_at, old.scores[place], fresh[place]
    elif found.scores_at is not None:
        keys: Sequence[str | int] = list(found.scores) if isinstance(found.scores, dict) else range(len(found.scores))
        for key, was, one in zip(keys, old.scores, fresh, strict=True):
            if one is not was and one != was:  # a NaN differs from itself, and must keep its bytes
                yield (*found.scores_at, key), was, one


def _settled(scores: tuple[float, ...], old: Row, wanted: int, found: Found, output: Output) -> tuple[float, ...]:
    """Scores that decide for the class at `wanted`: these, if they do; else moved as little as decides."""
    assert old.scores is not None
    if _decided(scores, old.classes, found, output) == wanted:
        return scores
    thresholded = _threshold(old.classes, found, output)
    if thresholded is None:
        moved, best = list(scores), max(range(len(scores)), key=scores.__getitem__)
        moved[wanted], moved[best] = moved[best], moved[wanted]
        if _decided(moved, old.classes, found, output) != wanted:  # a tie, which the first one wins
            moved[wanted] = math.nextafter(moved[wanted], math.inf)
        return tuple(moved)
    place, threshold = thresholded
    mirrored = _mirrored(old.scores[place], threshold)
    return (1 - mirrored, mirrored) if place == 1 else (mirrored, 1 - mirrored)


def _mirrored(score: float, threshold: float) -> float:
    """As far on the other side of the threshold, each side measured by its own length; so 50% for 96.5% at 93%."""
    if score < threshold:
        return max(threshold, min(1.0, threshold + (threshold - score) / threshold * (1 - threshold)))
    below = threshold - (score - threshold) / (1 - threshold) * threshold
    return max(0.0, min(math.nextafter(threshold, 0), below))


def _like(old: Label | None, new: Label | None) -> Label | None:
    """The new label in the old one's JSON type: decimals stay decimals, true and false stay so."""
    if isinstance(old, bool) and not isinstance(new, (bool, str)) and new in (0, 1):
        return bool(new)
    if isinstance(old, float) and isinstance(new, int):
        return float(new)
    if isinstance(old, int) and not isinstance(old, bool) and isinstance(new, (bool, float)) and new == int(new):
        return int(new)
    return new


def _dumped(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        return json.dumps(value)
    return text
