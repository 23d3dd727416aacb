"""What every protocol promises, whatever it looks like on the wire: nothing moves but what was changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults import catalogue as faults
from chaos.faults.base import Call, Fault
from chaos.protocols import catalogue, sniff
from chaos.protocols.base import Output, Protocol, Undecodable
from chaos.rows import Row
from tests.fuzzing import examples
from tests.protocols.protocol_contract import SAMPLES, Sample

samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.protocol}: {sample.name}")
spoken = pytest.mark.parametrize("name", sorted({sample.protocol for sample in SAMPLES}))


def rows_of(sample: Sample, body: bytes | None = None, headers: dict[str, str] | None = None) -> Sequence[Row]:
    told = {**sample.headers, **(headers or {})}
    return sample.speaks.rows(sample.body if body is None else body, told, sample.output)


def encoded(sample: Sample, before: Sequence[Row], after: Sequence[Row]) -> tuple[bytes, dict[str, str]]:
    body, headers = sample.speaks.encode(sample.body, sample.headers, sample.output, before, after)
    return body, dict(headers)


def differing(sample: Sample, made: bytes, headers: dict[str, str]) -> list[bytes]:
    """The pieces of the new body that are not the old body's."""
    old = sample.pieces(sample.body, sample.headers)
    new = sample.pieces(made, {**sample.headers, **headers})
    return [fresh for was, fresh in zip(old, new, strict=True) if was != fresh]


def fault(**more: Any) -> Fault:
    return faults()["wrong_predictions"].model_validate({"target": "model", "fault": "wrong_predictions", **more})


@samples
def test_its_traffic_is_told(sample: Sample) -> None:
    assert sniff(sample.path, sample.request_headers, sample.body, sample.output) is sample.speaks


@samples
def test_the_rows_say_what_the_answer_says(sample: Sample) -> None:
    rows = rows_of(sample)
    assert tuple((row.label, type(row.label)) for row in rows) == tuple((one, type(one)) for one in sample.labels)
    assert [row.index for row in rows] == list(range(len(rows)))
    for row in rows:
        assert row.label in row.classes
        assert row.scores is None or len(row.scores) == len(row.classes)


@samples
def test_nothing_changed_is_not_one_changed_byte(sample: Sample) -> None:
    rows = rows_of(sample)
    assert encoded(sample, rows, rows) == (sample.body, {})
    assert encoded(sample, rows, [replace(row) for row in rows])[0] == sample.body


@samples
def test_a_changed_row_is_changed_and_no_byte_of_another_row_is(sample: Sample) -> None:
    rows = rows_of(sample)
    for hurt in range(len(rows)):
        wrong = fault().edit([rows[hurt]], Call("seed", 0, "subject", 1.0, {}))[0]
        after = [wrong if row.index == hurt else row for row in rows]
        made, headers = encoded(sample, rows, after)
        again = rows_of(sample, made, headers)
        assert again[hurt].label == wrong.label != rows[hurt].label
        assert type(again[hurt].label) is type(rows[hurt].label)
        assert [row for row in again if row.index != hurt] == [row for row in rows if row.index != hurt]
        cells = 1 + len(rows[hurt].scores or ())
        assert 1 <= len(differing(sample, made, headers)) <= cells


@samples
def test_exactly_the_selected_rows_of_a_fault_differ(sample: Sample) -> None:
    rows = rows_of(sample)
    seen = set()
    for number in range(20):
        call = Call("seed", 0, f"subject-{number}", 0.5, {})
        selected = {row.index for row in rows if call.selected(row.index)}
        made, headers = encoded(sample, rows, fault(share="50%").edit(rows, call))
        again = rows_of(sample, made, headers)
        assert {new.index for old, new in zip(rows, again, strict=True) if old != new} == selected
        seen.add(len(selected))
    assert len(seen) > 1


@samples
def test_what_was_changed_can_be_put_back(sample: Sample) -> None:
    rows = rows_of(sample)
    made, headers = encoded(sample, rows, fault().edit(rows, Call("seed", 0, "subject", 1.0, {})))
    wrong = rows_of(sample, made, headers)
    told = {**sample.headers, **headers}
    back, more = sample.speaks.encode(made, told, sample.output, wrong, rows)
    assert [row.label for row in rows_of(sample, back, {**headers, **more})] == list(sample.labels)


@samples
def test_part_of_an_answer_is_undecodable(sample: Sample) -> None:
    whole = len(sample.body.rstrip())
    for length in {*range(0, whole, max(1, whole // 50)), whole - 1}:
        with pytest.raises(Undecodable):
            rows_of(sample, sample.body[:length])


@samples
@settings(max_examples=examples(25))
@given(st.data())
def test_a_damaged_answer_is_read_or_undecodable_and_never_anything_else(sample: Sample, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(sample.body)))
    end = data.draw(st.integers(start, min(start + 8, len(sample.body))))
    body = sample.body[:start] + data.draw(st.binary(max_size=6)) + sample.body[end:]
    try:
        rows = rows_of(sample, body)
    except Undecodable:
        return
    assert sample.speaks.encode(body, sample.headers, sample.output, rows, rows)[0] == body


@spoken
@settings(max_examples=examples(60))
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["predictions", "outputs", "data", "label", "scores", "rows"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_undecodable_and_never_anything_else(name: str, value: object) -> None:
    protocol: Protocol = catalogue()[name]
    output = Output("$.rows[*].label", "$.rows[*].scores") if name == "json" else Output()
    body = json.dumps(value).encode()
    try:
        rows = protocol.rows(body, {}, output)
    except Undecodable:
        return
    assert [row.index for row in rows] == list(range(len(rows)))
    assert protocol.encode(body, {}, output, rows, [replace(row) for row in rows])[0] == body


@spoken
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_error_carries_its_message_and_says_what_it_is(name: str, status: int) -> None:
    body, headers = catalogue()[name].error(status, 'not "available" \u00e9')
    assert 'not "available" \u00e9' in json.dumps(json.loads(body), ensure_ascii=False).replace('\\"', '"')
    assert headers["content-type"].startswith("application/json")


@spoken
@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/v1/models", "/v2/health/ready", "/predict"])
def test_other_paths_are_not_taken_for_predictions(name: str, path: str) -> None:
    assert not catalogue()[name].detect(path, {})


def test_every_protocol_of_the_catalogue_is_held_to_this() -> None:
    assert {sample.protocol for sample in SAMPLES} == set(catalogue()) - {"oip_grpc"}  # whose messages are no JSON
