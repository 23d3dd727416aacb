"""Places looked up by address against the spans of the whole text: the same characters, whatever stands around them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos import json_places, json_spans
from chaos.json_places import Address
from chaos.json_spans import Span

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet='ab"\\[]{},: \u00e9', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"\\]}', max_size=4), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
LAYOUT = st.sampled_from(
    [{"indent": None}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t"}]
)


def addressed(span: Span, at: Address = ()) -> dict[Address, Span]:
    """Every value of the text by its address."""
    steps: tuple[str | int, ...] = span.keys or tuple(range(len(span.items)))
    found = {at: span}
    for step, item in zip(steps, span.items, strict=True):
        found |= addressed(item, (*at, step))
    return found


@given(VALUES, LAYOUT, st.data())
def test_every_value_is_found_where_it_stands(value: object, layout: dict[str, object], data: st.DataObject) -> None:
    text = " " + json.dumps(value, **layout) + "\n"  # type: ignore[arg-type]
    wanted = addressed(json_spans.parse(text))
    asked = data.draw(st.sets(st.sampled_from(sorted(wanted, key=str))))
    found = json_places.find(text, asked)
    assert {at: (one.start, one.end) for at, one in found.items()} == {
        at: (wanted[at].start, wanted[at].end) for at in asked
    }


def test_of_a_key_that_stands_twice_the_last_is_found() -> None:
    text = '{"a": 1, "a": 22}'
    found = json_places.find(text, [("a",)])["a",]
    assert text[found.start : found.end] == "22"


@pytest.mark.parametrize("address", [("b",), ("a", 3), ("a", 0, "x"), (0,)])
def test_an_address_that_is_not_there_is_an_error(address: Address) -> None:
    with pytest.raises(KeyError):
        json_places.find('{"a": [1, 2, 3]}', [address])


def test_depth_is_no_limit() -> None:
    text = "[" * 900 + "1" + "]" * 900 + " "
    found = json_places.find(f"[{text}, 7]", [(1,)])[1,]
    assert text + ", 7" == f"[{text}, 7]"[1 : found.end]
