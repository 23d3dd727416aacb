"""slow_first_token: the language model thinks for longer before it begins to answer.

In real life: a queue in front of the accelerators, longer prompts, a cache of prefixes that was lost. Once it speaks, it speaks as
fast as ever, so the time between tokens says nothing, and the duration of a long answer little.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, Example, Fault, Part, Signal, Wait
from chaos.units import Duration, format_duration, format_share

LONGEST_S = 600.0


class SlowFirstToken(Fault):
    """Selected answers begin later, streamed or not: their head waits, and everything with it."""

    acts_on = "answer"
    works_on = "text"
    delivers = True
    family = "language models"
    must = "time to first token"
    quiet = "time between tokens, request error rate"
    examples: ClassVar = (
        Example(
            "{fault: slow_first_token, target: assistant, by: 2s, duration: 60s}",
            does="100% of the treatment arm's answers of assistant begin 2s later",
        ),
        Example("{fault: slow_first_token, target: assistant, by: 2, duration: 60s}", refused="has no unit"),
    )

    fault: Literal["slow_first_token"] = "slow_first_token"
    by: Duration = Field(description="how much later", examples=["2s"], gt=0, le=LONGEST_S)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{whose} begin {format_duration(self.by)} later"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:  # noqa: ARG002
        """One wait, before the head."""
        if part.kind == "head":
            yield Wait(self.by)

    def treated(self, signal: Signal, control: float) -> float | None:
        """The whole answer is as much later as its beginning."""
        return control + self.by * self.share if signal is Signal.latency else None
