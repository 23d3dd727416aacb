"""OpenAI's protocols: captures go round unchanged, one changed text is one changed string, and streams say the same everywhere."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.faults.base import Call
from chaos.faults.wrong_predictions import WrongPredictions
from chaos.protocols import catalogue
from chaos.protocols.base import Output, Streaming, Undecodable
from chaos.protocols.openai import LONGEST_ANSWER, PROTOCOL
from chaos.rows import Piece, Row

CAPTURES = Path(__file__).parents[1] / "captures"
SIMULATED = "Simulated answer from gpt-4o for 'hi'."
ANSWERS = {
    "llamacpp/chat.http": " go or oil way first some",
    "llmock/chat_tools.http": None,
    "llmock/responses.http": SIMULATED,
}
STREAMS = [
    "llamacpp/chat_stream.http",
    "llamacpp/completions_stream.http",
    "llmock/chat_tools_stream.http",
    "llmock/responses_stream.http",
]


def captured(name: str) -> tuple[str, str, str]:
    """The path that was asked, the answer's head and its body (curl took its chunks off; a last line feed is the capture's)."""
    command, _, answer = (CAPTURES / name).read_bytes().decode().partition("\nHTTP/1.1 ")
    head, _, body = answer.partition("\r\n\r\n")
    return "/" + command.split(" ")[2].partition("/")[2], head, body.removesuffix("\n")


def stream_data(name: str) -> list[str]:
    """The data of every event of a captured stream."""
    return [line.removeprefix("data: ") for line in captured(name)[2].splitlines() if line.startswith("data: ")]


def shout(piece: Piece) -> str:
    return piece.text.upper()


# --- whole answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/v1/chat/completions", True), ("/v1/completions", True), ("/v1/embeddings", True), ("/v1/responses", True), ("/embeddings", True),
     ("/openai/deployments/gpt/chat/completions", True), ("/v1/models", False), ("/v1/responses/resp_1/cancel", False), ("/v1/chat/completions/", False),
     ("/v1/batch_completions", False), ("/v2/models/m/infer", False), ("/invocations", False)],
)  # fmt: skip
def test_a_request_is_told_by_the_end_of_its_path(path: str, is_one: bool) -> None:
    assert PROTOCOL.detect(path, {}) is is_one


def test_the_catalogue_has_the_protocol_under_its_name_and_knows_that_it_streams() -> None:
    assert catalogue()["openai"] is PROTOCOL
    assert isinstance(PROTOCOL, Streaming)
    assert not isinstance(catalogue()["oip"], Streaming)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_captured_answer_says_its_text_and_goes_round_without_a_changed_byte(name: str) -> None:
    path, _, text = captured(name)
    assert PROTOCOL.detect(path, {})
    body = text.encode()
    rows = PROTOCOL.rows(body, {}, Output())
    assert rows == [Row(0, ANSWERS[name])]
    assert PROTOCOL.encode(body, {}, Output(), rows, [replace(row) for row in rows]) == (body, {})


@pytest.mark.parametrize("name", [name for name, text in ANSWERS.items() if text is not None])
def test_a_changed_text_of_a_captured_answer_is_all_that_changes(name: str) -> None:
    body = captured(name)[2].encode()
    rows = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, [replace(rows[0], label='a "new"\n text')])
    key = b'"content":"' if b"chat.completion" in body else b'"text":"'
    wanted = body.replace(key + str(ANSWERS[name]).encode() + b'"', key + rb"a \"new\"\n text" + b'"')
    assert wanted != body
    assert made == wanted


def test_each_choice_is_a_row_and_only_the_changed_ones_string_changes() -> None:
    body = (
        b'{"choices": [ {"index":0,"text":"a", "logprobs":null},{"text":"b" ,"index":1}],"usage":{"total_tokens": 1e1}}'
    )
    rows = PROTOCOL.rows(body, {}, Output())
    assert [row.label for row in rows] == ["a", "b"]
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, [rows[0], replace(rows[1], label="c")])
    assert made == body.replace(b'"b"', b'"c"')


@pytest.mark.parametrize(
    "message",
    ['{"role":"assistant","content":null,"refusal":"No."}', '{"role":"assistant","content":[{"type":"text","text":"x"}]}', '{"role":"assistant"}'],
)  # fmt: skip
def test_a_choice_without_a_text_has_no_label_and_takes_none(message: str) -> None:
    body = b'{"choices":[{"message":%s}]}' % message.encode()
    rows = PROTOCOL.rows(body, {}, Output())
    assert rows == [Row(0)]
    assert PROTOCOL.encode(body, {}, Output(), rows, [replace(rows[0], label="x")]) == (body, {})


@pytest.mark.parametrize(
    ("before", "after", "written"),
    [("x", "Gr\u00fc\u00dfe", b'"Gr\\u00fc\\u00dfe"'), ("\u00e9", "Gr\u00fc\u00dfe", '"Gr\u00fc\u00dfe"'.encode()), ("\u00e9", "half \ud83d", b'"half \\ud83d"')],
)  # fmt: skip
def test_a_new_text_is_escaped_as_its_surroundings_are(before: str, after: str, written: bytes) -> None:
    body = json.dumps({"choices": [{"text": before}]}, ensure_ascii=False).encode()
    rows = PROTOCOL.rows(body, {}, Output())
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, [replace(rows[0], label=after)])
    assert made == b'{"choices": [{"text": %s}]}' % written


def test_several_output_texts_of_responses_are_rows_and_reasoning_and_calls_are_none() -> None:
    output = [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": "b"}]},
        {"type": "function_call", "arguments": "{}"},
    ]  # fmt: skip
    body = json.dumps({"output": output, "usage": None}).encode()
    rows = PROTOCOL.rows(body, {}, Output())
    assert [row.label for row in rows] == ["a", "b"]
    assert PROTOCOL.encode(body, {}, Output(), rows, [rows[0], replace(rows[1], label="c")])[0] == body.replace(
        b'"b"', b'"c"'
    )


def test_a_language_model_that_classifies_is_hurt_by_the_faults_of_classifiers() -> None:
    output = Output(classes=("spam", "ham"))
    body = b'{"choices":[{"message":{"content":"spam"}}],"usage":{"total_tokens":1}}'
    rows = PROTOCOL.rows(body, {}, output)
    hurt = WrongPredictions(target="m").edit(rows, Call("seed", 0, "subject", 1.0, {}))
    assert PROTOCOL.encode(body, {}, output, rows, hurt)[0] == body.replace(b"spam", b"ham")


def test_an_embedding_is_a_row_of_numbers_and_only_changed_numbers_change() -> None:
    body = b'{"object":"list","data":[{"index":0,"embedding":[0.10, -1e-3,2]},{"index":1,"embedding":[1.0,0,0.5]}],"usage":{}}'
    rows = PROTOCOL.rows(body, {}, Output())
    assert rows == [Row(0, None, (0.1, -0.001, 2.0)), Row(1, None, (1.0, 0.0, 0.5))]
    made, _ = PROTOCOL.encode(body, {}, Output(), rows, [rows[0], replace(rows[1], scores=(1.0, 0.25, 0.5))])
    assert made == body.replace(b"[1.0,0,0.5]", b"[1.0,0.25,0.5]")


def test_an_embedding_in_base64_stays_in_base64() -> None:
    packed = [base64.b64encode(struct.pack("<3f", *numbers)) for numbers in ((0.1, -2.0, 3.5), (0.1, -2.0, 4.5))]
    body = b'{"data":[{"embedding": "%s"}],"usage":{}}' % packed[0]
    (row,) = PROTOCOL.rows(body, {}, Output())
    assert row.scores == struct.unpack("<3f", struct.pack("<3f", 0.1, -2.0, 3.5))
    assert PROTOCOL.encode(body, {}, Output(), [row], [replace(row)])[0] == body
    made, _ = PROTOCOL.encode(body, {}, Output(), [row], [replace(row, scores=(*row.scores[:2], 4.5))])
    assert made == body.replace(packed[0], packed[1])


@pytest.mark.parametrize("vector", ['"abc"', '"not base64"', "[]", '[1,"a"]', "null", "[[1]]", "[1" + "0" * 400 + "]"])
def test_an_embedding_that_is_none_has_no_numbers(vector: str) -> None:
    assert PROTOCOL.rows(b'{"data":[{"embedding":%s}]}' % vector.encode(), {}, Output()) == [Row(0)]


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff{}", b"[]", b"null", b"{}", b'{"choices":[]}', b'{"choices":{}}', b'{"choices":[1]}', b'{"choices":[{"index":0}]}', b'{"output":[]}', b'{"output":[{"content":[{"type":"output_text","text":null}]}]}',
     b'{"object":"list","data":[{"id":"gpt-4o","object":"model"}]}', b'{"choices":[{"text":"a"}]', b"[" * 100_000, captured("llamacpp/err_ctx.http")[2].encode()],
)  # fmt: skip
def test_what_is_no_answer_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, {}, Output())


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(400, "invalid_request_error", None), (401, "authentication_error", None), (429, "rate_limit_error", "rate_limit_exceeded"), (503, "server_error", None)],
)  # fmt: skip
def test_an_error_has_the_shape_that_the_official_clients_read(status: int, kind: str, code: str | None) -> None:
    body, headers = PROTOCOL.error(status, "why")
    assert json.loads(body) == {"error": {"message": "why", "type": kind, "param": None, "code": code}}
    assert headers == {"content-type": "application/json"}


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STREAMS)
def test_a_captured_stream_that_nobody_edits_keeps_every_byte(name: str) -> None:
    stream = PROTOCOL.open_stream(Output(), lambda piece: piece.text)
    data = stream_data(name)
    assert data
    assert all(stream.feed(one) is one for one in data)


@pytest.mark.parametrize("name", ["llamacpp/chat_stream.http", "llamacpp/completions_stream.http"])
def test_every_piece_of_a_captured_stream_is_asked_about_once_in_order_and_replaced(name: str) -> None:
    asked: list[Piece] = []

    def edit(piece: Piece) -> str:
        asked.append(piece)
        return piece.text.upper()

    stream = PROTOCOL.open_stream(Output(), edit)
    texts = [" go", " or", " oil", " way"] if "chat" in name else [" in", " he", " have"]
    for data in stream_data(name):
        wanted = data
        for text in texts:
            wanted = wanted.replace(f'": "{text}"', f'": "{text.upper()}"')
        assert stream.feed(data) == wanted
    starts = [sum(map(len, texts[:place])) for place in range(len(texts))]
    assert asked == [Piece(0, text, start) for text, start in zip(texts, starts, strict=True)]


def test_the_stream_of_a_tool_call_is_never_edited() -> None:
    stream = PROTOCOL.open_stream(Output(), lambda piece: "changed")
    assert all(stream.feed(data) is data for data in stream_data("llmock/chat_tools_stream.http"))


def test_responses_repeats_the_edited_text_wherever_it_repeats_the_text() -> None:
    stream = PROTOCOL.open_stream(Output(), shout)
    pieces = ["Simulated ", "answer ", "from ", "gpt-4o ", "for ", "'hi'."]
    data = stream_data("llmock/responses_stream.http")
    repeated = 0
    for one in data:
        wanted = one.replace(f'"text":"{SIMULATED}"', f'"text":"{SIMULATED.upper()}"')
        repeated += wanted != one
        for piece in pieces:
            wanted = wanted.replace(f'"delta":"{piece}"', f'"delta":"{piece.upper()}"')
        assert stream.feed(one) == wanted
    assert repeated == 4


def test_a_fault_that_is_taken_off_in_mid_stream_leaves_the_repetitions_as_the_client_heard_it() -> None:
    stream = PROTOCOL.open_stream(Output(), lambda piece: "X" if piece.start < 10 else piece.text)
    said = [json.loads(stream.feed(data)) for data in stream_data("llmock/responses_stream.http")]
    heard = "".join(event["delta"] for event in said if event["type"].endswith(".delta"))
    assert heard == "Xanswer from gpt-4o for 'hi'."
    assert said[-1]["response"]["output"][0]["content"][0]["text"] == heard


def test_a_server_whose_repetition_differs_from_its_pieces_keeps_it_where_nothing_was_edited() -> None:
    stream = PROTOCOL.open_stream(Output(), lambda piece: piece.text)
    stream.feed('{"type":"response.output_text.delta","delta":"a "}')
    done = '{"type":"response.output_text.done","text":"a"}'
    assert stream.feed(done) is done


def test_choices_of_one_stream_are_rows_of_their_own() -> None:
    asked: list[Piece] = []

    def edit(piece: Piece) -> str:
        asked.append(piece)
        return piece.text if piece.row else "!"

    stream = PROTOCOL.open_stream(Output(), edit)
    chunk = '{"choices":[{"index":1,"delta":{"content":"a"}},{"index":0,"delta":{"content":"bc"}}],"usage":null}'
    assert stream.feed(chunk) == chunk.replace('"bc"', '"!"')
    stream.feed(chunk)
    assert asked == [Piece(1, "a", 0), Piece(0, "bc", 0), Piece(1, "a", 1), Piece(0, "bc", 2)]


def test_rows_of_a_stream_have_the_numbers_that_they_have_in_a_whole_answer() -> None:
    rows: list[int] = []

    def edit(piece: Piece) -> str:
        rows.append(piece.row)
        return piece.text

    stream = PROTOCOL.open_stream(Output(), edit)
    for item, part in ((1, 0), (1, 0), (1, 2), (4, 0)):
        place = {"output_index": item, "content_index": part}
        stream.feed(json.dumps({"type": "response.output_text.delta", **place, "delta": "x"}))
    assert rows == [0, 0, 1, 2]


@pytest.mark.parametrize(
    "data",
    ["[DONE]", "", "{", "null", "[]", '{"error":{"message":"overloaded"}}', '{"choices":[]}', '{"choices":[{"delta":{"content":null}}]}', '{"choices":[{"delta":{"content":""}}]}',
     '{"choices":[1,{"delta":2}]}', '{"type":"response.output_text.delta"}', '{"type":"response.output_text.done","text":"never said"}', '{"type":"response.refusal.delta","delta":"No"}',
     '{"type":"response.function_call_arguments.delta","delta":"{"}', '{"type":"response.completed","response":null}', '{"type":7}', '{"a":' * 100 + "1" + "}" * 100],
)  # fmt: skip
def test_an_event_without_text_keeps_every_byte(data: str) -> None:
    assert PROTOCOL.open_stream(Output(), lambda piece: "changed").feed(data) is data


def test_what_is_remembered_of_a_stream_is_bounded() -> None:
    stream = PROTOCOL.open_stream(Output(), lambda piece: piece.text)
    event = json.dumps({"type": "response.output_text.delta", "delta": "x" * (LONGEST_ANSWER // 4)})
    for _ in range(4):
        stream.feed(event)
    with pytest.raises(Undecodable):
        stream.feed(event)
