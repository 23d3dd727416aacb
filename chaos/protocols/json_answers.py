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
from functools import lru_cache
from typing import Any

from chaos import json_codec, json_places
from chaos.json_places import Address
from chaos.protocols.base import Output, Rows, Undecodable
from chaos.protocols.json_found import Found
from chaos.rows import Label, Row, Rule, class_numbers, differing, like


@dataclass(frozen=True, slots=True)
class _Read:
    """What an answer of a protocol says."""

    of: JsonAnswers
    body: bytes
    output: Output
    found: Sequence[Found]


class JsonAnswers:
    """The half of a protocol that is the same wherever answers are JSON. Subclasses say where the rows are."""

    name: str

    def found(self, whole: Any, output: Output) -> Sequence[Found]:
        """What the decoded answer says, row by row. Raises Undecodable when it is no answer of this protocol."""
        raise NotImplementedError

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        del headers
        return self._read(body, output)

    def _read(self, body: bytes, output: Output) -> Rows:
        try:
            rows = self._rows(body, json_codec.quickly(body), output)
            if not json_codec.doubtful([one.label for one in rows]):
                return rows
        except ValueError:
            pass  # the standard library may see more in it
        try:
            whole = json_codec.exactly(body)
        except ValueError as error:
            raise Undecodable(f"this is no JSON: {error}") from error
        return self._rows(body, whole, output)

    def _rows(self, body: bytes, whole: Any, output: Output) -> Rows:
        found = self.found(whole, output)
        rows = Rows([row(index, one, output) for index, one in enumerate(found)])
        rows.read = _Read(self, body, output, found)
        return rows

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced, and nothing else. Raises Undecodable."""
        del headers
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
        if not changed:
            return body, {}
        read = getattr(before, "read", None)
        if not (isinstance(read, _Read) and read.of is self and read.body is body and read.output is output):
            read = self._read(body, output).read
            assert isinstance(read, _Read)
        edits = [
            (old.index, address, was, fresh)
            for old, new in changed
            for address, was, fresh in _edits(read.found[old.index], old, new, output)
        ]
        try:
            places = json_places.find(body, [address for _, address, _, _ in edits])
        except RecursionError as error:
            raise Undecodable("nested too deeply") from error
        # A score that only moved keeps the form in which the server wrote it: 0.30 stays 0.30, and 1 stays 1.
        written: dict[tuple[int, object], bytes] = {
            (index, was): body[slice(*places[address])] for index, address, was, _ in edits if isinstance(was, float)
        }
        texts = [
            (places[address], (isinstance(fresh, float) and written.get((index, fresh))) or json_codec.dumped(fresh))
            for index, address, _, fresh in edits
        ]
        return json_places.replaced(body, texts), {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, which is what most servers with JSON answers say."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


# --- from the answer to rows ------------------------------------------------------------------------------------------


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
    if found.label_at is not None:
        return Row(index, label, numbers, classes)
    rule = _rule(classes, found, output)
    if not any(map(math.isnan, numbers)):
        label = classes[rule.decides(numbers)]
    return Row(index, label, numbers, classes, rule)


def _values(scores: Any) -> Sequence[Any]:
    if isinstance(scores, dict) and scores:
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
    return class_numbers(count) if found.label is None or isinstance(found.label, int) else ()


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


_LARGEST = Rule()


def _rule(classes: tuple[Label, ...], found: Found, output: Output) -> Rule:
    """How the scores of an answer without a label decide: by the threshold of the positive class, or the largest one."""
    asked = found.score_at is not None or output.positive is not None or output.threshold is not None
    if len(classes) != 2 or not asked:
        return _LARGEST
    place = classes.index(output.positive) if output.positive is not None and output.positive in classes else 1
    return _thresholded(place, 0.5 if output.threshold is None else output.threshold)


_thresholded = lru_cache(64)(Rule)


# --- from rows back to the answer -------------------------------------------------------------------------------------


def _edits(found: Found, old: Row, new: Row, output: Output) -> Iterator[tuple[Address, object, object]]:
    """Addresses of what differs, with the value that stands there and the one that shall."""
    if found.label_at is not None and new.label != old.label:
        yield found.label_at, None, like(old.label, new.label)
    if old.scores is None or new.scores is None:
        return
    fresh = new.scores
    if found.label_at is None and new.label != old.label and new.label in old.classes:
        rule, wanted = _rule(old.classes, found, output), old.classes.index(new.label)
        if rule.decides(fresh) != wanted:
            fresh = rule.settled(fresh if rule.place is None else old.scores, wanted)
    if found.score_at is not None:
        place = _two(output)[1]
        if fresh[place] is not old.scores[place] and fresh[place] != old.scores[place]:
            yield found.score_at, old.scores[place], fresh[place]
    elif found.scores_at is not None:
        if len(fresh) != len(old.scores):
            raise Undecodable("a row whose number of scores was changed")
        keys: Sequence[str | int] = [*found.scores] if isinstance(found.scores, dict) else range(len(fresh))
        for place in differing(old.scores, fresh):
            yield (*found.scores_at, keys[place]), old.scores[place], fresh[place]
