"""slow_start: the model is slow at first, and gets faster as it warms up.

In real life: a fresh replica with cold caches, a model that is compiled at its first requests, weights that are paged in, a pool of
connections that is still empty. After every deployment and every scaling up there is a wave of it, and an alert that needs five minutes
never sees one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Call, Example, Fault, Wait
from chaos.faults.delay import LONGEST_S
from chaos.units import Duration, format_duration, format_share


class SlowStart(Fault):
    """Selected requests wait before the model is asked, the longer the shorter the fault has been on."""

    acts_on = "request"
    family = "time"
    must = "client latency, with a short window"
    quiet = "client latency over long windows; error ratio"
    examples: ClassVar = (
        Example(
            "{fault: slow_start, target: loan-model, by: 2s, over: 30s, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model wait 2s at first, and less and less until nothing after 30s",
        ),
        Example("{fault: slow_start, target: loan-model, by: 2s, over: 30, duration: 60s}", refused="write 30s"),
    )

    fault: Literal["slow_start"] = "slow_start"
    by: Duration = Field(description="how long the first requests wait", examples=["2s"], ge=0, le=LONGEST_S)
    over: Duration = Field(description="how long after its beginning nobody waits any more", examples=["30s"], gt=0)

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        gone = f"less and less until nothing after {format_duration(self.over)}"
        return f"{who} wait {format_duration(self.by)} at first, and {gone}"

    def act(self, call: Call) -> Iterator[Action]:
        """One wait, which gets shorter in proportion to the time that has gone by."""
        left = 1.0 - call.elapsed_s / self.over
        if left > 0:
            yield Wait(self.by * left)
