"""The lab's language model and its gateway: OpenAI's protocol as clients know it, and measurements of what people get."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaos.faults import catalogue
from chaos.faults.base import Call
from chaos.lab import llm_text
from chaos.lab.llm_gateway import CHECKS, LEAST_COSINE, REASONS
from chaos.protocols.base import Output
from chaos.protocols.openai import PROTOCOL
from chaos.rows import Row
from tests.drivers.loopback import Asked, Said, module, serving
from tests.lab.conftest import Service, service

PROMPTS = list(llm_text.prompts())
ANSWERS = [llm_text.answered(row["prompt"]) for row in PROMPTS if row["kind"] == "question"]
ASK = {"model": "assistant", "messages": [{"role": "user", "content": "Why do some people care about green tea?"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with module("chaos.lab.llm_server", folder=tmp_path_factory.mktemp("llm-server")) as ports:
        yield service(f"http://{ports['llm-server']}")


@pytest.fixture(scope="module")
def gateway(server: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("llm-gateway")
    with module("chaos.lab.llm_gateway", "--upstream", server.url, folder=folder) as ports:
        yield service(f"http://{ports['llm-gateway']}")


@dataclass
class Puppet:
    """A gateway in front of a model that says what a test tells it."""

    gateway: Service
    asked: list[Asked]
    said: Said = field(default_factory=Said)


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Puppet]:
    folder = tmp_path_factory.mktemp("puppet")
    with (
        serving(lambda _: made.said) as model,
        module("chaos.lab.llm_gateway", "--upstream", model.url, folder=folder) as ports,
    ):
        made = Puppet(service(f"http://{ports['llm-gateway']}"), model.asked)
        yield made


def events(server: Service, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a streamed answer; the last one said that it is over."""
    lines = server.post(path, {**body, "stream": True}).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


# --- the server -------------------------------------------------------------------------------------------------------


def test_the_same_question_gets_the_same_answer_whole_and_streamed(server: Service) -> None:
    whole = server.post("/v1/chat/completions", ASK).json()
    told = events(server, "/v1/chat/completions", {**ASK, "stream_options": {"include_usage": True}})
    text = whole["choices"][0]["message"]["content"]
    deltas = [event["choices"][0]["delta"] for event in told if event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    assert "green tea" in text
    assert deltas[0]["role"] == "assistant"
    reasons = [event["choices"][0]["finish_reason"] for event in told if event["choices"]]
    assert set(reasons[:-1]) == {None}
    assert reasons[-1] == whole["choices"][0]["finish_reason"] == "stop"
    assert told[-1]["usage"] == whole["usage"]
    assert whole["usage"]["total_tokens"] == sum(whole["usage"][f"{kind}_tokens"] for kind in ("prompt", "completion"))
    assert whole["usage"]["completion_tokens"] == len([delta for delta in deltas if delta.get("content")])


def test_the_protocol_that_the_proxy_reads_finds_its_text(server: Service) -> None:
    for path, body in (("/v1/chat/completions", ASK), ("/v1/completions", {"prompt": "green tea"})):
        body_ = server.post(path, body).content
        (row,) = PROTOCOL.rows(body_, {}, Output())
        assert isinstance(row.label, str)
        assert "green tea" in row.label
    assert "".join(event["choices"][0]["text"] for event in events(server, "/v1/completions", {"prompt": "a"})) != ""


def test_too_few_tokens_end_the_answer_and_it_says_so(server: Service) -> None:
    said = server.post("/v1/chat/completions", {**ASK, "max_tokens": 3}).json()
    assert said["choices"][0]["finish_reason"] == "length"
    assert said["usage"]["completion_tokens"] == 3


def test_json_is_what_was_asked_for(server: Service) -> None:
    said = server.post("/v1/chat/completions", {**ASK, "response_format": {"type": "json_object"}}).json()
    assert llm_text.valid_rating(said["choices"][0]["message"]["content"])


def test_a_tool_is_called_whole_and_in_pieces(server: Service) -> None:
    tools = [{"type": "function", "function": {"name": llm_text.TOOL}}]
    whole = server.post("/v1/chat/completions", {**ASK, "tools": tools}).json()["choices"][0]
    function = whole["message"]["tool_calls"][0]["function"]
    assert whole["finish_reason"] == "tool_calls"
    assert llm_text.valid_call(function["name"], function["arguments"])
    pieces = [
        event["choices"][0]["delta"].get("tool_calls")
        for event in events(server, "/v1/chat/completions", {**ASK, "tools": tools})
    ]
    assert "".join(piece[0]["function"]["arguments"] for piece in pieces if piece) == function["arguments"]


def test_embeddings_come_as_numbers_and_as_base64_of_the_same(server: Service) -> None:
    asked = {"model": "assistant", "input": ["green tea", "old bridges"]}
    numbers = [row["embedding"] for row in server.post("/v1/embeddings", asked).json()["data"]]
    coded = [
        row["embedding"] for row in server.post("/v1/embeddings", {**asked, "encoding_format": "base64"}).json()["data"]
    ]
    for one, other in zip(numbers, coded, strict=True):
        assert one == pytest.approx(list(struct.unpack(f"<{llm_text.DIMENSIONS}f", base64.b64decode(other))), abs=1e-6)
        assert llm_text.cosine(one, one) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/chat/completions", {**ASK, "model": "other"}, 404), ("/v1/chat/completions", {"messages": []}, 400),
     ("/v1/chat/completions", b"{", 400), ("/v1/chat/completions", [], 400), ("/v1/completions", {"prompt": 3}, 400),
     ("/v1/completions", {"prompt": "a", "max_tokens": 0}, 400), ("/v1/embeddings", {"input": []}, 400)],
)  # fmt: skip
def test_what_is_no_request_gets_an_error_in_the_protocols_shape(
    server: Service, path: str, body: Any, status: int
) -> None:
    answer = server.post(path, body)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


# --- what a gateway makes of texts ------------------------------------------------------------------------------------


def test_every_right_answer_passes_every_check() -> None:
    assert all(all(llm_text.judged(answer).values()) for answer in ANSWERS)
    assert all(len(llm_text.judged(answer)) == 4 for answer in ANSWERS)
    assert all(llm_text.valid_rating(llm_text.rated(row["prompt"])) for row in PROMPTS)
    assert all(llm_text.valid_call(llm_text.TOOL, llm_text.called(row["prompt"])) for row in PROMPTS)
    neighbours = [llm_text.cosine(*(llm_text.embedded(row[key]) for key in ("prompt", "neighbour"))) for row in PROMPTS]
    assert min(neighbours) > LEAST_COSINE + 0.03


@pytest.mark.parametrize(
    ("fault", "check", "least"),
    [("refusal", "refusal", 1.0), ("wrong_language", "language", 1.0), ("scrambled_text", "garbage", 0.4),
     ("repetition", "repetition", 1.0)],
)  # fmt: skip
def test_each_fault_on_text_fails_the_check_that_is_there_for_it(fault: str, check: str, least: float) -> None:
    made = catalogue()[fault].model_validate({"target": "assistant"})
    hurt = [
        made.edit([Row(0, answer)], Call("seed", 0, str(place), 1.0, {}))[0].label
        for place, answer in enumerate(ANSWERS)
    ]
    failed = sum(not llm_text.judged(str(answer))[check] for answer in hurt)
    assert failed >= least * len(ANSWERS)


def test_a_noisy_embedding_is_no_neighbour_any_more() -> None:
    made = catalogue()["embedding_noise"].model_validate({"target": "assistant", "noise": 1.0})
    failed = 0
    for place, row in enumerate(PROMPTS):
        rows = [
            Row(number, None, tuple(llm_text.embedded(row[key]))) for number, key in enumerate(("prompt", "neighbour"))
        ]
        one, other = (list(new.scores or ()) for new in made.edit(rows, Call("seed", 0, str(place), 1.0, {})))
        failed += llm_text.cosine(one, other) < LEAST_COSINE
    assert failed > 0.95 * len(PROMPTS)


@pytest.mark.parametrize(
    "text", ["", "no", "[]", "{}", '{"subject": "a", "feeling": "positive", "confidence": 2.0}', '{"subject": 1}']
)
def test_what_is_no_rating_is_told(text: str) -> None:
    assert not llm_text.valid_rating(text)


# --- the gateway ------------------------------------------------------------------------------------------------------


def difference(gateway: Service, act: Callable[[], object]) -> dict[str, float]:
    """Which samples changed, and by how much."""
    before = gateway.metrics()
    act()
    return {
        name: value - before.get(name, 0.0)
        for name, value in gateway.metrics().items()
        if value != before.get(name, 0.0)
    }


def ask(kind: str) -> Mapping[str, str]:
    return next(row for row in PROMPTS if row["kind"] == kind)


def test_a_question_is_answered_and_measured_token_by_token(gateway: Service) -> None:
    answers: list[dict[str, Any]] = []
    changed = difference(gateway, lambda: answers.append(gateway.post("/assist", ask("question")).json()))
    assert answers == [
        {"text": llm_text.answered(ask("question")["prompt"]), "finish_reason": "stop", "model": "assistant"}
    ]
    tokens = len(llm_text.tokens(answers[0]["text"]))
    assert changed["llm_first_token_seconds_count"] == changed["llm_longest_gap_seconds_count"] == 1
    assert changed["llm_first_token_seconds_sum"] >= 0.03
    assert changed["llm_token_gap_seconds_count"] == tokens - 1
    assert changed['llm_finish_reasons_total{reason="stop"}'] == 1
    assert changed['llm_answer_tokens_total{by="model"}'] == changed['llm_answer_tokens_total{by="gateway"}'] == tokens
    assert changed["llm_answer_characters_sum"] == len(answers[0]["text"])
    for check in ("refusal", "language", "garbage", "repetition", "model"):
        assert changed[f'llm_checks_total{{check="{check}",result="pass"}}'] == 1


@pytest.mark.parametrize(
    ("kind", "checks"),
    [("rating", {"schema": 1}), ("tool", {"tool_call": 1}), ("neighbours", {"neighbour": 1, "norm": 2})],
)
def test_every_other_kind_is_checked_for_what_it_must_be(
    gateway: Service, kind: str, checks: Mapping[str, int]
) -> None:
    changed = difference(gateway, lambda: gateway.post("/assist", ask(kind)))
    assert changed['ml_requests_total{code="200"}'] == 1
    found = {name: value for name, value in changed.items() if name.startswith("llm_checks")}
    assert found == {f'llm_checks_total{{check="{check}",result="pass"}}': count for check, count in checks.items()}


def test_every_series_that_a_rule_divides_is_there_from_the_start(puppet: Puppet) -> None:
    names = set(puppet.gateway.metrics())
    assert {
        f'llm_checks_total{{check="{check}",result="{result}"}}' for check in CHECKS for result in ("pass", "fail")
    } <= names
    assert {f'llm_finish_reasons_total{{reason="{reason}"}}' for reason in REASONS} <= names
    assert {f'llm_answer_tokens_total{{by="{by}"}}' for by in ("model", "gateway")} <= names


@pytest.mark.parametrize("body", [b"{", [], {}, {"kind": "poem", "prompt": "a"}, {"kind": "question", "prompt": 1}])
def test_what_is_no_question_is_refused_with_what_to_write(gateway: Service, body: Any) -> None:
    answer = gateway.post("/assist", body)
    assert answer.status_code == 400
    assert '"kind"' in answer.json()["error"]


HALF = b'data: {"model": "mini", "choices": [{"index": 0, "delta": {"content": "Half of"}, "finish_reason": null}]}\n\n'


def test_half_an_answer_by_another_model_is_handed_on_and_counted_as_what_it_is(puppet: Puppet) -> None:
    puppet.said = Said(200, HALF, "text/event-stream")
    changed = difference(puppet.gateway, lambda: puppet.gateway.post("/assist", ask("question")))
    assert json.loads(puppet.asked[-1].body)["stream"] is True
    assert changed['ml_requests_total{code="200"}'] == 1
    assert changed['llm_finish_reasons_total{reason="none"}'] == 1
    assert changed['llm_checks_total{check="model",result="fail"}'] == 1


@pytest.mark.parametrize("said", [Said(503), Said(200, b"no json"), Said(200, b"[]")])
@pytest.mark.parametrize("kind", ["rating", "neighbours"])
def test_no_answer_is_an_error_of_the_gateways_own(kind: str, said: Said, puppet: Puppet) -> None:
    puppet.said = said
    changed = difference(puppet.gateway, lambda: puppet.gateway.post("/assist", ask(kind)))
    assert changed['ml_requests_total{code="502"}'] == 1


def test_who_asks_and_the_mark_of_a_run_go_on_to_the_model(puppet: Puppet) -> None:
    marks = {"x-user-id": "u1", "x-chaos-synthetic": "v1;run;sig", "x-request-id": "r1"}
    puppet.said = Said(200, HALF, "text/event-stream")
    puppet.gateway.post("/assist", ask("question"), marks)
    sent = puppet.asked[-1].headers
    assert {name: sent[name] for name in marks} == marks
    assert sent["x-attempt-number"] == "1"
