"""scrambled_text: the language model's words are garbled.

In real life: a tokeniser of another version than the model's, a quantisation that broke a layer, a temperature that a client library
multiplied by ten, a damaged cache of keys and values. Length, speed, finish reason and status look as ever.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import TextFault, mixed, seed_of
from chaos.units import Share, format_share

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()


class ScrambledText(TextFault):
    """Letters of selected answers become other letters; spaces, figures and marks stay, and so does the length."""

    must = "share of garbage"
    examples: ClassVar = (
        Example(
            "{fault: scrambled_text, target: assistant, letters: 50%, duration: 60s}",
            does="100% of the treatment arm's answers of assistant have 50% of their letters replaced",
        ),
        Example("{fault: scrambled_text, target: assistant, letters: 0.5, duration: 60s}", refused="write 50%"),
    )

    fault: Literal["scrambled_text"] = "scrambled_text"
    letters: Share = Field(0.5, description="share of the letters that are replaced", gt=0)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{whose} have {format_share(self.letters)} of their letters replaced"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """Each letter by its place: replaced or not, and by which other."""
        base = seed_of(call, row, "scrambled_text")
        return "".join(
            self._other(letter, mixed(base, place)) if letter.isalpha() else letter
            for place, letter in enumerate(text, start)
        )

    def _other(self, letter: str, drawn: float) -> str:
        if drawn >= self.letters:
            return letter
        alphabet = _UPPER if letter.isupper() else _LOWER
        number = int(drawn / self.letters * (len(alphabet) - 1))  # uniform among the others
        found = alphabet.find(letter)
        return alphabet[number + (found >= 0 and number >= found)]
