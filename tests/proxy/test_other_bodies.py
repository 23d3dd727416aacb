"""Other bodies: of any selected answer, whatever its method, status and protocol, in a framing that fits."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from chaos.app.armings import WHOLE
from chaos.faults.base import Call
from chaos.proxy.answering import LARGEST_EDITED
from tests.proxy.loopback import Backend, Proxy, sized, talk
from tests.proxy.scripted import arm, rewriting
from tests.proxy.test_delivery import CHUNKED, answered
from tests.proxy.test_event_streams import HEAD as EVENTS
from tests.proxy.test_event_streams import chunk, said, shouting
from tests.proxy.test_plane_memory import OK, Bench, ended, run

GET = b"GET /metrics HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
METRICS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-B:  c\r\nContent-Length: 6\r\n\r\nup 1\n\n"


def louder(body: bytes, call: Call) -> bytes:
    return body.upper() + b"!"


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE"])
@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh", b"404 "])
def test_any_method_and_status_gets_the_other_body_with_a_length_that_fits(method: bytes, status: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, rewriting(louder))
        bench.client.data_received(GET.replace(b"GET", method))
        got = await answered(bench, METRICS.replace(b"200 OK", status))
        assert got == METRICS.replace(b"200 OK", status).replace(b": 6", b": 7").replace(b"up 1\n\n", b"UP 1\n\n!")
        assert (counts.selected_requests, counts.injected, counts.undecodable) == (1, 1, 0)
        assert counts.first_effect is not None
        (change,) = bench.registry.runs["run"].changes
        assert change["body_sha256_before"] != change["body_sha256_after"]
        assert ended(bench.client_pipe) == "open"

    run(scenario)


def test_a_chunked_answer_has_a_length_in_place_of_its_chunks() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        got = await answered(bench, CHUNKED + b"2\r\nab\r\n", b"1\r\nc\r\n0\r\nX-T: u\r\n\r\n")
        assert got == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nX-A: b\r\n\r\nABC!"

    run(scenario)


def test_an_answer_that_ends_with_its_connection_gets_another_body_too() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        await answered(bench, b"HTTP/1.0 200 OK\r\n\r\nabc")
        bench.upstream.connection_lost(None)
        assert bytes(bench.client_pipe.written) == b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nABC!"

    run(scenario)


def test_a_compressed_answer_is_opened_and_closed_again() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        body = gzip.compress(b"abc")
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        got = await answered(bench, head + body)
        assert gzip.decompress(got.partition(b"\r\n\r\n")[2]) == b"ABC!"

    run(scenario)


@pytest.mark.parametrize("why", ["share", "same bytes", "equal bytes", "another arm"])
def test_an_answer_that_nothing_is_changed_in_keeps_every_byte(why: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        other: dict[str, Any] = {"another arm": {"arms": {"traffic": 0.0, "by": "request", "where": None}}}
        script = {"same bytes": lambda body, call: body, "equal bytes": lambda body, call: bytes(bytearray(body))}
        arm(bench, rewriting(script.get(why, louder), share=0.0 if why == "share" else 1.0), **other.get(why, {}))
        bench.client.data_received(GET)
        body = gzip.compress(b"abc", 1)
        answer = CHUNKED.replace(b"X-A: b", b"Content-Encoding: gzip") + b"%x;x=y\r\n%s\r\n0\r\nX-T: u\r\n\r\n" % (
            len(body),
            body,
        )
        assert await answered(bench, answer) == answer
        assert bench.registry.runs["run"].faults[0].injected == 0

    run(scenario)


@pytest.mark.parametrize("why", ["too large", "too large in chunks", "unknown coding", "a bug", "no bytes"])
def test_an_answer_that_cannot_get_another_body_passes_untouched_and_is_counted(why: str) -> None:
    async def scenario() -> None:
        bench = Bench()

        def script(body: bytes, call: Call) -> Any:
            if why == "a bug":
                raise ZeroDivisionError
            return None if why == "no bytes" else louder(body, call)

        (counts,) = arm(bench, rewriting(script))
        bench.client.data_received(GET)
        large = b"z" * (LARGEST_EDITED + 1)
        answer = {
            "too large": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(large), large),
            "too large in chunks": CHUNKED + chunk(large) + b"0\r\n\r\n",
            "unknown coding": METRICS.replace(b"X-B:  c", b"Content-Encoding: br"),
        }.get(why, METRICS)
        assert await answered(bench, answer) == answer
        assert (counts.undecodable, counts.injected) == (1, 0)

    run(scenario)


def test_a_stream_is_not_kept_and_counts_as_undecodable() -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        assert await answered(bench, EVENTS, chunk(said("a"))) == EVENTS + chunk(said("a"))
        assert counts.undecodable == 1

    run(scenario)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 No Content\r\n\r\n", OK[:-2].replace(b": 2", b": 0")])
def test_an_answer_without_a_body_gets_none(answer: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        assert await answered(bench, answer) == answer
        assert bench.client.exchange is None

    run(scenario)


def test_it_comes_after_what_was_edited_in_the_rows() -> None:
    async def scenario() -> None:
        bench = Bench()
        seen: list[bytes] = []

        def script(body: bytes, call: Call) -> bytes:
            seen.append(body)
            return body + b" "

        arm(bench, shouting(), rewriting(script))
        bench.client.data_received(b"POST /v1/chat/completions HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
        body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"quiet"},"finish_reason":"stop"}]}'
        got = await answered(bench, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert seen == [body.replace(b"quiet", b"QUIET")]
        assert got.endswith(b"\r\n\r\n" + seen[0] + b" ")

    run(scenario)


def test_one_that_was_disarmed_while_its_answer_came_does_nothing() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, rewriting(louder))
        bench.client.data_received(GET)
        await answered(bench, METRICS[:-3])
        bench.registry.disarm("run")
        assert await answered(bench, METRICS[-3:]) == METRICS

    run(scenario)


def test_a_memory_lasts_from_one_answer_to_the_next() -> None:
    async def scenario() -> None:
        bench = Bench()

        def first(body: bytes, call: Call) -> bytes:
            if call.memory.body is None:
                call.memory.body = body
            return call.memory.body

        arm(bench, rewriting(first))
        for number in range(3):
            bench.client.data_received(GET)
            got = await answered(bench, METRICS.replace(b"up 1", b"up %d" % number))
            assert got.endswith(b"\r\n\r\nup 0\n\n")
        assert bench.registry.runs["run"].faults[0].injected == 2

    run(scenario)


def test_large_answers_leave_half_of_the_time_to_everybody_else() -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, rewriting(louder))
        body = b"z" * 100_000
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        bench.client.data_received(GET)
        assert (await answered(bench, answer)).endswith(b"Z!")
        bench.registry.half_taken_until_s += 60
        bench.client_pipe.written.clear()
        bench.client.data_received(GET)
        assert await answered(bench, answer) == answer
        assert counts.undecodable == 1

    run(scenario)


def test_metrics_freeze_for_whoever_asks_and_go_on_when_the_fault_ends(backend: Backend, proxy: Proxy) -> None:
    port, ask = proxy.routes["model"], b"GET /metrics HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n"
    proxy.arm("frozen", {"fault": "frozen_metrics"}, arms={"traffic": 1.0, "by": WHOLE, "where": None})
    said = []
    for number in range(3):
        backend.replies["/metrics"] = sized(b"up %d\n" % number, "Content-Type: text/plain")
        said.append(talk(port, ask).rpartition(b"\r\n\r\n")[2])
    assert said == [b"up 0\n"] * 3
    assert proxy.state("frozen")["faults"]["0"]["injected"] == 2
    assert proxy.ask("DELETE", "/runs/frozen").status_code == 204
    assert talk(port, ask).endswith(b"up 2\n")
