"""rate_limit: the model's provider says 429, too many requests.

In real life: a quota of a hosted model that nobody knew of, a neighbour who used it up, a gateway's limit that was set for last year's
traffic. Good clients wait as long as Retry-After says; others come back at once and make it worse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Answer, Call, Example, Fault, Signal
from chaos.faults.delay import LONGEST_S
from chaos.units import Duration, Rate, format_duration, format_rate, format_share


class RateLimit(Fault):
    """Selected requests above a rate get status 429 with Retry-After; without a rate, all selected ones do."""

    acts_on = "request"
    family = "errors"
    must = "error ratio, by status; retry rate"
    quiet = "server errors (5xx); server-side latency"
    examples: ClassVar = (
        Example(
            "{fault: rate_limit, target: loan-model, share: 20%, duration: 60s}",
            does="20% of the treatment arm's requests to loan-model get status 429 with Retry-After 1s",
        ),
        Example(
            "{fault: rate_limit, target: loan-model, above: 10/s, retry_after: 5s, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model get status 429 with Retry-After 5s above 10/s",
        ),
        Example("{fault: rate_limit, target: loan-model, above: 10, duration: 60s}", refused="write 10/s"),
    )

    fault: Literal["rate_limit"] = "rate_limit"
    above: Rate | None = Field(
        None,
        description="so many selected requests pass; each proxy process counts for itself",
        examples=["10/s"],
        gt=0,
    )
    burst: Duration = Field(
        1.0, description="with `above`: how much of the rate may pass at once after a pause", ge=0, le=LONGEST_S
    )
    retry_after: Duration = Field(
        1.0, description="what Retry-After says, in whole seconds (rounded up)", ge=0, le=86400
    )

    def explain(self) -> str:
        """One plain sentence."""
        limit = f" above {format_rate(self.above)}" if self.above is not None else ""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{who} get status 429 with Retry-After {format_duration(self.retry_after)}{limit}"

    def act(self, call: Call) -> Iterator[Action]:
        """Status 429 unless there is a token left; the proxy fills the body in the protocol's error shape."""
        if not self._has_token(call):
            yield Answer(429, {"retry-after": str(math.ceil(self.retry_after))}, b"")

    def _has_token(self, call: Call) -> bool:
        if self.above is None:
            return False
        # The virtual scheduling algorithm (ITU-T I.371): a token bucket whose whole state is one time. That is when the bucket
        # will be full again, which is never further away than the burst takes to refill.
        full_s = max(call.memory.number, call.elapsed_s)
        if full_s - call.elapsed_s > max(0.0, self.burst - 1.0 / self.above) + 1e-9:
            return False
        call.memory.number = full_s + 1.0 / self.above
        return True

    def treated(self, signal: Signal, control: float) -> float | None:
        """Hurt requests are errors where they are a share; above a rate, nobody can say how many they are."""
        if self.above is None and signal is Signal.error_ratio:
            return (1 - self.share) * control + self.share
        if self.above is None and signal is Signal.availability:
            return (1 - self.share) * control
        return None
