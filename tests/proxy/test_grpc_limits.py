"""What one call may cost the others of its connection, and what a connection may cost the proxy, over HTTP/2."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from h2 import events

from chaos.proxy.counters import Counters
from chaos.proxy.grpc.answers import MOST_KEPT
from chaos.proxy.grpc.frames import LARGEST_FRAME, PREFACE, GoAway
from chaos.proxy.grpc.link import CONNECTION_WINDOW, Item, Link, enqueue
from chaos.proxy.plane import factory
from chaos.proxy.registry import Registry
from chaos.proxy.route import Route
from tests.proxy.grpc_loopback import (
    ANSWER_HEADERS,
    DEADLINE_S,
    TRAILERS,
    Listener,
    Peer,
    client,
    eventually,
    framed,
    prediction,
    request_headers,
)
from tests.proxy.loopback import Proxy, running_proxy

WRONG = {"fault": "wrong_predictions", "share": "100%"}
SUBJECT = (b"x-request-id", b"a")
LARGE = framed(prediction([1], [(0.25, 0.75)], b"x" * 7_900_000))
EDITED = framed(prediction([0], [(0.75, 0.25)], b"x" * 7_900_000))
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def _proxy(listener: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("limits"), model=listener.port) as made:
        yield made


@pytest.fixture
def proxy(_proxy: Proxy) -> Proxy:
    assert _proxy.ask("DELETE", "/runs").status_code == 204
    return _proxy


def ask(peer: Peer, stream: int, body: bytes = framed(b"question"), *more: tuple[bytes, bytes]) -> None:
    """One call, as far as the windows allow; whole, where they allow all."""
    peer.http2.send_headers(stream, request_headers(*more), end_stream=not body)
    peer.push(stream, body, end=True)
    peer.send()


def reply(peer: Peer, stream: int, body: bytes = framed(b"answer")) -> None:
    peer.http2.send_headers(stream, ANSWER_HEADERS)
    peer.send()
    sent = peer.push(stream, body)
    while sent < len(body):
        peer.read()
        sent += peer.push(stream, body[sent:])
    peer.http2.send_headers(stream, TRAILERS, end_stream=True)
    peer.send()


def settled(peer: Peer) -> None:
    """The proxy has read everything that this peer has sent, and its answers to that are here."""
    before = sum(isinstance(one, events.PingAckReceived) for one in peer.seen)
    peer.http2.ping(b"settled?")
    peer.send()
    peer.until(events.PingAckReceived, nth=before)


# --- calls beside each other ------------------------------------------------------------------------------------------


def test_large_requests_that_a_fault_delays_hold_nobody_else_up(proxy: Proxy, listener: Listener) -> None:
    arms = {"traffic": 1.0, "by": "header:x-request-id", "where": 'header:x-group == "slow"'}
    proxy.arm("slow", {"fault": "delay", "by": "30s"}, arms=arms)
    with client(proxy.routes["model"]) as caller:
        caller.until(events.SettingsAcknowledged)
        for stream in range(1, 25, 2):
            ask(caller, stream, b"q" * MIB, SUBJECT, (b"x-group", b"slow"))
        eventually(lambda: proxy.state("slow")["arms"]["treatment"]["requests"] == 12)
        ask(caller, 25, framed(b"question"), SUBJECT)
        server = listener.accept()
        server.until(events.StreamEnded)
        reply(server, 1)
        assert caller.until(events.TrailersReceived, 25).headers == TRAILERS
        assert sum(isinstance(one, events.RequestReceived) for one in server.seen) == 1
        assert proxy.ask("DELETE", "/runs/slow").status_code == 204
        server.until(events.StreamEnded, 25)  # the last of the others
        assert server.data(25) == b"q" * MIB


def test_answers_that_nobody_reads_hold_no_other_call_up(proxy: Proxy, listener: Listener) -> None:
    with client(proxy.routes["model"]) as caller:
        caller.http2.increment_flow_control_window(MIB)  # of the connection: its streams have 65535 bytes each
        caller.acknowledging = False
        for stream in range(1, 15, 2):
            ask(caller, stream)
        server = listener.accept()
        server.until(events.StreamEnded, 13)
        server.until(events.SettingsAcknowledged)
        for stream in range(1, 13, 2):
            server.http2.send_headers(stream, ANSWER_HEADERS)
            assert server.push(stream, b"a" * MIB) == MIB
        reply(server, 13)
        assert caller.until(events.TrailersReceived, 13).headers == TRAILERS
        assert [len(caller.data(stream)) for stream in range(1, 13, 2)] == [65535] * 6


@pytest.mark.parametrize("how", ["reset", "goaway"])
def test_uploads_that_the_upstream_does_not_take_leave_the_client_its_window(
    how: str, proxy: Proxy, listener: Listener
) -> None:
    most = CONNECTION_WINDOW // MIB
    with client(proxy.routes["model"]) as caller:
        caller.until(events.SettingsAcknowledged)
        ask(caller, 1, b"")
        server = listener.accept(initial_window_size=10)
        server.acknowledging = False
        server.until(events.StreamEnded, 1)
        server.until(events.SettingsAcknowledged)
        for stream in range(3, 3 + 2 * most, 2):
            caller.http2.send_headers(stream, request_headers())
            assert caller.push(stream, b"q" * MIB) == MIB
        server.until(events.RequestReceived, 1 + 2 * most)
        assert caller.http2.outbound_flow_control_window < MIB
        if how == "reset":
            for stream in range(3, 3 + 2 * most, 2):
                server.http2.reset_stream(stream, 8)
            server.send()
            caller.until(events.StreamReset, 1 + 2 * most)
            assert caller.http2.outbound_flow_control_window >= CONNECTION_WINDOW // 2
        else:
            server.socket.sendall(GoAway(1, 0, b"over").frame())
            # The state machine of this test's client knows no life after a GOAWAY: its bytes are read here.
            data = b""
            while b"over" not in data or bytes([0, 0, 4, 8, 0, 0, 0, 0, 0]) not in data:  # a window of the connection
                data += caller.socket.recv(65536)


# --- what a connection may cost ---------------------------------------------------------------------------------------


def test_edited_answers_that_nobody_reads_are_kept_within_bounds(proxy: Proxy, listener: Listener) -> None:
    proxy.arm("kept", WRONG)
    streams = range(1, 33, 2)
    with client(proxy.routes["model"]) as caller:
        for stream in streams:
            ask(caller, stream, framed(b"question"), SUBJECT)
        server = listener.accept()
        server.until(events.StreamEnded, streams[-1])
        taken = 0
        for stream in streams:
            server.http2.send_headers(stream, ANSWER_HEADERS)
            left, sent = LARGE, 1
            while left and sent:
                settled(server)
                sent = server.push(stream, left, end=True)
                left, taken = left[sent:], taken + sent
        assert MOST_KEPT // 2 < taken < MOST_KEPT + CONNECTION_WINDOW + 10 * MIB
        fault = proxy.state("kept")["faults"]["0"]
        assert (fault["changed_rows"], fault["undecodable"]) == (4, len(streams) - 4)


def test_a_large_edited_answer_may_wait_for_a_slow_reader_while_other_calls_go_on(
    proxy: Proxy, listener: Listener
) -> None:
    """Neither the windows nor the answers to everything else may be mistaken for a flood."""
    proxy.arm("slowly", WRONG)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", proxy.routes["model"]))
        caller = Peer(connection, client=True, initial_window_size=64 * MIB)
        caller.http2.increment_flow_control_window(64 * MIB)
        ask(caller, 1, framed(b"question"), SUBJECT)
        server = listener.accept()
        server.until(events.StreamEnded, 1)
        reply(server, 1, LARGE)
        eventually(lambda: proxy.state("slowly")["faults"]["0"]["changed_rows"] == 1)
        for stream in range(3, 23, 2):
            ask(caller, stream)
            server.until(events.StreamEnded, stream)
            reply(server, stream)
            settled(server)
        caller.until(events.TrailersReceived, 21)
        caller.until(events.TrailersReceived, 1)
        assert caller.data(1) == EDITED


class Slow(asyncio.Transport):
    """A connection in memory that says it has enough after 64 KiB."""

    link: Link
    written = 0

    def write(self, data: Any) -> None:
        self.written += len(data)
        if self.written > 65536:
            self.link.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.written

    def is_closing(self) -> bool:
        return False


class Nobody:
    """Does nothing about what happens on a link."""

    def happened(self, link: Link, event: object) -> None:
        """Not even this."""

    def settled(self) -> None:
        """Nor this."""

    lost = closed = happened  # type: ignore[assignment]


def test_no_more_is_written_at_once_than_the_connection_takes_however_wide_the_windows() -> None:
    transport, link = Slow(), Link(Nobody(), client_side=True)  # type: ignore[arg-type]
    transport.link = link
    link.connection_made(transport)
    wide = (64 * MIB).to_bytes(4, "big")
    link.data_received(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4]) + wide)  # of each stream
    link.data_received(bytes([0, 0, 4, 8, 0, 0, 0, 0, 0]) + wide)  # of the connection
    link.send(1, Item(headers=request_headers()))
    link.send(1, Item(data=bytes(8 * MIB)))
    link.flush()
    assert 65536 < transport.written < MIB


def test_no_more_headers_are_remembered_for_the_other_end_than_it_takes_to_compress_them() -> None:
    transport, link = Slow(), Link(Nobody(), client_side=True)  # type: ignore[arg-type]
    transport.link = link
    link.connection_made(transport)
    link.data_received(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]))
    for number in range(2000):
        link.send(2 * number + 1, Item(headers=request_headers((b"x-request-id", b"%d" % number * 20)), end=True))
    assert sum(32 + len(name) + len(value) for name, value in link.http2.encoder.header_table.dynamic_entries) <= 65536


def test_a_client_that_asks_and_never_reads_is_cut_off_before_it_floods_the_proxy(proxy: Proxy) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", proxy.routes["model"]))
        connection.settimeout(6 * DEADLINE_S)  # the proxy reads some megabytes of pings, which takes seconds of a core
        connection.sendall(PREFACE + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        ping = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b"floods!!"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(ping * 1_000_000)  # 17 MB: sockets on both sides take some of it


def test_small_pieces_that_wait_are_joined_up_to_a_frame_and_acknowledged_whole() -> None:
    heard: list[int] = []
    sent, others = heard.append, heard.extend
    queue: deque[Item] = deque([Item(headers=[(b"a", b"b")])])
    for _ in range(LARGEST_FRAME + 10):
        enqueue(queue, Item(data=b"x", sent=sent, owed=2))
    enqueue(queue, Item(data=b"y", end=True, sent=sent, owed=3))
    enqueue(queue, Item(data=b"of somebody else", sent=others))  # type: ignore[arg-type]
    assert [len(item.data) for item in queue] == [0, LARGEST_FRAME, 11, 16]
    assert [item.end for item in queue] == [False, False, True, False]
    for item in list(queue)[:3]:
        item.done()
    assert heard == [2 * LARGEST_FRAME, 23]


def test_data_that_is_empty_and_ends_nothing_is_not_passed_on(proxy: Proxy, listener: Listener) -> None:
    """No window limits it."""
    with client(proxy.routes["model"]) as caller:
        caller.http2.send_headers(1, request_headers())
        caller.send()
        server = listener.accept()
        server.until(events.RequestReceived)
        for _ in range(5):
            caller.http2.send_data(1, b"")
        caller.http2.send_data(1, b"", pad_length=9)
        caller.http2.send_data(1, framed(b"question"), end_stream=True)
        caller.send()
        server.until(events.StreamEnded)
        server.http2.send_headers(1, ANSWER_HEADERS)
        for _ in range(5):
            server.http2.send_data(1, b"")
        server.http2.send_data(1, framed(b"answer"))
        server.http2.send_data(1, b"", end_stream=True)
        server.send()
        caller.until(events.StreamEnded)
        got = [[one.data for one in peer.seen if isinstance(one, events.DataReceived)] for peer in (server, caller)]
        assert got == [[framed(b"question")], [framed(b"answer"), b""]]


def test_a_client_that_is_refused_with_its_first_bytes_is_forgotten() -> None:
    async def scenario() -> None:
        route = Route("model", "127.0.0.1", 9, Registry(lambda: 0.0), Counters())
        server = await asyncio.get_running_loop().create_server(factory(route), "127.0.0.1", 0)
        async with server:
            reading, writing = await asyncio.open_connection(*server.sockets[0].getsockname())
            writing.write(PREFACE + b"GET / HTTP/1.1\r\n\r\n")
            await reading.read()
            writing.close()
            async with asyncio.timeout(DEADLINE_S):
                while route.clients:  # noqa: ASYNC110  (nobody tells of it)
                    await asyncio.sleep(0)
        assert route.counters.refused == 1

    asyncio.run(scenario())
