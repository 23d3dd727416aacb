"""OpenAI's protocols, whole and streamed: vLLM, llama.cpp, Ollama, TGI, gateways, and the hosted models themselves.

    POST …/chat/completions → {"choices": [{"index", "message": {"content", "tool_calls", "refusal"}}], "usage"}
    POST …/completions      → {"choices": [{"index", "text"}], "usage"}
    POST …/embeddings       → {"data": [{"index", "embedding"}], "usage"}
    POST …/responses        → {"output": [{"type": "message", "content": [{"type": "output_text", "text"}]}], "usage"}

A row is a choice, an embedding, or a piece of output text; its label is the text, its scores are the vector. A choice that calls
tools or refuses has no label. Only that string, or those numbers, are ever replaced: usage, tool calls, refusals, log
probabilities and whatever else stands there keep every byte. Embeddings come as numbers or as base64 of little-endian 32-bit
floats (what the official clients ask for).

Source: OpenAI API reference; captures of real servers.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chaos import json_spans
from chaos.json_spans import Span
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Label, Piece, Row

_PATH = re.compile(r"(/.*)?/(chat/completions|completions|embeddings|responses)")
_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_ANSWER = 4 * 1024 * 1024
"""Characters of streamed text that are kept for their repetition at the end; an answer of more is not edited any further."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row stands: the span of its text or of its vector. `classes` are left to the system file."""

    text: Span | None = None
    vector: Span | None = None


def _parse(text: str) -> Span:
    try:
        return json_spans.parse(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"this is no JSON: {error}") from error


def _read(body: bytes) -> tuple[str, list[_Place]]:
    """The text, and where its rows stand. Raises Undecodable."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Undecodable("this is not UTF-8") from error
    whole = _parse(text)
    for key, read in (("choices", _choices), ("data", _embeddings), ("output", _output)):
        found = _member(whole, key)
        if found is not None and isinstance(found.value, list):
            places = read(found)
            if places:
                return text, places
    raise Undecodable("neither choices, nor embeddings, nor output text")


def _member(span: Span | None, key: str) -> Span | None:
    """The value of a mapping's key; None when it is no mapping or has no such key."""
    return span.get(key) if span is not None and isinstance(span.value, dict) else None


def _items(span: Span | None) -> Sequence[Span]:
    return span.items if span is not None and isinstance(span.value, list) else ()


def _string(span: Span | None) -> Span | None:
    return span if span is not None and isinstance(span.value, str) else None


def _whole(span: Span | None, default: int = 0) -> int:
    value = span.value if span is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _choices(found: Span) -> list[_Place]:
    """One row a choice, in the order of the answer."""
    places: list[_Place] = []
    for choice in found.items:
        message = _member(choice, "message")
        if message is None and _member(choice, "text") is None:
            raise Undecodable("a choice with neither a message nor a text")
        places.append(_Place(text=_string(_member(message, "content") if message is not None else choice.get("text"))))
    return places


def _embeddings(found: Span) -> list[_Place]:
    """One row an embedding. Lists of models are lists, too: they have no embeddings."""
    places: list[_Place] = []
    for item in found.items:
        vector = _member(item, "embedding")
        if vector is None:
            raise Undecodable("data without an embedding")
        places.append(_Place(vector=vector))
    return places


def _texts(output: Span | None) -> list[tuple[tuple[int, int], Span]]:
    """Every output text of a Responses answer, with its place in output and content."""
    found: list[tuple[tuple[int, int], Span]] = []
    for place, item in enumerate(_items(output)):
        for part, text in _parts(item):
            found.append(((place, part), text))
    return found


def _parts(item: Span) -> list[tuple[int, Span]]:
    """The output texts of one message, with their place in its content."""
    found: list[tuple[int, Span]] = []
    for part, content in enumerate(_items(_member(item, "content"))):
        kind, text = _member(content, "type"), _string(_member(content, "text"))
        if kind is not None and kind.value == "output_text" and text is not None:
            found.append((part, text))
    return found


def _output(found: Span) -> list[_Place]:
    return [_Place(text=text) for _, text in _texts(found)]


def _vector(span: Span) -> tuple[float, ...] | None:
    """The numbers of an embedding, however it is written; None when it is something else."""
    if isinstance(span.value, str):
        try:
            raw = base64.b64decode(span.value, validate=True)
            return struct.unpack(f"<{len(raw) // 4}f", raw)
        except (binascii.Error, struct.error):
            return None
    cells = span.value if isinstance(span.value, list) else []
    if not cells or not all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells):
        return None
    try:
        return tuple(float(cell) for cell in cells)
    except OverflowError:  # a whole number that no float can hold
        return None


def _vector_edits(span: Span, old: Sequence[float], new: Sequence[float]) -> list[tuple[Span, str]]:
    """What must be replaced for the new numbers: those that differ, or the one string that holds them all."""
    if isinstance(span.value, str):
        packed = base64.b64encode(struct.pack(f"<{len(new)}f", *new)).decode("ascii")
        return [(span, f'"{packed}"')] if tuple(new) != tuple(old) else []
    return [(cell, json.dumps(fresh)) for cell, was, fresh in zip(span.items, old, new, strict=True) if fresh != was]


def _dumped(value: Label, around: str) -> str:
    """The value as JSON, escaped as its surroundings are: pure ASCII stays pure ASCII."""
    escaped = around.isascii() or (isinstance(value, str) and _SURROGATE.search(value) is not None)
    return json.dumps(value, ensure_ascii=escaped)


class OpenAI:
    """The protocol."""

    name = "openai"
    free_text = True
    """Labels are what people and models wrote to each other: nobody may keep them."""

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether the path is one of the four, whatever stands before it."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of a whole answer. Raises Undecodable."""
        del headers
        _, places = _read(body)
        return [_row(index, place, output.classes) for index, place in enumerate(places)]

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the changed texts and numbers replaced, and nothing else. A text stays a text."""
        del headers, output
        text, places = _read(body)
        edits: list[tuple[Span, str]] = []
        for old, new in zip(before, after, strict=True):
            place = places[old.index]
            if place.text is not None and new.label is not None and new.label != old.label:
                edits.append((place.text, _dumped(str(new.label), text)))
            if place.vector is not None and old.scores is not None and new.scores is not None:
                edits += _vector_edits(place.vector, old.scores, new.scores)
        return json_spans.replace(text, edits).encode("utf-8"), {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": {"message", "type", "param", "code"}}`, with the type and code that belong to the status."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        code = "rate_limit_exceeded" if status == 429 else None
        told = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        return json.dumps(told).encode(), {"content-type": "application/json"}

    def open_stream(self, output: Output, edit: Callable[[Piece], str]) -> Spoken:
        """A streamed answer begins; `edit` is asked about every piece of text."""
        del output
        return Spoken(edit)


def _row(index: int, place: _Place, classes: tuple[Label, ...]) -> Row:
    text = place.text.value if place.text is not None else None
    label = text if isinstance(text, str) else None
    return Row(index, label, _vector(place.vector) if place.vector is not None else None, classes)


class Spoken:
    """One streamed answer: chat, completions or Responses, told apart event by event.

    Chat and completions say each piece once. Responses repeats the text up to four times (done events, the item, the whole answer):
    the repetitions say what the edited pieces said. What carries no text keeps every byte: roles, tool calls, refusals, usage,
    `[DONE]`, errors, and data that is no JSON.
    """

    def __init__(self, edit: Callable[[Piece], str]) -> None:
        self._edit = edit
        self._rows: dict[tuple[int, int], int] = {}
        self._lengths: dict[int, int] = {}
        self._said: dict[tuple[int, int], list[str]] = {}
        self._changed: set[tuple[int, int]] = set()
        self._kept = 0

    def feed(self, data: str) -> str:
        """The data of one event, edited; the very same string when it carries no text or the text stays. Raises Undecodable."""
        if not data.startswith("{"):
            return data
        try:
            whole = json_spans.parse(data)
        except (ValueError, RecursionError):
            return data
        choices = _member(whole, "choices")
        edits = self._chunk(choices) if choices is not None else self._response(whole)
        made = [(span, _dumped(text, data)) for span, text in edits if text != span.value]
        return json_spans.replace(data, made) if made else data

    def _piece(self, row: int, span: Span) -> str:
        text = str(span.value)
        start = self._lengths.get(row, 0)
        self._lengths[row] = start + len(text)
        return self._edit(Piece(row, text, start)) if text else text

    def _chunk(self, choices: Span) -> list[tuple[Span, str]]:
        """The texts of a chunk of chat or completions; the chunk with the usage has no choices in its list."""
        edits: list[tuple[Span, str]] = []
        for choice in _items(choices):
            delta = _member(choice, "delta")
            text = _string(_member(delta, "content") if delta is not None else _member(choice, "text"))
            if text is not None:
                edits.append((text, self._piece(_whole(_member(choice, "index")), text)))
        return edits

    def _response(self, whole: Span) -> list[tuple[Span, str]]:
        """The texts of one event of Responses: a piece, or a repetition of what was said."""
        kind = _member(whole, "type")
        item = _whole(_member(whole, "output_index"))
        key = item, _whole(_member(whole, "content_index"))
        texts: list[tuple[tuple[int, int], Span | None]] = []
        match kind.value if kind is not None else None:
            case "response.output_text.delta":
                delta = _string(_member(whole, "delta"))
                return [] if delta is None else [(delta, self._say(key, delta))]
            case "response.output_text.done":
                texts = [(key, _string(_member(whole, "text")))]
            case "response.content_part.done":
                texts = [(key, _string(_member(_member(whole, "part"), "text")))]
            case "response.output_item.done":
                found = _member(whole, "item")
                texts = [((item, part), text) for part, text in (_parts(found) if found is not None else [])]
            case "response.completed" | "response.incomplete" | "response.failed":
                texts = list(_texts(_member(_member(whole, "response"), "output")))
        return [(span, "".join(self._said[at])) for at, span in texts if span is not None and at in self._changed]

    def _say(self, key: tuple[int, int], delta: Span) -> str:
        row = self._rows.setdefault(key, len(self._rows))
        text = self._piece(row, delta)
        self._kept += len(text)
        if self._kept > LONGEST_ANSWER:
            raise Undecodable("a streamed answer that is too long to be repeated")
        self._said.setdefault(key, []).append(text)
        if text != delta.value:
            self._changed.add(key)
        return text


PROTOCOL = OpenAI()
