"""invalid_json: the language model's answer should be JSON, and cannot be parsed.

In real life: a model without constrained decoding behind a prompt that begs for JSON; a new version that is friendlier and says "Sure!"
first; a limit of tokens that eats the last brace. The request succeeds, and whoever parses the answer fails one step later.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import TextFault
from chaos.units import format_share

SURE = "Sure! Here is the JSON that you asked for:\n"
_HOW = {
    "prose": "begin with a friendly sentence",
    "single_quotes": "are quoted by single quotes",
    "unclosed": "never close a brace or a bracket",
}


class InvalidJson(TextFault):
    """Selected answers that begin as JSON objects or lists no longer parse; every other answer stays as it is."""

    must = "share of answers that are valid by their schema"
    quiet = "request error rate, first-token time, finish-reason mix"
    examples: ClassVar = (
        Example(
            "{fault: invalid_json, target: assistant, how: prose, duration: 60s}",
            does="100% of the treatment arm's JSON answers of assistant begin with a friendly sentence",
        ),
        Example("{fault: invalid_json, target: assistant, how: broken, duration: 60s}", refused="single_quotes"),
    )

    fault: Literal["invalid_json"] = "invalid_json"
    how: Literal["prose", "single_quotes", "unclosed"] = Field("unclosed", description="what makes it invalid")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.share)} of the treatment arm's JSON answers of {self.target} {_HOW[self.how]}"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """The text, broken, where it is part of an object or a list."""
        told = beginning.lstrip()
        if not (told or text.lstrip()).startswith(("{", "[")):
            return text
        match self.how:
            case "prose":
                space = len(text) - len(text.lstrip())
                return text if told else text[:space] + SURE + text[space:]
            case "single_quotes":
                return text.replace('"', "'")
            case _:
                return text.replace("}", "").replace("]", "")
