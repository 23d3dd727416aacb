"""cut_stream: a streamed answer ends in the middle, and ends well.

In real life: a server or a gateway that restarts and closes its streams properly, a limit on the duration of responses. The bytes are
complete, the status was 200 long ago, and most clients show half a sentence as a success: no finish reason ever came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, End, Example, Fault, Part
from chaos.units import format_share


class CutStream(Fault):
    """Selected streams end after some events, without a finish reason and without a broken connection.

    An answer that is not streamed has no such end, and stays: what breaks those is `truncated_body`.
    """

    acts_on = "answer"
    works_on = "text"
    delivers = True
    semantic = True
    changes_bytes = True
    breaks_protocol = True
    family = "language models"
    must = "finish-reason mix (streams without any), output length"
    quiet = "request error rate, time to first token"
    examples: ClassVar = (
        Example(
            "{fault: cut_stream, target: assistant, after_events: 5, duration: 60s}",
            does="100% of the treatment arm's streams of assistant end after 5 events, without a finish reason",
        ),
        Example("{fault: cut_stream, target: assistant, after_events: 0, duration: 60s}", refused="at least 1"),
    )

    fault: Literal["cut_stream"] = "cut_stream"
    after_events: int = Field(3, description="how many events come", ge=1, le=100_000)

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's streams of {self.target}"
        return f"{whose} end after {self.after_events} events, without a finish reason"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:  # noqa: ARG002
        """The end, where the next event would come."""
        if part.kind == "event" and part.index == self.after_events:
            yield End(clean=True)
