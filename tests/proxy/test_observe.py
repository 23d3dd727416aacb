"""`--observe`: what a sampled share of answers said, in metrics that are marked as ours; never a byte, and nothing when off."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import grpc
import pytest

from chaos.proxy import wire
from chaos.proxy.__main__ import main
from chaos.proxy.counters import Counters
from chaos.proxy.observe import LARGEST_OBSERVED, MOST_CLASSES, Observer, observed_text
from tests.proxy.grpc_loopback import DEADLINE_S, INFER, Model, prediction
from tests.proxy.loopback import Backend, Proxy, infer, running_proxy, sized, talk
from tests.proxy.test_plane_memory import Bench

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "captures"
PATH = "/v2/models/model/infer"
ANSWER = (
    b'{"outputs":[{"name":"predict","shape":[4,1],"datatype":"INT64","data":[0,1,1,1]},'
    b'{"name":"predict_proba","shape":[4,2],"datatype":"FP64","data":[0.9,0.1,0.2,0.8,0.45,0.55,0.001,0.999]}]}'
)
JSON = "Content-Type: application/json"


def request(path: str = PATH, method: str = "POST", **headers: str) -> wire.Head:
    return wire.Head(
        b"", method, path, 0, {name.replace("_", "-"): told for name, told in headers.items()}, 0, False, True
    )


def answer(status: int = 200, length: int | None = 1, **headers: str) -> wire.Head:
    named = {name.replace("_", "-"): told for name, told in headers.items()}
    return wire.Head(b"", "", "", status, named, length, False, True)


def seen(body: bytes | None, path: str = PATH, head: wire.Head | None = None) -> Counters:
    counters = Counters()
    Observer(1.0, counters).see("model", request(path), head or answer(), body)
    return counters


def outcome(body: bytes | None, path: str = PATH, head: wire.Head | None = None) -> str:
    ((_, told),) = seen(body, path, head).observed_answers
    return told


def value(page: str, series: str) -> float:
    """The value of a series in Prometheus' text format; 0 when it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


# --- what an answer says ----------------------------------------------------------------------------------------------


def test_rows_are_counted_by_class_and_scores_by_what_the_class_decided_for_got() -> None:
    counters = seen(ANSWER)
    assert counters.observed_classes == {("model", "0"): 1, ("model", "1"): 3}
    page = observed_text(1.0, counters)
    assert value(page, 'chaos_observed_answers_total{route="model",outcome="read"}') == 1
    assert value(page, 'chaos_observed_score_bucket{route="model",le="0.6"}') == 1
    assert value(page, 'chaos_observed_score_bucket{route="model",le="0.9"}') == 3
    assert value(page, 'chaos_observed_score_count{route="model"}') == 4
    assert value(page, 'chaos_observed_score_sum{route="model"}') == pytest.approx(0.9 + 0.8 + 0.55 + 0.999)


@pytest.mark.parametrize(
    ("body", "head", "told"),
    [
        (b"", answer(), "empty"),
        (None, answer(length=0), "empty"),
        (b'{"outputs":[{"name":"predict","shape":[0,1],"datatype":"INT64","data":[]}]}', answer(), "empty"),
        (b'{"outputs":[{"name":"predict"', answer(), "malformed"),
        (b'{"detail":"no such thing"}', answer(), "malformed"),
        (b'{"error":"down"}', answer(503), "error"),
        (None, answer(content_type="text/event-stream"), "streamed"),
        (b"\x1f\x8b", answer(content_encoding="br"), "unread"),
        (b"\x1f\x8b", answer(content_encoding="gzip"), "malformed"),
        (gzip.compress(ANSWER, mtime=0), answer(content_encoding="gzip"), "read"),
        (gzip.compress(b" " * (LARGEST_OBSERVED + 1), mtime=0), answer(content_encoding="gzip"), "unread"),
        (None, answer(length=LARGEST_OBSERVED + 1), "unread"),
        (b" " * (LARGEST_OBSERVED + 1), answer(length=None), "unread"),
    ],
)
def test_an_answer_that_says_nothing_is_counted_by_why(body: bytes | None, head: wire.Head, told: str) -> None:
    assert outcome(body, head=head) == told


@pytest.mark.parametrize(
    ("name", "path", "classes"),
    [
        ("mlserver/infer.http", PATH, {"0", "1", "2"}),
        ("kserve/v1_predict.http", "/v1/models/model:predict", None),
        ("mlflow/inputs_named.http", "/invocations", None),
        ("llamacpp/chat.http", "/v1/chat/completions", {"text"}),
        ("llmock/responses.http", "/v1/responses", {"text"}),
    ],
)
def test_captures_of_real_servers_are_read(name: str, path: str, classes: set[str] | None) -> None:
    raw = (CAPTURES / name).read_bytes()
    body = raw[raw.index(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")[2].removesuffix(b"\n")
    counters = seen(body, path)
    assert dict(counters.observed_answers) == {("model", "read"): 1}
    found = {told for _, told in counters.observed_classes}
    assert found
    assert classes is None or found <= classes


def test_only_so_many_classes_are_told_apart_and_the_first_ones_stay() -> None:
    counters = Counters()
    observer = Observer(1.0, counters)
    for number in [*range(MOST_CLASSES + 30), 0]:
        body = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[%d]}]}' % number
        observer.see("model", request(), answer(), body)
    assert len(counters.observed_classes) == MOST_CLASSES + 1
    assert counters.observed_classes["model", "other"] == 30
    assert counters.observed_classes["model", "0"] == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'"yes"', "yes"),
        (b"2.0", "2"),
        (b"0.37", "number"),
        (b"true", "true"),
        (b'"%s"' % (b"x" * 65), "other"),
        (b'"a\\u0000"', "other"),
    ],
)
def test_a_class_is_short_printable_and_no_measurement(data: bytes, told: str) -> None:
    kind = b"BOOL" if data == b"true" else b"BYTES" if data.startswith(b'"') else b"FP64"
    counters = seen(b'{"outputs":[{"name":"predict","shape":[1],"datatype":"%s","data":[%s]}]}' % (kind, data))
    assert dict(counters.observed_classes) == {("model", told): 1}


def test_what_a_language_model_wrote_is_in_no_metric() -> None:
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a secret"}}]}'
    page = observed_text(1.0, seen(body, "/v1/chat/completions"))
    assert 'class="text"' in page
    assert "secret" not in page


def test_a_class_with_quotes_is_escaped() -> None:
    page = observed_text(
        1.0, seen(b'{"outputs":[{"name":"predict","shape":[1],"datatype":"BYTES","data":["a\\"b\\\\"]}]}')
    )
    assert 'class="a\\"b\\\\"} 1' in page


def test_scores_that_are_no_numbers_are_counted_and_kept_out_of_the_sum() -> None:
    body = ANSWER.replace(b"0.9,0.1", b"NaN,NaN")
    page = observed_text(1.0, seen(body))
    assert value(page, 'chaos_observed_not_finite_scores_total{route="model"}') == 1
    assert value(page, 'chaos_observed_score_count{route="model"}') == 3
    assert "nan" not in page


# --- the sample -------------------------------------------------------------------------------------------------------


def test_the_sample_is_told_by_the_hash_of_the_request_id() -> None:
    def drawn(name: str) -> bool:
        text = f"observe\x1f{name}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / 2**64 < 0.1

    names = [f"request-{number}" for number in range(2000)]
    observer = Observer(0.1, Counters())
    wanted = [observer.wants(request(x_request_id=name)) for name in names]
    assert wanted == [drawn(name) for name in names]
    assert 150 < sum(wanted) < 250


def test_without_an_id_every_so_many_th_is_looked_at() -> None:
    observer = Observer(0.25, Counters())
    assert [observer.wants(request()) for _ in range(8)] == [False, False, False, True] * 2


@pytest.mark.parametrize(
    "other",
    [
        request(method="GET"),
        request("/metrics"),
        request("/v1/models"),
        request(x_attempt_number="2"),
        request(x_request_id="a", x_attempt_number="3"),
    ],
)
def test_what_is_no_prediction_or_a_retry_is_never_of_the_sample(other: wire.Head) -> None:
    observer = Observer(1.0, Counters())
    assert observer.wants(request())
    assert not observer.wants(other)


# --- through the plane ------------------------------------------------------------------------------------------------


def test_the_answer_is_decoded_only_after_it_has_gone_out() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.route.observer = Observer(1.0, bench.counters)
        bench.client.data_received(infer("a", close=False))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        whole = head + b"%x;a=b\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(ANSWER), ANSWER)
        for place in range(0, len(whole), 7):
            bench.upstream.data_received(whole[place : place + 7])
        assert bench.client_pipe.written == whole
        assert not bench.counters.observed_answers
        await bench.settle()
        assert dict(bench.counters.observed_answers) == {("model", "read"): 1}
        assert sum(bench.counters.observed_classes.values()) == 4

    asyncio.run(scenario())


def test_of_an_answer_beyond_the_limit_no_copy_is_kept() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.route.observer = Observer(1.0, bench.counters)
        bench.client.data_received(infer("a", close=False))
        bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange = bench.client.exchange
        assert exchange is not None
        piece = b"x" * 65536
        for _ in range(8):
            bench.upstream.data_received(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert not exchange.copying
        assert isinstance(exchange.answer_body, wire.ChunkedBody)
        assert exchange.answer_body.payload is None
        bench.upstream.data_received(b"0\r\n\r\n")
        await bench.settle()
        assert dict(bench.counters.observed_answers) == {("model", "unread"): 1}

    asyncio.run(scenario())


def test_without_observe_nothing_is_copied_and_nothing_is_told() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(infer("a", close=False))
        exchange = bench.client.exchange
        bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER))
        assert exchange is not None
        assert (exchange.copying, exchange.looking) == (False, False)
        assert isinstance(exchange.answer_body, wire.LengthBody)
        assert observed_text(0.0, bench.counters) == ""

    asyncio.run(scenario())


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def observing(_backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("observing")
    with running_proxy(folder, "--observe=50%", "--workers=2", model=_backend.port) as made:
        yield made


def metrics(proxy: Proxy) -> str:
    return proxy.ask("GET", "/metrics").text


def test_workers_count_their_samples_together_and_change_no_byte(backend: Backend, observing: Proxy) -> None:
    reply = sized(ANSWER, JSON)
    backend.replies[PATH] = reply
    names = [f"request-{number}" for number in range(40)]
    observer = Observer(0.5, Counters())
    wanted = sum(observer.wants(request(x_request_id=name)) for name in names)
    before = value(metrics(observing), 'chaos_observed_answers_total{route="model",outcome="read"}')
    for name in names:
        assert talk(observing.routes["model"], infer(name)) == b"".join(reply.pieces)
    page = metrics(observing)
    assert value(page, 'chaos_observed_answers_total{route="model",outcome="read"}') - before == wanted
    assert value(page, "chaos_observed_share") == 0.5


def test_what_a_live_fault_did_is_observed_as_the_client_got_it(backend: Backend, observing: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER, JSON)
    before = metrics(observing)
    observing.arm("live", {"fault": "wrong_predictions"})
    names = [f"hurt-{number}" for number in range(20)]
    observer = Observer(0.5, Counters())
    wanted = sum(observer.wants(request(x_request_id=name)) for name in names)
    for name in names:
        talk(observing.routes["model"], infer(name))
    after = metrics(observing)
    observing.ask("DELETE", "/runs")
    grown = {
        told: value(after, f'chaos_observed_rows_total{{route="model",class="{told}"}}')
        - value(before, f'chaos_observed_rows_total{{route="model",class="{told}"}}')
        for told in ("0", "1")
    }
    assert grown == {"0": 3 * wanted, "1": wanted}


def test_calls_of_grpc_are_observed(tmp_path: Path) -> None:
    model = Model()
    message = prediction([0, 1, 1], [(0.9, 0.1), (0.2, 0.8), (0.4, 0.6)])
    model.answer = lambda told, context: message if told else context.abort(grpc.StatusCode.UNAVAILABLE, "down")
    with running_proxy(tmp_path, "--observe=100%", model=model.port) as proxy:
        with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}", [("grpc.enable_retries", 0)]) as channel:
            assert channel.unary_unary(INFER)(b"a", timeout=DEADLINE_S) == message
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(INFER)(b"", timeout=DEADLINE_S)
        page = metrics(proxy)
    model.gone()
    assert value(page, 'chaos_observed_answers_total{route="model",outcome="read"}') == 1
    assert value(page, 'chaos_observed_answers_total{route="model",outcome="error"}') == 1
    assert value(page, 'chaos_observed_rows_total{route="model",class="1"}') == 2


def test_a_share_without_a_unit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-that-is-long-enough")
    assert main([f"--token-file={token}", "--route=a=127.0.0.1:0>127.0.0.1:1", "--observe=1"]) == 2
    assert "write 1%" in capsys.readouterr().err


def test_the_page_names_every_metric_of_the_observer() -> None:
    page = (ROOT / "docs" / "proxy.md").read_text()
    names = {line.split()[2] for line in observed_text(0.5, Counters()).splitlines() if line.startswith("# TYPE")}
    assert len(names) == 5
    assert {name for name in names if f"`{name}" not in page} == set()
