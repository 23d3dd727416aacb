"""The data plane without sockets, where a request, an answer and an end overlap: nothing is mixed up, lost, or kept without bound."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from chaos.faults.http_error import HttpError
from chaos.protocols import catalogue
from chaos.proxy.armed import ArmedFault, FaultCounts
from chaos.proxy.arming import parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.exchange import Exchange
from chaos.proxy.observe import Observer
from chaos.proxy.plane import BUFFERED
from chaos.proxy.route import Upstream
from chaos.rows import Row
from tests.proxy.loopback import arming
from tests.proxy.test_event_streams import Shouting
from tests.proxy.test_plane_memory import GET, OK, Bench, Broken, Pipe, ended, run

ASKED = b"GET /asked HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
INFER = b"POST /v2/models/m/infer HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 2\r\n\r\n{}"
NORTH = 'json:$.region == "north"'


def armed(bench: Bench, *faults: dict[str, Any], **more: Any) -> None:
    """The bench's proxy is armed with these."""
    bench.registry.arm("run", parse_arming(arming(*faults, **more)))


def another(bench: Bench) -> tuple[Upstream, Pipe]:
    """One more connection to the upstream, which waits for a client."""
    made, pipe = Upstream(bench.route), Pipe()
    made.connection_made(pipe)
    bench.route.give_back(made)
    return made, pipe


# --- what the upstream says while nobody has asked it -----------------------------------------------------------------


@pytest.mark.parametrize("late", [LATE, OK])
def test_what_the_upstream_says_while_a_request_waits_in_a_delay_is_no_answer_to_it(late: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.upstream.data_received(OK)
        armed(bench, {"fault": "delay", "by": "600s"})
        bench.client.data_received(ASKED)
        bench.upstream.data_received(late)
        assert bytes(bench.client_pipe.written) == OK
        assert ended(bench.upstream_pipe) == "closed"
        fresh, pipe = another(bench)
        bench.registry.disarm("run")
        assert bytes(pipe.written) == ASKED
        answer = OK.replace(b"ok", b"42")
        fresh.data_received(answer)
        assert bytes(bench.client_pipe.written) == OK + answer
        assert ended(bench.client_pipe) == "open"

    run(scenario)


def test_what_the_upstream_says_while_a_body_is_still_read_is_no_answer_to_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "http_error"}, arms={"traffic": 1.0, "by": "request", "where": NORTH})
        bench.client.data_received(GET)
        bench.upstream.data_received(OK)
        bench.client.data_received(POST % 2 + b"a")
        bench.upstream.data_received(LATE)
        _, pipe = another(bench)
        bench.client.data_received(b"b")
        assert bytes(bench.client_pipe.written) == OK
        assert bytes(pipe.written) == POST % 2 + b"ab"

    run(scenario)


def test_what_the_upstream_says_after_an_answer_of_the_proxys_own_does_not_reach_the_client() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        bench.upstream.data_received(OK)
        armed(bench, {"fault": "http_error"})
        bench.client.data_received(ASKED)
        said = bytes(bench.client_pipe.written)
        bench.upstream.data_received(LATE)
        assert bytes(bench.client_pipe.written) == said
        assert (ended(bench.client_pipe), ended(bench.upstream_pipe)) == ("open", "closed")

    run(scenario)


def test_an_upstream_that_has_said_everything_serves_no_other_client() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.upstream.eof_received()  # the loss of the connection is told a turn of the event loop later
        assert bench.route.pooled() is None

    run(scenario)


# --- half-closed clients ----------------------------------------------------------------------------------------------


def test_a_client_that_half_closes_between_two_of_its_answers_gets_the_second_too() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET + GET)
        bench.upstream.data_received(OK)
        assert bench.client.eof_received()  # the second request is there, and has not been begun yet
        await bench.settle()
        bench.upstream.data_received(OK)
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK * 2
        assert ended(bench.client_pipe) == "closed"

    run(scenario)


def test_a_client_that_half_closes_within_a_head_is_not_waited_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET[:-3])
        assert not bench.client.eof_received()

    run(scenario)


def test_a_pipelined_request_whose_body_will_never_be_whole_is_not_waited_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET + POST % 10 + b"half")
        assert bench.client.eof_received()
        bench.upstream.data_received(OK)
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        assert (ended(bench.client_pipe), ended(bench.upstream_pipe)) == ("closed", "closed")

    run(scenario)


def test_a_client_that_had_half_closed_before_its_upgrade_is_said_to_have() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        assert bench.client.eof_received()
        bench.upstream.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        assert bench.upstream_pipe.ended

    run(scenario)


# --- flow control -----------------------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_gets_no_more_answers_of_the_proxys_own_until_it_does() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "http_error"})
        bench.client.data_received(ASKED)
        first = bytes(bench.client_pipe.written)
        assert first.startswith(b"HTTP/1.1 503 ")
        bench.client.pause_writing()
        many = 2 * BUFFERED // len(ASKED)
        for _ in range(many):
            bench.client.data_received(ASKED)
            await bench.settle()
        assert bytes(bench.client_pipe.written) == first
        assert not bench.client_pipe.reading
        bench.client.resume_writing()
        for _ in range(many):
            await bench.settle()
        assert bytes(bench.client_pipe.written) == first * (many + 1)
        assert bench.client_pipe.reading

    run(scenario)


def test_a_body_for_an_upstream_that_has_not_read_the_last_one_waits_with_its_client() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(POST % 2 + b"ab")
        bench.upstream.pause_writing()
        bench.upstream.data_received(OK)
        await bench.settle()
        bench.client.data_received(POST % 1_000_000 + b"a")
        assert not bench.client_pipe.reading  # nothing tells again that its transport is full
        bench.upstream.resume_writing()
        assert bench.client_pipe.reading

    run(scenario)


def test_a_connection_on_which_a_request_still_waits_serves_no_other_client() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(POST % 2 + b"ab")
        bench.upstream.pause_writing()
        bench.upstream.data_received(OK)
        bench.client.connection_lost(None)
        assert bench.route.pooled() is None
        assert ended(bench.upstream_pipe) == "closed"

    run(scenario)


def test_a_client_that_has_sent_much_before_its_upgrade_is_read_again_after_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        early = b"z" * (BUFFERED + 1)
        bench.client.data_received(GET + early)
        assert not bench.client_pipe.reading
        bench.upstream.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        assert bytes(bench.upstream_pipe.written) == GET + early
        assert bench.client_pipe.reading

    run(scenario)


def test_a_body_that_comes_in_tiny_pieces_takes_about_its_own_size_while_it_waits() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "delay", "by": "600s"})
        size = BUFFERED // 4
        bench.client.data_received(b"POST /a HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: %d\r\n\r\n" % size)
        tracemalloc.start()
        try:
            for place in range(0, size, 2):
                bench.client.data_received(b"%02d" % (place % 100))
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 2 * size
        bench.client.connection_lost(None)

    run(scenario)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [10, 70_000, 90_000])
def test_an_answers_head_above_the_limit_is_refused_however_it_is_cut(cut: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(GET)
        large = b"HTTP/1.1 200 OK\r\nX: " + b"z" * 80_000 + b"\r\nContent-Length: 0\r\n\r\n"
        for piece in (large[:cut], large[cut:]):
            if piece:
                bench.upstream.data_received(piece)
        assert b"x-chaos-proxy: upstream-answer-too-large\r\n" in bytes(bench.client_pipe.written)

    run(scenario)


def test_an_answer_that_breaks_off_while_it_is_kept_for_a_fault_arrives_as_far_as_it_came() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "wrong_predictions"})
        bench.client.data_received(ASKED.replace(b"GET /asked", b"POST /v2/models/m/infer"))
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        bench.upstream.data_received(half)
        bench.upstream.connection_lost(None)
        assert bytes(bench.client_pipe.written) == half
        assert ended(bench.client_pipe) == "closed"
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_after_an_answer_before_the_requests_body_the_rest_still_goes_on_and_so_does_the_connection() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(POST % 4 + b"ab")
        bench.upstream.data_received(OK)
        assert bytes(bench.client_pipe.written) == OK
        bench.client.data_received(b"cd" + GET)
        await bench.settle()
        bench.upstream.data_received(OK)
        assert bytes(bench.upstream_pipe.written) == POST % 4 + b"abcd" + GET
        assert bytes(bench.client_pipe.written) == OK * 2
        assert (ended(bench.client_pipe), ended(bench.upstream_pipe)) == ("open", "open")
        assert sum(bench.counters.requests.values()) == 2

    run(scenario)


def test_a_bad_chunk_while_the_answer_is_on_its_way_is_counted_as_refused() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        bench.client.data_received(b"zz\r\n")
        assert bench.counters.refused == 1

    run(scenario)


# --- the code of others -----------------------------------------------------------------------------------------------


class Failing(HttpError):
    """A third party's fault with a bug."""

    def act(self, call: object) -> Any:
        raise ZeroDivisionError


class Unspeakable(Broken):
    """A third party's protocol that cannot even say what is wrong, or what it is."""

    def detect(self, path: str, request_headers: object) -> bool:
        raise ZeroDivisionError

    def error(self, status: int, message: str) -> tuple[bytes, dict[str, str]]:
        raise ZeroDivisionError


def test_a_bug_in_somebody_elses_request_fault_hurts_no_traffic_and_is_counted() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "http_error"})
        (held,) = bench.registry.active
        counts = FaultCounts()
        failing = ArmedFault(0, Failing.model_validate({"target": "model"}), 0.0, counts)
        bench.registry.active = (replace(held, request_faults=(failing,)),)
        bench.client.data_received(ASKED)
        assert bytes(bench.upstream_pipe.written) == ASKED
        assert counts.undecodable == 1

    run(scenario)


def test_a_protocol_that_cannot_say_what_is_wrong_does_not_stand_for_a_fault_that_was_performed() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "http_error"})
        (held,) = bench.registry.active
        bench.registry.active = (replace(held, protocol=Unspeakable()),)
        bench.client.data_received(ASKED)
        assert bytes(bench.upstream_pipe.written) == ASKED
        counts = bench.registry.runs["run"].faults[0]
        assert (counts.injected, counts.undecodable, counts.first_effect) == (0, 1, None)

    run(scenario)


def test_a_change_that_cannot_be_put_back_into_the_answer_is_no_change() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "wrong_predictions"}, output={"classes": [1, 300]})
        bench.client.data_received(INFER)
        told = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}]}'
        head = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n"
        answer = head % (len(told), len(told) + 1) + told + b"\1"
        bench.upstream.data_received(answer)
        assert bytes(bench.client_pipe.written) == answer
        state = bench.registry.runs["run"]
        counts = state.faults[0]
        assert (counts.selected_rows, counts.changed_rows, counts.undecodable) == (1, 0, 1)
        assert counts.first_effect is None
        assert not bench.counters.changed
        assert not state.changes

    run(scenario)


class Forgetful(Broken):
    """A third party's protocol that answers with something that cannot be sent."""

    def __init__(self, body: object, headers: object) -> None:
        self.made = body, headers

    def rows(self, body: bytes, headers: object, output: object) -> list[Any]:
        return [Row(0, 1, None, (0, 1))]

    def encode(self, *given: object) -> Any:
        return self.made


@pytest.mark.parametrize("made", [(b"", {"content-type": "\u2013"}), (None, {}), ("text", {})])
def test_what_a_protocol_of_others_makes_and_nobody_can_send_is_not_sent(made: tuple[object, object]) -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench, {"fault": "wrong_predictions"})
        (held,) = bench.registry.active
        bench.registry.active = (replace(held, protocol=Forgetful(*made)),)
        bench.client.data_received(INFER)
        answer = OK.replace(b"\r\n\r\n", b"\r\nContent-Type: a/b\r\n\r\n")
        bench.upstream.data_received(answer)
        assert bytes(bench.client_pipe.written) == answer
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_a_bug_in_somebody_elses_protocol_hurts_no_answer_that_is_only_observed() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.route.observer = Observer(1.0, Counters())
        bench.route.observer._named = Unspeakable()
        bench.client.data_received(b"POST /a HTTP/1.1\r\n\r\n")
        bench.upstream.data_received(OK)
        assert bytes(bench.client_pipe.written) == OK

    run(scenario)


# --- the proxy ends ---------------------------------------------------------------------------------------------------


def test_a_client_is_busy_until_its_last_answer_is_out() -> None:
    async def scenario() -> None:
        bench = Bench()
        assert not bench.client.busy
        bench.client.data_received(GET + GET + GET[:-3])
        for _ in range(2):
            assert bench.client.busy
            bench.upstream.data_received(OK)
            assert bench.client.busy  # what is in the buffer has not been looked at
            await bench.settle()
        assert not bench.client.busy  # half a head is no request
        bench.client_pipe.unsent = 1
        assert bench.client.busy

    run(scenario)


# --- from HTTP/1.1 to HTTP/2 ------------------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def others() -> list[object]:
    """Every other task has ended; how."""
    return list(await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True))


def test_a_client_that_speaks_http2_is_handed_over_with_what_it_has_said() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(PREFACE[:7])
        bench.client.data_received(PREFACE[7:] + b"\0\0\0\4\0\0\0\0\0")
        assert not bench.client_pipe.reading
        await others()
        (bridge,) = bench.route.clients
        assert bridge is not bench.client
        assert bench.client_pipe.reading
        assert bytes(bench.client_pipe.written).count(b"\0\0\0\4\1\0\0\0\0") == 1  # its settings are acknowledged

    run(scenario)


def test_a_client_that_leaves_while_http2_is_loaded_is_handed_over_to_nobody() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(PREFACE)
        bench.client_pipe.close()
        bench.client.connection_lost(None)
        await others()
        assert not bench.route.clients
        assert not bench.client_pipe.written

    run(scenario)


def test_where_http2_cannot_be_loaded_its_client_is_not_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bench = Bench()
        monkeypatch.setitem(sys.modules, "chaos.proxy.grpc.plane", None)
        bench.client.data_received(PREFACE)
        assert isinstance((await others())[0], ImportError)
        assert ended(bench.client_pipe) == "reset"

    run(scenario)


def test_an_upstream_whose_name_no_server_can_have_is_a_502() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.route.close()
        bench.route.host = "a..b"
        bench.client.data_received(GET)
        await others()
        assert b"x-chaos-proxy: upstream-unreachable\r\n" in bytes(bench.client_pipe.written)

    run(scenario)


# --- nothing is left --------------------------------------------------------------------------------------------------

STREAMED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("answer", [OK, STREAMED])
@pytest.mark.parametrize(
    "faults",
    [
        (),
        ({"fault": "http_error"},),
        ({"fault": "delay", "by": "0s"}, {"fault": "http_error"}),
        ({"fault": "delay", "by": "0s"},),
        ({"fault": "delay", "by": "600s"},),
        ({"fault": "wrong_predictions"},),
        "text",
    ],
)
def test_an_exchange_that_is_over_goes_at_once_and_waits_for_no_garbage_collector(faults: Any, answer: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        if faults == "text":
            armed(bench)
            (held,) = bench.registry.active
            shouting = ArmedFault(0, Shouting.model_validate({"target": "model"}), 0.0, FaultCounts())
            bench.registry.active = (replace(held, protocol=catalogue()["openai"], answer_faults=(shouting,)),)
        else:
            armed(bench, *faults)
        bench.client.data_received(INFER)
        for _ in range(20):
            await bench.settle()
        if bench.upstream_pipe.written:
            bench.upstream.data_received(answer)
        await bench.settle()
        bench.client.connection_lost(None)
        bench.client.exchange = None  # the event loop lets go of the client; here, the bench does
        assert not [one for one in gc.get_objects() if isinstance(one, Exchange)]

    gc.collect()
    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()
