"""The data plane without sockets, where a request, an answer and an end overlap: nothing is mixed up, lost, or kept without bound."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from chaos.faults.http_error import HttpError
from chaos.proxy.armed import ArmedFault, FaultCounts
from chaos.proxy.arming import parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.observe import Observer
from chaos.proxy.plane import BUFFERED
from chaos.proxy.route import Upstream
from tests.proxy.loopback import arming
from tests.proxy.test_plane_memory import GET, OK, Bench, Broken, Pipe, ended, run

ASKED = b"GET /asked HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
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
