"""KServe V1 and TensorFlow Serving: real answers, and every form that a prediction has there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chaos.protocols.base import Output, Undecodable
from chaos.protocols.kserve_v1 import PROTOCOL
from chaos.rows import Row
from tests.protocols.protocol_contract import captured

NO_ANSWERS = ["kserve/err_404.http", "kserve/err_badjson.http", "kserve/err_noinst.http", "kserve/err_shape.http", "kserve/v1_model.http",
              "kserve/v1_models.http", "kserve/root.http", "kserve/v2_infer.http", "kserve/v2_meta.http", "mlserver/infer_proba.http"]  # fmt: skip


def rows(value: Any, output: Output | None = None) -> list[Row]:
    return list(PROTOCOL.rows(json.dumps(value).encode(), {}, output or Output()))


def test_one_changed_row_of_a_captured_answer_is_one_changed_byte() -> None:
    _, headers, body = captured("kserve/v1_predict.http")
    before = PROTOCOL.rows(body, headers, Output())
    made, changed = PROTOCOL.encode(body, headers, Output(), before, [before[0], replace(before[1], label=1)])
    assert (made, changed) == (b'{"predictions":[0,1]}', {})


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_real_servers_say_besides_predictions_is_undecodable(name: str) -> None:
    _, headers, body = captured(name)
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, headers, Output())


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/v1/models/iris:predict", True), ("/v1/models/iris/versions/3:predict", True), ("/v1/models/iris/labels/canary:predict", True),
     ("/v1/models/iris%3Apredict", True), ("/serving/team/iris/v1/models/iris:predict", True), ("/v1/models/iris", False),
     ("/v1/models/iris:explain", False), ("/v1/models/iris:classify", False), ("/v1/models/a/b:predict", False), ("/v1/models/:predict", False),
     ("/v1/models/iris:predict/x", False), ("/v2/models/iris/infer", False), ("/invocations", False), ("/v1/models/iris/versions/3/metadata", False)],
)  # fmt: skip
def test_a_prediction_is_told_by_its_path(path: str, is_one: bool) -> None:
    assert PROTOCOL.detect(path, {}) is is_one


@pytest.mark.parametrize(
    ("prediction", "row"),
    [
        (3, Row(0, 3)),
        ("cat", Row(0, "cat")),
        (True, Row(0, True)),
        (2.5, Row(0, 2.5)),
        (None, Row(0)),
        ([4], Row(0, 4)),
        ([[0.25, 0.75]], Row(0, 1, (0.25, 0.75), (0, 1))),
        ([0, 0, 1], Row(0, 2, (0.0, 0.0, 1.0), (0, 1, 2))),
        ({"label": "cat", "scores": [0.25, 0.75]}, Row(0, "cat", (0.25, 0.75), ())),
        ({"class_ids": [1], "probabilities": [0.25, 0.75], "logits": [7.0]}, Row(0, 1, (0.25, 0.75), (0, 1))),
        ({"probabilities": {"cat": 0.25, "dog": 0.75}}, Row(0, "dog", (0.25, 0.75), ("cat", "dog"))),
        ({"dense_1": [0.75, 0.25]}, Row(0, 0, (0.75, 0.25), (0, 1))),
        ({"label": "cat", "score": 0.97}, Row(0, "cat")),
    ],
)
def test_each_form_of_a_prediction_is_the_row_that_it_means(prediction: object, row: Row) -> None:
    assert rows({"predictions": [prediction]}) == [row]
    assert rows({"outputs": [prediction]}) == [row]


@pytest.mark.parametrize(
    "answer",
    [{"predictions": 1}, {"predictions": {"a": 1}}, {"predictions": [[]]}, {"predictions": [["a", "b"]]}, {"predictions": [[[1, 2], [3, 4]]]}, {"predictions": [{}]},
     {"predictions": [{"a": 1, "b": 2}]}, {"predictions": [[True, False]]}, {"predictions": [[10**400, 1]]}, {"outputs": {"a": [1], "b": [2]}}, {"outputs": 3},
     {"outputs": {"label": [0, 1], "scores": [[1, 0]]}}, {"outputs": {"label": 0}}, {"predictions": [{"label": {"x": 1, "y": 2}}]}, {"result": [0.5]}, [], None],
)  # fmt: skip
def test_what_is_no_prediction_is_undecodable(answer: object) -> None:
    with pytest.raises(Undecodable):
        rows(answer)


def test_the_system_file_names_keys_and_classes() -> None:
    named = Output("decision", "odds", ("no", "yes"))
    answer = {"predictions": [{"label": 9, "decision": "yes", "odds": [0.25, 0.75]}]}
    assert rows(answer, named) == [Row(0, "yes", (0.25, 0.75), ("no", "yes"))]
    with pytest.raises(Undecodable, match="no 'decision'"):
        rows({"predictions": [{"label": 9}]}, named)
    with pytest.raises(Undecodable, match="3 scores for 2 classes"):
        rows({"predictions": [[0.2, 0.3, 0.5]]}, Output(classes=("no", "yes")))


def test_an_empty_batch_has_no_rows() -> None:
    assert rows({"predictions": []}) == []
    assert rows({"outputs": {"label": [], "scores": []}}) == []


def test_a_row_whose_scores_are_not_numbers_is_decided_by_nobody_and_keeps_its_bytes() -> None:
    body = b'{"predictions":[[NaN,0.5],[0.90,1e-1],[Infinity,0]]}'
    before = PROTOCOL.rows(body, {}, Output())
    assert [row.label for row in before] == [None, 0, 0]
    made, _ = PROTOCOL.encode(body, {}, Output(), before, [before[0], replace(before[1], label=1), before[2]])
    assert made == b'{"predictions":[[NaN,0.5],[1e-1,0.90],[Infinity,0]]}'


def test_scores_that_are_no_numbers_keep_their_bytes_beside_a_changed_label() -> None:
    body = b'{"predictions":[{"label":0,"scores":[NaN,-Infinity,5e-1]}]}'
    before = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(body, {}, Output(), before, [replace(before[0], label=1, scores=before[0].scores)])
    assert made == body.replace(b'"label":0', b'"label":1')


def test_scores_that_only_change_places_keep_the_form_in_which_the_server_wrote_them() -> None:
    body = b'{"predictions":[[0.30, 0.7E0],[1, 0]]}'
    before = PROTOCOL.rows(body, {}, Output())
    swapped = [replace(row, label=1 - int(str(row.label)), scores=(row.scores or ())[::-1]) for row in before]
    assert PROTOCOL.encode(body, {}, Output(), before, swapped)[0] == b'{"predictions":[[0.7E0, 0.30],[0, 1]]}'


def test_without_a_label_of_its_own_the_scores_come_to_say_the_new_one() -> None:
    body = b'{"predictions":[[0.5,0.3,0.2],[0.5,0.5,0.0]]}'
    before = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(
        body, {}, Output(), before, [replace(before[0], label=2), replace(before[1], label=1, scores=(0.5, 0.5, 0.0))]
    )
    after = PROTOCOL.rows(made, {}, Output())
    assert [row.label for row in after] == [2, 1]
    assert after[0].scores == (0.2, 0.3, 0.5)
    assert after[1].scores == pytest.approx((0.5, 0.5, 0.0))


def test_beside_a_label_of_its_own_the_scores_are_only_what_the_fault_made_them() -> None:
    body = b'{"predictions":[{"label":0,"scores":[0.9,0.1]}]}'
    before = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(body, {}, Output(), before, [replace(before[0], label=1)])
    assert made == b'{"predictions":[{"label":1,"scores":[0.9,0.1]}]}'


@pytest.mark.parametrize(
    ("written", "label", "becomes"),
    [("true", 0, "false"), ("1.0", 0, "0.0"), ("1", 0.0, "0"), ("1", False, "0"), ('"a"', "\u00e9\n", '"\u00e9\\n"'), ('"a"', "\ud800", '"\\ud800"')],
)  # fmt: skip
def test_a_changed_label_keeps_its_json_type(written: str, label: Any, becomes: str) -> None:
    body = '{"predictions":[%s]}'
    before = PROTOCOL.rows((body % written).encode(), {}, Output())
    made, _ = PROTOCOL.encode((body % written).encode(), {}, Output(), before, [replace(before[0], label=label)])
    assert made == (body % becomes).encode()
