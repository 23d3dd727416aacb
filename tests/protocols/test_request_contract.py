"""What every protocol that reads requests promises: nothing moves but what was changed, whatever the request looks like."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.protocols import catalogue
from chaos.protocols.base import MOST_INPUTS, Asking, InputNames, Undecodable
from chaos.rows import Input
from tests.fuzzing import examples
from tests.protocols.request_contract import QUESTIONS, Question

questions = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.protocol}: {question.name}")
spoken = pytest.mark.parametrize("name", sorted({question.protocol for question in QUESTIONS}))
_SCALAR = re.compile(rb'("(?:[^"\\]|\\.)*"|[^\s,:\[\]{}"]+)')


def inputs_of(question: Question, body: bytes | None = None, headers: dict[str, str] | None = None) -> Sequence[Input]:
    told = {**question.headers, **(headers or {})}
    return question.speaks.inputs(question.body if body is None else body, told, question.names)


def encoded(
    question: Question, before: Sequence[Input], after: Sequence[Input]
) -> tuple[bytes, dict[str, str], Sequence[Input]]:
    """The new body, the headers that changed, and what is read of both again."""
    body, headers = question.speaks.encode_inputs(question.body, question.headers, question.names, before, after)
    return body, dict(headers), inputs_of(question, body, dict(headers))


def plain(values: Sequence[Any]) -> list[object]:
    """Values with their types; a NaN is equal to another here."""
    return [(type(value), None if isinstance(value, float) and math.isnan(value) else value) for value in values]


def same(one: Sequence[Input], other: Sequence[Input]) -> bool:
    return [(row.names, plain(row.values)) for row in one] == [(row.names, plain(row.values)) for row in other]


def set_to(one: Input, place: int, value: Any) -> Input:
    return replace(one, values=(*one.values[:place], value, *one.values[place + 1 :]))


def without(one: Input, name: str) -> Input:
    stay = [(called, value) for called, value in zip(one.names, one.values, strict=True) if called != name]
    return Input(one.index, tuple(value for _, value in stay), tuple(called for called, _ in stay))


@questions
def test_the_inputs_say_what_the_request_says(question: Question) -> None:
    inputs = inputs_of(question)
    assert [one.index for one in inputs] == list(range(len(question.values)))
    assert {name for one in inputs for name in one.names} == {*question.features}
    wanted = [
        [float("nan") if question.name == "mlflow instances" and value is None else value for value in row]
        for row in question.values
    ]
    assert [plain(one.values) for one in inputs] == [plain(row) for row in wanted]


@questions
def test_nothing_changed_is_not_one_changed_byte(question: Question) -> None:
    inputs = inputs_of(question)
    assert encoded(question, inputs, inputs)[:2] == (question.body, {})
    assert encoded(question, inputs, [replace(one) for one in inputs])[0] == question.body
    assert encoded(question, list(inputs), [replace(one) for one in inputs])[0] == question.body


@questions
def test_a_changed_value_is_changed_and_no_byte_of_another_is(question: Question) -> None:
    inputs = inputs_of(question)
    for row, one in enumerate(inputs):
        for place, value in enumerate(one.values):
            fresh = "bus" if isinstance(value, str) else 77 if type(value) is int else 12.25
            after = [set_to(other, place, fresh) if other is one else other for other in inputs]
            body, headers, again = encoded(question, inputs, after)
            assert same(again, after)
            assert again[row].values[place] == fresh != value
            if "inference-header-content-length" in question.headers:
                assert (len(body), headers) == (len(question.body), {})
                assert 1 <= sum(old != new for old, new in zip(question.body, body, strict=True)) <= 8
            else:
                pieces = zip(_SCALAR.split(question.body), _SCALAR.split(body), strict=True)
                assert sum(old != new for old, new in pieces) == 1


@questions
def test_every_row_can_change_at_once_and_be_put_back(question: Question) -> None:
    inputs = inputs_of(question)
    after = [replace(one, values=(0,) * len(one.values)) for one in inputs]
    body, headers, again = encoded(question, inputs, after)
    assert all(value == 0 for one in again for value in one.values)
    told = {**question.headers, **headers}
    back, more = question.speaks.encode_inputs(body, told, question.names, again, inputs)
    assert same(inputs_of(question, back, {**headers, **more}), inputs)


@questions
def test_a_null_is_written_where_the_form_has_one(question: Question) -> None:
    inputs = inputs_of(question)
    after = [set_to(inputs[0], 0, None), *inputs[1:]]
    if "inference-header-content-length" in question.headers:
        with pytest.raises(Undecodable, match="null"):
            encoded(question, inputs, after)
        return
    assert same(encoded(question, inputs, after)[2], after)


@questions
@pytest.mark.parametrize("place", [0, -1])
def test_a_dropped_feature_is_gone_and_every_other_value_keeps_its_bytes(question: Question, place: int) -> None:
    inputs = inputs_of(question)
    after = [without(one, question.features[place]) for one in inputs]
    if not question.redrawn:
        with pytest.raises(Undecodable):
            encoded(question, inputs, after)
        return
    body, _, again = encoded(question, inputs, after)
    assert [plain(one.values) for one in again] == [plain(one.values) for one in after]
    old, new = _SCALAR.findall(question.body), _SCALAR.findall(body)
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    added = [piece for step, _, _, start, end in steps if step != "equal" for piece in new[start:end]]
    assert all(re.fullmatch(rb"\d", piece) for piece in added), "only a shape may be another"
    json.loads(body)


@questions
def test_a_renamed_feature_stands_where_it_stood(question: Question) -> None:
    inputs = inputs_of(question)
    name = question.features[0]
    after = [replace(one, names=tuple("a b" if called == name else called for called in one.names)) for one in inputs]
    if not question.renames:
        with pytest.raises(Undecodable):
            encoded(question, inputs, after)
        return
    body, _, again = encoded(question, inputs, after)
    assert same(again, after)
    assert b'"a b"' in body
    assert name not in again[0].names
    back, _ = question.speaks.encode_inputs(body, question.headers, question.names, again, inputs)
    assert back == question.body


@questions
def test_an_added_feature_stands_behind_the_others(question: Question) -> None:
    inputs = inputs_of(question)
    after = [Input(one.index, (*one.values, place + 3.5), (*one.names, "a b")) for place, one in enumerate(inputs)]
    if not question.redrawn:
        with pytest.raises(Undecodable):
            encoded(question, inputs, after)
        return
    body, _, again = encoded(question, inputs, after)
    assert [plain(one.values) for one in again] == [plain(one.values) for one in after]
    assert [*_SCALAR.findall(question.body)] != [*_SCALAR.findall(body)]
    json.loads(body)


@questions
def test_what_only_some_rows_lose_is_dropped_there_or_refused(question: Question) -> None:
    inputs = inputs_of(question)
    if len(inputs) < 2:
        return
    after = [without(inputs[0], inputs[0].names[0]), *inputs[1:]]
    try:
        again = encoded(question, inputs, after)[2]
    except Undecodable:
        return
    assert same(again, after)


@questions
def test_features_that_change_places_are_refused(question: Question) -> None:
    inputs = inputs_of(question)
    after = [Input(one.index, one.values[::-1], one.names[::-1]) for one in inputs]
    with pytest.raises(Undecodable):
        encoded(question, inputs, after)


@questions
def test_part_of_a_request_is_undecodable(question: Question) -> None:
    whole = len(question.body.rstrip())
    for length in {*range(0, whole, max(1, whole // 50)), whole - 1}:
        with pytest.raises(Undecodable):
            inputs_of(question, question.body[:length])


@questions
@settings(max_examples=examples(15))
@given(st.data())
def test_a_damaged_request_is_read_or_undecodable_and_never_anything_else(
    question: Question, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(question.body)))
    end = data.draw(st.integers(start, min(start + 8, len(question.body))))
    body = question.body[:start] + data.draw(st.binary(max_size=6)) + question.body[end:]
    try:
        inputs = inputs_of(question, body)
    except Undecodable:
        return
    assert question.speaks.encode_inputs(body, question.headers, question.names, inputs, inputs)[0] == body
    after = [without(one, one.names[0]) if one.names else one for one in inputs]
    try:
        question.speaks.encode_inputs(body, question.headers, question.names, inputs, after)
    except Undecodable:
        return


@spoken
@settings(max_examples=examples(60))
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["instances", "inputs", "data", "dataframe_split", "columns", "rows", "shape"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_undecodable_and_never_anything_else(name: str, value: object) -> None:
    protocol = catalogue()[name]
    assert isinstance(protocol, Asking)
    body, names = json.dumps(value).encode(), InputNames(rows="$.rows[*]" if name == "json" else None)
    try:
        inputs = protocol.inputs(body, {}, names)
    except Undecodable:
        return
    assert [one.index for one in inputs] == list(range(len(inputs)))
    assert protocol.encode_inputs(body, {}, names, inputs, [replace(one) for one in inputs])[0] == body


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("oip", b'{"inputs":[{"name":"x","shape":[%d],"datatype":"INT64","data":[%s]}]}'),
        ("kserve-v1", b'{"instances":[%s]}'),
        ("kserve-v1", b'{"inputs":{"age":[%s]}}'),
        ("mlflow", b'{"dataframe_split":{"data":[%s]}}'),
        ("json", b'{"rows":[%s]}'),
    ],
)
def test_more_inputs_than_there_is_time_for_are_undecodable(name: str, form: bytes) -> None:
    protocol, names = catalogue()[name], InputNames(rows="$.rows[*]" if name == "json" else None)
    assert isinstance(protocol, Asking)

    def asking(many: int) -> bytes:
        return form.replace(b"%d", b"%d" % many) % b",".join([b"1"] * many)

    assert len(protocol.inputs(asking(MOST_INPUTS), {}, names)) == MOST_INPUTS
    for many in (MOST_INPUTS + 1, 0):
        with pytest.raises(Undecodable):
            protocol.inputs(asking(many), {}, names)


def test_every_protocol_that_reads_requests_is_held_to_this() -> None:
    asking = {name for name, protocol in catalogue().items() if isinstance(protocol, Asking)}
    assert asking == {question.protocol for question in QUESTIONS} == {"oip", "kserve-v1", "mlflow", "json"}
