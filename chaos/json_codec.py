"""JSON texts to values and back: by orjson, several times as fast as the standard library, and by the latter where they differ.

The standard library decides what a text means. orjson refuses some of what it reads (bare NaN and Infinity, halves of surrogate
pairs, 1e400), and has no integers beyond 64 bits: it reads them as decimals. Of everything else it makes the same values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

_LARGEST = 2.0**63
_QUOTE, _N = b'"n'

quickly = orjson.loads
"""The value of a text, except that integers beyond 64 bits are decimals. Raises ValueError for some texts that `exactly` reads."""


def exactly(text: bytes) -> Any:
    """The value of a text. Raises ValueError when it is no JSON."""
    try:
        return json.loads(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def doubtful(values: Sequence[object]) -> bool:
    """Whether one of these, read `quickly`, is a decimal that may have been an integer beyond 64 bits."""
    return float in {*map(type, values)} and any(type(value) is float and abs(value) >= _LARGEST for value in values)


def dumped(value: object) -> bytes:
    """The text of a scalar."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        text = b"null"
    # It also makes null of NaN and infinite numbers.
    return text if text != b"null" else json.dumps(value).encode("ascii")


def dumped_all(values: Sequence[object]) -> list[bytes]:
    """The text of each of these scalars."""
    try:
        text = orjson.dumps(values)
    except TypeError:
        text = b'"'
    if _QUOTE in text or _N in text:  # texts, whose commas do not part them, and null, which may have been NaN
        return [dumped(value) for value in values]
    return text[1:-1].split(b",")
