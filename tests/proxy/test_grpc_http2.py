"""HTTP/2 through the proxy: what either side says reaches the other as it was said, and what ends ends on both sides."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from select import select
from typing import Any

import pytest
from h2 import events
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from chaos.proxy.grpc.frames import PREFACE, GoAway
from chaos.proxy.grpc.link import CONNECTION_WINDOW, STREAM_WINDOW
from tests.proxy.grpc_loopback import (
    ANSWER_HEADERS,
    DEADLINE_S,
    INFER,
    TRAILERS,
    Listener,
    Peer,
    client,
    eventually,
    field,
    framed,
    prediction,
    request_headers,
)
from tests.proxy.loopback import Proxy, running_proxy, talk, unused_port

REQUEST = [
    *request_headers((b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"3"), (b"x-raw-bin", b"AAECAw"), (b"x-empty", b"")),
    (b"grpc-timeout", b"9S"), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"user-agent", b"grpc-x/1 \xc3\xa9"),
]  # fmt: skip


WRONG = {"fault": "wrong_predictions", "share": "100%"}


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def h2_proxy(listener: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("h2"), model=listener.port, dead=unused_port()) as made:
        yield made


@pytest.fixture
def idle(h2_proxy: Proxy, listener: Listener) -> Iterator[tuple[Proxy, Listener]]:
    assert h2_proxy.ask("DELETE", "/runs").status_code == 204
    return h2_proxy, listener  # type: ignore[return-value]


def ask(peer: Peer, stream: int, body: bytes = framed(b"question"), headers: Any = REQUEST) -> None:
    peer.http2.send_headers(stream, headers)
    peer.http2.send_data(stream, body, end_stream=True)
    peer.send()


def reply(peer: Peer, stream: int, body: bytes = framed(b"answer")) -> None:
    peer.http2.send_headers(stream, ANSWER_HEADERS)
    peer.http2.send_data(stream, body)
    peer.http2.send_headers(stream, TRAILERS, end_stream=True)
    peer.send()


def test_headers_messages_and_trailers_pass_as_they_were_said_and_in_their_order(
    idle: tuple[Proxy, Listener],
) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        caller.http2.send_headers(1, [*REQUEST, NeverIndexedHeaderTuple(b"authorization", b"secret")])
        caller.http2.send_data(1, framed(b"one"))
        caller.http2.send_data(1, framed(b"two"))
        caller.http2.send_headers(1, [(b"x-request-trailer", b"t")], end_stream=True)
        caller.send()
        server = listener.accept()
        asked = server.until(events.RequestReceived)
        assert asked.headers == [*REQUEST, (b"authorization", b"secret")]
        assert isinstance((asked.headers or [])[-1], NeverIndexedHeaderTuple)
        assert isinstance((asked.headers or [])[0], HeaderTuple)
        assert server.until(events.TrailersReceived).headers == [(b"x-request-trailer", b"t")]
        assert server.data(1) == framed(b"one") + framed(b"two")
        server.http2.send_headers(1, [(b":status", b"103"), (b"link", b"</x>")])
        server.http2.send_headers(1, ANSWER_HEADERS)
        server.http2.send_data(1, framed(b"x") + b"\0\0")
        server.http2.send_data(1, b"\0\0\3abc")
        server.http2.send_headers(1, TRAILERS, end_stream=True)
        server.send()
        trailers = caller.until(events.TrailersReceived)
        assert trailers.headers == TRAILERS
        assert trailers.stream_ended is not None
        assert caller.until(events.InformationalResponseReceived).headers == [(b":status", b"103"), (b"link", b"</x>")]
        assert caller.until(events.ResponseReceived).headers == ANSWER_HEADERS
        assert caller.data(1) == framed(b"x") + framed(b"abc")
    server.until_over()


def test_an_answer_of_headers_alone_stays_one(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept()
        server.until(events.StreamEnded)
        said = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"5")]
        server.http2.send_headers(1, said, end_stream=True)
        server.send()
        answer = caller.until(events.ResponseReceived)
        assert (answer.headers, answer.stream_ended is not None) == (said, True)


@pytest.mark.parametrize("piece", [1, 7, 20])
def test_a_connection_is_told_to_be_http2_however_its_first_bytes_are_cut(
    idle: tuple[Proxy, Listener], piece: int
) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"], cut=piece) as caller:
        ask(caller, 1)
        server = listener.accept(cut=piece)
        server.until(events.StreamEnded)
        reply(server, 1)
        assert caller.until(events.TrailersReceived).headers == TRAILERS


def test_http1_and_http2_share_a_route(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept()
        server.until(events.StreamEnded)
        request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
        with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as plain:
            plain.sendall(request)
            connection, _ = listener.socket.accept()
            with connection:
                assert connection.recv(65536) == request
        reply(server, 1)
        assert caller.until(events.TrailersReceived).headers == TRAILERS


def test_after_a_request_in_http1_the_preface_is_refused(idle: tuple[Proxy, Listener]) -> None:
    proxy, _ = idle
    said = talk(proxy.routes["dead"], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + PREFACE)
    assert said.startswith(b"HTTP/1.1 502 ")
    assert b"HTTP/1.1 400 Bad Request" in said


def test_a_reset_reaches_the_other_side_with_its_code(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        caller.http2.send_headers(3, REQUEST)
        caller.send()
        server = listener.accept()
        server.until(events.RequestReceived, 3)
        caller.http2.reset_stream(3, 8)
        caller.send()
        assert server.until(events.StreamReset, 3).error_code == 8
        server.http2.reset_stream(1, 11)
        server.send()
        assert caller.until(events.StreamReset, 1).error_code == 11
        ask(caller, 5)
        server.until(events.StreamEnded, 5)
        reply(server, 5)
        caller.until(events.TrailersReceived, 5)


def test_an_answer_before_the_request_is_whole_arrives_and_so_does_the_reset_behind_it(
    idle: tuple[Proxy, Listener],
) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        caller.http2.send_headers(1, REQUEST)
        caller.send()
        server = listener.accept()
        server.until(events.RequestReceived)
        reply(server, 1)
        server.http2.reset_stream(1, 0)
        server.send()
        assert caller.until(events.StreamReset).error_code == 0
        kinds = [type(event) for event in caller.seen if getattr(event, "stream_id", None) == 1]
        assert kinds.index(events.TrailersReceived) < kinds.index(events.StreamReset)


def test_a_goaway_is_passed_on_and_what_was_begun_is_still_answered(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept()
        server.until(events.StreamEnded, 1)
        ask(caller, 3)
        server.until(events.StreamEnded, 3)
        server.socket.sendall(GoAway(1, 0, b"max_age").frame())
        # The state machine of this test's client knows no life after a GOAWAY: its bytes are read here.
        data = b""
        while b"max_age" not in data:
            data += caller.socket.recv(65536)
        place = data.index(b"max_age") - 8
        assert int.from_bytes(data[place : place + 4], "big") == 3
        assert int.from_bytes(data[place + 4 : place + 8], "big") == 0
        assert bytes([0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 7]) in data  # stream 3 is refused: it may be sent again
        reply(server, 1)
        while framed(b"answer") not in data:
            data += caller.socket.recv(65536)
        server.socket.close()
        while caller.socket.recv(65536):
            pass


def test_pings_are_answered_by_the_next_hop(idle: tuple[Proxy, Listener]) -> None:
    proxy, _ = idle
    with client(proxy.routes["model"]) as caller:
        caller.http2.ping(b"12345678")
        caller.send()
        assert caller.until(events.PingAckReceived).ping_data == b"12345678"


def test_a_client_that_does_not_read_slows_its_upstream_and_gets_every_byte_in_the_end(
    idle: tuple[Proxy, Listener],
) -> None:
    proxy, listener = idle
    body = bytes(range(256)) * 40_000
    with client(proxy.routes["model"]) as caller:
        caller.acknowledging = False
        ask(caller, 1)
        server = listener.accept()
        server.until(events.StreamEnded)
        server.http2.send_headers(1, ANSWER_HEADERS)
        server.send()
        server.until(events.SettingsAcknowledged)
        sent = server.push(1, body)
        while len(caller.data(1)) < 65535:
            caller.read()
        server.http2.ping(b"are you?")
        server.send()
        server.until(events.PingAckReceived)
        sent += server.push(1, body[sent:])
        assert sent <= STREAM_WINDOW + 65535 + 16384
        caller.acknowledging = True
        caller.http2.acknowledge_received_data(65535, 1)
        caller.send()
        got = len(caller.data(1))
        while got < len(body):
            for ready in select([server.socket, caller.socket], [], [], DEADLINE_S)[0]:
                (server if ready is server.socket else caller).read()
            sent += server.push(1, body[sent : sent + STREAM_WINDOW])
            got = sum(len(one.data or b"") for one in caller.seen if isinstance(one, events.DataReceived))
        assert caller.data(1) == body


def test_an_upstream_that_does_not_read_slows_its_client(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        caller.http2.send_headers(1, REQUEST)
        caller.send()
        server = listener.accept()
        server.acknowledging = False
        server.until(events.RequestReceived)
        caller.until(events.WindowUpdated)
        sent = caller.push(1, b"x" * 2 * CONNECTION_WINDOW)
        while len(server.data(1)) < 65535:
            server.read()
        caller.http2.ping(b"and you?")
        caller.send()
        caller.until(events.PingAckReceived)
        sent += caller.push(1, b"x" * 2 * CONNECTION_WINDOW)
        assert 65535 < sent <= STREAM_WINDOW + 65535 + 16384
        # Other calls go on: the windows of streams are their own.
        ask(caller, 3, b"")
        server.until(events.RequestReceived, 3)


def test_frames_are_no_larger_than_each_side_takes(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    body = b"y" * 300_000
    with client(proxy.routes["model"], initial_window_size=400_000) as caller:
        caller.http2.increment_flow_control_window(400_000)
        ask(caller, 1, b"")
        server = listener.accept(max_frame_size=1_000_000, initial_window_size=400_000)
        server.until(events.StreamEnded)
        server.http2.send_headers(1, ANSWER_HEADERS)
        assert server.push(1, body, end=True) == len(body)
        caller.until(events.StreamEnded)
        pieces = [len(one.data or b"") for one in caller.seen if isinstance(one, events.DataReceived)]
        assert max(pieces) <= 16384
        assert caller.data(1) == body


def test_calls_beyond_the_upstreams_limit_wait_for_their_turn(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept(max_concurrent_streams=1)
        server.until(events.SettingsAcknowledged)
        server.until(events.StreamEnded, 1)
        ask(caller, 3)
        ask(caller, 5)
        caller.http2.ping(b"in order")
        caller.send()
        caller.until(events.PingAckReceived)  # so the proxy has read both
        server.http2.ping(b"in order")
        server.send()
        server.until(events.PingAckReceived)
        assert sum(isinstance(one, events.RequestReceived) for one in server.seen) == 1
        reply(server, 1)
        server.until(events.StreamEnded, 3)
        reply(server, 3)
        server.until(events.StreamEnded, 5)
        reply(server, 5)
        assert caller.until(events.TrailersReceived, 5).headers == TRAILERS


def test_a_lost_upstream_ends_the_connection_but_not_what_was_answered(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        ask(caller, 3)
        server = listener.accept()
        server.until(events.StreamEnded, 3)
        reply(server, 1)
        server.socket.close()
        caller.until_over()
        assert caller.until(events.TrailersReceived, 1).headers == TRAILERS
        assert not any(getattr(one, "stream_id", None) == 3 for one in caller.seen if isinstance(one, events.ResponseReceived))  # fmt: skip


def test_an_upstream_that_nobody_reaches_is_unavailable_and_the_connection_lives(
    idle: tuple[Proxy, Listener],
) -> None:
    proxy, _ = idle
    with client(proxy.routes["dead"]) as caller:
        for stream in (1, 3):
            ask(caller, stream)
            answer = caller.until(events.ResponseReceived, stream)
            told = dict(answer.headers or [])
            assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"14")
            assert told[b"x-chaos-proxy"] == b"upstream-unreachable"
            assert answer.stream_ended is not None
        caller.http2.send_headers(5, [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")], end_stream=True)  # fmt: skip
        caller.send()
        assert dict(caller.until(events.ResponseReceived, 5).headers or [])[b":status"] == b"502"


def test_what_is_no_http2_ends_its_connection_and_nobody_elses(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    refused = "chaos_proxy_refused_messages_total "

    def count() -> float:
        text = proxy.ask("GET", "/metrics").text
        return float(text.split("\n" + refused)[1].split("\n")[0])

    before = count()
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept()
        server.until(events.StreamEnded)
        for bad in (PREFACE + b"GET / HTTP/1.1\r\n\r\n", PREFACE + b"\0\0\1\6\0\0\0\0\0x"):
            assert b"\0\0\x08\x07\0\0\0\0\0" in talk(proxy.routes["model"], bad)  # its GOAWAY
        talk(proxy.routes["model"], PREFACE[:-2] + b"xx")
        eventually(lambda: count() == before + 3)
        reply(server, 1)
        assert caller.until(events.TrailersReceived, 1).headers == TRAILERS


def test_when_the_client_leaves_its_upstream_connection_ends(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1)
        server = listener.accept()
        server.until(events.RequestReceived)
    server.until_over()


def test_calls_are_counted_by_what_their_status_means(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    proxy.arm("counts")
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1, headers=[*REQUEST, (b"x-request-id", b"a"), (b"x-attempt-number", b"1")])
        ask(caller, 3, headers=[*REQUEST, (b"x-request-id", b"a"), (b"x-attempt-number", b"2")])
        ask(caller, 5, headers=REQUEST)
        ask(caller, 7, headers=[*REQUEST, (b"x-request-id", b"b")])
        server = listener.accept()
        server.until(events.StreamEnded, 7)
        reply(server, 1)
        reply(server, 3)
        reply(server, 5)
        server.http2.send_headers(7, [(b":status", b"200"), (b"grpc-status", b"13")], end_stream=True)
        server.send()
        caller.until(events.StreamEnded, 7)
    counts = proxy.state("counts")["arms"]
    assert (counts["treatment"]["requests"], counts["treatment"]["first_attempts"]) == (3, 2)
    assert (counts["treatment"]["errors"], counts["outside"]["requests"]) == (1, 1)
    assert 'arm="treatment",code_class="5xx"} 1' in proxy.ask("GET", "/metrics").text
    assert INFER.encode() in dict(server.until(events.RequestReceived).headers or []).values()


def test_a_changed_size_is_changed_wherever_it_is_said(idle: tuple[Proxy, Listener]) -> None:
    def said(label: bytes) -> bytes:
        outputs = field(5, field(1, b"predict") + field(2, b"BYTES") + field(3, b"\1") + field(5, field(8, label)))
        return framed(field(1, b"model") + outputs)

    proxy, listener = idle
    proxy.arm("sizes", WRONG, output={"label": "predict", "classes": ["no", "y" * 200]})
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1, headers=[*REQUEST, (b"x-request-id", b"a")])
        server = listener.accept()
        server.until(events.StreamEnded)
        sized = [*ANSWER_HEADERS, (b"content-length", b"%d" % len(said(b"no"))), (b"x-last", b"1")]
        server.http2.send_headers(1, sized)
        for place in range(len(said(b"no"))):
            server.http2.send_data(1, said(b"no")[place : place + 1])
        server.http2.send_headers(1, TRAILERS, end_stream=True)
        server.send()
        assert caller.until(events.TrailersReceived).headers == TRAILERS
        assert caller.data(1) == said(b"y" * 200)
        length = (b"content-length", b"%d" % len(said(b"y" * 200)))
        assert caller.until(events.ResponseReceived).headers == [*ANSWER_HEADERS, length, (b"x-last", b"1")]


def test_an_answer_that_says_it_is_compressed_is_never_read(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    proxy.arm("flag", WRONG)
    message = prediction([1], [(0.25, 0.75)])
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1, headers=[*REQUEST, (b"x-request-id", b"a")])
        server = listener.accept()
        server.until(events.StreamEnded)
        reply(server, 1, framed(message, compressed=True))
        caller.until(events.TrailersReceived)
        assert caller.data(1) == framed(message, compressed=True)
    assert proxy.state("flag")["faults"]["0"]["undecodable"] == 1


def test_an_answer_that_breaks_off_breaks_off_where_it_did(idle: tuple[Proxy, Listener]) -> None:
    """Even one that was kept for a fault."""
    proxy, listener = idle
    proxy.arm("broken", WRONG)
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1, headers=[*REQUEST, (b"x-request-id", b"a")])
        server = listener.accept()
        server.until(events.StreamEnded)
        server.http2.send_headers(1, ANSWER_HEADERS)
        server.http2.send_data(1, b"\0\0\0\1\0half")
        server.send()
        server.http2.reset_stream(1, 2)
        server.send()
        assert caller.until(events.StreamReset).error_code == 2
        assert caller.until(events.ResponseReceived).headers == ANSWER_HEADERS
        assert caller.data(1) == b"\0\0\0\1\0half"
    state = proxy.state("broken")
    assert (state["arms"]["treatment"]["errors"], state["faults"]["0"]["changed_rows"]) == (1, 0)


def test_a_lapsed_fault_changes_no_answer_that_was_under_way(idle: tuple[Proxy, Listener]) -> None:
    proxy, listener = idle
    proxy.arm("lapsed", WRONG)
    message = framed(prediction([1], [(0.25, 0.75)]))
    with client(proxy.routes["model"]) as caller:
        ask(caller, 1, headers=[*REQUEST, (b"x-request-id", b"a")])
        server = listener.accept()
        server.until(events.StreamEnded)
        assert proxy.ask("DELETE", "/runs/lapsed").status_code == 204
        reply(server, 1, message)
        caller.until(events.TrailersReceived)
        assert caller.data(1) == message
