"""Slices: one condition on a request, read the same way by the proxy and by the load."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.slices import Slice

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
HEADERS = {"x-group": "b", "x-count": "7"}


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
    ],
)
def test_a_request_that_meets_the_condition_is_in_the_slice(text):
    assert Slice.parse(text).matches(HEADERS, BODY)


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
    ],
)
def test_a_request_that_does_not_meet_it_is_not(text):
    assert not Slice.parse(text).matches(HEADERS, BODY)


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
    ],
)
def test_a_request_without_what_is_asked_for_is_in_no_slice_either_way(where, sign):
    assert not Slice.parse(f'{where} {sign} "b"').matches(HEADERS, BODY)


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
        'cookie:x == "b"',
        'json:$.a == "b" and json:$.c == "d"',
        "json:$.a[-1] == 1",
    ],
)
def test_what_is_no_slice_is_refused_with_what_to_write(text):
    with pytest.raises(
        ValueError, match=r'is no slice; write something like json:\$\.region == "north" or header:x-group == "b"$'
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
