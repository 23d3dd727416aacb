"""The data plane without sockets, where a request, an answer and an end overlap: nothing is mixed up, lost, or kept without bound."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.proxy.arming import parse_arming
from chaos.proxy.route import Upstream
from tests.proxy.loopback import arming
from tests.proxy.test_plane_memory import GET, OK, Bench, Pipe, ended, run

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
