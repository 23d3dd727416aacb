"""truncated_answer: the language model stops in the middle of what it says.

In real life: a limit of tokens that a deployment lowered, a context window that a longer prompt fills, a gateway with a limit of its
own. The answer is proper, its finish reason says `length`, and nearly nobody looks at that.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import TextFault
from chaos.units import format_share


class TruncatedAnswer(TextFault):
    """Selected answers end early. Those that are no longer than that stay as they are. Token counts and finish reason follow."""

    must = "finish-reason mix, output length"
    ends_at_length = True
    examples: ClassVar = (
        Example(
            "{fault: truncated_answer, target: assistant, characters: 40, duration: 60s}",
            does="100% of the treatment arm's answers of assistant end after 40 characters",
        ),
        Example("{fault: truncated_answer, target: assistant, characters: 0, duration: 60s}", refused="at least 1"),
    )

    fault: Literal["truncated_answer"] = "truncated_answer"
    characters: int = Field(
        description="how much of the text is left, in characters", examples=[40], ge=1, le=1_000_000
    )

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{whose} end after {self.characters} characters"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """What stands before the end."""
        return text[: max(0, self.characters - start)]
