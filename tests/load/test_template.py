"""Requests from templates: values go in as they are, whatever they are, and never become part of the template."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.drivers.load.template import at, dig, fill

HOSTILE = [
    "$row.secret", "${row.secret}", "$$", "$label", "\\1\\g<0>", "{0}", "{row}", '"; DROP', "a\r\nx-admin: yes", "\x00", "é東京🎲",
    "../../etc/passwd", "$", "$answer.id$row.secret", "", " ", "%s",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_only_a_value(value: str) -> None:
    known = {"row": {"name": value, "secret": "s3cret"}}
    assert fill("$row.name", known) == value
    assert fill("<$row.name>", known) == f"<{value}>"
    assert fill({"a": ["$row.name", "x $row.name y"]}, known) == {"a": [value, f"x {value} y"]}
    assert json.loads(json.dumps(fill({"a": "$row.name"}, known))) == {"a": value}


@given(value=JSON)
def test_a_text_that_is_one_place_keeps_value_and_type(value: object) -> None:
    assert fill("$row.x", {"row": {"x": value}}) == value
    assert type(fill("$row.x", {"row": {"x": value}})) is type(value)


@given(template=JSON)
def test_a_template_without_places_is_itself(template: object) -> None:
    if "$" not in json.dumps(template):
        assert fill(template, {"row": {"x": 1}}) == template


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$row", {"a": {"b": [10, {"c": "deep"}]}, "7": "seven"}),
        ("$row.a.b[0]", 10),
        ("$row.a.b[1].c", "deep"),
        ("$row.a.b[9]", None),
        ("$row.a.nothing.at.all", None),
        ("$row.a.b.c", None),
        ("$nobody.x", None),
        ("$row.7", "seven"),
        ("id-$row.a.b[0]!", "id-10!"),
        ("$row.a.b[0]$row.a.b[0]", "1010"),
        ("costs 5$", "costs 5$"),
        ("$1", "$1"),
        (7, 7),
        (None, None),
        (True, True),
        ({"$row.7": "$row.7"}, {"$row.7": "seven"}),
    ],
)
def test_places_are_filled(template: object, expected: object) -> None:
    assert fill(template, {"row": {"a": {"b": [10, {"c": "deep"}]}, "7": "seven"}}) == expected


def test_filling_leaves_the_template_as_it_was() -> None:
    template = {"a": ["$row.x", {"b": "$row.x"}]}
    fill(template, {"row": {"x": 1}})
    assert template == {"a": ["$row.x", {"b": "$row.x"}]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("$.a[1].b", 2), ("a[1].b", 2), ("$", {"a": [1, {"b": 2}]}), ("$.a[7]", None), ("$.a.b.c", None)],
)
def test_values_are_found_in_answers(path: str, expected: object) -> None:
    assert at({"a": [1, {"b": 2}]}, path) == expected


@given(value=JSON, path=st.text(alphabet="$.[]0123456789ab_", max_size=12))
def test_no_path_and_no_answer_raises(value: object, path: str) -> None:
    at(value, path)
    dig(value, path)
