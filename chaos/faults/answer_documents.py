"""Where things stand in the JSON of a language model's answer: whole, or in one event of a stream. Shared by several faults.

Chat and completions have `choices`, Responses has `output` and wraps itself in `response` where it is streamed. What is not there is
not found; nothing here minds what an answer lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.json_places import Address


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def wholes(document: object) -> Iterator[tuple[Address, Mapping[str, Any]]]:
    """The answer itself, and the one that an event of Responses wraps, each with its address."""
    outer = _mapping(document)
    yield (), outer
    if isinstance(outer.get("response"), dict):
        yield ("response",), outer["response"]


def choices(document: object) -> Iterator[tuple[Address, int, Mapping[str, Any]]]:
    """Each choice, with its address and the row that it is."""
    for place, choice in enumerate(_list(_mapping(document).get("choices"))):
        if isinstance(choice, dict):
            index = choice.get("index", place)
            yield ("choices", place), index if type(index) is int else place, choice


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer says that it took: `generated` tokens, of which `hidden` stand in no text, and the `total`, if it says one."""

    address: Address
    generated_key: str
    generated: int
    hidden: int
    total: int | None

    def with_generated(self, generated: int) -> Mapping[Address, object]:
        """The values to replace, so that so many were generated and the total is still the sum."""
        if generated == self.generated:
            return {}
        made: dict[Address, object] = {(*self.address, self.generated_key): generated}
        if self.total is not None:
            made[*self.address, "total_tokens"] = self.total + generated - self.generated
        return made


def usages(document: object) -> Iterator[Usage]:
    """Every count of tokens in the answer or event."""
    for address, whole in wholes(document):
        said = _mapping(whole.get("usage"))
        for key, details in (
            ("completion_tokens", "completion_tokens_details"),
            ("output_tokens", "output_tokens_details"),
        ):
            generated, total = said.get(key), said.get("total_tokens")
            hidden = _mapping(said.get(details)).get("reasoning_tokens")
            if type(generated) is int:
                yield Usage(
                    (*address, "usage"),
                    key,
                    generated,
                    min(hidden, generated) if type(hidden) is int else 0,
                    total if type(total) is int else None,
                )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, or a piece of one: its name and its arguments as they stand here, with their addresses; None where they do not."""

    name: tuple[Address, str] | None
    arguments: tuple[Address, str] | None


def tool_calls(document: object) -> Iterator[ToolCall]:
    """Every call of a tool in the answer or event, or the pieces of them."""
    for address, _, choice in choices(document):
        for holder in ("message", "delta"):
            message = _mapping(choice.get(holder))
            for place, call in enumerate(_list(message.get("tool_calls"))):
                yield _call((*address, holder, "tool_calls", place, "function"), _mapping(call).get("function"))
            yield _call((*address, holder, "function_call"), message.get("function_call"))
    for address, whole in wholes(document):
        for place, item in enumerate(_list(whole.get("output"))):
            yield from _item((*address, "output", place), item)
    outer = _mapping(document)
    if str(outer.get("type", "")).startswith("response."):
        yield from _item(("item",), outer.get("item"))
        yield from _pieces(outer)


def _call(address: Address, function: object) -> ToolCall:
    said = _mapping(function)
    return ToolCall(_text(address, said, "name"), _text(address, said, "arguments"))


def _item(address: Address, item: object) -> Iterator[ToolCall]:
    if _mapping(item).get("type") == "function_call":
        yield _call(address, item)


def _pieces(event: Mapping[str, Any]) -> Iterator[ToolCall]:
    """The pieces of arguments of a streamed Responses answer."""
    kind = event["type"]
    if kind == "response.function_call_arguments.delta":
        yield ToolCall(None, _text((), event, "delta"))
    elif kind == "response.function_call_arguments.done":
        yield ToolCall(_text((), event, "name"), _text((), event, "arguments"))


def _text(address: Address, said: Mapping[str, Any], key: str) -> tuple[Address, str] | None:
    value = said.get(key)
    return ((*address, key), value) if isinstance(value, str) else None
