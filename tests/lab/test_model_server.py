"""A replica speaks the Open Inference Protocol, over HTTP, to anybody."""

from __future__ import annotations

import pytest

from chaos.lab.dataset import Applications
from tests.lab.conftest import Service

INFER = "/v2/models/loan/infer"
Halves = tuple[Applications, Applications]


def request_of(rows: list[list[float | None]], width: int, **more: object) -> dict[str, object]:
    data = [value for row in rows for value in row]
    return {**more, "inputs": [{"name": "application", "shape": [len(rows), width], "datatype": "FP64", "data": data}]}


def rows_of(halves: Halves, count: int) -> list[list[float | None]]:
    """Real applications, null where a field is empty."""
    return [[None if value != value else value for value in row] for row in halves[1].features[:count].tolist()]  # noqa: PLR0124


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/loan/ready"])
def test_it_says_that_it_is_ready(replica: Service, path: str) -> None:
    assert replica.get(path).status_code == 200


def test_metadata_names_what_goes_in_and_what_comes_out(replica: Service, halves: Halves) -> None:
    about = replica.get("/v2/models/loan").json()
    assert (about["name"], about["versions"]) == ("loan", ["7"])
    (given,) = about["inputs"]
    assert (given["name"], given["datatype"], given["shape"]) == ("application", "FP64", [-1, len(halves[0].names)])
    assert tuple(given["parameters"]["names"]) == halves[0].names
    assert {(one["name"], one["datatype"]) for one in about["outputs"]} == {
        ("predict", "INT64"),
        ("predict_proba", "FP64"),
    }


@pytest.mark.parametrize("count", [1, 2, 17])
def test_an_answer_has_one_decision_and_the_scores_of_each_row(replica: Service, halves: Halves, count: int) -> None:
    body = replica.post(INFER, request_of(rows_of(halves, count), len(halves[0].names), id="r-1")).json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("loan", "7", "r-1")
    outputs = {one["name"]: one for one in body["outputs"]}
    labels, scores = outputs["predict"], outputs["predict_proba"]
    assert (labels["shape"], labels["datatype"]) == ([count, 1], "INT64")
    assert (scores["shape"], scores["datatype"]) == ([count, 2], "FP64")
    pairs = list(zip(scores["data"][::2], scores["data"][1::2], strict=True))
    assert all(sum(pair) == pytest.approx(1) for pair in pairs)
    assert labels["data"] == [int(approve > deny) for deny, approve in pairs]


def test_the_same_request_gives_the_same_bytes(replica: Service, halves: Halves) -> None:
    asked = request_of(rows_of(halves, 5), len(halves[0].names))
    assert replica.post(INFER, asked).content == replica.post(INFER, asked).content


def test_rows_do_not_influence_each_other(replica: Service, halves: Halves) -> None:
    width, rows = len(halves[0].names), rows_of(halves, 6)
    together = replica.post(INFER, request_of(rows, width)).json()["outputs"][0]["data"]
    assert together == [replica.post(INFER, request_of([row], width)).json()["outputs"][0]["data"][0] for row in rows]


BAD = [
    b"", b"{", b"[]", b"3", b"null", b'"inputs"', b"{}", b'{"inputs": []}', b'{"inputs": [{}]}', b'{"inputs": [3]}',
    b'{"inputs": {"shape": [1, 1]}}', b'{"inputs": [{"shape": [], "data": []}]}', b'{"inputs": [{"shape": [1, 2], "data": [1, 2]}]}',
    b'{"inputs": [{"shape": ["x"], "data": [1]}]}', b'{"inputs": [{"shape": [1], "data": ["text"]}]}',
    b'{"inputs": [{"shape": [1], "data": 3}]}', b'{"inputs": [{"shape": 3, "data": [1]}]}', b"\xff\xfe",
    b'{"inputs": [{"shape": [1], "data": [1' + b"0" * 400 + b"]}]}", b'{"inputs": [{"shape": [0, 1], "data": []}]}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=[str(place) for place in range(len(BAD))])
def test_what_is_no_request_is_400_with_an_error_body_and_counted(replica: Service, body: bytes) -> None:
    before = replica.metrics()['model_requests_total{code="400"}']
    answer = replica.post(INFER, body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)
    assert answer.json()["error"]
    assert replica.metrics()['model_requests_total{code="400"}'] == before + 1


def test_another_model_is_not_here(replica: Service) -> None:
    assert replica.get("/v2/models/other").status_code == 404
    answer = replica.post("/v2/models/other/infer", {})
    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no model 'other'; this server has 'loan'"}


def test_metrics_count_requests_and_rows(replica: Service, halves: Halves) -> None:
    before = replica.metrics()
    replica.post(INFER, request_of(rows_of(halves, 3), len(halves[0].names)))
    after = replica.metrics()
    for name, more in (
        ('model_requests_total{code="200"}', 1),
        ("model_rows_total", 3),
        ("model_request_duration_seconds_count", 1),
    ):
        assert after[name] - before[name] == more
    assert after['model_info{name="loan",version="7"}'] == 1
    assert 'model_requests_total{code="500"}' in after


def test_what_the_rows_held_is_counted_per_feature_beside_what_training_had(replica: Service, halves: Halves) -> None:
    names = halves[0].names
    (row,) = rows_of(halves, 1)
    row[names.index("gdlin")] = 5.0
    row[names.index("loanamt")] = None
    row[names.index("pubrec")] = 1.0
    before = replica.metrics()
    replica.post(INFER, request_of([row], len(names)))
    after = replica.metrics()

    def more(name: str) -> float:
        return after[name] - before[name]

    assert more('model_feature_unseen_total{feature="gdlin"}') == 1, "the guidelines are met or not"
    assert more('model_feature_unseen_total{feature="pubrec"}') == 0
    assert more('model_feature_missing_total{feature="loanamt"}') == 1
    assert more('model_feature_missing_total{feature="gdlin"}') == 0
    assert more('model_feature_values_total{bin="1",feature="pubrec"}') == 1
    assert sum(more(name) for name in after if name.startswith("model_feature_values_total")) == len(names) - 1
    assert after['model_feature_values_expected{bin="1",feature="pubrec"}'] == pytest.approx(0.066, abs=0.001)
    assert after['model_feature_missing_expected{feature="min30"}'] == pytest.approx(0.089, abs=0.001)
