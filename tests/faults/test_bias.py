"""What faults on groups do beyond the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaos.faults.base import Call
from chaos.faults.biased_outputs import BiasedOutputs
from chaos.faults.groups import parse_place
from chaos.rows import Row

ROW = Row(0, 1, (0.2, 0.5, 0.3), (0, 1, 2))
ROWS = [Row(place, 1, None, (0, 1)) for place in range(3)]


def call(body: Any = None, share: float = 1.0, **headers: str) -> Call:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call("seed", 0, "s", share, {name.replace("_", "-"): value for name, value in headers.items()}, sent)


def biased(decision: Any = 0, by: str = "header:X-Group", group: Any = "b") -> BiasedOutputs:
    return BiasedOutputs(target="m", by=by, group=group, decision=decision)


def denied(by: str, body: Any, group: Any = "b") -> list[int]:
    """The rows that get the decision."""
    after = biased(by=by, group=group).edit(ROWS, call(body))
    assert all(new is old or new.label == 0 for new, old in zip(after, ROWS, strict=True))
    return [row.index for row in after if row.label == 0]


def test_biased_outputs_decides_for_its_group_alone() -> None:
    rows = [ROW, Row(1, 0, (0.6, 0.3, 0.1), (0, 1, 2))]
    hurt = biased().edit(rows, call(x_group="b"))
    assert hurt[0] == Row(0, 0, (0.5, 0.2, 0.3), (0, 1, 2))
    assert hurt[1] is rows[1]
    others: list[dict[str, Any]] = [{}, {"x_group": "a"}, {"x_group": "B"}, {"x_other": "b"}]
    for headers in others:
        assert all(new is old for new, old in zip(biased().edit(rows, call(**headers)), rows, strict=True))


@pytest.mark.parametrize(
    "row", [Row(0, 1, None, ()), Row(0, "yes", None, ("no", "yes")), Row(0, 1, (0.1, 0.9), (1, 2))]
)
def test_biased_outputs_leaves_a_row_that_cannot_get_its_decision(row: Row) -> None:
    assert biased().edit([row], call(x_group="b"))[0] is row


def test_a_decision_is_written_as_the_model_writes_it() -> None:
    assert biased(0).edit([Row(0, True, None, (False, True))], call(x_group="b"))[0].label is False
    assert biased("no").edit([Row(0, "yes", None, ("no", "yes"))], call(x_group="b"))[0].label == "no"


@pytest.mark.parametrize(
    "by", ["group", "header:", "header: ", "cookie:group", "", "json:", "json:$", "json:group", "json:$.a[", "json:$..a", "feature:"]
)  # fmt: skip
def test_biased_outputs_refuses_a_place_that_no_request_has(by: str) -> None:
    with pytest.raises(ValueError, match="header:NAME, json:"):
        biased(by=by)


@pytest.mark.parametrize(("by", "needed"), [("header:x", False), ("json:$.x", True), ("feature:x", True)])
def test_the_body_is_asked_for_only_where_the_group_is_in_it(by: str, needed: bool) -> None:
    assert biased(by=by).needs_body() is needed


@pytest.mark.parametrize(
    ("path", "body", "hurt"),
    [
        ("$.group", {"group": "b"}, [0, 1, 2]),
        ("$.who.group", {"who": {"group": "a"}}, []),
        ("$.rows[*].group", {"rows": [{"group": "a"}, {"group": "b"}, {"group": "b"}]}, [1, 2]),
        ("$.rows[*]['the group']", {"rows": [{"the group": "b"}] * 3}, [0, 1, 2]),
        ("$.rows[1]", {"rows": ["a", "b"]}, [0, 1, 2]),
        ("$.rows[*].group", {"rows": [{"group": "b"}]}, []),  # one value for three rows: nobody can tell whose
        ("$.rows[*].group", {"rows": [{"group": "b"}, {}, {}]}, []),
        ("$.rows[*].group", {"rows": {"group": "b"}}, []),
        ("$.group", b"no JSON", []),
        ("$.group", b"", []),
        ("$.group", b"[" * 100_000, []),
    ],
)
def test_a_path_says_the_group_of_the_request_or_of_each_row(path: str, body: Any, hurt: list[int]) -> None:
    assert denied(f"json:{path}", body) == hurt


_AGES, _BANDS = [17, 44, 17], ["b", "a", "b"]


@pytest.mark.parametrize(
    ("name", "group", "body"),
    [
        ("age", 17, {"instances": [{"age": age} for age in _AGES]}),
        ("age", 17, {"instances": [{"age": [age]} for age in _AGES]}),
        ("1", 17, {"instances": [[0, age] for age in _AGES]}),
        ("band", "b", {"dataframe_records": [{"band": band} for band in _BANDS]}),
        ("age", 17, {"dataframe_split": {"columns": ["x", "age"], "data": [[0, age] for age in _AGES]}}),
        ("1", 17, {"dataframe_split": {"data": [[0, age] for age in _AGES]}}),
        ("age", 17, {"inputs": {"age": _AGES, "x": [0, 0, 0]}}),
        ("1", 17, {"inputs": [[0, age] for age in _AGES]}),
        ("band", "b", {"inputs": [{"name": "x", "shape": [3], "data": [1, 2, 3]}, {"name": "band", "shape": [3, 1], "data": _BANDS}]}),
        ("1", 17.0, {"inputs": [{"name": "x", "shape": [3, 2], "data": [0, 17, 0, 44, 0, 17]}]}),
        ("age", 17, {"inputs": [{"name": "x", "shape": [3, 2], "data": [[0, 17], [0, 44], [0, 17]], "parameters": {"names": ["x", "age"]}}]}),
        ("age", "17", [{"age": age} for age in _AGES]),
        ("age", 17, b'{"instances": [{"age": 17}, {"age": NaN}, {"age": 17.0}]}'),
    ],
)  # fmt: skip
def test_a_feature_says_the_group_of_each_row_in_every_form_of_request(name: str, group: Any, body: Any) -> None:
    assert denied(f"feature:{name}", body, group) == [0, 2]


@pytest.mark.parametrize(
    "body",
    [
        None, 7, "text", [], {}, {"instances": None}, {"instances": [{}] * 3}, {"instances": [[1], [2], [3]]}, {"inputs": []}, {"inputs": {}},
        {"inputs": [{"name": "x", "shape": [3, 2], "data": [1, 2, 3]}]}, {"inputs": [{"name": "x", "shape": "3", "data": 7}]},
        {"inputs": [{"name": "x", "shape": [3], "data": [1]}, {"name": "y", "shape": [3], "data": []}]},
        {"dataframe_split": []}, {"dataframe_split": {"columns": ["x"], "data": [[1]]}}, {"dataframe_split": {"columns": 7, "data": 7}},
        {"instances": [{"age": "b"}] * 4},
    ],
)  # fmt: skip
def test_a_request_that_does_not_say_the_feature_is_hurt_nowhere(body: Any) -> None:
    assert denied("feature:age", body) == []


@pytest.mark.parametrize(
    ("found", "group", "in_it"),
    [("1", 1, True), (1, "1", True), (1.0, 1, True), (True, 1, False), (True, True, True), (None, "null", True), ("b", "B", False)],
)  # fmt: skip
def test_a_group_is_told_by_its_text_and_numbers_by_their_value(found: Any, group: Any, in_it: bool) -> None:
    assert denied("json:$.group", {"group": found}, group) == ([0, 1, 2] if in_it else [])


def test_outside_the_selection_nobody_of_the_group_is_hurt() -> None:
    asked = call({"g": "b"}, share=0.5)
    after = biased(by="json:$.g").edit(ROWS, asked)
    assert {row.index for row in after if row.label == 0} == {row.index for row in ROWS if asked.selected(row.index)}


def test_a_place_is_read_once_for_all_requests() -> None:
    assert parse_place("json:$.a[*].b") is parse_place("json:$.a[*].b")
