"""Places looked up in the bytes against the spans of the whole text: the same values, whatever stands around them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos import json_places, json_spans
from chaos.json_places import Address
from chaos.json_spans import Span
from tests.fuzzing import examples
from tests.json_texts import NUMBERS, SCALARS, SPACE, VALUES, written


def addressed(span: Span, at: Address = ()) -> dict[Address, Span]:
    """Every value of the text by its address."""
    steps: tuple[str | int, ...] = span.keys or tuple(range(len(span.items)))
    found = {at: span}
    for step, item in zip(steps, span.items, strict=True):
        found |= addressed(item, (*at, step))
    return found


def in_bytes(text: str, span: Span) -> tuple[int, int]:
    """The place in the text's bytes of a span of its characters."""
    start = len(text[: span.start].encode())
    return start, start + len(text[span.start : span.end].encode())


@settings(max_examples=examples(67))
@given(st.data())
def test_every_value_is_found_where_it_stands(data: st.DataObject) -> None:
    text = data.draw(VALUES.flatmap(written))
    wanted = addressed(json_spans.parse(text))
    asked = data.draw(st.sets(st.sampled_from(sorted(wanted, key=str))))
    assert json_places.find(text.encode(), asked) == {at: in_bytes(text, wanted[at]) for at in asked}


def test_of_a_key_that_stands_twice_the_last_is_found() -> None:
    text = b'{"a": 1, "a": 22}'
    assert text[slice(*json_places.find(text, [("a",)])["a",])] == b"22"


@pytest.mark.parametrize("address", [("b",), ("a", 3), ("a", 0, "x"), (0,)])
def test_an_address_that_is_not_there_is_an_error(address: Address) -> None:
    with pytest.raises(KeyError):
        json_places.find(b'{"a": [1, 2, 3]}', [address])


def test_depth_is_no_limit() -> None:
    text = b"[" * 900 + b"1" + b"]" * 900 + b" "
    start, end = json_places.find(b"[" + text + b", 7]", [(1,)])[1,]
    assert (start, end) == (len(text) + 3, len(text) + 4)


# --- lists of scalars -------------------------------------------------------------------------------------------------

NESTED = st.recursive(st.lists(SCALARS, max_size=6), lambda inner: st.lists(inner | SCALARS, max_size=4), max_leaves=30)
OF_NUMBERS = st.lists(NUMBERS, min_size=1, max_size=300) | st.lists(st.lists(NUMBERS, max_size=3), max_size=40)


@settings(max_examples=examples(67))
@given(st.data())
def test_scalars_of_a_list_are_replaced_and_no_other_byte_is(data: st.DataObject) -> None:
    text = data.draw((NESTED | OF_NUMBERS).flatmap(written)).strip()
    leaves = json_spans.parse(text).leaves()
    places = sorted(data.draw(st.sets(st.integers(0, len(leaves) - 1)))) if leaves else []
    if not places:
        return
    fresh = [f'"fresh {place}"' for place in places]
    made = json_places.with_scalars(
        b'["' + text.encode() + b'"]', (2, 2 + len(text.encode())), len(leaves), places, [one.encode() for one in fresh]
    )
    edits = [(leaves[place], one) for place, one in zip(places, fresh, strict=True)]
    assert made.decode() == json_spans.replace(text, edits)


@settings(max_examples=examples(67))
@given(st.integers(0, 300), st.integers(0, 300), st.booleans(), st.data())
def test_an_item_of_a_long_list_is_found_however_uneven_its_items_are(
    short: int, long: int, swapped: bool, data: st.DataObject
) -> None:
    items = ["0"] * short + ["0.1234567890123456"] * long + ["7"]
    if swapped:
        items.reverse()
    places = sorted(data.draw(st.sets(st.integers(0, len(items) - 1), min_size=1, max_size=3)))
    text = f"[{','.join(items)}]".encode()
    made = json_places.with_scalars(text, (0, len(text)), len(items), places, [b"x"] * len(places))
    assert made.decode() == "[" + ",".join("x" if at in places else item for at, item in enumerate(items)) + "]"


# --- lists by their key -----------------------------------------------------------------------------------------------


@settings(max_examples=examples(100))
@given(st.data())
def test_lists_by_their_key_are_found_where_they_stand_or_not_at_all(data: st.DataObject) -> None:
    lists = data.draw(st.lists(NESTED | OF_NUMBERS, min_size=1, max_size=3))
    others = st.dictionaries(st.sampled_from(["name", "data", "d", "data ", "x"]), VALUES, max_size=2)
    whole = {
        **data.draw(others),
        "outputs": [{**data.draw(others), "data": one, "more": data.draw(VALUES)} for one in lists],
        "behind": data.draw(others),
    }
    text = data.draw(written(whole))
    found = json_places.lists_at(text.encode(), "data", len(lists))
    if found is None:
        return
    spans = addressed(json_spans.parse(text))
    assert found == [in_bytes(text, spans["outputs", place, "data"]) for place in range(len(lists))]


@pytest.mark.parametrize(
    "text",
    [
        b'{"outputs":[{"name":"data","data":[1,[2]] , "shape":[3]},{"data":\n[[4],["]"]]}]}',
        b'{"id":"data","outputs":[{"data" : []},{"parameters":{"data":7},"data":[{"a":"]"}]}]}',
    ],
)
def test_where_nothing_is_dubious_they_are_found(text: bytes) -> None:
    wanted = json_places.find(text, [("outputs", 0, "data"), ("outputs", 1, "data")])
    assert json_places.lists_at(text, "data", 2) == [*wanted.values()]


@pytest.mark.parametrize(
    "text",
    [
        b'{"data":[1],"outputs":[{"data":[2]}]}',
        b'{"outputs":[{"data":[1],"data":[2]}]}',
        b'{"outputs":[{"data":[1]}],"outputs":[{"data":[2]}]}',
        b'{"outputs":[{"parameters":{"data":[1]},"data":[2]}]}',
        b'{"outputs":[{"d\\u0061ta":[2]}]}',
        b'{"id":"\\"data\\":[1]","outputs":[{"data":[2]}]}',
        b'{"outputs":[{"data":7}]}',
    ],
)
def test_where_there_is_a_doubt_none_is_found(text: bytes) -> None:
    assert json_places.lists_at(text, "data", 1) is None


@given(st.lists(st.lists(NUMBERS, max_size=3), max_size=5).flatmap(written), SPACE)
@example("[[1], [2], [[3], [4]]]", "")
@example('[{"a": "]"}, "]["]', "")
def test_a_value_ends_where_it_ends(text: str, behind: str) -> None:
    bare = text.strip().encode()
    assert json_places.end_of(bare + behind.encode() + b',"x"]', 0) == len(bare)
