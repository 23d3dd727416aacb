"""Faults of language models: whole and streamed answers say the same, and what belongs to a text follows it."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import json_places
from chaos.document import read_document
from chaos.faults import catalogue
from chaos.faults.base import Call, End, Fault, Part, Redirect, Signal, Wait
from chaos.faults.broken_tool_call import BrokenToolCall
from chaos.faults.cut_stream import CutStream
from chaos.faults.embedding_noise import EmbeddingNoise
from chaos.faults.invalid_json import SURE, InvalidJson
from chaos.faults.model_downgrade import ModelDowngrade
from chaos.faults.refusal import SORRY, Refusal
from chaos.faults.repetition import Repetition
from chaos.faults.scrambled_text import ScrambledText
from chaos.faults.slow_first_token import SlowFirstToken
from chaos.faults.slow_tokens import SlowTokens
from chaos.faults.stalled_stream import StalledStream
from chaos.faults.texts import TextFault, mixed
from chaos.faults.truncated_answer import TruncatedAnswer
from chaos.faults.wrong_language import SENTENCES, WrongLanguage
from chaos.faults.wrong_usage import WrongUsage
from chaos.protocols.base import Output
from chaos.protocols.openai import PROTOCOL
from chaos.rows import Piece, Row, TextSoFar
from tests.fuzzing import examples

CAPTURES = Path(__file__).parents[1] / "captures"
SENTENCE = "The model answers in plain sentences. They are long enough to be cut, and short enough to read. " * 8
FAMILY = [name for name, kind in catalogue().items() if kind.family == "language models"]
ON_TEXT = [
    (name, example.yaml)
    for name, kind in catalogue().items()
    if issubclass(kind, TextFault)
    for example in kind.examples
    if example.does is not None
] + [
    ("invalid_json", "{fault: invalid_json, target: m, how: single_quotes}"),
    ("invalid_json", "{fault: invalid_json, target: m}"),
    ("repetition", "{fault: repetition, target: m, after_characters: 500, phrase_characters: 500, times: 1}"),
    ("repetition", "{fault: repetition, target: m, after_characters: 7, phrase_characters: 3, times: 20}"),
]


def made(text: str) -> Fault:
    """What the loader makes of a fault in a file."""
    data: Any = read_document(text, "experiment.yaml", {}).data
    return catalogue()[data["fault"]].model_validate(data)


def call(subject: str = "s", share: float = 1.0, seed: str = "seed") -> Call:
    return Call(seed, 0, subject, share, {})


def whole(fault: Fault, text: str, asked: Call | None = None) -> str:
    """What a whole answer of one text becomes."""
    (row,) = fault.edit([Row(0, text)], asked or call())
    return str(row.label)


def streamed(fault: Fault, pieces: Sequence[str], asked: Call | None = None) -> list[str]:
    """What each piece becomes, as the proxy asks for it."""
    asked, got, start = asked or call(), [], 0
    for piece in pieces:
        so_far = asked.texts.setdefault(0, TextSoFar())
        got.append(fault.edit_text(Piece(0, piece, start), asked))
        so_far.add(piece, got[-1])
        start += len(piece)
    return got


def cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(ends)]


def edited(fault: Fault, document: Any, asked: Call | None = None) -> Any:
    """The document with the values that the fault gives it; only what it names has changed."""
    text = json.dumps(document).encode()
    wanted = fault.edit_document(document, asked or call())
    places = json_places.find(text, wanted)
    return json.loads(
        json_places.replaced(text, [(places[at], json.dumps(new).encode()) for at, new in wanted.items()])
    )


def captured(name: str) -> list[Any]:
    """The JSON of a captured whole answer, or of each event of a captured stream."""
    body = (CAPTURES / name).read_bytes().partition(b"\r\n\r\n")[2].decode()
    if name.endswith("_stream.http"):
        lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
        return [json.loads(line) for line in lines]
    return [json.loads(body)]


# --- laws of the family -----------------------------------------------------------------------------------------------


def test_the_family_is_whole_and_exists_on_text_alone() -> None:
    assert set(FAMILY) == {
        "slow_first_token", "slow_tokens", "stalled_stream", "cut_stream", "refusal", "truncated_answer", "scrambled_text", "repetition",
        "wrong_language", "invalid_json", "broken_tool_call", "model_downgrade", "embedding_noise", "wrong_usage",
    }  # fmt: skip
    assert {catalogue()[name].works_on for name in FAMILY} == {"text"}


TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from([SENTENCE, '{"a": [1, "b"]}', ' \n[{"x": "\u00e9"}]', "a\U0001f600b" * 40])
)


@pytest.mark.parametrize(("name", "text"), ON_TEXT)
@given(TEXTS, st.lists(st.integers(0, 1000), max_size=12), st.text(max_size=6))
@settings(max_examples=examples(20), deadline=None)
def test_however_an_answer_is_streamed_its_pieces_join_to_what_the_whole_becomes(
    name: str, text: str, said: str, places: list[int], subject: str
) -> None:
    fault = made(text)
    assert "".join(streamed(fault, cut(said, places), call(subject))) == whole(fault, said, call(subject)), name


@pytest.mark.parametrize(("name", "text"), ON_TEXT)
@given(st.text(max_size=30), st.floats(0, 1), st.text(max_size=6))
@settings(max_examples=examples(20), deadline=None)
def test_what_is_not_selected_or_says_nothing_is_the_very_same_row(
    name: str, text: str, said: str, share: float, subject: str
) -> None:
    rows = [Row(0, said), Row(1, None), Row(2, ""), Row(3, None, (0.6, 0.8)), Row(4, 7), Row(5, said)]
    asked = call(subject, share)
    for old, new in zip(rows, made(text).edit(rows, asked), strict=True):
        may = asked.selected(old.index) and isinstance(old.label, str) and old.label
        assert may or new is old, name


@pytest.mark.parametrize(("name", "text"), ON_TEXT)
def test_a_row_is_a_new_object_only_where_its_text_is_another(name: str, text: str) -> None:
    rows = [Row(0, "{}"), Row(1, "ok"), Row(2, SENTENCE), Row(3, '["a"]')]
    for old, new in zip(rows, made(text).edit(rows, call()), strict=True):
        assert (new is old) == (new.label == old.label), name
    assert made(text).edit(rows, call()) != rows, name


@pytest.mark.parametrize(("name", "text"), ON_TEXT)
def test_documents_whose_texts_did_not_change_stay_as_they_are(name: str, text: str) -> None:
    asked = call()
    asked.texts[0] = TextSoFar(10, 10)
    for document in (*captured("llamacpp/chat.http"), *captured("llmock/responses.http")):
        assert not made(text).edit_document(document, asked), name


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["choices", "usage", "response", "output", "item", "message", "delta", "tool_calls", "function", "arguments", "type",
                     "completion_tokens", "total_tokens", "model", "index", "finish_reason"]), inner), max_leaves=30))  # fmt: skip
@settings(max_examples=examples(20), deadline=None)
def test_whatever_json_an_answer_is_no_fault_breaks_on_it_and_every_address_exists(document: Any) -> None:
    asked = call()
    asked.texts[0] = TextSoFar(10, 5, "", changed=True)
    for name in FAMILY:
        kind = catalogue()[name]
        fault = made(next(example.yaml for example in kind.examples if example.does))
        edited(fault, document, asked)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_a_refusal_is_its_sentence_and_nothing_else() -> None:
    assert whole(Refusal(target="m"), "Paris is lovely.") == SORRY
    assert streamed(Refusal(target="m"), ["Paris", " is", " lovely."]) == [SORRY, "", ""]


def test_a_truncated_answer_is_the_beginning_of_the_answer_and_a_short_one_is_whole() -> None:
    fault = TruncatedAnswer(target="m", characters=7)
    assert whole(fault, "Paris is lovely.") == "Paris i"
    assert whole(fault, "Paris.") == "Paris."


def test_scrambled_text_replaces_its_share_of_letters_by_other_letters_of_the_same_case_and_nothing_else() -> None:
    text = "Abc, 42 \u00e9x!\n" * 400
    got = whole(ScrambledText(target="m", letters=0.3), text)
    assert len(got) == len(text)
    letters = [(old, new) for old, new in zip(text, got, strict=True) if old.isalpha()]
    changed = [(old, new) for old, new in letters if old != new]
    assert abs(len(changed) / len(letters) - 0.3) < 5 * math.sqrt(0.3 * 0.7 / len(letters))
    assert all(old.isupper() == new.isupper() for old, new in changed)
    assert {new for old, new in changed if old == "b"} == set("acdefghijklmnopqrstuvwxyz")
    assert all(old == new for old, new in zip(text, got, strict=True) if not old.isalpha())
    assert whole(ScrambledText(target="m", letters=1.0), "abcxyz" * 50).translate(str.maketrans("", "", "abcxyz"))


def test_repetition_goes_on_with_the_last_phrase_for_longer_than_the_answer_was() -> None:
    fault = Repetition(target="m", after_characters=10, phrase_characters=4, times=2)
    assert whole(fault, "0123456789abc") == "0123456789" + "678967"
    assert whole(fault, "0123456789") == "0123456789"


def test_another_language_is_as_long_as_what_the_model_said_and_begins_with_a_sentence() -> None:
    begun = set()
    for subject in map(str, range(40)):
        got = whole(WrongLanguage(target="m", language="french"), SENTENCE, call(subject))
        assert len(got) == len(SENTENCE)
        begun.add(next(sentence for sentence in SENTENCES["french"] if got.startswith(sentence)))
    assert begun == set(SENTENCES["french"])


@pytest.mark.parametrize("how", ["prose", "single_quotes", "unclosed"])
def test_an_answer_in_json_no_longer_parses_and_prose_stays(how: Any) -> None:
    fault = InvalidJson(target="m", how=how)
    for text in ('{"a": "b"}', ' [{"a": ["b"]}]'):
        with pytest.raises(json.JSONDecodeError):
            json.loads(whole(fault, text))
    for text in ('The set {a, b} is "small".', '"{}"', "12", " "):
        assert whole(fault, text) == text
    assert whole(InvalidJson(target="m", how="prose"), "{}") == SURE + "{}"


# --- what follows a text ----------------------------------------------------------------------------------------------


def test_token_counts_follow_the_text_of_a_captured_answer_and_add_up() -> None:
    (answer,) = captured("llamacpp/chat.http")
    text, usage = answer["choices"][0]["message"]["content"], answer["usage"]
    asked = call()
    asked.texts[0] = TextSoFar(len(text), len(text) // 2, changed=True)
    after = edited(TruncatedAnswer(target="m", characters=len(text) // 2), answer, asked)
    assert after["usage"]["completion_tokens"] == round(usage["completion_tokens"] * (len(text) // 2) / len(text))
    assert after["usage"]["total_tokens"] == after["usage"]["prompt_tokens"] + after["usage"]["completion_tokens"]
    assert after | {"usage": usage, "choices": answer["choices"]} == answer


def test_hidden_tokens_stay_and_only_what_was_said_is_scaled() -> None:
    usage = {"output_tokens": 110, "output_tokens_details": {"reasoning_tokens": 100}, "total_tokens": 120}
    asked = call()
    asked.texts[0] = TextSoFar(40, 20, changed=True)
    after = edited(Refusal(target="m"), {"usage": usage, "output": []}, asked)
    assert (after["usage"]["output_tokens"], after["usage"]["total_tokens"]) == (105, 115)


def test_whoever_got_any_text_got_at_least_one_token() -> None:
    asked = call()
    asked.texts[0] = TextSoFar(100, 1, changed=True)
    document = {"usage": {"completion_tokens": 3}}
    assert edited(Refusal(target="m"), document, asked) == {"usage": {"completion_tokens": 1}}
    asked.texts[0] = TextSoFar(100, 0, changed=True)
    assert edited(Refusal(target="m"), document, asked) == {"usage": {"completion_tokens": 0}}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(TruncatedAnswer(target="m", characters=1), "length"), (Repetition(target="m"), "length"), (Refusal(target="m"), "stop")],
    ids=["truncated", "repetition", "refusal"],
)  # fmt: skip
def test_the_finish_reason_is_length_where_tokens_would_have_run_out_and_only_in_changed_choices(
    fault: Fault, reason: str
) -> None:
    asked = call()
    asked.texts.update({0: TextSoFar(9, 9), 1: TextSoFar(9, 1, changed=True), 2: TextSoFar(9, 1, changed=True)})
    document = {"choices": [{"index": place, "finish_reason": why} for place, why in enumerate(("stop", "stop", None))]}
    assert [one["finish_reason"] for one in edited(fault, document, asked)["choices"]] == ["stop", reason, None]


def test_responses_are_incomplete_when_they_were_truncated() -> None:
    (answer,) = captured("llmock/responses.http")
    asked = call()
    asked.texts[0] = TextSoFar(30, 3, changed=True)
    fault = TruncatedAnswer(target="m", characters=3)
    after = edited(fault, answer, asked)
    assert (after["status"], after["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert after["usage"]["output_tokens"] < answer["usage"]["output_tokens"]
    last = captured("llmock/responses_stream.http")[-1]
    assert edited(fault, last, asked)["response"]["status"] == "incomplete"


# --- documents --------------------------------------------------------------------------------------------------------


def arguments(documents: Sequence[Any], find: Callable[[Any], Any]) -> str:
    return "".join(find(document) or "" for document in documents)


def delta_arguments(event: Any) -> Any:
    calls = event["choices"][0]["delta"].get("tool_calls") if event["choices"] else None
    return calls[0]["function"].get("arguments") if calls else None


def test_the_arguments_of_a_captured_tool_call_no_longer_parse_whole_or_streamed() -> None:
    fault = BrokenToolCall(target="m")
    (answer,) = captured("llmock/chat_tools.http")
    broken = edited(fault, answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    events = captured("llmock/chat_tools_stream.http")
    pieces = arguments([edited(fault, event) for event in events], delta_arguments)
    assert json.loads(arguments(events, delta_arguments)) == {"city": "mock-city"}
    assert broken == pieces == '{"city": "mock-city"'


def test_an_unknown_tool_is_called_in_every_form() -> None:
    fault = BrokenToolCall(target="m", how="unknown_tool")
    called = {"type": "function_call", "name": "f", "arguments": "{}"}
    for document, find in (
        (
            captured("llmock/chat_tools.http")[0],
            lambda said: said["choices"][0]["message"]["tool_calls"][0]["function"],
        ),
        (
            {"choices": [{"message": {"function_call": called}}]},
            lambda said: said["choices"][0]["message"]["function_call"],
        ),
        ({"output": [{"type": "message"}, called]}, lambda said: said["output"][1]),
        ({"type": "response.output_item.done", "item": called}, lambda said: said["item"]),
        ({"type": "response.completed", "response": {"output": [called]}}, lambda said: said["response"]["output"][0]),
    ):
        before, after = find(document), find(edited(fault, document))
        assert after == before | {"name": before["name"] + "_v2"}


def test_the_arguments_of_streamed_responses_no_longer_parse_in_pieces_and_in_their_repetition() -> None:
    fault = BrokenToolCall(target="m")
    delta = {"type": "response.function_call_arguments.delta", "delta": '"b"}'}
    done = {"type": "response.function_call_arguments.done", "arguments": '{"a": "b"}'}
    assert edited(fault, delta)["delta"] == '"b"'
    assert edited(fault, done)["arguments"] == '{"a": "b"'
    assert edited(fault, {"type": "response.output_text.delta", "delta": "}"})["delta"] == "}"


@pytest.mark.parametrize("name", ["llamacpp/chat.http", "llmock/responses.http", "llmock/responses_stream.http"])
def test_wrong_usage_multiplies_what_was_generated_and_keeps_the_sum(name: str) -> None:
    answer = captured(name)[-1]
    found = edited(WrongUsage(target="m", factor=3), answer)
    before, after = (one.get("response", one)["usage"] for one in (answer, found))
    key = "output_tokens" if "output_tokens" in before else "completion_tokens"
    assert after[key] == before[key] * 3
    assert after["total_tokens"] - before["total_tokens"] == 2 * before[key]


def test_wrong_usage_is_wrong_wherever_an_event_says_it() -> None:
    document = {"usage": {"completion_tokens": 3}, "response": {"usage": {"output_tokens": 5, "total_tokens": 6}}}
    after = edited(WrongUsage(target="m", factor=0), document)
    assert after == {"usage": {"completion_tokens": 0}, "response": {"usage": {"output_tokens": 0, "total_tokens": 1}}}


def test_another_model_answers_by_name_in_every_event_or_by_address_before_it_is_asked() -> None:
    named = ModelDowngrade(target="m", model="mini")
    for name in ("llamacpp/chat.http", "llamacpp/chat_stream.http", "llmock/responses_stream.http"):
        for document in captured(name):
            after = edited(named, document)
            for before, now in ((document, after), (document.get("response", {}), after.get("response", {}))):
                assert "model" not in before or now["model"] == "mini"
    assert list(named.act(call())) == []
    moved = ModelDowngrade(target="m", to="http://other:8080")
    assert list(moved.act(call())) == [Redirect("http://other:8080")]
    assert moved.edit_document({"model": "m"}, call()) == {}


@pytest.mark.parametrize(
    "to",
    ["https://a:1", "http://a", "http://a:x", "http://u@a:1", "http://a:1/", "http://a:1?b", "a:1", "http://a b:1"],
)
def test_an_address_that_is_none_is_refused_with_what_to_write(to: str) -> None:
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        ModelDowngrade(target="m", to=to)


# --- embeddings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_a_noisy_embedding_keeps_its_length_and_turns_as_far_as_was_said(noise: float) -> None:
    vector = [math.sin(place) for place in range(1024)]
    length = math.hypot(*vector)
    old = Row(0, None, tuple(value * 3 / length for value in vector))
    (new,) = EmbeddingNoise(target="m", noise=noise).edit([old], call())
    assert new.scores is not None
    assert old.scores is not None
    assert math.hypot(*new.scores) == pytest.approx(3.0)
    cosine = sum(a * b for a, b in zip(old.scores, new.scores, strict=True)) / 9
    assert cosine == pytest.approx(1 / math.sqrt(1 + noise**2), abs=0.06)


@pytest.mark.parametrize(
    "row", [Row(0, None, (0.0, 0.0)), Row(0, "a", (0.1, 0.9)), Row(0, "text"), Row(0, None, (math.nan, 1.0))]
)
def test_what_is_no_embedding_with_a_direction_stays(row: Row) -> None:
    assert EmbeddingNoise(target="m").edit([row], call())[0] is row


def test_a_noisy_embedding_is_written_as_it_came_in_numbers_or_in_base64() -> None:
    for written in ("[0.6, -0.8]", '"mpkZP83MTL8="'):
        body = b'{"data": [{"index": 0, "embedding": %s}]}' % written.encode()
        rows = PROTOCOL.rows(body, {}, Output())
        after = EmbeddingNoise(target="m").edit(rows, call())
        made_, _ = PROTOCOL.encode(body, {}, Output(), rows, after)
        (again,) = PROTOCOL.rows(made_, {}, Output())
        assert again.scores == pytest.approx(after[0].scores, abs=1e-6)
        assert again.scores != pytest.approx(rows[0].scores, abs=1e-2)


def test_mixed_numbers_are_uniform_and_differ_by_place_and_seed() -> None:
    drawn = [mixed(7, place) for place in range(4000)]
    assert all(0 <= one < 1 for one in drawn)
    assert abs(sum(drawn) / 4000 - 0.5) < 5 * math.sqrt(1 / 12 / 4000)
    assert len(set(drawn)) == 4000
    assert mixed(8, 0) != mixed(7, 0)


# --- delivery ---------------------------------------------------------------------------------------------------------


def parts(kind: Any = "event", many: int = 6) -> list[Part]:
    return [Part("head", 0, 100, 0), *(Part(kind, place, 10, 10 * place) for place in range(many))]


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (SlowFirstToken(target="m", by=2.0), {0: Wait(2.0)}),
        (SlowTokens(target="m", by=0.2), {place: Wait(0.2) for place in range(2, 7)}),
        (StalledStream(target="m", after_events=2, silence=9.0), {3: Wait(9.0)}),
        (CutStream(target="m", after_events=2), {3: End(clean=True)}),
    ],
    ids=lambda value: value.fault if isinstance(value, Fault) else "",
)
def test_a_stream_is_delivered_as_the_fault_says(fault: Fault, wanted: dict[int, object]) -> None:
    got = {place: found for place, part in enumerate(parts()) for found in fault.deliver(part, call())}
    assert got == wanted


@pytest.mark.parametrize("name", ["slow_tokens", "stalled_stream", "cut_stream"])
def test_what_is_not_streamed_is_delivered_as_it_is(name: str) -> None:
    fault = made(next(example.yaml for example in catalogue()[name].examples if example.does))
    assert [found for part in parts("piece") for found in fault.deliver(part, call())] == []


def test_a_slow_first_token_makes_every_answer_later_by_as_much() -> None:
    fault = SlowFirstToken(target="m", by=2.0, share=0.5)
    assert [found for part in parts("piece") for found in fault.deliver(part, call())] == [Wait(2.0)]
    assert fault.treated(Signal.latency, 0.1) == pytest.approx(1.1)
