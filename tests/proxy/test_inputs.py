"""What the model is asked instead: exactly the treated inputs, in a request that is whole, and untouched where nobody can read it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import struct
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.arms import row_selected
from chaos.proxy.arming import parse_arming
from tests.fuzzing import examples
from tests.proxy.grpc_loopback import INFER, Model
from tests.proxy.loopback import (
    Backend,
    Proxy,
    Until,
    arming,
    eventually,
    infer,
    running_proxy,
    sized,
    talk,
)
from tests.proxy.test_plane_memory import Bench
from tests.proxy.test_proxy_tls import SecureBackend

PATH = "/v2/models/model/infer"
NAMES = {"features": ["age", "income"]}
BODY = b'{"id": "7", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [31.50, 1e3, 40, 2.5E1]}]}'
DOUBLED = (
    b'{"id": "7", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [31.50, 10000.0, 40, 250.0]}]}'
)
TENFOLD = {"fault": "unit_change", "feature": "income", "factor": 10}
SECOND = {**TENFOLD, "feature": "age"}


@pytest.fixture
def port(backend: Backend, proxy: Proxy) -> int:
    """The proxy's, before a backend that answers predictions."""
    backend.replies[PATH] = sized(b"{}", "Content-Type: application/json")
    return proxy.routes["model"]


@pytest.fixture
def run(request: pytest.FixtureRequest) -> str:
    """A run's name that no other test has: what it counts outlives its arming."""
    return f"run-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


def faults(proxy: Proxy, run: str) -> dict[str, Any]:
    return dict(proxy.state(run)["faults"])


def head(subject: str, *lines: str) -> bytes:
    told = [f"POST {PATH} HTTP/1.1", "Host: model", f"X-Request-Id: {subject}", *lines, "Connection: close"]
    return "\r\n".join(told).encode() + b"\r\n\r\n"


def test_a_treated_request_reaches_the_model_with_other_inputs_and_the_rest_as_it_came(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    assert talk(port, infer("a", BODY, "X-Odd:  kept\t")).endswith(b"\r\n\r\n{}")
    plain = infer("a", BODY, "X-Odd:  kept\t")
    assert backend.seen == [plain.replace(b": %d" % len(BODY), b": %d" % len(DOUBLED)).replace(BODY, DOUBLED)]
    counts = faults(proxy, run)["0"]
    assert (counts["selected_requests"], counts["selected_rows"], counts["changed_rows"]) == (1, 2, 2)
    assert counts["undecodable"] == counts["injected"] == 0
    assert counts["first_effect"] == counts["last_effect"] is not None


def test_the_control_arm_is_asked_as_it_asks(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input=NAMES, arms={"traffic": 0.0, "by": "header:x-request-id", "where": None})
    asked = [infer("a", BODY), head("b", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)]
    for one in asked:
        talk(port, one)
    assert backend.seen == asked
    assert faults(proxy, run)["0"]["selected_requests"] == faults(proxy, run)["0"]["undecodable"] == 0


def test_rows_that_are_not_selected_keep_every_byte(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, {**TENFOLD, "share": "50%"}, input=NAMES)
    subjects = [f"subject-{number}" for number in range(30)]
    selected = [[row_selected("a seed", 0, subject, row, 0.5) for row in (0, 1)] for subject in subjects]
    for subject in subjects:
        talk(port, infer(subject, BODY))
    for one, (first, second) in zip(backend.seen, selected, strict=True):
        wanted = BODY.replace(b"1e3", b"10000.0") if first else BODY
        assert one.endswith(b"\r\n\r\n" + (wanted.replace(b"2.5E1", b"250.0") if second else wanted))
    counts = faults(proxy, run)["0"]
    assert counts["selected_rows"] == counts["changed_rows"] == sum(map(sum, selected))
    assert counts["selected_requests"] == sum(map(any, selected))
    assert 0 < sum(map(sum, selected)) < 60


def test_the_metrics_count_selected_and_changed_rows(proxy: Proxy, port: int, run: str) -> None:
    def told(name: str) -> float:
        lines = proxy.ask("GET", "/metrics").text.splitlines()
        start = f'chaos_proxy_{name}_rows_total{{fault="feature_shift",arm="treatment"}} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = told("selected"), told("changed")
    proxy.arm(run, {"fault": "feature_shift", "feature": 0, "by": 1})
    talk(port, infer("a", BODY))
    assert (told("selected") - before[0], told("changed") - before[1]) == (2, 2)


def test_the_changes_are_kept_without_a_value_of_a_feature(proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    talk(port, infer("a", BODY))
    told = proxy.ask("GET", f"/runs/{run}/changes").json()["changes"]
    assert [(change["row"], change["part"], change["request_id"]) for change in told] == [
        (0, "request", "a"),
        (1, "request", "a"),
    ]
    assert all(change["label_before"] is change["label_after"] is None for change in told)
    assert all(change["body_sha256_before"] != change["body_sha256_after"] for change in told)
    assert not any(text in json.dumps(told) for text in ("1e3", "1000", "10000", "income", "31.5"))


@pytest.mark.parametrize("trailers", [b"", b"X-Sum: 1\r\n"])
def test_a_chunked_request_gets_a_length(trailers: bytes, backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    cut = 40
    chunks = b"%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\n%s\r\n" % (cut, BODY[:cut], len(BODY) - cut, BODY[cut:], trailers)
    talk(port, head("a", "Transfer-Encoding: chunked", "X-Last: 1"), chunks[:30], chunks[30:])
    wanted = head("a", f"content-length: {len(DOUBLED)}", "X-Last: 1") + DOUBLED
    assert backend.seen == [wanted]


def test_a_body_that_comes_in_pieces_is_edited_once_it_is_whole(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    request = infer("a", BODY)
    talk(port, *(request[place : place + 7] for place in range(0, len(request), 7)))
    assert backend.seen[0].endswith(b"\r\n\r\n" + DOUBLED)
    assert proxy.state(run)["arms"]["treatment"]["requests"] == 1


def test_a_client_that_asks_before_it_sends_its_body_is_told_to(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    asking = head("a", f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    got = talk(port, asking, Until(b"100 Continue\r\n\r\n"), BODY)
    assert got.count(b"100 Continue") == 1
    assert got.endswith(b"\r\n\r\n{}")
    assert backend.seen == [head("a", f"Content-Length: {len(DOUBLED)}", "Expect: 100-continue") + DOUBLED]


def test_requests_behind_each_other_on_one_connection_are_each_edited(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    both = infer("a", BODY, close=False) + infer("b", BODY)
    got = talk(port, both[:250], both[250:])
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert [one.endswith(b"\r\n\r\n" + DOUBLED) for one in backend.seen] == [True, True]


def test_a_compressed_request_is_edited_and_compressed_again(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    talk(port, infer("a", gzip.compress(BODY), "Content-Encoding: gzip"))
    told, _, body = backend.seen[0].partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in told
    assert gzip.decompress(body) == DOUBLED


def test_raw_tensors_are_edited_in_place(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    text = b'{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}}]}'
    raw = struct.pack("<4f", 31.5, 1000, 40, 25)
    request = infer("a", text + raw, f"Inference-Header-Content-Length: {len(text)}")
    talk(port, request)
    assert backend.seen == [request.replace(raw, struct.pack("<4f", 31.5, 10000, 40, 250))]


def test_a_feature_dropped_from_raw_and_text_tensors_corrects_both_lengths(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, {"fault": "missing_feature", "feature": "b", "as": "dropped"})
    first = b'{"name":"a","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}'
    text = b'{"inputs":[%s, {"name":"b","shape":[1],"datatype":"INT64","data":[5]}]}' % first
    raw, wanted = struct.pack("<f", 1.5), b'{"inputs":[%s]}' % first
    talk(port, infer("a", text + raw, f"Inference-Header-Content-Length: {len(text)}"))
    told, _, body = backend.seen[0].partition(b"\r\n\r\n")
    assert body == wanted + raw
    assert b"Inference-Header-Content-Length: %d\r\n" % len(wanted) in told
    assert b"Content-Length: %d\r\n" % len(body) in told


UNREADABLE = {
    "no JSON": infer("a", b"ceci n'est pas une requ\xc3\xaate"),
    "no inputs": infer("a", b'{"outputs": []}'),
    "no such feature": infer("a", BODY.replace(b"[2, 2]", b"[4, 1]")),
    "another coding": infer("a", BODY, "Content-Encoding: br"),
    "not what the coding says": infer("a", BODY, "Content-Encoding: gzip"),
    "too large": infer("a", BODY + b" " * 300_000),
    "too large in chunks": head("a", "Transfer-Encoding: chunked")
    + b"61a80\r\n"
    + BODY.ljust(400_000)
    + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_passes_as_it_came_and_is_counted(
    name: str, backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    assert talk(port, UNREADABLE[name]).endswith(b"\r\n\r\n{}")
    assert backend.seen == [UNREADABLE[name]]
    counts = faults(proxy, run)["0"]
    assert (counts["undecodable"], counts["changed_rows"], counts["first_effect"]) == (1, 0, None)


def test_a_change_that_the_request_has_no_place_for_has_not_happened(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, {"fault": "schema_change", "change": "renamed", "feature": "age", "name": "years"}, input=NAMES)
    talk(port, infer("a", BODY))
    assert backend.seen == [infer("a", BODY)]
    counts = faults(proxy, run)["0"]
    assert (counts["selected_rows"], counts["changed_rows"], counts["undecodable"]) == (2, 0, 1)
    assert proxy.ask("GET", f"/runs/{run}/changes").json()["changes"] == []


def test_what_asks_for_no_prediction_is_neither_touched_nor_counted(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    asked = [
        b"GET /v2/health/ready HTTP/1.1\r\nHost: model\r\nX-Request-Id: a\r\nConnection: close\r\n\r\n",
        f"PUT {PATH} HTTP/1.1\r\nHost: model\r\nX-Request-Id: a\r\nContent-Length: {len(BODY)}\r\nConnection: close\r\n\r\n".encode()
        + BODY,
        infer("a", b""),
        head("a", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ]
    for one in asked:
        talk(port, one)
    assert backend.seen == asked
    assert faults(proxy, run)["0"]["undecodable"] == 0


def test_one_fault_follows_another_and_one_that_finds_nothing_stops_neither(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    shift = {"fault": "feature_shift", "feature": "income", "by": 1}
    missing = {"fault": "missing_feature", "feature": "shoe_size"}
    proxy.arm(run, TENFOLD, missing, shift, input=NAMES)
    talk(port, infer("a", BODY))
    assert backend.seen[0].endswith(DOUBLED.replace(b"10000.0", b"10001.0").replace(b"250.0", b"251.0"))
    assert {index: (one["changed_rows"], one["undecodable"]) for index, one in faults(proxy, run).items()} == {
        "0": (2, 0),
        "1": (0, 1),
        "2": (2, 0),
    }


def test_another_question_gets_another_answer_that_can_be_hurt_too(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    answer = b'{"outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[0,1]},{"name":"predict_proba","shape":[2,2],"datatype":"FP64","data":[0.9,0.1,0.2,0.8]}]}'
    backend.replies[PATH] = sized(answer)
    proxy.arm(run, TENFOLD, {"fault": "wrong_predictions"}, input=NAMES)
    got = talk(port, infer("a", BODY))
    assert backend.seen[0].endswith(DOUBLED)
    assert json.loads(got.partition(b"\r\n\r\n")[2])["outputs"][0]["data"] == [1, 0]
    assert [one["changed_rows"] for one in faults(proxy, run).values()] == [2, 2]


def test_a_request_waits_first_and_goes_as_it_came_when_the_fault_is_off_by_then(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, {"fault": "delay", "by": "60s"}, TENFOLD, input=NAMES)
    request = infer("a", BODY)
    client = threading.Thread(target=talk, args=(port, request[:150], request[150:]), daemon=True)
    client.start()
    eventually(lambda: proxy.state(run)["arms"]["treatment"]["requests"] == 1)
    proxy.ask("DELETE", f"/runs/{run}")
    client.join(15)
    assert backend.seen == [request]


def test_a_delayed_request_is_edited_when_the_wait_is_over(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, {"fault": "delay", "by": "20ms"}, TENFOLD, input=NAMES)
    chunked = head("a", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    talk(port, chunked[:150], chunked[150:])
    assert backend.seen[0].endswith(b"\r\n\r\n" + DOUBLED)
    assert faults(proxy, run)["0"]["delayed_s"] > 0.01


def test_after_the_removal_every_byte_is_as_it_came(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input=NAMES)
    proxy.ask("DELETE", f"/runs/{run}")
    request = infer("a", BODY)
    talk(port, request[:150], request[150:])
    assert backend.seen == [request]
    eventually(lambda: proxy.state(run)["arms"]["treatment"]["untouched_since_disarm"] == 1)


@pytest.mark.parametrize(("most", "hurt"), [("2 requests", 2), ("5 predictions", 2)])
def test_a_cap_in_absolute_numbers_is_kept(
    most: str, hurt: int, backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    proxy.arm(run, TENFOLD, input=NAMES, most=most)
    for number in range(5):
        talk(port, infer(f"subject-{number}", BODY))
    assert [one.endswith(DOUBLED) for one in backend.seen] == [True] * hurt + [False] * (5 - hurt)
    assert [one.endswith(BODY) for one in backend.seen] == [False] * hurt + [True] * (5 - hurt)


def test_a_slice_over_bodies_and_a_fault_on_them_read_them_once(
    backend: Backend, proxy: Proxy, port: int, run: str
) -> None:
    arms = {"traffic": 1.0, "by": "header:x-request-id", "where": 'json:$.id == "7"'}
    proxy.arm(run, TENFOLD, input=NAMES, arms=arms)
    inside, outside = infer("a", BODY), infer("b", BODY.replace(b'"7"', b'"8"'))
    for one in (inside, outside):
        talk(port, one[:150], one[150:])
    assert backend.seen[0].endswith(DOUBLED)
    assert backend.seen[1] == outside
    assert proxy.state(run)["arms"]["treatment"]["requests"] == proxy.state(run)["arms"]["outside"]["requests"] == 1


def test_rows_at_a_path_are_read_where_no_protocol_is_told(backend: Backend, proxy: Proxy, port: int, run: str) -> None:
    proxy.arm(run, TENFOLD, input={"rows": "$.application"})
    body = b'{"application": {"age": 31, "income": 1000}}'
    request = infer("a", body).replace(PATH.encode(), b"/score")
    talk(port, request)
    assert backend.seen[0].endswith(b'{"application": {"age": 31, "income": 10000}}')


def test_shadow_mode_refuses_what_changes_requests(proxy: Proxy, run: str) -> None:
    answer = proxy.ask("PUT", f"/runs/{run}", json=arming(TENFOLD, mode="shadow"))
    assert answer.status_code == 422
    assert "unit_change hurts requests" in answer.json()["error"]


def test_an_arming_says_what_features_are_called_and_nothing_else(proxy: Proxy, run: str) -> None:
    answer = proxy.ask("PUT", f"/runs/{run}", json=arming(TENFOLD, input={"features": ["age"], "colour": 1}))
    assert answer.status_code == 422
    assert "input.colour" in answer.json()["error"]


def test_behind_tls_the_edited_request_is_addressed_like_any(
    authority: Any, trusted: Path, tmp_path: Path, run: str
) -> None:
    secure = SecureBackend(authority, "localhost")
    route = f"--route=secure=127.0.0.1:0>https://localhost:{secure.port}"
    with running_proxy(tmp_path, route, f"--upstream-ca={trusted}") as proxy:
        proxy.arm(run, TENFOLD, input=NAMES)
        talk(proxy.routes["secure"], infer("a", BODY))
    assert secure.seen[0].endswith(b"\r\n\r\n" + DOUBLED)
    assert b"Host: localhost:%d\r\n" % secure.port in secure.seen[0]
    secure.close()


def test_calls_of_grpc_go_on_as_they_came_and_are_counted(tmp_path: Path, run: str) -> None:
    model = Model()
    with running_proxy(tmp_path, model=model.port) as proxy:
        proxy.arm(run, TENFOLD)
        with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}") as channel:
            call = channel.unary_unary(INFER)
            call(b"a message", metadata=(("x-request-id", "a"),), timeout=15)
            channel.unary_unary("/inference.GRPCInferenceService/ModelReady")(
                b"", metadata=(("x-request-id", "b"),), timeout=15
            )
        assert faults(proxy, run)["0"]["undecodable"] == 1
    model.gone()


# --- without sockets ------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_any_cut_into_reads_asks_the_model_the_same(cuts: list[int], chunked: bool) -> None:
    async def asked() -> bytes:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming(TENFOLD, input=NAMES)))
        one = infer("a", BODY, close=False)
        if chunked:
            half = len(BODY) // 2
            one = head("a", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (
                half, BODY[:half], len(BODY) - half, BODY[half:],
            )  # fmt: skip
        places = sorted({0, len(one), *(cut for cut in cuts if cut < len(one))})
        for start, end in pairwise(places):
            bench.client.data_received(one[start:end])
        await bench.settle()
        return bytes(bench.upstream_pipe.written)

    told, _, body = asyncio.run(asked()).partition(b"\r\n\r\n")
    assert body == DOUBLED
    assert told.lower().count(b"\r\ncontent-length: %d" % len(DOUBLED)) == 1
    assert b"chunked" not in told


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_large_requests_are_edited_unless_they_have_taken_half_of_the_time(coding: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming(TENFOLD, input=NAMES)))
        rows = ",".join(["[31.50,1e3]"] * 4_000)
        body = b'{"inputs":[{"name":"x","shape":[4000,2],"datatype":"FP64","data":[%s]}]}' % rows.encode()
        if coding == "gzip":
            body = gzip.compress(body)  # small as it comes, and it takes as long
        one = infer("a", body, f"Content-Encoding: {coding}", close=False)

        def asked() -> bytes:
            bench.upstream_pipe.written.clear()
            bench.client.data_received(one)
            bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return bytes(bench.upstream_pipe.written)

        assert asked() != one
        assert bench.registry.half_taken_until_s > time.monotonic()
        bench.registry.half_taken_until_s = time.monotonic() + 60
        assert asked() == one
        assert bench.registry.runs["run"].faults[0].undecodable == 1
        bench.registry.half_taken_until_s = 0.0
        assert asked() != one

    asyncio.run(scenario())
