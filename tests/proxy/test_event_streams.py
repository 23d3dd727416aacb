"""Streamed answers: every event at once and byte for byte, and where a fault hurts their text, exactly that text changes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults.base import Call, Fault
from chaos.proxy import wire
from chaos.proxy.armed import SAMPLED_PER_S, ArmedFault
from chaos.proxy.arming import parse_arming
from chaos.proxy.streams import LARGEST_EVENT
from chaos.rows import Piece, Row
from tests.fuzzing import examples
from tests.proxy.loopback import arming
from tests.proxy.test_event_bytes import CUTS, TEXT, read
from tests.proxy.test_plane_memory import Bench
from tests.proxy.test_wire import cut

CAPTURES = Path(__file__).parents[1] / "captures"
STREAMS = [
    "llamacpp/chat_stream.http",
    "llamacpp/completions_stream.http",
    "llmock/chat_tools_stream.http",
    "llmock/responses_stream.http",
]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream\r\n\r\n"
ASK = b"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nX-Request-Id: a\r\nContent-Length: 2\r\n\r\n{}"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


class Shouting(Fault):
    """A text fault of somebody else's: what the model says comes out in capitals."""

    acts_on = "answer"
    semantic = True
    changes_bytes = True
    edits_text = True
    family = "language models"
    must = "none"
    quiet = "none"
    examples: ClassVar = ()
    fault: Literal["shouting"] = "shouting"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        return [replace(row, label=str(row.label).upper()) if call.selected(row.index) else row for row in rows]

    def edit_text(self, piece: Piece, call: Call) -> str:
        return piece.text.upper()


class Broken(Shouting):
    """One with a bug, from the fifth character on."""

    def edit_text(self, piece: Piece, call: Call) -> str:
        if piece.start >= 4:
            raise ZeroDivisionError
        return piece.text.upper()


def said(text: str, end: str = "\n\n") -> bytes:
    """One event of a chat that says this."""
    return f'data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}{end}'.encode()


def chunk(data: bytes) -> bytes:
    """The data as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def payload_of(answer: bytes) -> tuple[bytes, bytes]:
    """What a chunked answer carries, and its trailers with the empty line."""
    body = wire.ChunkedBody(collect=True)
    raw = answer.partition(b"\r\n\r\n")[2]
    assert body.take(raw, 0) == len(raw)
    assert body.done
    return b"".join(body.payload or []), body.trailers


def captured(name: str) -> bytes:
    """The body of a captured stream (the last line feed is the capture's)."""
    return (CAPTURES / name).read_bytes().partition(b"\r\n\r\n")[2].removesuffix(b"\n")


def arm(bench: Bench, fault: Fault | None = None, **more: Any) -> None:
    """Everybody's answers are hurt: by this fault of somebody else's, or by one that knows rows only."""
    bench.registry.arm("run", parse_arming(arming({"fault": "wrong_predictions"}, **more)))
    (armed,) = bench.registry.active
    if fault is not None:
        mine = ArmedFault(0, fault, 0.0, armed.answer_faults[0].counts)
        bench.registry.active = (replace(armed, answer_faults=(mine,)),)


def shouting(share: float = 1.0) -> Shouting:
    return Shouting(target="model", share=share)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


# --- through the plane ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("state", ["idle", "control", "rows only", "not selected"])
def test_a_captured_stream_passes_event_by_event_and_byte_for_byte(name: str, state: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        if state == "control":
            arm(bench, shouting(), arms={"traffic": 0.0, "by": "request", "where": None})
        elif state == "rows only":
            arm(bench)
        elif state == "not selected":
            arm(bench, shouting(share=0.0))
        bench.client.data_received(ASK)
        sent = bytearray()
        events, rest = read([captured(name)])
        assert not rest
        for piece in [HEAD, *(chunk(event) for event in events), END]:
            bench.upstream.data_received(piece)
            sent += piece
            assert bench.client_pipe.written == sent
        assert bench.client.exchange is None
        assert not bench.client_pipe.closed

    run(scenario)


@settings(max_examples=examples(100), deadline=None)
@given(TEXT, CUTS, CUTS, st.booleans(), st.booleans())
def test_however_a_stream_is_chunked_and_cut_its_payload_and_trailers_arrive(
    text: bytes, chunks: list[int], reads: list[int], endless: bool, armed: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        if armed:
            arm(bench, shouting())
        bench.client.data_received(ASK)
        coded = b"".join(chunk(piece) for piece in cut(text, chunks) if piece) + b"0\r\nX-Sum: 1\r\n\r\n"
        answer = ENDLESS + text if endless else HEAD + coded
        for piece in cut(answer, reads):
            bench.upstream.data_received(piece)
        if endless:
            bench.upstream.connection_lost(None)
        got = bytes(bench.client_pipe.written)
        if armed and not endless:
            assert payload_of(got) == (text, b"X-Sum: 1\r\n\r\n")
            assert got.startswith(HEAD)
        else:
            assert got == answer

    run(scenario)


def test_a_text_fault_changes_the_text_of_each_event_as_it_comes_and_nothing_else() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD)
        for text, end in (("a", "\n\n"), ("b\u00e9", "\r\n\r\n"), ("", "\n\n")):
            before = len(bench.client_pipe.written)
            bench.upstream.data_received(chunk(b": ping\n\n" + said(text, end)))
            assert bytes(bench.client_pipe.written[before:]) == chunk(b": ping\n\n" + said(text.upper(), end))
        before = len(bench.client_pipe.written)
        bench.upstream.data_received(chunk(DONE) + END)
        assert bytes(bench.client_pipe.written[before:]) == chunk(DONE) + END
        assert bench.client.exchange is None
        assert not bench.client_pipe.closed

    run(scenario)


def test_an_edited_stream_is_counted_by_row_and_kept_as_ground_truth_without_a_word_of_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        events = said("one ") + said("two") + DONE
        bench.upstream.data_received(HEAD + chunk(events) + END)
        state = bench.registry.runs["run"]
        counts = state.faults[0]
        assert (counts.selected_requests, counts.selected_rows, counts.changed_rows, counts.undecodable) == (1, 1, 1, 0)
        assert counts.first_effect is not None
        (change,) = state.changes
        named = [
            sha256(data).hexdigest()[:16]
            for data in (b"one two", b"ONE TWO", events, said("ONE ") + said("TWO") + DONE)
        ]
        assert [change[key] for key in ("label_before", "label_after", "body_sha256_before", "body_sha256_after")] == [
            f"sha256:{named[0]}", f"sha256:{named[1]}", *named[2:]
        ]  # fmt: skip
        assert "one" not in json.dumps(change)

    run(scenario)


def test_of_many_edited_streams_so_many_a_second_are_kept_as_ground_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        monkeypatch.setattr(time, "monotonic", lambda: 5.5)
        for _ in range(SAMPLED_PER_S + 5):
            bench.client.data_received(ASK)
            bench.upstream.data_received(HEAD + chunk(said("one") + DONE) + END)
        state = bench.registry.runs["run"]
        assert (len(state.changes), state.faults[0].changed_rows) == (SAMPLED_PER_S, SAMPLED_PER_S + 5)

    run(scenario)


def test_the_text_of_a_whole_answer_is_hurt_too_and_never_kept_either() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        body = b'{"choices":[{"message":{"content":"secret"}}],"usage":{"total_tokens":1}}'
        bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert bytes(bench.client_pipe.written).endswith(body.replace(b"secret", b"SECRET"))
        (change,) = bench.registry.runs["run"].changes
        assert change["label_before"] == f"sha256:{sha256(b'secret').hexdigest()[:16]}"

    run(scenario)


def test_an_event_in_pieces_waits_until_it_is_whole_and_the_one_before_it_does_not() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        second = said("second")
        bench.upstream.data_received(HEAD + chunk(said("first") + second[:20]))
        assert bytes(bench.client_pipe.written) == HEAD + chunk(said("FIRST"))
        bench.upstream.data_received(chunk(second[20:]))
        assert bytes(bench.client_pipe.written) == HEAD + chunk(said("FIRST")) + chunk(said("SECOND"))

    run(scenario)


def test_an_answer_without_chunks_is_edited_until_its_connection_ends() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(ENDLESS + said("a") + b"data: ha")
        assert bytes(bench.client_pipe.written) == ENDLESS + said("A")
        bench.upstream.connection_lost(None)
        assert bytes(bench.client_pipe.written) == ENDLESS + said("A") + b"data: ha"
        assert bench.client_pipe.closed

    run(scenario)


def test_disarming_does_not_wait_for_an_open_stream_and_what_follows_is_untouched() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD + chunk(said("before")))
        bench.registry.disarm("run")
        last = bench.registry.runs["run"].faults[0].last_effect
        bench.upstream.data_received(chunk(said("after")) + chunk(DONE) + END)
        assert payload_of(bytes(bench.client_pipe.written))[0] == said("BEFORE") + said("after") + DONE
        assert bench.registry.runs["run"].faults[0].last_effect is last

    run(scenario)


def test_a_stream_that_was_asked_for_before_the_arming_is_untouched() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(ASK)
        arm(bench, shouting())
        answer = HEAD + chunk(said("a")) + END
        bench.upstream.data_received(answer)
        assert bytes(bench.client_pipe.written) == answer

    run(scenario)


def test_a_slow_reader_slows_the_upstream_of_an_edited_stream() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD)
        bench.client.pause_writing()
        assert not bench.upstream_pipe.reading
        bench.client.resume_writing()
        assert bench.upstream_pipe.reading

    run(scenario)


@pytest.mark.parametrize("hurt", [False, True])
def test_an_upstream_that_breaks_in_mid_stream_breaks_it_for_the_client_after_all_that_it_said(hurt: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        if hurt:
            arm(bench, shouting())
        bench.client.data_received(ASK)
        half = said("second")[:20]
        bench.upstream.data_received(HEAD + chunk(said("first")) + chunk(half))
        bench.upstream.connection_lost(None)
        text = "FIRST" if hurt else "first"
        assert bytes(bench.client_pipe.written) == HEAD + chunk(said(text)) + chunk(half)
        assert bench.client_pipe.closed
        assert bench.counters.streams == {("model", "treatment" if hurt else "none", "broken"): 1}

    run(scenario)


def test_a_client_that_leaves_in_mid_stream_is_counted_and_ends_the_upstreams_work() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD + chunk(said("a")))
        bench.client.connection_lost(None)
        assert bench.upstream_pipe.closed
        assert bench.counters.streams == {("model", "none", "left"): 1}

    run(scenario)


ZIPPED = gzip.compress(said("a"), mtime=0)


@pytest.mark.parametrize(
    "answer",
    [HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + chunk(ZIPPED) + END,
     b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(said("a")) + said("a")],
    ids=["compressed", "of a known length"],
)  # fmt: skip
def test_a_stream_that_cannot_be_edited_passes_untouched_and_is_counted(answer: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(answer)
        assert bytes(bench.client_pipe.written) == answer
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_a_fault_that_knows_rows_only_is_counted_as_undecodable_on_a_stream() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench)
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD + chunk(said("a")) + END)
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_a_bug_in_somebody_elses_text_fault_leaves_the_rest_of_the_stream_as_it_is() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, Broken(target="model"))
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD + chunk(said("four") + said("five") + said("six") + b"data: ha"))
        bench.upstream.data_received(chunk(b"lf\n\n") + chunk(DONE) + END)
        got, _ = payload_of(bytes(bench.client_pipe.written))
        assert got == said("FOUR") + said("five") + said("six") + b"data: half\n\n" + DONE
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_an_event_that_never_ends_is_let_go_untouched_and_not_kept() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, shouting())
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD)
        piece, count = b"z" * (1 << 18), LARGEST_EVENT // (1 << 18) + 8
        for _ in range(count):
            bench.upstream.data_received(chunk(piece))
        bench.upstream.data_received(END)
        assert payload_of(bytes(bench.client_pipe.written))[0] == piece * count
        assert bench.registry.runs["run"].faults[0].undecodable == 1

    run(scenario)


def test_time_to_the_first_event_and_between_events_are_measured() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.client.data_received(ASK)
        bench.upstream.data_received(HEAD + chunk(b": not yet\n\n"))
        assert not bench.counters.first_event
        bench.upstream.data_received(chunk(said("a")[:10]))
        assert not bench.counters.first_event
        bench.upstream.data_received(chunk(said("a")[10:]))
        bench.upstream.data_received(chunk(said("b") + said("c")) + chunk(DONE) + END)
        text = bench.counters.text(armed=False, expiries=0)
        labels = 'route="model",arm="none"'
        assert f"chaos_proxy_stream_events_total{{{labels}}} 4\n" in text
        assert f"chaos_proxy_stream_first_event_seconds_count{{{labels}}} 1\n" in text
        assert f"chaos_proxy_stream_gap_seconds_count{{{labels}}} 3\n" in text
        assert f'chaos_proxy_streams_total{{{labels},end="whole"}} 1\n' in text

    run(scenario)
