"""The Open Inference Protocol: real answers and generated ones go round without a changed byte, and one row is one row."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.protocols import catalogue
from chaos.protocols.base import Output, Undecodable
from chaos.protocols.oip import PROTOCOL
from chaos.rows import Row

CAPTURES = Path(__file__).parents[1] / "captures"
ANSWERS = ["mlserver/infer.http", "mlserver/infer_proba.http", "kserve/v2_infer.http"]
NO_ANSWERS = ["mlserver/err_422.http", "mlserver/err_badjson.http", "mlserver/err_404.http", "mlserver/err_badshape.http", "mlserver/v2_root.http",
              "mlserver/model_meta.http", "kserve/v2_meta.http", "kserve/err_shape.http", "kserve/err_404.http", "kserve/v1_predict.http"]  # fmt: skip


def captured(name: str) -> tuple[str, dict[str, str], bytes]:
    """The path that was asked, the answer's headers in lower case, and its body."""
    command, _, answer = (CAPTURES / name).read_bytes().partition(b"\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    path = "/" + command.decode().split(" ")[2].partition("/")[2]
    return path, headers, body[: int(headers["content-length"])]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_captured_answer_goes_round_without_a_changed_byte(name: str) -> None:
    path, headers, body = captured(name)
    assert PROTOCOL.detect(path, {})
    rows = PROTOCOL.rows(body, headers, Output())
    assert [row.label for row in rows] == [0, 2]
    assert PROTOCOL.encode(body, headers, Output(), rows, rows) == (body, {})
    copies = [replace(row) for row in rows]
    assert PROTOCOL.encode(body, headers, Output(), rows, copies) == (body, {})


def test_one_changed_row_of_a_captured_answer_leaves_the_other_rows_bytes() -> None:
    _, headers, body = captured("mlserver/infer_proba.http")
    rows = PROTOCOL.rows(body, headers, Output())
    assert rows[1] == Row(1, 2, (0.00005526294298167085, 0.08008359529067235, 0.919861141766346), (0, 1, 2))
    scores = rows[1].scores
    assert scores is not None
    after = [rows[0], replace(rows[1], label=1, scores=(scores[0], scores[2], scores[1]))]
    made, headers_changed = PROTOCOL.encode(body, headers, Output(), rows, after)
    wanted = body.replace(b'"data":[0,2]', b'"data":[0,1]').replace(
        b"0.08008359529067235,0.919861141766346", b"0.919861141766346,0.08008359529067235"
    )
    assert (made, headers_changed) == (wanted, {})


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_real_servers_say_besides_predictions_is_undecodable(name: str) -> None:
    _, headers, body = captured(name)
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, headers, Output())


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/v2/models/iris/infer", True), ("/v2/models/iris/versions/3/infer", True), ("/v2/models/iris", False), ("/v2/models/iris/ready", False),
     ("/v2/models/a/b/infer", False), ("/v1/models/iris:predict", False), ("/invocations", False), ("/v2/models/iris/infer/x", False), ("/v2/models//infer", False)],
)  # fmt: skip
def test_a_prediction_is_told_by_its_path(path: str, is_one: bool) -> None:
    assert PROTOCOL.detect(path, {}) is is_one
    assert PROTOCOL.detect(path, {"inference-header-content-length": "100"}) is is_one


def test_the_catalogue_has_the_protocol_under_its_name() -> None:
    assert catalogue()["oip"] is PROTOCOL


def body_of(*outputs: dict[str, Any]) -> bytes:
    return json.dumps({"model_name": "m", "outputs": list(outputs)}).encode()


PREDICT = {"name": "predict", "shape": [2], "datatype": "INT64", "data": [0, 1]}


@pytest.mark.parametrize(
    "body",
    [b"", b"\x1f\x8b" + gzip.compress(b"{}", mtime=0)[2:], body_of(PREDICT)[:-3], body_of(PREDICT) + b"x", b"\xff" + body_of(PREDICT), b"[]", b"null", b"{}", b'{"outputs": {}}',
     b'{"outputs": []}', b'{"outputs": [1]}', body_of({**PREDICT, "shape": [3]}), body_of({**PREDICT, "shape": []}), body_of({**PREDICT, "shape": ["2"]}),
     body_of({**PREDICT, "data": {"a": 1}}), body_of({**PREDICT, "data": [{"a": 1}, 2]}), body_of({"name": "predict", "shape": [2], "datatype": "INT64"}),
     b"[" * 100_000, body_of({**PREDICT, "shape": [0]}), body_of({**PREDICT, "shape": [-1]})],
)  # fmt: skip
def test_what_is_no_answer_is_undecodable_and_never_crashes(body: bytes) -> None:
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, {}, Output())


def test_an_empty_batch_has_no_rows() -> None:
    assert PROTOCOL.rows(body_of({**PREDICT, "shape": [0], "data": []}), {}, Output()) == []


def test_nan_and_infinite_scores_keep_their_bytes() -> None:
    proba = b'{"name":"predict_proba","shape":[2,2],"datatype":"FP64","data":[NaN,Infinity,0.50,1e0]}'
    body = b'{"outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[0,1]},' + proba + b"]}"
    rows = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, [replace(rows[0], label=1), rows[1]])
    assert made == body.replace(b'"data":[0,1]', b'"data":[1,1]')


@pytest.mark.parametrize(
    ("datatype", "written", "label", "becomes"),
    [("BOOL", "true", 0, "false"), ("BOOL", "false", 1, "true"), ("FP32", "1.0", 0, "0.0"), ("INT64", "1", 0.0, "0"), ("INT64", "1", False, "0"),
     ("BYTES", '"a"', "b", '"b"'), ("BYTES", '"a"', "\u00e9\n", '"\u00e9\\n"')],
)  # fmt: skip
def test_a_changed_label_keeps_the_json_type_of_its_tensor(
    datatype: str, written: str, label: Any, becomes: str
) -> None:
    body = '{"outputs":[{"name":"predict","shape":[1],"datatype":"%s","data":[%s]}]}'
    before = (body % (datatype, written)).encode()
    rows = PROTOCOL.rows(before, {}, Output())
    made, _ = PROTOCOL.encode(before, {}, Output(), rows, [replace(rows[0], label=label)])
    assert made == (body % (datatype, becomes)).encode()


def test_the_system_file_names_the_outputs_and_the_classes() -> None:
    other = {"name": "other", "shape": [2], "datatype": "INT64", "data": [7, 7]}
    decision = {"name": "decision", "shape": [2], "datatype": "BYTES", "data": ["no", "yes"]}
    odds = {"name": "odds", "shape": [2, 2], "datatype": "FP64", "data": [[0.75, 0.25], [0.5, 0.5]]}
    named = Output("decision", "odds", ("no", "yes"))
    rows = PROTOCOL.rows(body_of(other, decision, odds), {}, named)
    assert rows == [Row(0, "no", (0.75, 0.25), ("no", "yes")), Row(1, "yes", (0.5, 0.5), ("no", "yes"))]
    assert [row.label for row in PROTOCOL.rows(body_of(other, PREDICT), {}, Output())] == [0, 1]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.floats(0, 1), min_size=3, max_size=3)), min_size=1, max_size=8),
    st.sampled_from(["flat", "nested", "column"]),
    st.sampled_from([{"indent": 1}, {"separators": (",", ":")}, {}]),
    st.data(),
)
def test_a_change_to_some_rows_is_exactly_that(
    predictions: list[tuple[int, list[float]]], form: str, layout: dict[str, Any], data: st.DataObject
) -> None:
    count = len(predictions)
    labels: list[Any] = [label for label, _ in predictions]
    scores: list[Any] = [pair for _, pair in predictions]
    if form == "flat":
        scores = [number for pair in scores for number in pair]
    if form == "column":
        labels = [[label] for label in labels]
    predict = {
        "parameters": {},
        "data": labels,
        "name": "predict",
        "shape": [count, 1] if form == "column" else [count],
        "datatype": "INT64",
    }
    proba = {"name": "predict_proba", "shape": [count, 3], "datatype": "FP64", "data": scores}
    outputs = data.draw(st.permutations([predict, proba]))
    body = json.dumps(
        {"id": "\u00e9\U0001f600", "outputs": outputs, "extra": [1.50, 1e5]},
        ensure_ascii=data.draw(st.booleans()),
        **layout,
    ).encode()
    rows = PROTOCOL.rows(body, {}, Output())
    assert rows == [Row(place, label, tuple(pair), (0, 1, 2)) for place, (label, pair) in enumerate(predictions)]
    assert PROTOCOL.encode(body, {}, Output(), rows, rows)[0] == body
    hurt = data.draw(st.sets(st.sampled_from(range(count))))
    after = [
        replace(row, label=(int(str(row.label)) + 1) % 3, scores=(row.scores or ())[::-1]) if row.index in hurt else row
        for row in rows
    ]
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, after)
    assert PROTOCOL.rows(made, {}, Output()) == after
    if not hurt:
        assert made == body
    # Put back, everything is as it was: so nothing else had moved.
    assert PROTOCOL.rows(PROTOCOL.encode(made, {}, Output(), after, rows)[0], {}, Output()) == rows
    untouched = json.loads(made)
    assert {key: value for key, value in untouched.items() if key != "outputs"} == {
        "id": "\u00e9\U0001f600",
        "extra": [1.5, 1e5],
    }


def test_an_error_has_the_protocols_shape() -> None:
    body, headers = PROTOCOL.error(503, 'not "available"')
    assert json.loads(body) == {"error": 'not "available"'}
    assert headers["content-type"] == "application/json"
