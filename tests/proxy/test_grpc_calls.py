"""Real gRPC on both sides of the proxy: who is hurt, how, and that nobody else notices anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.proxy.grpc_loopback import DEADLINE_S, INFER, STREAM_INFER, Model, eventually, prediction
from tests.proxy.loopback import Proxy, running_proxy

LABELS = [0, 1, 1, 0, 1]
SCORES = [(0.9, 0.1), (0.2, 0.8), (0.45, 0.55), (0.7, 0.3), (0.001, 0.999)]
ANSWER = prediction(LABELS, SCORES, b"a field of tomorrow")
WRONG = {"fault": "wrong_predictions", "share": "30%"}
SUBJECTS = [f"applicant-{number}" for number in range(200)]
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]


@pytest.fixture(scope="module")
def _model() -> Iterator[Model]:
    made = Model()
    yield made
    made.gone()


@pytest.fixture(scope="module")
def _proxy(_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("grpc"), model=_model.port) as made:
        yield made


@pytest.fixture
def model(_model: Model) -> Model:
    _model.forget()
    return _model


@pytest.fixture
def proxy(_proxy: Proxy) -> Proxy:
    assert _proxy.ask("DELETE", "/runs").status_code == 204
    return _proxy


@pytest.fixture
def channel(proxy: Proxy) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}", UNLIMITED) as made:
        yield made


def ask(channel: grpc.Channel, subject: str, message: bytes = b"", path: str = INFER, **more: Any) -> Any:
    """The call, done: `result()` is its message."""
    metadata = (("x-request-id", subject), *more.pop("metadata", ()))
    _, call = channel.unary_unary(path).with_call(message, metadata=metadata, timeout=DEADLINE_S, **more)
    return call


def message(channel: grpc.Channel, subject: str, **more: Any) -> bytes:
    """What the model answered, as the client got it."""
    metadata = (("x-request-id", subject),)
    return bytes(channel.unary_unary(INFER)(b"", metadata=metadata, timeout=DEADLINE_S, **more))


def failed(call: Callable[[], object]) -> Any:
    """The error with which the call ends."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def succeeds(channel: grpc.Channel) -> bool:
    """Whether a call gets its answer now."""
    try:
        return bool(channel.unary_unary(INFER)(b"hello", timeout=DEADLINE_S, wait_for_ready=True) == b"hello")
    except grpc.RpcError:
        return False


def unit(*parts: str | int) -> float:
    """The documented hash, written down a second time."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / 2**64


def arms(traffic: float = 1.0, where: str | None = None) -> dict[str, Any]:
    return {"traffic": traffic, "by": "header:x-request-id", "where": where}


def test_idle_a_call_is_what_it_is_without_the_proxy(model: Model, proxy: Proxy) -> None:
    """Message, metadata both ways, status and details."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata((("x-first", "1"), ("x-raw-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-last", "é".encode().hex()), ("x-raw-bin", b"\1")))
        if request == b"fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100% of é")
        return request * 3

    model.answer = answer
    seen = []
    for port in (model.port, proxy.routes["model"]):
        with grpc.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            done = ask(channel, "a", b"question", metadata=(("x-in-bin", b"\0\1"), ("x-b", "2"), ("x-b", "3")))
            wrong = failed(lambda: ask(channel, "a", b"fail"))
            seen.append(
                [done.initial_metadata(), done.trailing_metadata(), wrong.code(), wrong.details(), wrong.trailing_metadata(),
                 channel.unary_unary(INFER)(b"q" * 3_000_000, timeout=DEADLINE_S)]
            )  # fmt: skip
    assert seen[0] == seen[1]
    asked = [(path, {name: value for name, value in told.items() if name != "user-agent"}, request) for path, told, request in model.asked]  # fmt: skip
    assert asked[:3] == asked[3:]


def test_idle_a_stream_passes_message_by_message(model: Model, channel: grpc.Channel) -> None:
    turn: list[threading.Event] = [threading.Event() for _ in range(4)]

    def questions() -> Iterator[bytes]:
        for place, event in enumerate(turn):
            assert event.wait(DEADLINE_S)
            yield b"%d" % place

    answers = channel.stream_stream(STREAM_INFER)(questions(), timeout=DEADLINE_S)
    for place, event in enumerate(turn):
        event.set()
        assert next(answers) == b"%d" % place  # before the next question is asked
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_exactly_the_selected_rows_of_the_treatment_arm_change(
    model: Model, proxy: Proxy, channel: grpc.Channel
) -> None:
    model.answer = lambda request, context: ANSWER
    proxy.arm("rows", WRONG, arms=arms(0.25))
    changed_rows = 0
    for subject in SUBJECTS:
        treated = unit("a seed", "arm", subject) < 0.25
        hurt = [treated and unit("a seed", "fault", 0, subject, row) < 0.3 for row in range(len(LABELS))]
        labels = [1 - label if one else label for label, one in zip(LABELS, hurt, strict=True)]
        scores = [pair[::-1] if one else pair for pair, one in zip(SCORES, hurt, strict=True)]
        assert message(channel, subject) == prediction(labels, scores, b"a field of tomorrow")
        changed_rows += sum(hurt)
    state = proxy.state("rows")
    assert changed_rows > 10
    assert state["faults"]["0"]["changed_rows"] == changed_rows
    assert state["faults"]["0"]["undecodable"] == 0
    changes = proxy.ask("GET", "/runs/rows/changes").json()["changes"]
    assert len(changes) == changed_rows
    assert {(change["label_before"], change["label_after"]) for change in changes} == {(0, 1), (1, 0)}
    assert proxy.ask("DELETE", "/runs/rows").status_code == 204
    assert all(message(channel, subject) == ANSWER for subject in SUBJECTS[:20])


def test_a_group_is_told_by_metadata(model: Model, proxy: Proxy, channel: grpc.Channel) -> None:
    model.answer = lambda request, context: prediction([1], [(0.25, 0.75)])
    proxy.arm("bias", {"fault": "biased_outputs", "by": "header:x-group", "group": "b", "decision": 0})
    got = {}
    for group in ("a", "b"):
        call = channel.unary_unary(INFER)
        got[group] = call(b"", metadata=(("x-request-id", "s"), ("x-group", group)), timeout=DEADLINE_S)
    assert got == {"a": prediction([1], [(0.25, 0.75)]), "b": prediction([0], [(0.75, 0.25)])}


def test_compressed_answers_and_streams_pass_untouched_and_are_counted(
    model: Model, proxy: Proxy, channel: grpc.Channel
) -> None:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"zip":
            context.set_compression(grpc.Compression.Gzip)
        return prediction([1] * 9, [(0.25, 0.75)] * 9, b"x" * 2000)

    model.answer = answer
    untouched = prediction([1] * 9, [(0.25, 0.75)] * 9, b"x" * 2000)
    proxy.arm("zip", {**WRONG, "share": "100%"})
    metadata = (("x-request-id", "s"),)
    assert channel.unary_unary(INFER)(b"zip", metadata=metadata, timeout=DEADLINE_S) == untouched
    assert proxy.state("zip")["faults"]["0"]["undecodable"] == 1
    stream = channel.stream_stream(STREAM_INFER)(iter([b"1", b"2"]), metadata=metadata, timeout=DEADLINE_S)
    assert list(stream) == [untouched, untouched]
    assert proxy.state("zip")["faults"]["0"]["undecodable"] == 2
    for path in ("/inference.GRPCInferenceService/ServerReady", "/grpc.health.v1.Health/Check"):
        assert ask(channel, "s", b"health", path).code() == grpc.StatusCode.OK
    assert proxy.state("zip")["faults"]["0"]["undecodable"] == 2
    assert ask(channel, "s", b"predict", "/tensorflow.serving.PredictionService/Predict").code() == grpc.StatusCode.OK
    state = proxy.state("zip")["faults"]["0"]
    assert (state["undecodable"], state["changed_rows"]) == (3, 0)
    assert channel.unary_unary(INFER)(b"plain", metadata=metadata, timeout=DEADLINE_S) != untouched


def test_an_answer_that_is_no_prediction_or_too_large_passes_untouched_and_is_counted(
    model: Model, proxy: Proxy, channel: grpc.Channel
) -> None:
    huge = prediction([1], [(0.25, 0.75)], b"x" * 9_000_000)
    for place, said in enumerate((b"", b"no message", huge), 1):
        model.answer = lambda request, context, said=said: said  # type: ignore[misc]
        proxy.arm("odd", {**WRONG, "share": "100%"})
        assert message(channel, "s") == said
        assert proxy.state("odd")["faults"]["0"]["undecodable"] == place
    model.answer = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
    assert failed(lambda: message(channel, "s")).details() == "no such model"
    assert proxy.state("odd")["faults"]["0"]["undecodable"] == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "UNAVAILABLE"), (502, "UNAVAILABLE"), (429, "UNAVAILABLE"), (500, "INTERNAL"), (401, "UNAUTHENTICATED")],
)
def test_an_error_is_a_status_of_grpc_and_the_model_is_not_asked(
    model: Model, proxy: Proxy, channel: grpc.Channel, status: int, code: str
) -> None:
    run = f"errors-{status}"
    proxy.arm(run, {"fault": "http_error", "status": status})
    wrong = failed(lambda: message(channel, "s"))
    assert (wrong.code().name, wrong.details()) == (code, "the model is not available")
    assert failed(lambda: ask(channel, "s", b"x" * 5_000_000)).code().name == code
    assert not model.asked
    state = proxy.state(run)
    assert state["faults"]["0"]["injected"] == 2
    assert state["arms"]["treatment"]["errors"] == (2 if status >= 500 else 0)
    assert proxy.ask("DELETE", f"/runs/{run}").status_code == 204
    assert ask(channel, "s").code() == grpc.StatusCode.OK


def test_a_delayed_call_waits_alone_and_disarming_lets_it_go(model: Model, proxy: Proxy, channel: grpc.Channel) -> None:
    proxy.arm("slow", {"fault": "delay", "by": "30s"}, arms=arms(1.0, 'header:x-group == "slow"'))
    call = channel.unary_unary(INFER).future(
        b"waits", metadata=(("x-request-id", "s"), ("x-group", "slow")), timeout=DEADLINE_S
    )
    eventually(lambda: proxy.state("slow")["arms"]["treatment"]["requests"] == 1)
    assert channel.unary_unary(INFER)(b"goes", metadata=(("x-request-id", "s"),), timeout=DEADLINE_S) == b"goes"
    assert not call.done()
    assert [request for _, _, request in model.asked] == [b"goes"]
    assert proxy.ask("DELETE", "/runs/slow").status_code == 204
    assert call.result() == b"waits"


def test_a_delay_takes_as_long_as_it_says_and_a_deadline_still_holds(
    model: Model, proxy: Proxy, channel: grpc.Channel
) -> None:
    proxy.arm("slow", {"fault": "delay", "by": "300ms"})
    begun = time.monotonic()
    message(channel, "s")
    assert 0.3 <= time.monotonic() - begun < 2
    proxy.arm("slow", {"fault": "delay", "by": "30s"})
    late = failed(lambda: channel.unary_unary(INFER)(b"late", metadata=(("x-request-id", "s"),), timeout=0.2))
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: proxy.state("slow")["faults"]["0"]["delayed_s"] >= 0.4)
    assert [request for _, _, request in model.asked] == [b""]


def test_a_cancelled_call_is_cancelled_at_the_model(model: Model, channel: grpc.Channel) -> None:
    gate = threading.Event()

    def questions() -> Iterator[bytes]:
        yield b"one"
        gate.wait(DEADLINE_S)

    call = channel.stream_stream(STREAM_INFER)(questions(), timeout=DEADLINE_S)
    assert next(call) == b"one"
    assert not model.cancelled.is_set()
    call.cancel()
    gate.set()
    assert model.cancelled.wait(DEADLINE_S)


def test_many_calls_at_once_get_their_own_answers(model: Model, proxy: Proxy, channel: grpc.Channel) -> None:
    proxy.arm("many", {**WRONG, "share": "50%"}, arms=arms(0.5))
    bodies = [bytes([number % 256]) * (number * 997 % 50_000) for number in range(150)]
    call = channel.unary_unary(INFER)
    futures = [
        call.future(body, metadata=(("x-request-id", f"s{place}"),), timeout=DEADLINE_S)
        for place, body in enumerate(bodies)
    ]
    assert [future.result() for future in futures] == bodies


def test_a_model_that_shuts_down_finishes_its_calls_and_the_next_one_finds_its_successor(tmp_path: Path) -> None:
    first = Model()
    begun, gate = threading.Event(), threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        begun.set()
        assert gate.wait(DEADLINE_S)
        return request

    first.answer = answer
    with (
        running_proxy(tmp_path, model=first.port) as proxy,
        ThreadPoolExecutor(1) as pool,
        grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}", UNLIMITED) as channel,
    ):
        call = pool.submit(channel.unary_unary(INFER), b"under way", timeout=DEADLINE_S)
        assert begun.wait(DEADLINE_S)
        first.stop(DEADLINE_S)
        gate.set()
        assert call.result(DEADLINE_S) == b"under way"
        first.gone()
        gone = failed(lambda: channel.unary_unary(INFER)(b"too late", timeout=DEADLINE_S))
        assert gone.code() == grpc.StatusCode.UNAVAILABLE
        second = Model(first.port)
        eventually(lambda: succeeds(channel))
        second.gone()


@pytest.mark.parametrize(
    "fault", [{"fault": "bandwidth", "to": "100B/s"}, {"fault": "malformed_body"}, {"fault": "truncated_body"}]
)
def test_what_is_done_to_bodies_and_deliveries_is_not_done_to_calls_and_each_is_counted(
    fault: dict[str, Any], model: Model, proxy: Proxy, channel: grpc.Channel
) -> None:
    model.answer = lambda request, context: ANSWER
    proxy.arm(f"not-{fault['fault']}", fault)
    assert message(channel, "a") == ANSWER
    counts = proxy.state(f"not-{fault['fault']}")["faults"]["0"]
    assert (counts["undecodable"], counts["injected"], counts["delayed_s"]) == (1, 0, 0.0)


def test_faults_of_requests_act_on_calls_as_ever(model: Model, proxy: Proxy, channel: grpc.Channel) -> None:
    model.answer = lambda request, context: ANSWER
    proxy.arm("limited", {"fault": "rate_limit"})
    assert failed(lambda: ask(channel, "a")).code() is grpc.StatusCode.UNAVAILABLE  # as gRPC takes 429 to be
    assert proxy.ask("DELETE", "/runs").status_code == 204
    proxy.arm("first", {"fault": "fail_first_n", "first": 1})
    assert failed(lambda: ask(channel, "a")).code() is grpc.StatusCode.UNAVAILABLE
    assert message(channel, "a") == ANSWER
    assert not proxy.state("first")["faults"]["0"]["undecodable"]
