"""truncated_body: the answer ends in its middle.

In real life: a server that died while it wrote, a proxy with a limit on size or time, a full disk behind a buffer. The status said 200
before anything went wrong; only a client that compares lengths, or parses to the end, finds out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, End, Example, Fault, Part
from chaos.units import Size, format_share, format_size


class TruncatedBody(Fault):
    """Selected answers keep their head, and their connection ends after so many bytes of their body."""

    acts_on = "answer"
    delivers = True
    breaks_protocol = True
    family = "errors"
    must = "error ratio, as clients count it; answers that cannot be parsed"
    quiet = "errors by status: the status said 200"
    examples: ClassVar = (
        Example(
            "{fault: truncated_body, target: loan-model, after: 100B, share: 20%, duration: 60s}",
            does="20% of the treatment arm's answers of loan-model end after 100B of their body",
        ),
        Example("{fault: truncated_body, target: loan-model, after: 100, duration: 60s}", refused="write 100B"),
    )

    fault: Literal["truncated_body"] = "truncated_body"
    after: Size = Field(
        20, description="how much of the body comes; an answer that is not longer stays whole", examples=["20B"], ge=0
    )

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{who} end after {format_size(self.after)} of their body"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:
        """The end, within the part of the body that reaches beyond `after`."""
        del call
        if part.kind != "head" and part.before <= self.after < part.before + part.size:
            yield End(self.after - part.before)
