"""How answers reach their clients where a fault decides about it: part by part, with waits and ends, and everything else as it came."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults.base import Call, Delivery, End, Part, Reset, Wait
from chaos.proxy.delivery import LARGEST_PIECE, MOST_HELD
from chaos.proxy.exchange import Exchange
from tests.fuzzing import examples
from tests.proxy.scripted import arm, delivering, rewriting
from tests.proxy.test_event_streams import HEAD as EVENTS
from tests.proxy.test_event_streams import chunk, payload_of, said, shouting
from tests.proxy.test_plane_memory import ANSWER, CUTS, GET, OK, Bench, Pipe, ended, run
from tests.proxy.test_plane_overlaps import INFER
from tests.proxy.test_wire import cut

ASK = b"GET /a HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
FOREVER = Wait(600.0)


def asked(bench: Bench, request: bytes = ASK) -> None:
    bench.client.data_received(request)


async def answered(bench: Bench, *pieces: bytes) -> bytes:
    """What the client has got after the upstream has said this, and everything that was put off has run."""
    for piece in pieces:
        bench.upstream.data_received(piece)
    await bench.settle()
    return bytes(bench.client_pipe.written)


def nothing(part: Part, call: Call) -> Iterable[Delivery]:
    return ()


def noting(told: list[Any], what: Callable[[Part, Call], Any]) -> Any:
    """Says nothing, and notes this of every part."""

    def deliver(part: Part, call: Call) -> Iterable[Delivery]:
        told.append(what(part, call))
        return ()

    return deliver


def before(kind: str, *actions: Delivery, at: int = 0) -> Any:
    """Does this before the part of this kind with this index."""

    def deliver(part: Part, call: Call) -> Iterable[Delivery]:
        return actions if (part.kind, part.index) == (kind, at) else ()

    return deliver


# --- parts ------------------------------------------------------------------------------------------------------------


def test_an_answer_is_told_as_its_head_and_pieces_of_its_body() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[Part] = []
        arm(bench, delivering(noting(told, lambda part, call: part)))
        asked(bench)
        head, body = LONG % (2 * LARGEST_PIECE + 10), b"z" * (2 * LARGEST_PIECE + 10)
        assert await answered(bench, head + body) == head + body
        assert told == [
            Part("head", 0, len(head), 0),
            Part("piece", 0, LARGEST_PIECE, 0),
            Part("piece", 1, LARGEST_PIECE, LARGEST_PIECE),
            Part("piece", 2, 10, 2 * LARGEST_PIECE),
        ]

    run(scenario)


def test_a_stream_is_told_event_by_event_however_it_was_read() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[Part] = []
        arm(bench, delivering(noting(told, lambda part, call: part)))
        asked(bench, INFER)
        first, second = said("one"), said("two")
        both = chunk(first + second[:9]) + chunk(second[9:] + b"unfinished") + b"0\r\nX-Sum: 1\r\n\r\n"
        got = await answered(bench, EVENTS, *cut(both, [5, 50, 60]))
        assert payload_of(got) == (first + second + b"unfinished", b"X-Sum: 1\r\n\r\n")
        assert [(part.kind, part.index, part.size, part.before) for part in told[1:]] == [
            ("event", 0, len(first), 0),
            ("event", 1, len(second), len(first)),
            ("piece", 0, 10, len(first) + len(second)),
        ]

    run(scenario)


def test_a_compressed_stream_is_told_in_pieces_as_it_comes() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[Part] = []
        arm(bench, delivering(noting(told, lambda part, call: part)))
        asked(bench, INFER)
        coded = EVENTS.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
        got = await answered(bench, coded, chunk(b"\x1f\x8bno end of an event"))
        assert got == coded + chunk(b"\x1f\x8bno end of an event")
        assert [part.kind for part in told] == ["head", "piece"]

    run(scenario)


@settings(max_examples=examples(150), deadline=None)
@given(ANSWER, CUTS, st.booleans())
def test_a_fault_that_says_nothing_changes_nothing_but_the_borders_of_chunks(
    answer: bytes, reads: list[int], pipelined: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(nothing))
        asked(bench, ASK * (2 if pipelined else 1))
        for _ in range(2 if pipelined else 1):
            before = len(bench.client_pipe.written)
            await answered(bench, *cut(answer, reads))
            got = bytes(bench.client_pipe.written[before:])
            if b"chunked" in answer:
                assert got.partition(b"\r\n\r\n")[0] == answer.partition(b"\r\n\r\n")[0]
                assert payload_of(got) == payload_of(answer)
            else:
                assert got == answer
        assert bench.client.exchange is None
        assert ended(bench.client_pipe) == ended(bench.upstream_pipe) == "open"
        assert bench.upstream_pipe.reading

    run(scenario)


def test_an_answer_that_is_not_selected_keeps_every_byte_and_goes_out_at_once() -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, delivering(before("head", FOREVER), share=0.0))
        asked(bench)
        chunks = CHUNKED + b"2;x=y\r\nok\r\n"
        bench.upstream.data_received(chunks)
        assert bytes(bench.client_pipe.written) == chunks
        assert counts == type(counts)()

    run(scenario)


def test_an_answer_is_delivered_as_other_faults_have_edited_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[int] = []
        arm(bench, shouting(), delivering(noting(told, lambda part, call: part.size)))
        (held,) = bench.registry.active
        asked(bench, INFER.replace(b"/v2/models/m/infer", b"/v1/chat/completions"))
        got = await answered(bench, EVENTS, chunk(said("quiet")), b"0\r\n\r\n")
        assert payload_of(got)[0] == said("QUIET")
        assert told[1:] == [len(said("quiet"))]
        assert held.faults[0].counts.changed_rows == 1

    run(scenario)


@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Transfer-Encoding: chunked"])
def test_a_whole_answer_is_delivered_once_as_other_faults_have_made_it(framing: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[Part] = []
        arm(bench, rewriting(lambda body, call: body * 3), delivering(noting(told, lambda part, call: part)))
        asked(bench)
        body = b"ab" if b"Length" in framing else chunk(b"ab") + b"0\r\n\r\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
        got = await answered(bench, b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (framing, body))
        assert got.lower() == (head + b"ababab").lower()
        assert [(part.kind, part.size) for part in told] == [("head", len(head)), ("piece", 6)]
        assert bench.counters.requests == {("model", "treatment", 2): 1}

    run(scenario)


# --- waits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "at"), [("head", 0), ("piece", 0), ("piece", 1)])
def test_what_follows_a_wait_waits_in_order_and_is_released_when_the_fault_is_taken_off(kind: str, at: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, delivering(before(kind, FOREVER, at=at)))
        asked(bench, ASK + GET)
        head, body = LONG % 20_000, b"y" * LARGEST_PIECE + b"z" * (20_000 - LARGEST_PIECE)
        early = {("head", 0): b"", ("piece", 0): head, ("piece", 1): head + body[:LARGEST_PIECE]}[kind, at]
        assert await answered(bench, head, body) == early
        assert len(bench.registry.waiting) == 1
        assert bytes(bench.upstream_pipe.written) == ASK  # the next request waits for its turn
        assert counts.first_effect is not None
        bench.registry.disarm("run")
        await bench.settle()
        assert bytes(bench.client_pipe.written) == head + body
        assert counts.delayed_s > 0
        assert (counts.selected_requests, counts.injected) == (1, 0)
        assert not bench.registry.waiting
        assert await answered(bench, OK) == head + body + OK
        assert ended(bench.client_pipe) == "open"

    run(scenario)


def test_a_wait_ends_by_itself() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", Wait(0.02), Wait(0.01))))
        asked(bench)
        assert await answered(bench, OK) == OK[:-2]
        async with asyncio.timeout(15):
            while bench.client.exchange is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert bytes(bench.client_pipe.written) == OK
        assert bench.registry.runs["run"].faults[0].delayed_s >= 0.03 - 0.001

    run(scenario)


def test_the_end_of_a_lease_releases_whoever_waits() -> None:
    async def scenario() -> None:
        clock = [1000.0]
        bench = Bench(lambda: clock[0])
        arm(bench, delivering(before("head", FOREVER)), lease_s=5)
        asked(bench)
        assert await answered(bench, OK) == b""
        clock[0] += 6
        bench.registry.expire()
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK

    run(scenario)


def test_of_two_faults_one_that_is_left_waits_on_and_one_that_was_taken_off_does_not() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", FOREVER)), delivering(before("piece", FOREVER)))
        (held,) = bench.registry.active
        asked(bench)
        assert await answered(bench, OK) == b""
        bench.registry._swap([replace(held, **_only(held, 1))])
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK[:-2]
        assert list(bench.registry.waiting.values()) == [("run", 1)]
        bench.client.connection_lost(None)

    run(scenario)


def test_what_a_fault_would_have_said_after_a_wait_is_not_done_once_it_is_off() -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, delivering(before("piece", FOREVER, End(0), Reset())))
        asked(bench)
        assert await answered(bench, OK) == OK[:-2]
        bench.registry.disarm("run")
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        assert (ended(bench.client_pipe), counts.injected) == ("open", 0)

    run(scenario)


def _only(held: Any, index: int) -> dict[str, Any]:
    left = tuple(one for one in held.answer_faults if one.index == index)
    return {"answer_faults": left, "delivery_faults": left, "body_faults": left}


def test_a_client_that_leaves_while_its_answer_waits_is_forgotten() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", FOREVER)))
        asked(bench)
        assert await answered(bench, OK) == b""
        bench.client.connection_lost(None)
        assert not bench.registry.waiting
        assert bench.client._timer is None
        assert bench.upstream_pipe.closed
        assert bench.registry.runs["run"].faults[0].delayed_s > 0

    run(scenario)


def test_what_waits_is_bounded_and_the_upstream_is_read_again_once_it_is_out() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", FOREVER)))
        asked(bench)
        head, piece = LONG % (10 * MOST_HELD), b"z" * (MOST_HELD // 2)
        await answered(bench, head, piece)
        assert bench.upstream_pipe.reading
        await answered(bench, piece, piece)
        assert not bench.upstream_pipe.reading
        bench.client.pause_writing()
        bench.client.resume_writing()
        assert not bench.upstream_pipe.reading  # that the client reads again changes nothing
        bench.registry.disarm("run")
        assert bench.upstream_pipe.reading
        assert len(bench.client_pipe.written) == len(head) + 3 * len(piece)

    run(scenario)


def test_a_client_that_reads_slowly_holds_up_what_was_released() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(nothing))
        asked(bench)
        bench.client.pause_writing()
        assert await answered(bench, OK) == b""
        bench.client.resume_writing()
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        assert bench.client.exchange is None
        assert bench.upstream_pipe.reading

    run(scenario)


@pytest.mark.parametrize("late", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", None])
def test_what_the_upstream_does_while_its_answer_waits_takes_nothing_of_it_away(late: bytes | None) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", FOREVER)))
        asked(bench)
        await answered(bench, OK)
        if late is None:
            bench.upstream.connection_lost(None)
        else:
            bench.upstream.data_received(late)
            assert bench.upstream_pipe.closed
        bench.registry.disarm("run")
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        assert bench.client.exchange is None
        # An upstream that ended is the end of the client's connection, too, as without a fault.
        assert ended(bench.client_pipe) == ("closed" if late is None else "open")

    run(scenario)


@pytest.mark.parametrize(("error", "end"), [(None, "closed"), (ConnectionResetError(), "reset")])
def test_an_upstream_that_breaks_off_while_its_answer_waits_breaks_off_after_what_came(
    error: Exception | None, end: str
) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", FOREVER)))
        asked(bench)
        await answered(bench, LONG % 10 + b"half")
        bench.upstream.connection_lost(error)
        await bench.settle()
        assert ended(bench.client_pipe) == "open"
        bench.registry.disarm("run")
        await bench.settle()
        assert bytes(bench.client_pipe.written) == LONG % 10 + b"half"
        assert ended(bench.client_pipe) == end

    run(scenario)


def test_a_request_whose_body_is_still_to_come_goes_on_after_its_delivered_answer() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", FOREVER)))
        post = b"POST /a HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 4\r\n\r\nab"
        asked(bench, post)
        await answered(bench, OK)
        bench.client.data_received(b"c")
        bench.registry.disarm("run")
        await bench.settle()
        assert bytes(bench.client_pipe.written) == OK
        bench.client.data_received(b"d" + GET)
        await bench.settle()
        assert bytes(bench.upstream_pipe.written) == post + b"cd" + GET

    run(scenario)


# --- ends -------------------------------------------------------------------------------------------------------------


def fresh_upstream(bench: Bench) -> Pipe:
    """Another connection to the upstream waits for a client."""
    made, pipe = type(bench.upstream)(bench.route), Pipe()
    made.connection_made(pipe)
    bench.route.give_back(made)
    return pipe


@pytest.mark.parametrize("clean", [True, False])
def test_a_chunked_answer_ends_well_or_in_its_middle_and_its_upstream_is_left(clean: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, delivering(before("piece", End(3, clean=clean))))
        asked(bench)
        got = await answered(bench, CHUNKED, chunk(b"abcdef"))
        assert got == CHUNKED + chunk(b"abc") + (b"0\r\n\r\n" if clean else b"")
        assert bench.upstream_pipe.closed
        assert ended(bench.client_pipe) == ("open" if clean else "closed")
        assert (counts.selected_requests, counts.injected) == (1, 1)
        if clean:
            bench.registry.disarm("run")
            pipe = fresh_upstream(bench)
            asked(bench, GET)
            assert bytes(pipe.written) == GET
        assert bench.counters.requests == {("model", "treatment", 2 if clean else 5): 1}

    run(scenario)


@pytest.mark.parametrize("clean", [True, False])
def test_a_sized_answer_that_ends_too_soon_ends_with_its_connection(clean: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", End(1, clean=clean))))
        asked(bench)
        assert await answered(bench, OK) == OK[:-1]
        assert ended(bench.client_pipe) == "closed"

    run(scenario)


def test_an_end_after_the_whole_of_a_sized_answer_is_none_for_its_client() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", End(2, clean=True))))
        asked(bench)
        assert await answered(bench, OK) == OK
        assert ended(bench.client_pipe) == "open"
        assert ended(bench.upstream_pipe) == "open"  # it has said everything

    run(scenario)


def test_a_stream_is_cut_between_two_events_and_looks_whole() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("event", End(clean=True), at=1)))
        asked(bench, INFER)
        got = await answered(bench, EVENTS, chunk(said("one") + said("two")), chunk(said("three")))
        assert payload_of(got) == (said("one"), b"\r\n")
        assert bench.counters.streams == {("model", "treatment", "cut"): 1}
        assert ended(bench.client_pipe) == "open"
        assert bench.upstream_pipe.closed

    run(scenario)


def test_an_end_within_the_head_is_half_a_head() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("head", End(12, clean=True))))
        asked(bench)
        assert await answered(bench, OK) == OK[:12]
        assert ended(bench.client_pipe) == "closed"

    run(scenario)


@pytest.mark.parametrize("after", [0, 1])
def test_a_reset_takes_back_nothing_of_what_came_before_it(after: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        (counts,) = arm(bench, delivering(before("piece", Reset(after))))
        asked(bench)
        assert await answered(bench, OK) == OK[: len(OK) - 2 + after]
        assert ended(bench.client_pipe) == "reset"
        assert bench.upstream_pipe.closed
        assert counts.injected == 1
        assert bench.counters.requests == {("model", "treatment", 0): 1}

    run(scenario)


def test_a_request_that_is_still_coming_is_read_to_its_end_after_its_answer_was_ended_well() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", End(clean=True))))
        asked(bench, b"POST /a HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 4\r\n\r\nab")
        bench.upstream.pause_writing()
        assert await answered(bench, CHUNKED, chunk(b"early")) == CHUNKED + b"0\r\n\r\n"
        assert bench.client_pipe.reading
        bench.registry.disarm("run")
        pipe = fresh_upstream(bench)
        asked(bench, b"cd" + GET)
        await bench.settle()
        assert bytes(pipe.written) == GET

    run(scenario)


# --- the code of others -----------------------------------------------------------------------------------------------


def test_a_bug_in_somebody_elses_delivery_hurts_no_traffic_and_is_counted_once() -> None:
    async def scenario() -> None:
        bench = Bench()

        def broken(part: Part, call: Call) -> Iterable[Delivery]:
            raise ZeroDivisionError

        (counts,) = arm(bench, delivering(broken))
        asked(bench)
        assert await answered(bench, OK) == OK
        assert counts.undecodable == 1

    run(scenario)


def test_the_share_of_an_answer_is_that_of_its_beginning_and_the_memory_counts_answers() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[tuple[str, int]] = []
        arm(bench, delivering(noting(told, lambda part, call: (part.kind, call.memory.selected))))
        for _ in range(2):
            asked(bench)
            await answered(bench, OK)
        assert [one for one in told if one[0] == "head"] == [("head", 0), ("head", 1)]

    run(scenario)


@pytest.mark.parametrize("action", [None, Wait(0.0), FOREVER, End(1), End(1, clean=True), Reset(1)])
def test_no_delivered_exchange_is_left_to_the_garbage_collector(action: Delivery | None) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, delivering(before("piece", action) if action is not None else nothing))
        asked(bench)
        await answered(bench, OK)
        bench.client.connection_lost(None)
        bench.client.exchange = None  # the event loop lets go of the client; here, the bench does
        await bench.settle()
        assert not [one for one in gc.get_objects() if isinstance(one, Exchange)]

    gc.collect()
    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()
