"""MLflow's scoring server: real answers, older and other forms, and its own error shape."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chaos.protocols.base import Output, Undecodable
from chaos.protocols.mlflow import PROTOCOL
from chaos.rows import Row
from tests.protocols.protocol_contract import captured

ONE_ROW = ["mlflow/csv.http", "mlflow/records.http", "mlflow/inputs_named.http", "mlflow/instances_named.http"]
NO_ANSWERS = ["mlflow/err_badjson.http", "mlflow/err_ct.http", "mlflow/err_missingcol.http", "mlflow/err_nokey.http",
              "mlflow/health.http", "mlflow/ping.http", "mlflow/metrics.http", "mlflow/version.http"]  # fmt: skip


def rows(value: Any, output: Output | None = None) -> list[Row]:
    return list(PROTOCOL.rows(json.dumps(value).encode(), {}, output or Output()))


@pytest.mark.parametrize("name", ONE_ROW)
def test_however_the_request_was_written_the_answer_is_read_and_goes_round(name: str) -> None:
    path, headers, body = captured(name)
    assert PROTOCOL.detect(path, {})
    before = PROTOCOL.rows(body, headers, Output())
    assert before == [Row(0, 0)]
    assert PROTOCOL.encode(body, headers, Output(), before, [replace(before[0])]) == (body, {})
    assert PROTOCOL.encode(body, headers, Output(), before, [replace(before[0], label=1)])[0] == b'{"predictions": [1]}'


def test_a_captured_answer_with_probabilities_decides_by_the_largest() -> None:
    _, headers, body = captured("mlflow/proba.http")
    first, second = PROTOCOL.rows(body, headers, Output())
    assert first == Row(0, 0, (0.8861124651109783, 0.11388753488902174), (0, 1))
    swapped = replace(second, label=0, scores=(0.9989014570884215, 0.001098542911578515))
    made, _ = PROTOCOL.encode(body, headers, Output(), [first, second], [first, swapped])
    assert made == body.replace(
        b"[0.001098542911578515, 0.9989014570884215]", b"[0.9989014570884215, 0.001098542911578515]"
    )


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_a_real_server_says_besides_predictions_is_undecodable(name: str) -> None:
    _, headers, body = captured(name)
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, headers, Output())


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/invocations", True), ("/serving-endpoints/fraud/invocations", True), ("/invocations/", False), ("/ping", False), ("/version", False),
     ("/reinvocations", False), ("/v2/models/iris/infer", False), ("/v1/models/iris:predict", False)],
)  # fmt: skip
def test_a_prediction_is_told_by_its_path(path: str, is_one: bool) -> None:
    assert PROTOCOL.detect(path, {}) is is_one


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ([0, 1], [Row(0, 0), Row(1, 1)]),
        ([{"0": "a"}, {"0": "b"}], [Row(0, "a"), Row(1, "b")]),
        ([{"label": "POSITIVE", "score": 0.98}], [Row(0, "POSITIVE")]),
        (
            {"predictions": [{"prediction": 1, "probability": [0.25, 0.75], "id": 7}]},
            [Row(0, 1, (0.25, 0.75), (0, 1))],
        ),
        ({"predictions": {"prediction": ["a", "b"], "id": [7, 8]}}, [Row(0, "a"), Row(1, "b")]),
        ({"predictions": [], "trace": 1}, []),
    ],
)
def test_each_form_of_an_answer_is_the_rows_that_it_means(answer: object, found: list[Row]) -> None:
    assert rows(answer) == found


@pytest.mark.parametrize(
    "answer",
    [{}, {"predictions": "text"}, {"predictions": None}, {"choices": []}, "text", 7, {"predictions": [{"a": 1, "b": 2}]}],
)  # fmt: skip
def test_what_is_no_prediction_is_undecodable(answer: object) -> None:
    with pytest.raises(Undecodable):
        rows(answer)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "BAD_REQUEST"), (404, "ENDPOINT_NOT_FOUND"), (429, "REQUEST_LIMIT_EXCEEDED"), (500, "INTERNAL_ERROR"), (502, "INTERNAL_ERROR"),
     (503, "TEMPORARILY_UNAVAILABLE")],
)  # fmt: skip
def test_an_error_has_the_shape_of_the_scoring_servers_own(status: int, code: str) -> None:
    _, _, real = captured("mlflow/err_nokey.http")
    body, _ = PROTOCOL.error(status, "gone")
    assert json.loads(body) == {"error_code": code, "message": "gone"}
    assert json.loads(body).keys() <= json.loads(real).keys()
