"""The gateway in front of the lab's language model: it asks for people, and measures what they get, token by token.

    POST /assist {kind, prompt, neighbour} ─▶ the model (through whatever stands in front of it) ─▶ {text, finish_reason, model}

    question    a streamed chat: first-token time, time between tokens, why it ended, what kind of text it is
    rating      JSON mode, checked against the schema that was asked for
    tool        a tool call, checked against the tools that there are
    neighbours  embeddings of two texts that say the same, which must point the same way

Nothing is asked twice, and what comes in half is handed on in half: as many clients have it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER, SYNTHETIC_HEADER
from chaos.drivers.serving import serve_forever
from chaos.lab import llm_text
from chaos.lab.gateway_app import gateway_app
from chaos.lab.llm_server import MODEL

TIMEOUT_S = 30.0
SUBJECT_HEADER = "x-user-id"
KINDS = ("question", "rating", "tool", "neighbours")
CHECKS = ("refusal", "language", "garbage", "repetition", "schema", "tool_call", "neighbour", "norm", "model")
REASONS = ("stop", "length", "tool_calls", "content_filter", "none")
LEAST_COSINE = 0.7
"""Neighbours of the lab's own prompts are at least so near to each other; see the tests."""
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
CHARACTERS = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 400, 600, 1000)


class Metrics:
    """Every label combination exists from the start at 0, so that a rate is never missing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter("ml_requests", "Requests by status code.", ["code"], registry=registry)
        self.seconds = Histogram(
            "ml_request_duration_seconds", "Time to a whole answer.", registry=registry, buckets=SECONDS
        )
        self.first = Histogram(
            "llm_first_token_seconds", "Time to the first text of a stream.", registry=registry, buckets=SECONDS
        )
        self.gaps = Histogram(
            "llm_token_gap_seconds", "Time between two pieces of a stream.", registry=registry, buckets=TOKEN_SECONDS
        )
        self.longest = Histogram(
            "llm_longest_gap_seconds", "The longest silence of each stream.", registry=registry, buckets=TOKEN_SECONDS
        )
        self.reasons = Counter(
            "llm_finish_reasons", "Why answers ended; `none` when they never said.", ["reason"], registry=registry
        )
        self.checks = Counter(
            "llm_checks", "What answers were checked for.", ["check", "result"], registry=registry
        )  # fmt: skip
        self.characters = Histogram(
            "llm_answer_characters", "Length of the answers to questions.", registry=registry, buckets=CHARACTERS
        )
        self.tokens = Counter(
            "llm_answer_tokens",
            "Tokens of the answers to questions, as the model says and as counted here.",
            ["by"],
            registry=registry,
        )
        for code in ("200", "400", "502"):
            self.requests.labels(code)
        for reason in REASONS:
            self.reasons.labels(reason)
        for check in CHECKS:
            for result in ("pass", "fail"):
                self.checks.labels(check, result)
        for by in ("model", "gateway"):
            self.tokens.labels(by)

    def check(self, name: str, *, passed: bool) -> None:
        """One check of one answer."""
        self.checks.labels(name, "pass" if passed else "fail").inc()


@dataclass
class Heard:
    """What came of one chat: its text, why it ended, the model that answered, and what that took; None where nobody said."""

    text: list[str] = field(default_factory=list)
    reason: str | None = None
    model: str | None = None
    tokens: int | None = None
    tool: Mapping[str, Any] | None = None

    def take(self, said: Mapping[str, Any]) -> str:
        """A whole answer, or one event of it; the text in it."""
        self.model = said.get("model", self.model)
        if said.get("usage"):
            self.tokens = said["usage"].get("completion_tokens")
        if not said.get("choices"):
            return ""
        choice = said["choices"][0]
        self.reason = choice.get("finish_reason") or self.reason
        message = choice.get("message") or choice.get("delta") or {}
        for call in message.get("tool_calls") or ():
            self.tool = call.get("function")
        text = message.get("content") or ""
        self.text.append(text)
        return text

    def told(self) -> dict[str, object]:
        """What the person gets."""
        return {"text": "".join(self.text), "finish_reason": self.reason, "model": self.model}


class LlmGateway:
    """The gateway's state: where the model is, and what has been measured."""

    def __init__(self, upstream: str, model: str = MODEL) -> None:
        self.upstream = upstream
        self.model = model
        self.metrics = Metrics()
        self.session: aiohttp.ClientSession | None = None

    async def assist(self, kind: str, asked: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, object]:
        """What the person gets. Raises what aiohttp raises when there is no answer, and ValueError and its kin when it is none."""
        prompt = str(asked["prompt"])
        match kind:
            case "question":
                return await self._question(prompt, headers)
            case "rating":
                return await self._rating(prompt, headers)
            case "tool":
                return await self._tool(prompt, headers)
            case _:
                return await self._neighbours([prompt, str(asked["neighbour"])], headers)

    def _chat(self, prompt: str, **more: object) -> dict[str, object]:
        return {"model": self.model, "messages": [{"role": "user", "content": prompt}], **more}

    async def _post(self, path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> Any:
        assert self.session is not None
        async with self.session.post(self.upstream + path, data=json.dumps(body).encode(), headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)

    async def _question(self, prompt: str, headers: Mapping[str, str]) -> dict[str, object]:
        assert self.session is not None
        body = self._chat(prompt, stream=True, stream_options={"include_usage": True})
        heard, asked_s = Heard(), time.perf_counter()
        last_s, longest_s = None, 0.0
        data = json.dumps(body).encode()
        async with self.session.post(f"{self.upstream}/v1/chat/completions", data=data, headers=headers) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if not line.startswith(b"data: {") or not heard.take(json.loads(line[6:])):
                    continue
                now_s = time.perf_counter()
                if last_s is None:
                    self.metrics.first.observe(now_s - asked_s)
                else:
                    self.metrics.gaps.observe(now_s - last_s)
                    longest_s = max(longest_s, now_s - last_s)
                last_s = now_s
        self.metrics.longest.observe(longest_s)
        self._judge(heard)
        self._count(heard)
        return heard.told()

    def _judge(self, heard: Heard) -> None:
        """Why the answer ended, by which model, and what kind of text it is."""
        metrics = self.metrics
        metrics.reasons.labels(heard.reason if heard.reason in REASONS else "none").inc()
        metrics.check("model", passed=heard.model == self.model)
        for name, passed in llm_text.judged("".join(heard.text)).items():
            metrics.check(name, passed=passed)

    def _count(self, heard: Heard) -> None:
        """How long the answer is; its tokens only when the model has said how many there are."""
        text = "".join(heard.text)
        self.metrics.characters.observe(len(text))
        if heard.tokens is not None:
            self.metrics.tokens.labels("model").inc(heard.tokens)
            self.metrics.tokens.labels("gateway").inc(len(llm_text.tokens(text)))

    async def _rating(self, prompt: str, headers: Mapping[str, str]) -> dict[str, object]:
        form = {"type": "json_object"}
        heard = Heard()
        heard.take(await self._post("/v1/chat/completions", self._chat(prompt, response_format=form), headers))
        self.metrics.check("schema", passed=llm_text.valid_rating("".join(heard.text)))
        return heard.told()

    async def _tool(self, prompt: str, headers: Mapping[str, str]) -> dict[str, object]:
        parameters = {"type": "object", "properties": {"subject": {"type": "string"}}, "required": ["subject"]}
        tools = [{"type": "function", "function": {"name": llm_text.TOOL, "parameters": parameters}}]
        heard = Heard()
        heard.take(await self._post("/v1/chat/completions", self._chat(prompt, tools=tools), headers))
        tool = heard.tool or {}
        self.metrics.check("tool_call", passed=llm_text.valid_call(tool.get("name"), tool.get("arguments")))
        return heard.told()

    async def _neighbours(self, texts: list[str], headers: Mapping[str, str]) -> dict[str, object]:
        answer = await self._post("/v1/embeddings", {"model": self.model, "input": texts}, headers)
        one, other = (row["embedding"] for row in answer["data"])
        self.metrics.check("neighbour", passed=llm_text.cosine(one, other) >= LEAST_COSINE)
        for vector in (one, other):
            self.metrics.check("norm", passed=math.isclose(math.hypot(*vector), 1.0, abs_tol=0.01))
        return {"dimensions": len(one), "model": answer.get("model")}


def application(gateway: LlmGateway) -> web.Application:
    """The gateway's HTTP interface."""
    metrics = gateway.metrics

    async def assist(request: web.Request) -> web.Response:
        begun_s = time.perf_counter()
        try:
            asked = await request.json()
            kind = asked["kind"]
            if kind not in KINDS or not isinstance(asked["prompt"], str):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            metrics.requests.labels("400").inc()
            message = 'write {"kind": "question" | "rating" | "tool" | "neighbours", "prompt": TEXT, "neighbour": TEXT}'
            return web.json_response({"error": message}, status=400)
        headers = {
            REQUEST_HEADER: request.headers.get(REQUEST_HEADER) or uuid.uuid4().hex,
            ATTEMPT_HEADER: "1",
            "content-type": "application/json",
        }
        headers |= {
            name: request.headers[name] for name in (SUBJECT_HEADER, SYNTHETIC_HEADER) if name in request.headers
        }
        code = 200
        try:
            answer = web.json_response(await gateway.assist(kind, asked, headers))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, LookupError, TypeError, AttributeError):
            code, answer = 502, web.json_response({"error": "the model did not answer"}, status=502)
        metrics.requests.labels(str(code)).inc()
        metrics.seconds.observe(time.perf_counter() - begun_s)
        return answer

    return gateway_app(gateway, [web.post("/assist", assist)], metrics.registry, TIMEOUT_S)


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m chaos.lab.llm_gateway")
    parser.add_argument("--listen", default="127.0.0.1:8000")
    parser.add_argument(
        "--upstream", required=True, help="http://HOST:PORT of the model, or of the proxy in front of it"
    )
    parser.add_argument("--model", default=MODEL, help="the model that is asked for")
    parser.add_argument("--ports-file", type=Path)
    given = parser.parse_args()
    serve_forever(application(LlmGateway(given.upstream, given.model)), given.listen, "llm-gateway", given.ports_file)


if __name__ == "__main__":
    main()
