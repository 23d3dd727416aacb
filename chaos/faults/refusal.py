"""refusal: the language model declines to answer.

In real life: a guardrail with a new word list, a system prompt that a deployment lost, a safety update of a hosted model. Every
request succeeds, fast and with a proper finish reason; only somebody who reads the answers, or counts sentences like this one, knows.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import TextFault
from chaos.units import format_share

SORRY = "I'm sorry, but I can't help with that."


class Refusal(TextFault):
    """Selected answers say one sentence. Streamed, their first piece says it, as a guardrail does, and the others nothing."""

    must = "share of refusals, output length"
    examples: ClassVar = (
        Example(
            "{fault: refusal, target: assistant, share: 50%, duration: 60s}",
            does=f"50% of the treatment arm's answers of assistant say `{SORRY}`",
        ),
        Example("{fault: refusal, target: assistant, says: '', duration: 60s}", refused="at least 1 character"),
    )

    fault: Literal["refusal"] = "refusal"
    says: str = Field(SORRY, description="the sentence", min_length=1, max_length=500)

    def explain(self) -> str:
        """One plain sentence."""
        said = " ".join(self.says.split())
        return f"{format_share(self.share)} of the treatment arm's answers of {self.target} say `{said}`"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """The sentence where the text begins, and nothing after it."""
        return "" if start else self.says
