"""bandwidth: answers trickle.

In real life: a saturated link, a traffic shaper, a sidecar or a VPN that cannot keep up, answers that have grown by embeddings or
explanations. The model has long finished, and says so in its metrics: whoever waits for the last byte still waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Delivery, Example, Fault, Part, Wait
from chaos.faults.delay import LONGEST_S
from chaos.units import ByteRate, format_byte_rate, format_share


class Bandwidth(Fault):
    """Each selected answer reaches its client at so many bytes a second; every answer has its own."""

    acts_on = "answer"
    delivers = True
    family = "time"
    must = "client latency"
    quiet = "server-side latency: the model has long finished"
    examples: ClassVar = (
        Example(
            "{fault: bandwidth, target: loan-model, to: 10kB/s, duration: 60s}",
            does="100% of the treatment arm's answers of loan-model come at 10kB/s",
        ),
        Example(
            "{fault: bandwidth, target: loan-model, to: 10kB, duration: 60s}", refused="write something like 10kB/s"
        ),
    )

    fault: Literal["bandwidth"] = "bandwidth"
    to: ByteRate = Field(description="how fast each answer comes", examples=["10kB/s"], ge=100)

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{who} come at {format_byte_rate(self.to)}"

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:
        """Each part takes as long as its bytes do."""
        del call
        left_s = part.size / self.to
        while left_s > 0:
            yield Wait(min(LONGEST_S, left_s))
            left_s -= LONGEST_S
