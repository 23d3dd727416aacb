"""Spans against the standard library: the same values, the right places, and every other character kept."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chaos.json_spans import DEEPEST, Span, member, parse, part, rebuilt, replace, under

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
LAYOUT = st.sampled_from(
    [{"indent": None}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t"}]
)


def same(one: object, other: object) -> bool:
    """Equal in value and type, NaN included."""
    return json.dumps(one) == json.dumps(other)


def walk(span: Span) -> list[Span]:
    return [span, *(below for item in span.items for below in walk(item))]


@given(VALUES, LAYOUT)
def test_every_value_is_what_json_reads_and_stands_where_its_span_says(
    value: object, layout: dict[str, object]
) -> None:
    text = json.dumps(value, **layout)  # type: ignore[arg-type]
    whole = parse(text)
    assert same(whole.value, json.loads(text))
    for span in walk(whole):
        assert same(json.loads(text[span.start : span.end]), span.value)


@given(st.text('{}[]:,"\\0123456789.eE+-truefalsn NaInfity\t\n\u00e9\u0661', max_size=14))
@example("01")
@example("-")
@example("1.")
@example("-NaN")
@example("[1,]")
@example('{"a":1,}')
@example('{"a":1,"a":2}')
@example("\ufeff1")
@example('"\\ud800"')
@example('"\t"')
@example("1 2")
@example("")
def test_exactly_what_json_accepts_is_accepted(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            parse(text)
        return
    assert same(parse(text).value, wanted)


@given(VALUES, LAYOUT, st.data())
def test_a_replaced_value_changes_nothing_but_itself(
    value: object, layout: dict[str, object], data: st.DataObject
) -> None:
    text = json.dumps(value, **layout)  # type: ignore[arg-type]
    leaves = [span for span in walk(parse(text)) if not span.items]
    assume(leaves)
    chosen = data.draw(st.lists(st.sampled_from(leaves), unique_by=lambda span: span.start, max_size=3))
    made = replace(text, [(span, '"fresh"') for span in data.draw(st.permutations(chosen))])
    rest, place = made, 0
    for span in sorted(chosen, key=lambda one: one.start):
        before = text[place : span.start] + '"fresh"'
        assert rest.startswith(before)
        rest, place = rest[len(before) :], span.end
    assert rest == text[place:]
    json.loads(made)


def test_of_a_repeated_key_the_last_one_counts() -> None:
    found = parse('{"a": 1, "a": 2}').get("a")
    assert found is not None
    assert found.value == 2


def test_bare_nan_and_infinity_are_kept_as_servers_write_them() -> None:
    leaves = parse("[NaN, Infinity, -Infinity]").leaves()
    assert math.isnan(leaves[0].value)  # type: ignore[arg-type]
    assert [leaf.value for leaf in leaves[1:]] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 100_000, "9" * 5000]
)
def test_what_is_too_deep_or_too_long_is_a_value_error_and_not_a_crash(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_what_is_just_not_too_deep_is_read() -> None:
    assert parse("[" * DEEPEST + "1" + "]" * DEEPEST).leaves()[0].value == 1


# --- members of lists and mappings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "members", "made"),
    [
        ("[1.50,  2,\n3 ]", [0, 1, 2], "[1.50,  2,\n3 ]"),
        ("[1.50,  2,\n3 ]", [0, 2], "[1.50,\n3 ]"),
        ("[1.50,  2,\n3 ]", [1, 2], "[2,\n3 ]"),
        ("[1.50,2,3]", [0, 1, 2, "7"], "[1.50,2,3,7]"),
        ("[ 1 ]", [0, "7"], "[ 1, 7 ]"),
        ("[]", ["7", "8"], "[7, 8]"),
        ("[1, 2]", [], "[]"),
        ('{ "a" : 1,"b":[2 ,3] }', [0, 1], '{ "a" : 1,"b":[2 ,3] }'),
        ('{ "a" : 1,"b":[2 ,3] }', [1], '{ "b":[2 ,3] }'),
        ('{"a": 1, "b": 2}', [0, '"c": 3'], '{"a": 1, "c": 3}'),
        ("{}", ['"c": 3'], '{"c": 3}'),
    ],
)
def test_a_rebuilt_value_keeps_every_character_of_its_old_members_and_of_what_stands_before_them(
    text: str, members: list[int | str], made: str
) -> None:
    assert rebuilt(text, parse(text), members) == made


def test_a_member_is_a_value_behind_its_key_and_can_be_put_under_another() -> None:
    text = r'{"a": [1, "x"], "q\"\u0061" : 2.50}'
    found = parse(text)
    assert [member(text, found, place) for place in (0, 1)] == ['"a": [1, "x"]', r'"q\"\u0061" : 2.50']
    assert under('b"', member(text, found, 1)) == r'"b\"" : 2.50'
    assert member(text, found.items[0], 1) == '"x"'


def test_a_value_is_found_by_its_address_and_part_of_the_text_can_be_replaced_alone() -> None:
    text = '{"a": [1, {"b": 2}], "c": 3}'
    found = parse(text)
    assert found.at(("a", 1, "b")).value == 2
    assert part(text, found.at(("a",)), [(found.at(("a", 1, "b")), "7")]) == '[1, {"b": 7}]'
    for address in (("x",), ("a", 2), ("c", "d")):
        with pytest.raises(LookupError):
            found.at(address)
