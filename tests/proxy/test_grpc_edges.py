"""What is odd in HTTP/2 concerns its own call, and a proxy that ends says so: other calls and connections go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from h2 import events

from tests.proxy.grpc_loopback import (
    ANSWER_HEADERS,
    DEADLINE_S,
    INFER,
    STREAM_INFER,
    TRAILERS,
    Listener,
    Model,
    Peer,
    client,
    eventually,
    framed,
    request_headers,
)
from tests.proxy.loopback import Proxy, running_proxy

STREAM_3_IS_REFUSED = bytes([0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 7])
PROTOCOL_ERROR = 1


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.gone()


@pytest.fixture(scope="module")
def _proxy(listener: Listener, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("edges"), listener=listener.port, model=model.port) as made:
        yield made


@pytest.fixture
def proxy(_proxy: Proxy, model: Model) -> Proxy:
    model.forget()
    assert _proxy.ask("DELETE", "/runs").status_code == 204
    return _proxy


def reply(peer: Peer, stream: int) -> None:
    peer.http2.send_headers(stream, ANSWER_HEADERS)
    peer.http2.send_data(stream, framed(b"answer"))
    peer.http2.send_headers(stream, TRAILERS, end_stream=True)
    peer.send()


# --- headers ----------------------------------------------------------------------------------------------------------


def test_blanks_around_metadata_and_messages_pass_as_they_came(model: Model, proxy: Proxy) -> None:
    """HTTP/2 forbids them, and gRPC sends them."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("x-last", " b "),))
        context.abort(grpc.StatusCode.NOT_FOUND, " no such model ")
        return request

    model.answer = answer
    seen = []
    for port in (model.port, proxy.routes["model"]):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(INFER).future(b"", metadata=(("x-first", " a "),), timeout=DEADLINE_S)
            call.exception()
            seen.append((call.code(), call.details(), dict(call.trailing_metadata())["x-last"]))
    assert seen == [(grpc.StatusCode.NOT_FOUND, " no such model ", " b ")] * 2
    assert [told["x-first"] for _, told, _ in model.asked] == [" a "] * 2


@pytest.mark.parametrize(
    "bad",
    [
        [*request_headers(), (b"X-Upper", b"1")],
        [*request_headers(), (b"x", b"a\r\nb: c")],
        [*request_headers(), (b"x", b"a\0")],
        [*request_headers(), (b"", b"a")],
        [*request_headers(), (b"connection", b"close")],
        [*request_headers(), (b"host", b"another")],
        [*request_headers(), (b":path", b"/again")],
        request_headers()[1:],
        [*request_headers(), (b":status", b"200")],
    ],
)
def test_a_request_that_http2_forbids_is_refused_alone(
    bad: list[tuple[bytes, bytes]], proxy: Proxy, listener: Listener
) -> None:
    refused = "chaos_proxy_refused_messages_total "
    before = proxy.ask("GET", "/metrics").text.split(refused)[-1].split()[0]
    with client(proxy.routes["listener"]) as caller:
        caller.http2.send_headers(1, request_headers(), end_stream=True)
        caller.http2.send_headers(3, bad)
        caller.http2.send_data(3, framed(b"question"), end_stream=True)
        caller.send()
        assert caller.until(events.StreamReset).stream_id == 3
        assert caller.until(events.StreamReset).error_code == PROTOCOL_ERROR
        server = listener.accept()
        server.until(events.StreamEnded)
        reply(server, 1)
        assert caller.until(events.TrailersReceived, 1).headers == TRAILERS
        assert sum(isinstance(one, events.RequestReceived) for one in server.seen) == 1
    after = proxy.ask("GET", "/metrics").text.split(refused)[-1].split()[0]
    assert float(after) == float(before) + 1


@pytest.mark.parametrize("where", ["headers", "trailers"])
def test_an_answer_that_http2_forbids_ends_its_own_call_alone(where: str, proxy: Proxy, listener: Listener) -> None:
    with client(proxy.routes["listener"]) as caller:
        for stream in (1, 3):
            caller.http2.send_headers(stream, request_headers(), end_stream=True)
        caller.send()
        server = listener.accept()
        server.until(events.StreamEnded, 3)
        if where == "headers":
            server.http2.send_headers(1, [*ANSWER_HEADERS, (b"X-Upper", b"1")])
        else:
            server.http2.send_headers(1, ANSWER_HEADERS)
            server.http2.send_headers(1, [(b"grpc-status", b"0\n")], end_stream=True)
        reply(server, 3)
        assert caller.until(events.TrailersReceived, 3).headers == TRAILERS
        assert caller.until(events.StreamReset, 1).error_code == PROTOCOL_ERROR


def test_a_status_of_other_digits_than_ours_ends_no_connection(proxy: Proxy, listener: Listener) -> None:
    superscript = "²".encode("latin-1")
    with client(proxy.routes["listener"]) as caller:
        for stream in (1, 3, 5):
            caller.http2.send_headers(stream, request_headers(), end_stream=True)
        caller.send()
        server = listener.accept()
        server.until(events.StreamEnded, 5)
        server.http2.send_headers(1, [(b":status", b"200"), (b"grpc-status", superscript)], end_stream=True)
        server.http2.send_headers(3, [(b":status", superscript)])
        server.http2.send_data(3, b"", end_stream=True)
        reply(server, 5)
        assert caller.until(events.TrailersReceived, 5).headers == TRAILERS
        assert dict(caller.until(events.ResponseReceived, 1).headers or [])[b"grpc-status"] == superscript
        assert dict(caller.until(events.ResponseReceived, 3).headers or [])[b":status"] == superscript


# --- disarming, and the end -------------------------------------------------------------------------------------------


def test_a_delayed_stream_is_let_go_by_the_disarming_with_every_message_in_its_order(
    model: Model, proxy: Proxy
) -> None:
    proxy.arm("slow", {"fault": "delay", "by": "30s"})
    asked = threading.Event()

    def questions() -> Iterator[bytes]:
        yield from (b"%d" % place for place in range(20))
        asked.set()

    with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}") as channel:
        call = channel.stream_stream(STREAM_INFER)
        answers = call(questions(), metadata=(("x-request-id", "s"),), timeout=DEADLINE_S)
        assert asked.wait(DEADLINE_S)
        eventually(lambda: proxy.state("slow")["arms"]["treatment"]["requests"] == 1)
        assert not model.asked
        assert proxy.ask("DELETE", "/runs/slow").status_code == 204
        assert list(answers) == [b"%d" % place for place in range(20)]


def test_a_proxy_that_ends_says_goodbye_finishes_its_calls_and_refuses_new_ones(
    listener: Listener, tmp_path: Path
) -> None:
    with running_proxy(tmp_path, model=listener.port) as proxy, client(proxy.routes["model"]) as caller:
        caller.http2.send_headers(1, request_headers(), end_stream=True)
        caller.send()
        server = listener.accept()
        server.until(events.StreamEnded)
        caller.until(events.SettingsAcknowledged)
        proxy.process.send_signal(signal.SIGTERM)
        # The state machine of this test's client knows no life after a GOAWAY: its bytes are read here.
        data, goodbye = b"", bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
        while goodbye not in data:
            data += caller.socket.recv(65536)
        caller.http2.send_headers(3, request_headers(), end_stream=True)
        caller.send()
        while STREAM_3_IS_REFUSED not in data:
            data += caller.socket.recv(65536)
        reply(server, 1)
        while received := caller.socket.recv(65536):
            data += received
        assert framed(b"answer") in data


def test_an_idle_connection_ends_with_a_goodbye_while_another_finishes(listener: Listener, tmp_path: Path) -> None:
    with (
        running_proxy(tmp_path, model=listener.port) as proxy,
        client(proxy.routes["model"]) as idle,
        client(proxy.routes["model"]) as caller,
    ):
        idle.until(events.SettingsAcknowledged)
        caller.http2.send_headers(1, request_headers(), end_stream=True)
        caller.send()
        server = listener.accept()
        server.until(events.StreamEnded)
        proxy.process.send_signal(signal.SIGTERM)
        idle.until_over()
        assert idle.until(events.ConnectionTerminated).error_code == 0
        reply(server, 1)
        data = b""
        while received := caller.socket.recv(65536):
            data += received
        assert framed(b"answer") in data
