"""A small language model behind OpenAI's protocol: chat and completions, whole and streamed, JSON mode, tool calls, embeddings.

    POST /v1/chat/completions   GET /v1/models   GET /health
    POST /v1/completions        POST /v1/embeddings   GET /metrics

The same request says the same; only ids and dates differ. It speaks at a steady pace: FIRST_TOKEN_S, and then TOKEN_S a token.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import struct
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, generate_latest

from chaos.drivers.serving import serve_forever
from chaos.lab import llm_text

MODEL = "assistant"
FIRST_TOKEN_S = 0.03
TOKEN_S = 0.004


class Bad(ValueError):
    """The request is not what the protocol asks for; the message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says: a text, or the arguments of a tool call; why it ended; and how many tokens that took."""

    text: str | None
    arguments: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    @property
    def usage(self) -> Mapping[str, int]:
        """As the protocol counts it."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


def prompt_of(asked: Mapping[str, Any]) -> str:
    """The last message of a chat, or the prompt of a completion. Raises Bad."""
    messages = asked.get("messages")
    found = messages[-1].get("content") if isinstance(messages, list) and messages else asked.get("prompt")
    if not isinstance(found, str):
        raise Bad("`messages` with a last one of text, or a `prompt` of text, is needed")
    return found


def say(asked: Mapping[str, Any]) -> Said:
    """What the model says to this request. Raises Bad."""
    prompt = prompt_of(asked)
    spent = len(llm_text.tokens(prompt))
    if asked.get("tools"):
        arguments = llm_text.called(prompt)
        return Said(None, arguments, "tool_calls", spent, len(llm_text.tokens(arguments)))
    form = asked.get("response_format") or {}
    wants_json = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")
    pieces = llm_text.tokens(llm_text.rated(prompt) if wants_json else llm_text.answered(prompt))
    most = asked.get("max_tokens")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise Bad("`max_tokens` is a whole number from 1 on")
    kept = pieces[:most]
    return Said("".join(kept), None, "stop" if len(kept) == len(pieces) else "length", spent, len(kept))


def _tool_call(arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": llm_text.TOOL, "arguments": arguments},
    }


class Model:
    """The model with its metrics: asked for by its name or an alias, it answers by its name. Only `chat` answers have messages."""

    def __init__(self, name: str, aliases: Sequence[str] = ()) -> None:
        self.name = name
        self.known = (name, *aliases)
        self.registry = CollectorRegistry()
        self.requests = Counter("llm_server_requests", "Requests by status code.", ["code"], registry=self.registry)
        self.tokens = Counter("llm_server_tokens", "Tokens read and written.", ["kind"], registry=self.registry)
        for code in ("200", "400", "404"):
            self.requests.labels(code)

    def head(self, kind: str) -> dict[str, Any]:
        """What every answer, and every event of one, begins with."""
        return {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self.name,
        }

    def count(self, said: Said) -> None:
        """The tokens of one answer are counted."""
        self.tokens.labels("prompt").inc(said.prompt_tokens)
        self.tokens.labels("completion").inc(said.completion_tokens)

    def whole(self, said: Said, *, chat: bool) -> dict[str, Any]:
        """The answer in one piece."""
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": said.finish_reason}
        if not chat:
            choice["text"] = said.text or ""
        elif said.arguments is not None:
            choice["message"] = {"role": "assistant", "content": None, "tool_calls": [_tool_call(said.arguments)]}
        else:
            choice["message"] = {"role": "assistant", "content": said.text}
        return {**self.head("chat.completion" if chat else "text_completion"), "choices": [choice], "usage": said.usage}

    async def events(self, said: Said, *, chat: bool, usage: bool) -> AsyncIterator[dict[str, Any]]:
        """The answer as it is spoken: role, pieces, why it ended, and what it took if that was asked for."""
        head = self.head("chat.completion.chunk" if chat else "text_completion")

        def event(told: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
            said_ = {"delta": told} if chat else {"text": told.get("content", "")}
            return {**head, "choices": [{"index": 0, **said_, "logprobs": None, "finish_reason": reason}]}

        await asyncio.sleep(FIRST_TOKEN_S)
        if chat:
            yield event({"role": "assistant", "content": None if said.text is None else ""})
        for place, piece in enumerate(llm_text.tokens(said.arguments or said.text or "")):
            if place:
                await asyncio.sleep(TOKEN_S)
            if said.arguments is None:
                yield event({"content": piece})
                continue
            begun = {**_tool_call(piece), "index": 0} if not place else {"index": 0, "function": {"arguments": piece}}
            yield event({"tool_calls": [begun]})
        yield event({}, said.finish_reason)
        if usage:
            yield {**head, "choices": [], "usage": said.usage}

    def embeddings(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The vectors of one text or of several, as numbers or as base64. Raises Bad."""
        given = asked.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise Bad("`input` is a text or a list of texts")
        vectors = [llm_text.embedded(text) for text in texts]
        spent = sum(len(llm_text.tokens(text)) for text in texts)
        self.tokens.labels("prompt").inc(spent)
        coded: Sequence[object] = vectors
        if asked.get("encoding_format") == "base64":
            coded = [base64.b64encode(struct.pack(f"<{len(one)}f", *one)).decode("ascii") for one in vectors]
        data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(coded)]
        usage = {"prompt_tokens": spent, "total_tokens": spent}
        return {"object": "list", "data": data, "model": self.name, "usage": usage}


def _error(status: int, message: str, kind: str) -> web.Response:
    told = {"message": message, "type": kind, "param": None, "code": None}
    return web.json_response({"error": told}, status=status)


async def _stream(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    async for event in events:
        await answer.write(b"data: %s\n\n" % json.dumps(event).encode())
    await answer.write(b"data: [DONE]\n\n")
    await answer.write_eof()
    return answer


def application(model: Model) -> web.Application:
    """The server's HTTP interface."""

    async def spoken(request: web.Request, asked: Mapping[str, Any], *, chat: bool) -> web.StreamResponse:
        said = say(asked)
        model.count(said)
        if asked.get("stream"):
            options = asked.get("stream_options") or {}
            usage = isinstance(options, dict) and options.get("include_usage") is True
            return await _stream(request, model.events(said, chat=chat, usage=usage))
        await asyncio.sleep(FIRST_TOKEN_S + TOKEN_S * said.completion_tokens)
        return web.json_response(model.whole(said, chat=chat))

    async def answered(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if not isinstance(asked, dict):
            raise Bad("a JSON object is needed")
        if asked.get("model", model.name) not in model.known:
            return _error(404, f"The model `{asked['model']}` does not exist", "invalid_request_error")
        if request.path.endswith("/embeddings"):
            return web.json_response(model.embeddings(asked))
        return await spoken(request, asked, chat=request.path.endswith("/chat/completions"))

    async def counted(request: web.Request) -> web.StreamResponse:
        try:
            answer = await answered(request)
        except ValueError as error:  # Bad, and JSON that is none
            answer = _error(400, str(error), "invalid_request_error")
        model.requests.labels(str(answer.status)).inc()
        return answer

    async def models(_: web.Request) -> web.Response:
        known = {"id": model.name, "object": "model", "created": 0, "owned_by": "lab"}
        return web.json_response({"object": "list", "data": [known]})

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(model.registry), content_type="text/plain", charset="utf-8")

    made = web.Application(client_max_size=4_000_000)
    made.add_routes(
        [
            web.post("/v1/chat/completions", counted),
            web.post("/v1/completions", counted),
            web.post("/v1/embeddings", counted),
            web.get("/v1/models", models),
            web.get("/health", healthy),
            web.get("/metrics", metrics),
        ]
    )
    return made


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m chaos.lab.llm_server")
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--model", default=MODEL, help="the name that it answers by")
    parser.add_argument("--alias", action="append", default=[], help="another name that it may be asked for by")
    parser.add_argument("--ports-file", type=Path)
    given = parser.parse_args()
    serve_forever(application(Model(given.model, given.alias)), given.listen, "llm-server", given.ports_file)


if __name__ == "__main__":
    main()
