"""Values in an answer's JSON: those that a fault names become others, whole and streamed, and every other byte stays."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from chaos.faults import catalogue
from chaos.faults.base import Call, Fault
from chaos.json_places import Address
from chaos.proxy.arming import parse_arming
from tests.proxy.loopback import arming
from tests.proxy.test_event_streams import (
    ASK,
    DONE,
    END,
    ENDLESS,
    HEAD,
    captured,
    chunk,
    payload_of,
    said,
)
from tests.proxy.test_plane_memory import Bench

CAPTURES = Path(__file__).parents[1] / "captures"
DOWNGRADE = {"fault": "model_downgrade", "model": "mini"}
USAGE = {"fault": "wrong_usage", "factor": 2}
TRUNCATED = {"fault": "truncated_answer", "characters": 6}
BODY = b'{"model" :"big", "choices":[{"message":{"content":"Paris, always."},"finish_reason":"stop"}],"usage":{"completion_tokens":7,"total_tokens":10}}'


class Raising(Fault):
    """A document fault of somebody else's, with a bug."""

    acts_on = "answer"
    changes_bytes = True
    edits_documents = True
    family = "language models"
    must = "none"
    quiet = "none"
    examples: ClassVar = ()
    fault: Literal["raising"] = "raising"

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:
        raise ZeroDivisionError


def arm(bench: Bench, *faults: dict[str, Any], **more: Any) -> None:
    """Everybody's answers are hurt by these."""
    bench.registry.arm("run", parse_arming(arming(*faults, **{"protocol": "openai", **more})))


def counts(bench: Bench, index: int = 0) -> tuple[int, int, int]:
    """How many answers a fault selected, how many of them it changed, and how many it could not read."""
    found = bench.registry.runs["run"].faults[index]
    return found.selected_requests, found.changed_rows, found.undecodable


def whole(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d\r\n\r\n" % len(body)]) + body


def asked(answer: bytes, *faults: dict[str, Any], **more: Any) -> tuple[bytes, Bench]:
    """What the client gets of this answer, in one read."""
    found: list[tuple[bytes, Bench]] = []

    async def scenario() -> None:
        bench = Bench()
        arm(bench, *faults, **more)
        bench.client.data_received(ASK)
        bench.upstream.data_received(answer)
        found.append((bytes(bench.client_pipe.written), bench))

    run(scenario)
    return found[0]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


# --- whole answers ----------------------------------------------------------------------------------------------------


def test_a_named_value_becomes_another_and_every_other_byte_of_a_whole_answer_stays() -> None:
    got, bench = asked(whole(BODY), DOWNGRADE)
    assert got == whole(BODY.replace(b'"big"', b'"mini"'))
    assert counts(bench) == (1, 1, 0)
    (change,) = bench.registry.runs["run"].changes
    assert (change["row"], change["label_before"], change["label_after"]) == (0, None, None)
    assert change["body_sha256_before"] != change["body_sha256_after"]


def test_a_fault_on_text_is_followed_by_the_counts_of_tokens_and_is_one_changed_row() -> None:
    got, bench = asked(whole(BODY), TRUNCATED)
    wanted = BODY.replace(b"Paris, always.", b"Paris,").replace(b'"stop"', b'"length"')
    assert body_of(got) == wanted.replace(b'_tokens":7', b'_tokens":3').replace(b":10", b":6")
    assert counts(bench) == (1, 1, 0)


def test_several_faults_edit_one_document_one_after_the_other() -> None:
    got, bench = asked(whole(BODY), TRUNCATED, USAGE, DOWNGRADE)
    said_ = json.loads(body_of(got))
    assert said_["usage"] == {"completion_tokens": 6, "total_tokens": 9}
    assert (said_["model"], said_["choices"][0]["message"]["content"]) == ("mini", "Paris,")
    assert [counts(bench, index) for index in range(3)] == [(1, 1, 0)] * 3


@pytest.mark.parametrize("fault", [DOWNGRADE, USAGE])
def test_an_answer_with_nothing_to_change_is_the_very_same_and_counted_as_selected(fault: dict[str, Any]) -> None:
    answer = whole(b'{"choices": [] }')
    got, bench = asked(answer, fault)
    assert got == answer
    assert counts(bench) == (1, 0, 0)
    assert not bench.registry.runs["run"].changes


@pytest.mark.parametrize(
    ("answer", "undecodable"),
    [(whole(b"no json"), 1), (whole(b""), 0), (whole(BODY).replace(b"200 OK", b"503 No"), 0)],
    ids=["no JSON", "empty", "an error"],
)  # fmt: skip
def test_what_cannot_be_edited_passes_untouched(answer: bytes, undecodable: int) -> None:
    got, bench = asked(answer, DOWNGRADE, USAGE)
    assert got == answer
    assert [counts(bench, index)[1:] for index in (0, 1)] == [(0, undecodable)] * 2


@pytest.mark.parametrize("more", [{"arms": {"traffic": 0.0, "by": "request", "where": None}}, {"share": 0.0}])
def test_an_answer_that_is_not_selected_keeps_every_byte(more: dict[str, Any]) -> None:
    answer = whole(BODY)
    faults = [fault | ({"share": 0.0} if "share" in more else {}) for fault in (DOWNGRADE, USAGE, TRUNCATED)]
    got, bench = asked(answer, *faults, **{key: value for key, value in more.items() if key != "share"})
    assert got == answer
    assert [counts(bench, index) for index in range(3)] == [(0, 0, 0)] * 3


def test_a_compressed_answer_is_opened_edited_and_closed_again() -> None:
    got, bench = asked(whole(gzip.compress(BODY), b"Content-Encoding: gzip"), USAGE)
    assert json.loads(gzip.decompress(body_of(got)))["usage"] == {"completion_tokens": 14, "total_tokens": 17}
    assert counts(bench) == (1, 1, 0)


def test_a_bug_in_somebody_elses_document_fault_leaves_the_answer_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue(), "raising", Raising)
    for answer in (whole(BODY), HEAD + chunk(said("a") + DONE) + END):
        got, bench = asked(answer, {"fault": "raising"})
        assert (got if answer.endswith(BODY) else payload_of(got)[0]) == (
            answer if answer.endswith(BODY) else said("a") + DONE
        )
        assert counts(bench)[1:] == (0, 1)


def test_a_document_fault_needs_no_protocol_that_reads_the_answer() -> None:
    body = b'{"model": "a", "generated_text": "x"}'
    got, bench = asked(whole(body), DOWNGRADE, protocol="auto")
    assert body_of(got) == body.replace(b'"a"', b'"mini"')
    assert counts(bench) == (1, 1, 0)


@pytest.mark.parametrize(
    ("body", "written"),
    [(b'{"model": "a"}', b'{"model": "gr\\u00f6\\u00dfer"}'), ('{"model": "\u00e9"}'.encode(), '{"model": "gr\u00f6\u00dfer"}'.encode())],
    ids=["ASCII", "UTF-8"],
)  # fmt: skip
def test_another_value_is_escaped_as_its_surroundings_are(body: bytes, written: bytes) -> None:
    got, _ = asked(whole(body), {"fault": "model_downgrade", "model": "gr\u00f6\u00dfer"})
    assert body_of(got) == written


@pytest.mark.parametrize(
    "answer", [whole(BODY), HEAD + chunk(b'data: {"model": "big"}\n\n' * 3) + END], ids=["whole", "streamed"]
)
def test_once_a_run_has_hurt_its_most_no_value_changes_any_more(answer: bytes) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, DOWNGRADE, most="2 requests")
        changed = []
        for number in range(4):
            bench.client.data_received(ASK.replace(b"Id: a", b"Id: %d" % number))
            before = len(bench.client_pipe.written)
            bench.upstream.data_received(answer)
            changed.append(b"mini" in bench.client_pipe.written[before:])
        assert changed == [True, True, False, False]
        assert counts(bench)[1] == 2

    run(scenario)


# --- streamed answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["llamacpp/chat_stream.http", "llamacpp/completions_stream.http", "llmock/responses_stream.http"]
)
def test_every_event_of_a_captured_stream_names_the_other_model_and_keeps_its_other_bytes(name: str) -> None:
    body = captured(name)
    got, bench = asked(HEAD + chunk(body) + END, DOWNGRADE)
    model = b'"model": "tiny"' if b'"model": "tiny"' in body else b'"model":"gpt-4o"'
    assert body.count(model) > 2
    assert payload_of(got)[0] == body.replace(
        model, model.partition(b":")[0] + model[7:9].replace(b'"', b"") + b'"mini"'
    )
    assert counts(bench) == (1, 1, 0)
    assert [change["row"] for change in bench.registry.runs["run"].changes] == [0]


def test_a_streamed_text_its_finish_reason_and_its_counts_end_as_the_whole_answers_do() -> None:
    events = b"".join(
        b"data: %s\n\n" % json.dumps(event).encode()
        for event in (
            {"choices": [{"index": 0, "delta": {"content": "Paris, "}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": "always."}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"completion_tokens": 7, "total_tokens": 10}},
        )
    )
    got, bench = asked(HEAD + chunk(events + DONE) + END, TRUNCATED)
    wanted = events.replace(b'"Paris, "', b'"Paris,"').replace(b'"always."', b'""').replace(b'"stop"', b'"length"')
    assert payload_of(got)[0] == wanted.replace(b'_tokens": 7', b'_tokens": 3').replace(b": 10", b": 6") + DONE
    assert counts(bench) == (1, 1, 0)


def test_counts_of_tokens_follow_hurt_choices_alone_whole_and_streamed() -> None:
    """Of two choices of ten characters each, one is cut to six: sixteen of twenty are left, and as many tokens."""
    choices = [{"index": place, "finish_reason": "stop"} for place in range(2)]
    usage = {"usage": {"completion_tokens": 20}}
    body = {"choices": [{**choice, "message": {"content": "0123456789"}} for choice in choices], **usage}
    events = [{"choices": [{**choice, "delta": {"content": "0123456789"}}]} for choice in choices] + [
        {"choices": [], **usage}
    ]
    stream = HEAD + b"".join(chunk(b"data: %s\n\n" % json.dumps(event).encode()) for event in events) + END
    for answer in (whole(json.dumps(body).encode()), stream):
        # With half of the rows selected, one seed in two selects one of two.
        tries = (asked(answer, TRUNCATED | {"share": 0.5}, seed=f"seed {number}") for number in range(40))
        got = next(got for got, bench in tries if counts(bench)[1] == 1)
        assert b'"completion_tokens": 16' in got
        assert got.count(b'"length"') == got.count(b'"stop"') == 1


def test_each_event_comes_as_soon_as_it_is_whole_and_disarming_waits_for_none() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, DOWNGRADE)
        bench.client.data_received(ASK)
        bench.upstream.data_received(ENDLESS + b'data: {"model":"big"}\n\ndata: {"mod')
        assert body_of(bytes(bench.client_pipe.written)) == b'data: {"model":"mini"}\n\n'
        bench.registry.disarm("run")
        bench.upstream.data_received(b'el":"big"}\n\n: ping\n\ndata: {"model":"big"\n\n')
        assert body_of(bytes(bench.client_pipe.written)) == (
            b'data: {"model":"mini"}\n\ndata: {"model":"big"}\n\n: ping\n\ndata: {"model":"big"\n\n'
        )
        assert counts(bench) == (1, 1, 0)

    run(scenario)


def test_a_stream_that_cannot_be_edited_is_counted_and_passes() -> None:
    answer = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + chunk(gzip.compress(said("a"))) + END
    got, bench = asked(answer, DOWNGRADE, USAGE)
    assert got == answer
    assert [counts(bench, index)[1:] for index in (0, 1)] == [(0, 1)] * 2


def test_a_shadow_gets_the_other_values_and_the_client_what_the_model_said() -> None:
    got, bench = asked(whole(BODY), USAGE, mode="shadow")
    assert got == whole(BODY)

    async def looked() -> None:
        shadow = Bench()
        arm(shadow, USAGE, mode="shadow")
        shadow.client.data_received(ASK)
        shadow.upstream.data_received(whole(BODY))
        await shadow.settle()
        assert bytes(shadow.client_pipe.written) == whole(BODY)
        assert counts(shadow) == (1, 1, 0)

    run(looked)
    assert bench.client_pipe.written
