"""repetition: the language model says the same again and again, until it runs out of tokens.

In real life: greedy decoding of a small or badly quantised model, a repetition penalty that a new serving version ignores, a prompt
template without its end marker. The request succeeds; it takes longer, costs more, and says nothing.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import LATEST_CHARACTER, TextFault
from chaos.units import format_share


class Repetition(TextFault):
    """After some characters, the last few come over and over, for longer than the answer was. Token counts and finish reason follow."""

    must = "share of repetition, output length, finish-reason mix"
    ends_at_length = True
    examples: ClassVar = (
        Example(
            "{fault: repetition, target: assistant, after_characters: 60, duration: 60s}",
            does="100% of the treatment arm's answers of assistant repeat themselves after 60 characters, 3 times as long as the rest was",
        ),
        Example(
            "{fault: repetition, target: assistant, times: 0, duration: 60s}", refused="at least 1"
        ),
    )  # fmt: skip

    fault: Literal["repetition"] = "repetition"
    after_characters: int = Field(
        60, description="how much of the text comes as it was, in characters", ge=1, le=LATEST_CHARACTER
    )
    phrase_characters: int = Field(
        24,
        description="how long the phrase is that is repeated: the last of these characters",
        ge=1,
        le=LATEST_CHARACTER,
    )
    times: int = Field(3, description="how many characters come for each that the model had left to say", ge=1, le=20)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        how = f"{self.times} times as long as the rest was"
        return f"{whose} repeat themselves after {self.after_characters} characters, {how}"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """The phrase, as often as it fits, where the model would have gone on."""
        after = self.after_characters
        kept = text[: max(0, after - start)]
        left = len(text) - len(kept)
        if not left:
            return text
        phrase = (beginning + kept)[:after][-self.phrase_characters :]
        first = max(0, start - after) * self.times % len(phrase)
        many = left * self.times
        return kept + (phrase * (many // len(phrase) + 2))[first : first + many]
