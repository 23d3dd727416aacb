"""slow_tokens: the language model speaks more slowly.

In real life: a batch that is too full, an accelerator that throttles, a neighbour's long prompts between this answer's tokens. The
first token is as quick as ever; whoever reads along waits for every word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, Example, Fault, Part, Wait
from chaos.units import Duration, format_duration, format_share


class SlowTokens(Fault):
    """Each event of a selected stream but the first waits. An answer that is not streamed has no tokens to wait for, and stays."""

    acts_on = "answer"
    works_on = "text"
    delivers = True
    family = "language models"
    must = "time between tokens"
    quiet = "time to first token, request error rate"
    examples: ClassVar = (
        Example(
            "{fault: slow_tokens, target: assistant, by: 200ms, duration: 60s}",
            does="100% of the treatment arm's streams of assistant wait 200ms before each event but the first",
        ),
        Example("{fault: slow_tokens, target: assistant, by: 200, duration: 60s}", refused="has no unit"),
    )

    fault: Literal["slow_tokens"] = "slow_tokens"
    by: Duration = Field(description="how long each event waits", examples=["200ms"], gt=0, le=60)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's streams of {self.target}"
        return f"{whose} wait {format_duration(self.by)} before each event but the first"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:  # noqa: ARG002
        """One wait an event."""
        if part.kind == "event" and part.index:
            yield Wait(self.by)
