"""Where a request says which group each of its rows belongs to. Pure; holds no fault of its own.

    header:NAME         one group for the whole request
    json:$.path         a value of its JSON body: one for the whole request, or with `[*]` one a row
    feature:NAME        what the model is told: a named tensor, column or key, one a row; a NUMBER is a column by its place, from 0

Bodies that are no JSON, compressed ones and raw tensors say nothing, and then nobody is in the group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from chaos import json_codec
from chaos.arms import HeaderValues
from chaos.rows import Label

_STEP = re.compile(r"\.([^\W\d][\w-]*)|\[(\d{1,9})\]|(\[\*\])|\['([^'\\]+)'\]")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in requests. `steps` are of a path (None is `[*]`), `name` is a header's in lower case, or a feature's."""

    kind: Literal["header", "json", "feature"]
    name: str
    steps: tuple[str | int | None, ...] = ()

    def groups(self, headers: HeaderValues, body: bytes, many: int) -> Sequence[object]:
        """What this request says of each of its `many` rows; empty when it does not say it, or not of so many."""
        if self.kind == "header":
            found = headers.get(self.name)
            return [] if found is None else [found] * many
        try:
            whole = _parsed(body)
            if self.kind == "feature":
                values = _feature(whole, self.name)
            else:
                values = _matches(whole, self.steps)
                if None not in self.steps:
                    values *= many
        except (ValueError, LookupError, TypeError, AttributeError):  # another form than any of these
            return []
        return values if len(values) == many else []


@lru_cache(64)
def parse_place(text: str) -> Place:
    """The place that this text means. Raises ValueError that says what to write."""
    kind, _, rest = text.partition(":")
    name = rest.strip()
    if kind == "header" and _HEADER.fullmatch(name):
        return Place("header", name.lower())
    if kind == "feature" and name:
        return Place("feature", name)
    if kind == "json" and name.startswith("$") and len(name) > 1:
        steps = [*_STEP.finditer(name, 1)]
        if "".join(step[0] for step in steps) == name[1:]:
            return Place("json", name, tuple(_step(step) for step in steps))
    raise ValueError(f"{text!r} names no place in a request; write header:NAME, json:$.path or feature:NAME")


def _step(match: re.Match[str]) -> str | int | None:
    name, index, every, quoted = match.groups()
    return None if every else int(index) if index else name or quoted


def same(found: object, group: Label) -> bool:
    """Whether what a request says is this group. Texts are compared as texts, so that a header's `1` is 1; numbers as numbers."""
    if isinstance(found, (int, float)) and isinstance(group, (int, float)):
        return isinstance(found, bool) is isinstance(group, bool) and found == group
    return _text(found) == _text(group)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parsed(body: bytes) -> Any:
    try:
        return json_codec.quickly(body)
    except ValueError:
        return json_codec.exactly(body)


def _matches(whole: Any, steps: Sequence[str | int | None]) -> list[Any]:
    """Every value that the path leads to, in order. Raises what `groups` catches where it leads nowhere."""
    reached = [whole]
    for step in steps:
        if step is None:
            if not all(isinstance(value, list) for value in reached):
                raise TypeError("no list at [*]")
            reached = [item for value in reached for item in value]
        else:
            reached = [value[step] for value in reached]
    return reached


# --- features ---------------------------------------------------------------------------------------------------------


def _feature(whole: Any, name: str) -> list[Any]:
    """The feature's value in each row. Raises what `groups` catches where the request does not say it."""
    if isinstance(whole, list):
        return _column(whole, name)
    for key in ("instances", "dataframe_records", "inputs"):
        value = whole.get(key)
        if isinstance(value, dict):  # columns by their names
            return [_alone(one) for one in value[name]]
        if isinstance(value, list):
            return _of_tensors(value, name) if _are_tensors(value) else _column(value, name)
    split = whole["dataframe_split"]
    names = split.get("columns")
    place = names.index(name) if names is not None and name in names else _number(name)
    return [row[place] for row in split["data"]]


def _column(rows: Sequence[Any], name: str) -> list[Any]:
    """The feature of rows that are objects (by its name) or lists (by its number)."""
    return [_alone(row[name] if isinstance(row, dict) else row[_number(name)]) for row in rows]


def _number(name: str) -> int:
    """The place of a column that has no name."""
    if not name.isdecimal():
        raise LookupError(name)
    return int(name)


def _alone(value: Any) -> Any:
    """A list of one value is that value."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _are_tensors(inputs: Sequence[Any]) -> bool:
    return bool(inputs) and all(isinstance(one, dict) and "shape" in one and "data" in one for one in inputs)


def _of_tensors(tensors: Sequence[Any], name: str) -> list[Any]:
    """The tensor of this name, of one value a row; or a column of the only tensor, by its name or number."""
    for tensor in tensors:
        if tensor.get("name") == name:
            return _flat(tensor["data"])
    (tensor,) = tensors
    rows, width = tensor["shape"]
    names = (tensor.get("parameters") or {}).get("names") or []
    place = names.index(name) if name in names else _number(name)
    values = _flat(tensor["data"])
    if not 0 <= place < width or len(values) != rows * width:
        raise ValueError("a tensor that does not fit its shape")
    return values[place::width]


def _flat(data: Sequence[Any]) -> list[Any]:
    flat = [*data]
    while flat and all(isinstance(one, list) for one in flat):
        flat = [item for one in flat for item in one]
    return flat
