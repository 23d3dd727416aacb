"""Slices: one condition on a request, read the same way by the proxy, the plan and the load."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.slices import Slice, conflict
from tests.fuzzing import examples

REQUEST = {
    "region": "north",
    "age": 41,
    "ratio": 0.5,
    "member": True,
    "nothing": None,
    "rows": [{"group": "a"}, {"group": "b"}],
    "one": 1,
}
BODY = json.dumps(REQUEST).encode()
HEADERS = {"x-group": "b", "x-count": "7", "cookie": "plan=free; Plan=paid; plan=paid; odd; count=7;e=a=b"}
TARGET = "/score?beta=1&name=J%C3%BCrgen+B&beta=2&bare&group=%62"


@pytest.mark.parametrize(
    "text",
    [
        'json:$.region == "north"',
        'json:$.region != "south"',
        '  json:$.region=="north"  ',
        "json:$.age == 41",
        "json:$.age == 41.0",
        "json:$.ratio == 0.5",
        "json:$.member == true",
        "json:$.nothing == null",
        'json:$.rows[1].group == "b"',
        'header:x-group == "b"',
        'header:X-Group != "a"',
        "header:x-count == 7",
        'header:x-count == "7"',
        "json:$.one == 1",
        "json:$.one != true",
        'cookie:plan == "free"',  # the first of several
        'cookie:Plan == "paid"',
        "cookie:count == 7",
        'cookie:e == "a=b"',
        'query:beta == "1"',
        "query:beta == 1",
        'query:name == "J\\u00fcrgen B"',
        'query:bare == ""',
        'query:group != "a"',
    ],
)
def test_a_request_that_meets_the_condition_is_in_the_slice(text):
    assert Slice.parse(text).matches(HEADERS, BODY, TARGET)


@pytest.mark.parametrize(
    "text",
    [
        'json:$.region == "south"',
        'json:$.region != "north"',
        'json:$.age == "41"',
        "json:$.member == false",
        "json:$.member == 1",
        "json:$.one == true",
        'header:x-group == "a"',
        'header:x-group != "b"',
        'cookie:plan == "paid"',
        'cookie:plan != "free"',
        'query:beta == "2"',
        'query:group != "b"',
    ],
)
def test_a_request_that_does_not_meet_it_is_not(text):
    assert not Slice.parse(text).matches(HEADERS, BODY, TARGET)


@pytest.mark.parametrize("sign", ["==", "!="])
@pytest.mark.parametrize(
    "where",
    [
        "json:$.absent",
        "json:$.region.deeper",
        "json:$.rows[2].group",
        "json:$.rows.group",
        "json:$.age[0]",
        "header:x-absent",
        "cookie:absent",
        "cookie:odd",
        "query:absent",
        "query:Beta",
    ],
)
def test_a_request_without_what_is_asked_for_is_in_no_slice_either_way(where, sign):
    assert not Slice.parse(f'{where} {sign} "b"').matches(HEADERS, BODY, TARGET)


PLACES = ["header:a", "cookie:a", "query:a", "json:$.a"]


@settings(deadline=None, max_examples=examples(67))
@given(
    st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from("xyz"), st.sampled_from("xyz"),
    st.sampled_from(["==", "!="]), st.sampled_from(["==", "!="]), st.lists(st.sampled_from("xyz"), min_size=4, max_size=9),
)  # fmt: skip
def test_no_request_is_in_two_slices_that_are_said_to_be_disjoint(here, there, one, other, first, second, said):
    mine, theirs = Slice.parse(f'{here} {first} "{one}"'), Slice.parse(f'{there} {second} "{other}"')
    headers = {"a": said[0], "cookie": "; ".join(f"a={value}" for value in said[1:])}
    target, body = "/?" + "&".join(f"a={value}" for value in said[2:]), json.dumps({"a": said[3]}).encode()
    in_both = mine.matches(headers, body, target) and theirs.matches(headers, body, target)
    assert not (in_both and mine.disjoint(theirs))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"7", b"null", b'"text"', b"[]"])
@pytest.mark.parametrize("sign", ["==", "!="])
def test_a_body_that_is_no_such_json_is_in_no_slice(body, sign):
    assert not Slice.parse(f'json:$.region {sign} "north"').matches({}, body)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_no_body_makes_matching_fail(body):
    assert Slice.parse('json:$.a[0].b == "x"').matches({}, body) in (True, False)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_any_text_can_be_asked_for_when_it_is_quoted_as_json(text):
    quoted = json.dumps(text)
    body = json.dumps({"field": text}).encode()
    assert Slice.parse(f"json:$.field == {quoted}").matches({}, body)
    assert not Slice.parse(f"json:$.field != {quoted}").matches({}, body)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "region is north",
        "json:$.region = north",
        "json:$.region == north",
        "json:$ == 1",
        "json:region == 1",
        "json:$.region > 5",
        "header: == 'b'",
        'session:x == "b"',
        "cookie:x == b",
        'json:$.a == "b" and json:$.c == "d"',
        "json:$.a[-1] == 1",
        'header:x–group == "b"',  # a dash that a word processor has made
    ],
)
def test_what_is_no_slice_is_refused_with_what_to_write(text):
    with pytest.raises(
        ValueError, match=r'is no slice; write something like json:\$\.region == "north", .* or query:beta == "1"$'
    ):
        Slice.parse(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_parsing_refuses_and_never_fails_otherwise(text):
    said = "write"
    try:
        Slice.parse(text)
    except ValueError as refused:
        said = str(refused)
    assert "write" in said


def test_only_json_slices_need_the_body():
    assert Slice.parse('json:$.region == "north"').needs_body
    assert not Slice.parse('header:x-group == "b"').needs_body


# --- two slices at once -----------------------------------------------------------------------------------------------

# Values that are easily taken for each other; a request may have anything besides.
VALUES = ['"north"', '"1"', "1", "1.0", "0", "-0.0", "-0", "true", "false", "null", '"true"', '"null"', '""', "0.5"]
PLACES = ["json:$.region", "json:$.rows[0].region", "json:$.rows[1].region", "header:x-region", "header:X-Other"]
SLICES = st.builds(
    "{} {} {}".format, st.sampled_from(PLACES), st.sampled_from(["==", "!="]), st.sampled_from(VALUES)
).map(Slice.parse)
FOUND = st.one_of(
    st.sampled_from(VALUES), st.sampled_from(["NaN", "Infinity", "1e0", "[]", "{}", '"x"']), st.integers().map(str)
)


@st.composite
def requests(draw):
    """Headers and body of a request that may say anything in every place that is asked for, or nothing at all."""
    fields = [f'"region": {draw(FOUND)}' for _ in range(draw(st.integers(0, 2)))]  # a key that stands twice, too
    rows = ", ".join(f'{{"region": {draw(FOUND)}}}' for _ in range(draw(st.integers(0, 2))))
    body = "{" + ", ".join([*fields, f'"rows": [{rows}]']) + "}"
    text = st.one_of(FOUND, FOUND.map(lambda value: value.strip('"')))
    names = draw(st.lists(st.sampled_from(["x-region", "x-other"]), unique=True))
    return {name: draw(text) for name in names}, body.encode()


@settings(deadline=None, max_examples=examples(334))
@given(SLICES, SLICES, st.lists(requests(), min_size=1, max_size=5))
def test_no_request_is_in_both_of_two_slices_that_are_disjoint(one, other, asked):
    assert one.disjoint(other) is other.disjoint(one)
    assert not one.disjoint(one)
    if one.disjoint(other):
        assert not [request for request in asked if one.matches(*request) and other.matches(*request)]


@settings(deadline=None, max_examples=examples(100))
@given(st.sampled_from(PLACES), st.sampled_from(VALUES), st.sampled_from(VALUES), st.booleans())
def test_slices_of_one_place_are_disjoint_whenever_no_request_could_be_in_both(place, value, another, equal):
    one, other = Slice.parse(f"{place} == {value}"), Slice.parse(f"{place} {'==' if equal else '!='} {another}")
    if place.startswith("header:"):  # a header says a value by its text
        name = place.partition(":")[2].lower()
        in_both = other.matches({name: json.loads(value) if value.startswith('"') else dumped(value)}, b"")
    else:
        rows = f'{{"region": {value}, "rows": [{{"region": {value}}}, {{"region": {value}}}]}}'
        in_both = other.matches({}, rows.encode())
    assert one.disjoint(other) is not in_both


def dumped(value):
    """The value as a header says it."""
    return json.dumps(json.loads(value))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ('json:$.region == "north"', 'json:$.region == "south"', True),
        ('json:$.region == "north"', 'json:$.region != "north"', True),
        ('json:$.region == "north"', 'json:$.region != "south"', False),
        ('json:$.region != "north"', 'json:$.region != "south"', False),
        ("json:$.one == 1", "json:$.one == true", True),
        ("json:$.one == 1", "json:$.one == 1.0", False),
        ("json:$.one == 1", "json:$.one != 1.0", True),
        ("json:$.one == 1", "json:$.one != true", False),
        ("json:$.one == null", "json:$.one == false", True),
        ('json:$.one == "1"', "json:$.one == 1", True),
        ('header:x-one == "1"', "header:x-one == 1", False),
        ('header:X-One == "1"', "header:x-one == 2", True),
        ("header:x-one == 1", "header:x-one == 1.0", True),
        ('header:x-one == "true"', "header:x-one != true", True),
        ('header:x-one == "a"', 'header:x-two == "b"', False),
        ('json:$.rows[0] == "a"', 'json:$.rows[1] == "b"', False),
        ('json:$.rows.0 == "a"', 'json:$.rows[0] == "b"', False),
        ('header:region == "a"', 'json:$.region == "b"', False),
    ],
)
def test_slices_are_disjoint_when_one_place_would_have_to_say_two_things(one, other, apart):
    assert Slice.parse(one).disjoint(Slice.parse(other)) is apart


@pytest.mark.parametrize("text", ['json:$.rows[1].region == "a\\"b"', "header:x-region != 1.5", "json:$.a != null"])
def test_a_slice_says_itself_as_it_is_written(text):
    assert str(Slice.parse(text)) == text


NORTH, SOUTH, ELSEWHERE = 'header:x == "north"', 'header:x == "south"', 'header:y == "north"'


@pytest.mark.parametrize(
    ("mine", "held", "told"),
    [
        (NORTH, {}, None),
        (None, {}, None),
        (NORTH, {"a": SOUTH}, None),
        (
            NORTH,
            {"a": None},
            "the run a, and that one has no slice, so every request may be one of its own; wait for it to end",
        ),
        (
            None,
            {"a": NORTH},
            (
                'the run a, and this run has no slice, so it would reach requests of that one\'s slice `header:x == "north"`; '
                "wait for it to end, or write `where: header:x == VALUE` with another value"
            ),
        ),
        (
            'header:x != "south"',
            {"a": NORTH, "b": SOUTH},
            (
                "the run a, and one request can be in that one's slice `header:x == \"north\"` and in this one's, "
                '`header:x != "south"`; wait for it to end, or write `where: header:x == VALUE` with another value'
            ),
        ),
        (
            NORTH,
            {"a": 'header:x != "south"'},
            (
                "the run a, and one request can be in that one's slice `header:x != \"south\"` and in this one's, "
                '`header:x == "north"`; wait for it to end, or write `where: header:x == "south"`'
            ),
        ),
        (
            ELSEWHERE,
            {"a": NORTH, "b": 'header:x != "north"'},
            (
                "the run a, and one request can be in that one's slice `header:x == \"north\"` and in this one's, "
                '`header:y == "north"`, for they ask different things, and by the run b, and one request can be in that one\'s '
                'slice `header:x != "north"` and in this one\'s, `header:y == "north"`, for they ask different things; '
                "wait for them to end"
            ),
        ),
        (
            None,
            {"a": NORTH, "b": ELSEWHERE},  # at two proxies: no one place is free at both
            (
                'the run a, and this run has no slice, so it would reach requests of that one\'s slice `header:x == "north"`, '
                "and by the run b, and this run has no slice, so it would reach requests of that one's slice "
                '`header:y == "north"`; wait for them to end'
            ),
        ),
    ],
)
def test_a_conflict_says_with_whom_why_and_what_to_do_that_would_help(mine, held, told):
    slices = {run: Slice.parse(where) if where is not None else None for run, where in held.items()}
    assert conflict(Slice.parse(mine) if mine is not None else None, slices) == told
