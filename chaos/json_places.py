"""Where a few values of a JSON text stand in its bytes, without taking the whole text apart. Pure.

`chaos.json_spans.parse` makes an object of every value. Here a parser has read (and checked) the text already, and only the values
that are going to be replaced are looked up: by their address, `("predictions", 3, "label")`, or by what is known of the text. Most
of it is passed over by searches for one byte, which are many times as fast as a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

Address = tuple[str | int, ...]
"""The way from the whole text to a value: keys of mappings, indexes of lists."""
Place = tuple[int, int]
"""The bytes from the first to the second are a value."""

_BETWEEN = re.compile(rb"[ \t\r\n,:]*")
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(_TEXT, re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_FLAT = re.compile(rb'[^\[\]{}"]*+(?:' + _TEXT + rb'[^\[\]{}"]*+)*+', re.DOTALL)
"""Everything up to the next bracket that is not inside a string."""
_GRID = re.compile(rb"\[(?:[ \t\r\n,]*+\[[^\]]*+\])++[ \t\r\n]*+\]")
"""A list of lists, if there are no other brackets, braces or quotes in it."""
_LEAF = re.compile(_TEXT + rb"|[^ \t\r\n,\[\]]+", re.DOTALL)
"""A scalar in a list that holds nothing but scalars and other such lists."""
_AROUND = b" \t\r\n[]"
_QUOTE, _BACKSLASH, _LIST, _LIST_END, _OBJECT, _OBJECT_END = b'"\\[]{}'
_SPACE, _TAB, _RETURN, _NEWLINE = b" \t\r\n"
"""Bytes as numbers: searching for one of them needs no search string to be prepared."""
_MANY = 100
"""Of so many items it is worth while to take only a part of their list apart."""


def replaced(text: bytes, edits: Iterable[tuple[Place, bytes]]) -> bytes:
    """The text with other bytes at these places, no two of which overlap; every other byte stays."""
    pieces: list[bytes] = []
    at = 0
    for (start, end), fresh in sorted(edits):
        pieces += (text[at:start], fresh)
        at = end
    pieces.append(text[at:])
    return b"".join(pieces)


# --- lists of scalars -------------------------------------------------------------------------------------------------


def with_scalars(text: bytes, place: Place, count: int, numbers: Sequence[int], fresh: Sequence[bytes]) -> bytes:
    """The list of `count` scalars at this place, however it is nested, with those of these numbers, ascending, replaced."""
    start, end = place
    whole = text[start:end]
    if _QUOTE in whole:
        return _with_leaves(whole, dict(zip(numbers, fresh, strict=True)))
    first = at = 0
    if _LIST in whole[1:]:
        pieces = whole.split(b",")
        if len(pieces) != count:  # there are lists without a scalar in them
            return _with_leaves(whole, dict(zip(numbers, fresh, strict=True)))
    elif len(numbers) == count and not (_SPACE in whole or _TAB in whole or _RETURN in whole or _NEWLINE in whole):
        return b"[" + b",".join(fresh) + b"]"
    else:
        if count > _MANY:
            first = numbers[0]
            at = _start(whole, count, first)
        pieces = whole[at:].split(b",", numbers[-1] - first + 1)
    for number, one in zip(numbers, fresh, strict=True):
        piece = pieces[number - first]
        scalar = piece.strip(_AROUND)
        pieces[number - first] = one if scalar is piece else piece.replace(scalar, one)
    return whole[:at] + b",".join(pieces)


def _start(text: bytes, count: int, number: int) -> int:
    """Where, behind its comma, an item of a flat list of `count` begins: guessed from its number, then counted."""
    if not number:
        return 0
    at = len(text) * number // count
    missing = number - text.count(b",", 0, at)
    if missing > 0:
        return len(text) - len(text[at:].split(b",", missing)[-1])
    return len(text[:at].rsplit(b",", 1 - missing)[0]) + 1


def _with_leaves(text: bytes, fresh: Mapping[int, bytes]) -> bytes:
    edits: list[tuple[Place, bytes]] = []
    for number, match in enumerate(_LEAF.finditer(text)):
        if number in fresh:
            edits.append((match.span(), fresh[number]))
            if len(edits) == len(fresh):
                break
    return replaced(text, edits)


def _items(text: bytes, start: int, end: int, wanted: Sequence[int]) -> Iterator[tuple[int, Place]]:
    """The places of these items, ascending, of the list of numbers and constants whose brackets stand at `start` and `end`."""
    pieces = text[start + 1 : end].split(b",", wanted[-1] + 1) if wanted else []
    at, passed = start + 1, 0
    for number in wanted:
        if number >= len(pieces):
            return
        at += sum(map(len, pieces[passed:number])) + number - passed
        passed = number
        bare = pieces[number].lstrip()
        begin = at + len(pieces[number]) - len(bare)
        if bare:
            yield number, (begin, begin + len(bare.rstrip()))


# --- lists by their key, where the text is plain ------------------------------------------------------------------------


@cache
def _key_of_list(key: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%b"[ \t\r\n]*:[ \t\r\n]*\[' % re.escape(key.encode()))


def lists_at(text: bytes, key: str, count: int) -> list[Place] | None:
    """The lists that are values of this key, in order, if there plainly are `count` of them; else None.

    `text` must be valid JSON with at least so many, none of which is within another. Without a backslash in it, quotes are nothing
    but the ends of texts, and what looks like the key of a list is one. If there are no more, these are those that are looked for.
    """
    if _BACKSLASH in text:
        return None
    search = _key_of_list(key).search
    found: list[Place] = []
    end = 0
    while (match := search(text, end)) is not None:
        start = match.end() - 1
        end = end_of(text, start)
        found.append((start, end))
    return found if len(found) == count else None


# --- values by their address ------------------------------------------------------------------------------------------


class _Wanted:
    """A tree of addresses: whether this value is asked for, and what is asked for below it."""

    __slots__ = ("address", "below")

    def __init__(self) -> None:
        self.address: Address | None = None
        self.below: dict[str | int, _Wanted] = {}


def find(text: bytes, addresses: Iterable[Address]) -> Mapping[Address, Place]:
    """The place of each address; of a key that stands twice the last, as JSON parsers have it.

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
    found: dict[Address, Place] = {}
    if asked:
        _walk(text, _after(text, 0), root, found)
    return {address: found[address] for address in asked}


def _after(text: bytes, place: int) -> int:
    """Where the next value, key or closing bracket begins."""
    match = _BETWEEN.match(text, place)
    return match.end() if match else place


def _walk(text: bytes, start: int, wanted: _Wanted, found: dict[Address, Place]) -> int:
    """Notes what is wanted of the value at `start`; where the value ends."""
    sign = text[start]
    if not wanted.below or sign not in b"[{":
        end = end_of(text, start)
    elif sign == _OBJECT:
        place = _after(text, start + 1)
        while text[place] != _OBJECT_END:
            key, place = _key(text, place)
            place = _member(text, _after(text, place), wanted.below.get(key), found)
        end = place + 1
    elif (close := _close(text, start)) is not None:
        numbers = sorted(step for step in wanted.below if isinstance(step, int))
        for number, place_of in _items(text, start, close, numbers):
            address = wanted.below[number].address
            if address is not None:
                found[address] = place_of
        end = close + 1
    else:
        place, index = _after(text, start + 1), 0
        while text[place] != _LIST_END:
            place = _member(text, place, wanted.below.get(index), found)
            index += 1
        end = place + 1
    if wanted.address is not None:
        found[wanted.address] = start, end
    return end


def _member(text: bytes, start: int, wanted: _Wanted | None, found: dict[Address, Place]) -> int:
    """Where what follows a member of a list or mapping begins."""
    end = end_of(text, start) if wanted is None else _walk(text, start, wanted, found)
    return _after(text, end)


def _key(text: bytes, start: int) -> tuple[str, int]:
    """The key that begins at `start`, and where it ends."""
    match = _STRING.match(text, start)
    assert match is not None
    written = match[0]
    return json.loads(written) if _BACKSLASH in written else written[1:-1].decode("utf-8"), match.end()


def _close(text: bytes, start: int) -> int | None:
    """Where the list at `start` closes, if nothing but numbers and constants is in it."""
    close = text.find(b"]", start)
    inside = text[start + 1 : close]
    return None if _LIST in inside or _QUOTE in inside or _OBJECT in inside else close


def _plain(grid: bytes) -> bool:
    return grid.count(b"[") == grid.count(b"]") and _QUOTE not in grid and _OBJECT not in grid


def end_of(text: bytes, start: int) -> int:
    """Where the value that begins at `start` ends."""
    sign = text[start]
    if sign == _LIST:
        close = _close(text, start)
        if close is not None:
            return close + 1
        grid = _GRID.match(text, start)
        if grid is not None and _plain(grid[0]):
            return grid.end()
    elif sign != _OBJECT:
        match = (_STRING if sign == _QUOTE else _SCALAR).match(text, start)
        assert match is not None
        return match.end()
    depth, place = 1, start + 1
    while depth:
        flat = _FLAT.match(text, place)
        assert flat is not None
        place = flat.end()
        depth += 1 if text[place] in b"[{" else -1
        place += 1
    return place
