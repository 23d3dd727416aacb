"""The data plane without sockets: any cut of both directions into reads gives the same bytes on both sides."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.answering import LARGEST_EDITED
from chaos.proxy.arming import parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.plane import Client
from chaos.proxy.registry import Registry
from chaos.proxy.route import IDLE_S, Route, Upstream
from tests.fuzzing import examples
from tests.proxy.loopback import arming
from tests.proxy.test_wire import chunked, cut


class Pipe(asyncio.Transport):
    """One end of a connection in memory: what was written, and whether it is read and open."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = self.ended = self.aborted = False
        self.reading = True
        self.unsent = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Bench:
    """A client and a pooled upstream connection around the real plane."""

    def __init__(self, monotonic: Any = None) -> None:
        self.registry = Registry(monotonic or asyncio.get_running_loop().time)
        self.counters = Counters()
        self.route = Route("model", "127.0.0.1", 9, self.registry, self.counters)
        self.client, self.client_pipe = Client(self.route), Pipe()
        self.client.connection_made(self.client_pipe)
        self.upstream, self.upstream_pipe = Upstream(self.route), Pipe()
        self.upstream.connection_made(self.upstream_pipe)
        self.route.give_back(self.upstream)

    async def settle(self) -> None:
        """Everything that was put off has run."""
        for _ in range(3):
            await asyncio.sleep(0)


REQUEST = st.one_of(
    st.just(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"),
    st.binary(max_size=60).map(lambda body: b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)),
    chunked().map(lambda made: b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + made[0]),
)
ANSWER = st.one_of(
    st.just(b"HTTP/1.1 204 No Content\r\n\r\n"),
    st.just(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    st.binary(max_size=60).map(lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)),
    chunked().map(lambda made: b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n" + made[0]),
)
CUTS = st.lists(st.integers(0, 2000), max_size=15)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.tuples(REQUEST, ANSWER), min_size=1, max_size=5), CUTS, CUTS, st.booleans())
def test_any_cut_into_reads_gives_the_same_bytes_on_both_sides(
    pairs: list[tuple[bytes, bytes]], asked: list[int], told: list[int], armed: bool
) -> None:
    async def converse() -> tuple[bytes, bytes]:
        bench = Bench()
        if armed:  # nobody here has a subject: armed or not, nothing may change
            where = 'json:$.region == "north"'
            bench.registry.arm(
                "run",
                parse_arming(arming({"fault": "http_error"}, arms={"traffic": 1.0, "by": "request", "where": where})),
            )
        answered = 0

        async def serve() -> None:
            nonlocal answered
            whole = 0
            for request, answer in pairs:
                whole += len(request)
                if len(bench.upstream_pipe.written) >= whole and answered < whole:
                    answered = whole
                    for piece in cut(answer, told):
                        bench.upstream.data_received(piece)
                    await bench.settle()

        for piece in cut(b"".join(request for request, _ in pairs), asked):
            bench.client.data_received(piece)
            await bench.settle()
            await serve()
        for _ in pairs:
            await serve()
        assert not bench.client_pipe.closed
        assert bench.client.exchange is None
        return bytes(bench.upstream_pipe.written), bytes(bench.client_pipe.written)

    upstream, client = asyncio.run(converse())
    assert upstream == b"".join(request for request, _ in pairs)
    assert client == b"".join(answer for _, answer in pairs)


GET = b"GET /a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(scenario: Any) -> None:
    asyncio.run(scenario())


def test_a_client_that_reads_slowly_slows_every_upstream_answer_that_it_asked_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET * 2)
        bench.client.pause_writing()
        assert not bench.upstream_pipe.reading
        bench.upstream.data_received(OK)
        await bench.settle()
        assert bytes(bench.upstream_pipe.written) == GET * 2
        assert not bench.upstream_pipe.reading  # the second answer waits too
        bench.client.resume_writing()
        assert bench.upstream_pipe.reading

    run(scenario)


def test_an_upstream_that_reads_slowly_slows_its_client_and_only_for_that_request() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")
        bench.upstream.pause_writing()
        assert not bench.client_pipe.reading
        bench.upstream.data_received(OK)  # an answer to a request that it has not read
        await bench.settle()
        assert bench.client_pipe.reading

    run(scenario)


def test_pipelined_requests_wait_in_a_bounded_buffer() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET + GET * 20_000)
        assert bytes(bench.upstream_pipe.written) == GET
        assert not bench.client_pipe.reading
        bench.upstream.data_received(OK)
        await bench.settle()
        assert bytes(bench.upstream_pipe.written) == GET * 2

    run(scenario)


def test_bytes_that_nobody_asked_for_end_the_upstream_connection() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.upstream.data_received(OK + b"HTTP/1.1 200 OK\r\n")
        assert bytes(bench.client_pipe.written) == OK
        assert bench.upstream_pipe.closed
        assert not bench.route.idle
        left = Bench()  # its upstream connection is nobody's
        left.upstream.data_received(OK)
        assert left.upstream_pipe.closed
        assert left.route.pooled() is None

    run(scenario)


def ended(pipe: Pipe) -> str:
    """How a connection ended."""
    return ("open", "closed")[pipe.closed] if not pipe.aborted else "reset"


@pytest.mark.parametrize(("error", "end"), [(None, "closed"), (ConnectionResetError(), "reset")])
@pytest.mark.parametrize("asked", [False, True])
def test_what_happens_to_the_upstream_connection_happens_to_its_clients(
    error: Exception | None, end: str, asked: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.upstream.data_received(OK)
        if asked:
            bench.client.data_received(GET)
        bench.upstream.connection_lost(error)
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        assert ended(bench.client_pipe) == end
        assert bytes(bench.upstream_pipe.written) == GET * (1 + asked)  # nothing is asked twice

    run(scenario)


def test_a_last_word_before_the_end_reaches_the_client_and_is_no_answer_to_its_next_request() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.upstream.data_received(OK)
        late = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        bench.upstream.data_received(late)
        bench.client.data_received(GET)
        assert bytes(bench.client_pipe.written) == OK + late
        assert bench.client_pipe.closed

    run(scenario)


def test_an_upstream_that_ends_while_a_fault_answers_or_delays_costs_the_client_nothing() -> None:
    async def scenario() -> None:
        for fault in ({"fault": "http_error"}, {"fault": "delay", "by": "600s"}):
            bench = Bench()
            bench.client.data_received(GET)
            bench.upstream.data_received(OK)
            bench.registry.arm("run", parse_arming(arming(fault)))
            bench.client.data_received(b"GET /a HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
            bench.upstream.connection_lost(None)
            await bench.settle()
            assert ended(bench.client_pipe) == "open"
            bench.client.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize(("tls", "stream", "waits"), [(False, False, False), (True, False, True), (True, True, False)])
def test_a_connection_that_its_client_has_left_ends_with_it_or_over_tls_serves_the_next_one_for_a_moment(
    tls: bool, stream: bool, waits: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.route.tls = ssl.create_default_context() if tls else None
        bench.client.data_received(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n")
        kind = b"Content-Type: text/event-stream\r\n" if stream else b""
        bench.upstream.data_received(OK.replace(b"Content-Length", kind + b"Content-Length"))
        bench.client.connection_lost(None)
        assert bench.upstream_pipe.closed is not waits
        if waits:
            assert bench.route.pooled() is bench.upstream
            bench.route.give_back(bench.upstream)
            bench.upstream.left_s -= IDLE_S
            assert bench.route.pooled() is None
            assert bench.upstream_pipe.closed

    run(scenario)


def test_a_connection_with_an_answer_under_way_is_no_other_clients() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.client.connection_lost(None)
        assert bench.upstream_pipe.closed
        assert bench.route.pooled() is None

    run(scenario)


def test_a_body_that_waits_behind_its_predecessor_is_not_taken_for_an_endless_head() -> None:
    async def scenario() -> None:
        bench = Bench()
        body = b"\n\n" * 50_000
        post = b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
        bench.client.data_received(GET + post + body[:10])
        bench.upstream.data_received(OK)  # the next one is put off, and meanwhile more of it comes
        bench.client.data_received(body[10:])
        await bench.settle()
        assert bytes(bench.upstream_pipe.written) == GET + post + body

    run(scenario)


def test_a_half_closed_client_gets_its_answers_and_then_the_connection_ends() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET + GET + b"GET /unfinished")
        assert bench.client.eof_received()
        for _ in range(2):
            bench.upstream.data_received(OK)
            await bench.settle()
        assert bytes(bench.client_pipe.written) == OK * 2
        assert bench.client_pipe.closed

    run(scenario)


def test_after_an_upgrade_both_sides_talk_freely() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
        upgraded = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        bench.upstream.data_received(upgraded + b"hello")
        bench.client.data_received(b" second")
        assert bytes(bench.client_pipe.written) == upgraded + b"hello"
        assert bytes(bench.upstream_pipe.written).endswith(b"\r\n\r\nfirst second")
        bench.upstream.connection_lost(None)
        assert bench.client_pipe.closed

    run(scenario)


@pytest.mark.parametrize(
    ("framing", "mode"), [("sized", "live"), ("chunked", "live"), ("endless", "live"), ("sized", "shadow")]
)
def test_an_answer_too_large_to_edit_passes_untouched_is_counted_and_not_kept(framing: str, mode: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming({"fault": "wrong_predictions"}, mode=mode)))
        bench.client.data_received(b"POST /v2/models/m/infer HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
        lines = {"sized": b"Content-Length: 99999999\r\n", "chunked": b"Transfer-Encoding: chunked\r\n", "endless": b""}
        said = bytearray(b"HTTP/1.1 200 OK\r\n" + lines[framing] + b"\r\n")
        piece = b"z" * 0x100000
        said += (b"100000\r\n" + piece + b"\r\n" if framing == "chunked" else piece) * 10
        for place in range(0, len(said), 1 << 20):
            bench.upstream.data_received(bytes(said[place : place + (1 << 20)]))
        assert bytes(bench.client_pipe.written) == said
        exchange = bench.client.exchange
        assert exchange is not None
        kept = sum(map(len, getattr(exchange, "kept", ()))) + sum(
            map(len, getattr(exchange.answer_body, "payload", None) or [])
        )
        assert kept == 0
        assert bench.registry.runs["run"].faults[0].undecodable == 1
        assert len(said) > LARGEST_EDITED

    run(scenario)


class Broken:
    """A third party's protocol with a bug."""

    name = "broken"

    def detect(self, path: str, request_headers: object) -> bool:
        return True

    def rows(self, body: bytes, headers: object, output: object) -> list[Any]:
        raise ZeroDivisionError

    def encode(self, *given: object) -> tuple[bytes, dict[str, str]]:
        raise ZeroDivisionError

    def error(self, status: int, message: str) -> tuple[bytes, dict[str, str]]:
        return b"", {}


def test_a_bug_in_somebody_elses_protocol_hurts_no_traffic_and_is_counted() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming({"fault": "wrong_predictions"})))
        (armed,) = bench.registry.active
        bench.registry.active = (replace(armed, protocol=Broken()),)
        bench.client.data_received(b"POST /a HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
        bench.upstream.data_received(OK)
        assert bytes(bench.client_pipe.written) == OK
        assert not bench.client_pipe.closed
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_a_refused_connection_says_its_end_and_still_reads_so_that_the_refusal_is_not_lost() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(b"GET  /a HTTP/1.1\r\n\r\n")
        refusal = bytes(bench.client_pipe.written)
        assert refusal.startswith(b"HTTP/1.1 400 ")
        assert (bench.client_pipe.ended, bench.client_pipe.closed, bench.client_pipe.reading) == (True, False, True)
        bench.client.data_received(GET)
        assert bytes(bench.client_pipe.written) == refusal
        assert not bench.upstream_pipe.written
        assert not bench.client.eof_received()  # the connection is closed once the client has said everything

    run(scenario)


def test_one_continue_is_told_when_the_proxy_needed_the_body_first() -> None:
    async def scenario() -> None:
        bench = Bench()
        where = 'json:$.region == "north"'
        bench.registry.arm("run", parse_arming(arming(arms={"traffic": 1.0, "by": "request", "where": where})))
        head = b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        bench.client.data_received(head)
        assert bytes(bench.client_pipe.written) == b"HTTP/1.1 100 Continue\r\n\r\n"
        bench.client.data_received(b"ab")
        assert bytes(bench.upstream_pipe.written) == head + b"ab"
        bench.upstream.data_received(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        assert bytes(bench.client_pipe.written) == b"HTTP/1.1 100 Continue\r\n\r\n" + OK

    run(scenario)


def test_a_bad_chunk_while_the_answer_is_on_its_way_does_not_put_a_second_head_into_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        early = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"
        bench.upstream.data_received(early)
        bench.client.data_received(b"zz\r\n")
        assert bytes(bench.client_pipe.written) == early
        assert bench.client_pipe.closed
        assert bench.upstream_pipe.closed

    run(scenario)


def test_a_client_that_leaves_while_it_waits_is_forgotten() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming({"fault": "delay", "by": "600s"})))
        bench.client.data_received(b"GET /a HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
        assert len(bench.registry.waiting) == 1
        bench.client.connection_lost(None)
        assert not bench.registry.waiting
        assert not bench.route.clients
        assert not bench.upstream_pipe.written

    run(scenario)


@pytest.mark.parametrize("apart", [False, True])
def test_the_removal_of_a_run_with_a_slice_over_bodies_is_proven_by_bodies_with_their_heads_or_apart(
    apart: bool,
) -> None:
    async def scenario() -> None:
        bench = Bench()
        where = 'json:$.region == "north"'
        bench.registry.arm(
            "run", parse_arming(arming({"fault": "http_error"}, arms={"traffic": 1.0, "by": "request", "where": where}))
        )
        bench.registry.disarm("run")
        for region in ("north", "south", "north"):
            body = b'{"region":"%s"}' % region.encode()
            head = b"POST /a HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            for piece in (head, body[:5], body[5:]) if apart else (head + body,):
                bench.client.data_received(piece)
            bench.upstream.data_received(OK)
        assert bench.upstream_pipe.written.count(b"region") == 3
        arms = bench.registry.runs["run"].arms
        assert (arms["treatment"].untouched_since_disarm, arms["outside"].untouched_since_disarm) == (2, 1)
        bench.registry.arm("run", parse_arming(arming({"fault": "http_error"})))
        assert arms["treatment"].untouched_since_disarm == 0  # it has hurt since

    run(scenario)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_large_answers_are_all_edited_until_they_have_taken_half_of_the_time(coding: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.registry.arm("run", parse_arming(arming({"fault": "wrong_predictions"})))
        data = ",".join(["0.25"] * 20_000)
        body = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[3]},{"name":"predict_proba","shape":[1,20000],"datatype":"FP64","data":[%s]}]}' % data.encode()  # fmt: skip
        if coding == "gzip":
            body = gzip.compress(body)  # small as it comes, and it takes as long
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        answer = head % (coding.encode(), len(body)) + body
        post = b"POST /v2/models/m/infer HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"

        def answered() -> bytes:
            bench.client_pipe.written.clear()
            bench.client.data_received(post)
            bench.upstream.data_received(answer)
            return bytes(bench.client_pipe.written)

        assert answered() != answer
        assert bench.registry.half_taken_until_s > time.monotonic()
        assert answered() != answer  # right behind the first
        bench.registry.half_taken_until_s = time.monotonic() + 60
        assert answered() == answer
        assert bench.registry.runs["run"].faults[0].undecodable == 1
        bench.registry.half_taken_until_s = 0.0
        assert answered() != answer

    run(scenario)
