"""JSON texts as some server might write them: any white space, escapes where none are needed, numbers in any form, keys twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SPACE = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n", "  "])
HOSTILE = st.text(alphabet='dat"\\[]{},: \u00e9\U0001f600\n', max_size=8) | st.sampled_from(
    ["data", '"data":[', '\\"data":[1]', "]", "outputs", "\ud800"]
)
"""Texts that look like the JSON around them."""
NUMBERS = st.integers(-3, 300) | st.floats(allow_nan=False) | st.integers(-(10**30), 10**30)
SCALARS = st.none() | st.booleans() | NUMBERS | HOSTILE
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4), max_leaves=12
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A text that means this value, in any form."""
    return _written(value, draw)


def _written(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    before, after = draw(SPACE), draw(SPACE)
    return before + _bare(value, draw) + after


def _bare(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    if isinstance(value, dict):
        members = [f"{draw(SPACE)}{_text(key, draw)}{draw(SPACE)}:{_written(one, draw)}" for key, one in value.items()]
        twice = draw(st.integers(0, 9)) == 0
        first = (
            [f"{_text(next(iter(value)), draw)}:{draw(st.sampled_from(['[7, [8]]', '1', '{}']))}"]
            if twice and value
            else []
        )
        return "{" + (",".join([*first, *members]) or draw(SPACE)) + "}"
    if isinstance(value, list):
        return "[" + (",".join(_written(one, draw) for one in value) or draw(SPACE)) + "]"
    if isinstance(value, str):
        return _text(value, draw)
    if type(value) is float:
        forms = [repr(value), f"{value:.17e}", f"{value:.17E}", json.dumps(value)]
        fine = [form for form in forms if "n" not in form.lower() and float(form) == value]
        return draw(st.sampled_from(fine)) if fine else json.dumps(value)
    return json.dumps(value)


def _text(value: str, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    if value and draw(st.integers(0, 4)) == 0 and value.isascii():
        return '"' + "".join(f"\\u{ord(sign):04x}" for sign in value) + '"'
    lone = any("\ud800" <= sign <= "\udfff" for sign in value)
    return json.dumps(value, ensure_ascii=lone or draw(st.booleans()))
