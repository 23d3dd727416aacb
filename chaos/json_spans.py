"""Where the values of a JSON text stand in its bytes, so that one can be replaced and all others keep every byte. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"-?(?:Infinity|NaN|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|true|false|null|NaN|Infinity")
DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Span:
    """A value and its place: characters `start` to `end` of the text. `items` are a list's or a mapping's own spans."""

    value: object
    start: int
    end: int
    items: tuple[Span, ...] = ()
    keys: tuple[str, ...] = ()

    def get(self, key: str) -> Span | None:
        """The value of a mapping's key (the last one, as JSON parsers have it); None where there is no mapping or no such key."""
        if not self.keys:
            return None
        for name, item in zip(reversed(self.keys), reversed(self.items), strict=True):
            if name == key:
                return item
        return None

    def at(self, address: Sequence[str | int]) -> Span:
        """The value at the end of this way of keys and indexes. Raises LookupError when there is none."""
        span = self
        for step in address:
            found = span.get(step) if isinstance(step, str) else span.items[step]
            if found is None:
                raise KeyError(step)
            span = found
        return span

    def leaves(self) -> list[Span]:
        """Every scalar below a list, in order, however it is nested."""
        if not isinstance(self.value, list):
            return [self]
        return [leaf for item in self.items for leaf in item.leaves()]


def parse(text: str) -> Span:
    """The whole text as spans. Raises ValueError when it is no JSON, or too deep."""
    found, place = _value(text, _skip(text, 0), 0)
    if _skip(text, place) != len(text):
        raise ValueError("text after the JSON value")
    return found


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _value(text: str, place: int, depth: int) -> tuple[Span, int]:
    if depth > DEEPEST:
        raise ValueError("JSON nested too deeply")
    sign = text[place : place + 1]
    if sign == "{":
        return _mapping(text, place, depth)
    if sign == "[":
        return _list(text, place, depth)
    if sign == '"':
        value, end = scanstring(text, place + 1, True)
        return Span(value, place, end), end
    found = _SCALAR.match(text, place)
    if found is None:
        raise ValueError(f"no JSON value at {place}")
    return Span(json.loads(found[0]), place, found.end()), found.end()


def _list(text: str, start: int, depth: int) -> tuple[Span, int]:
    items: list[Span] = []
    place = _skip(text, start + 1)
    if text[place : place + 1] == "]":
        return Span([], start, place + 1), place + 1
    while True:
        item, place = _value(text, place, depth + 1)
        items.append(item)
        place = _skip(text, place)
        sign = text[place : place + 1]
        if sign == "]":
            return Span([one.value for one in items], start, place + 1, tuple(items)), place + 1
        if sign != ",":
            raise ValueError(f"`,` or `]` expected at {place}")
        place = _skip(text, place + 1)


def _mapping(text: str, start: int, depth: int) -> tuple[Span, int]:
    keys: list[str] = []
    items: list[Span] = []
    place = _skip(text, start + 1)
    if text[place : place + 1] == "}":
        return Span({}, start, place + 1), place + 1
    while True:
        if text[place : place + 1] != '"':
            raise ValueError(f"a key expected at {place}")
        key, place = scanstring(text, place + 1, True)
        place = _skip(text, place)
        if text[place : place + 1] != ":":
            raise ValueError(f"`:` expected at {place}")
        item, place = _value(text, _skip(text, place + 1), depth + 1)
        keys.append(key)
        items.append(item)
        place = _skip(text, place)
        sign = text[place : place + 1]
        if sign == "}":
            values = dict(zip(keys, (one.value for one in items), strict=True))
            return Span(values, start, place + 1, tuple(items), tuple(keys)), place + 1
        if sign != ",":
            raise ValueError(f"`,` or `}}` expected at {place}")
        place = _skip(text, place + 1)


def replace(text: str, edits: list[tuple[Span, str]]) -> str:
    """The text with these spans replaced; everything else keeps every character."""
    return _replaced(text, 0, len(text), edits)


def part(text: str, span: Span, edits: list[tuple[Span, str]]) -> str:
    """The text of one value with these spans inside it replaced; everything else in it keeps every character."""
    return _replaced(text, span.start, span.end, edits)


def _replaced(text: str, start: int, end: int, edits: list[tuple[Span, str]]) -> str:
    pieces: list[str] = []
    place = start
    for span, fresh in sorted(edits, key=lambda edit: edit[0].start):
        pieces += [text[place : span.start], fresh]
        place = span.end
    return "".join([*pieces, text[place:end]])


# --- members of lists and mappings --------------------------------------------------------------------------------------


def member(text: str, span: Span, place: int) -> str:
    """The text of one member of a list or mapping: its value, behind its key where it has one."""
    return text[_begins(text, span, place) : span.items[place].end]


def under(key: str, member: str) -> str:
    """The text of a mapping's member with another key."""
    _, end = scanstring(member, 1, True)
    return json.dumps(key) + member[end:]


def rebuilt(text: str, span: Span, members: Sequence[int | str]) -> str:
    """The text of a list or mapping with these members: old ones by their place, new ones by their text.

    Old members, and what stands before each, keep every character; a new one stands as far from the one before as others do.
    """
    if not span.items:
        return text[span.start] + ", ".join(one for one in members if isinstance(one, str)) + text[span.end - 1]
    gaps = [text[before.end : _begins(text, span, place)] for place, before in enumerate(span.items[:-1], 1)]
    usual = gaps[0] if gaps else ", "
    pieces = [text[span.start : _begins(text, span, 0)]]
    for number, one in enumerate(members):
        if number:
            pieces.append(gaps[one - 1] if isinstance(one, int) and one > 0 else usual)
        pieces.append(member(text, span, one) if isinstance(one, int) else one)
    return "".join([*pieces, text[span.items[-1].end : span.end]])


def _begins(text: str, span: Span, place: int) -> int:
    """Where a member begins: a list's with its value, a mapping's with its key."""
    if not span.keys:
        return span.items[place].start
    return text.index('"', span.items[place - 1].end if place else span.start)
