"""Where a few values of a JSON text stand, without taking the whole text apart. Pure.

`chaos.json_spans.parse` makes an object of every value. Here the standard library has read (and checked) the text already, and
only the values that are going to be replaced are looked up, by their address: `("predictions", 3, "label")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]

from chaos.json_spans import Span

Address = tuple[str | int, ...]
"""The way from the whole text to a value: keys of mappings, indexes of lists."""

_BETWEEN = re.compile(r"[ \t\r\n,:]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(r"[^ \t\r\n,\]}]+")
_NOT_FLAT = re.compile(r'[\[{"]')
_FLAT = re.compile(r'(?:[^\[\]{}"]++|"(?:[^"\\]|\\.)*+")*+', re.DOTALL)
"""Everything up to the next bracket that is not inside a string."""


_LEAF = re.compile(r'"(?:[^"\\]|\\.)*+"|[^ \t\r\n,\[\]]+', re.DOTALL)
"""A scalar in a list that holds nothing but scalars and other such lists."""


def with_leaves(text: str, fresh: Mapping[int, str]) -> str:
    """The text of a list of scalars, however it is nested, with these of its scalars replaced: number from 0 → new text."""
    pieces: list[str] = []
    place = 0
    left = len(fresh)
    for number, match in enumerate(_LEAF.finditer(text)):
        if number in fresh:
            pieces += [text[place : match.start()], fresh[number]]
            place = match.end()
            left -= 1
            if not left:
                break
    return "".join([*pieces, text[place:]])


class _Wanted:
    """A tree of addresses: whether this value is asked for, and what is asked for below it."""

    __slots__ = ("address", "below")

    def __init__(self) -> None:
        self.address: Address | None = None
        self.below: dict[str | int, _Wanted] = {}


def find(text: str, addresses: Iterable[Address]) -> Mapping[Address, Span]:
    """The place of each address, as a span without a value; of a key that stands twice the last, as JSON parsers have it.

    `text` must be valid JSON. Raises KeyError when it has no value at an address.
    """
    root = _Wanted()
    asked: list[Address] = []
    for address in addresses:
        node = root
        for step in address:
            below = node.below.get(step)
            if below is None:
                below = node.below[step] = _Wanted()
            node = below
        node.address = address
        asked.append(address)
    found: dict[Address, Span] = {}
    _walk(text, _after(text, 0), root, found)
    return {address: found[address] for address in asked}


def _after(text: str, place: int) -> int:
    """Where the next value, key or closing bracket begins."""
    match = _BETWEEN.match(text, place)
    return match.end() if match else place


def _walk(text: str, start: int, wanted: _Wanted, found: dict[Address, Span]) -> int:
    """Notes what is wanted of the value at `start`; where the value ends."""
    sign = text[start]
    if not wanted.below or sign not in "[{":
        end = _end(text, start)
    elif sign == "{":
        place = _after(text, start + 1)
        while text[place] != "}":
            key, place = scanstring(text, place + 1, True)
            place = _member(text, _after(text, place), wanted.below.get(key), found)
        end = place + 1
    elif _NOT_FLAT.search(text, start + 1, close := text.find("]", start)) is None:
        # Numbers and constants alone, the long lists of scores: one pass of the regular expression finds all of them.
        for index, match in enumerate(_SCALAR.finditer(text, start + 1, close)):
            item = wanted.below.get(index)
            if item is not None and item.address is not None:
                found[item.address] = Span(None, *match.span())
        end = close + 1
    else:
        place, index = _after(text, start + 1), 0
        while text[place] != "]":
            place = _member(text, place, wanted.below.get(index), found)
            index += 1
        end = place + 1
    if wanted.address is not None:
        found[wanted.address] = Span(None, start, end)
    return end


def _member(text: str, start: int, wanted: _Wanted | None, found: dict[Address, Span]) -> int:
    """Where what follows a member of a list or mapping begins."""
    end = _end(text, start) if wanted is None else _walk(text, start, wanted, found)
    return _after(text, end)


def _end(text: str, start: int) -> int:
    """Where the value that begins at `start` ends."""
    sign = text[start]
    if sign not in "[{":
        match = (_STRING if sign == '"' else _SCALAR).match(text, start)
        assert match is not None
        return match.end()
    depth, place = 1, start + 1
    while depth:
        flat = _FLAT.match(text, place)
        assert flat is not None
        place = flat.end()
        depth += 1 if text[place] in "[{" else -1
        place += 1
    return place
