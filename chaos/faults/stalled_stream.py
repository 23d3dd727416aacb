"""stalled_stream: the language model falls silent in the middle of an answer.

In real life: a worker that is preempted, a cache of keys and values that is swapped out, a proxy that buffers. Nothing ends and
nothing fails: the client waits, for as long as its own time-out lets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, Example, Fault, Part, Wait
from chaos.units import Duration, format_duration, format_share


class StalledStream(Fault):
    """Selected streams wait once, after some events. An answer that is not streamed, or a shorter one, stays."""

    acts_on = "answer"
    works_on = "text"
    delivers = True
    family = "language models"
    must = "time between tokens (its tail), duration"
    quiet = "time to first token, request error rate"
    examples: ClassVar = (
        Example(
            "{fault: stalled_stream, target: assistant, after_events: 5, silence: 20s, duration: 60s}",
            does="100% of the treatment arm's streams of assistant are silent for 20s after 5 events",
        ),
        Example(
            "{fault: stalled_stream, target: assistant, silence: 20, duration: 60s}", refused="has no unit"
        ),
    )  # fmt: skip

    fault: Literal["stalled_stream"] = "stalled_stream"
    after_events: int = Field(3, description="how many events come first", ge=1, le=100_000)
    silence: Duration = Field(description="how long nothing comes", examples=["20s"], gt=0, le=600)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's streams of {self.target}"
        return f"{whose} are silent for {format_duration(self.silence)} after {self.after_events} events"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:  # noqa: ARG002
        """One wait, before the event that would come next."""
        if part.kind == "event" and part.index == self.after_events:
            yield Wait(self.silence)
