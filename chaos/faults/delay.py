"""delay: the model's answer takes longer.

In real life: a noisy neighbour, a cold cache, a feature store that got slow, a queue in front of an accelerator. The model
itself looks fast in its own metrics when the delay is in the path to it: only the client's latency tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from chaos.faults.base import Action, Call, Example, Fault, Signal, Wait
from chaos.faults.tails import pareto, pareto_mean
from chaos.units import Duration, format_duration, format_share

LONGEST_S = 600.0


class Delay(Fault):
    """Selected requests wait before the model is asked."""

    acts_on = "request"
    family = "time"
    must = "client latency"
    quiet = "server-side latency: the fault is in the path"
    examples: ClassVar = (
        Example(
            "{fault: delay, target: loan-model, by: 400ms, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model wait 400ms (fixed)",
        ),
        Example(
            "{fault: delay, target: loan-model, by: 400ms, distribution: pareto, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model wait 400ms or longer (pareto, alpha 1.5)",
        ),
        Example("{fault: delay, target: loan-model, by: 400, duration: 60s}", refused="has no unit"),
    )

    fault: Literal["delay"] = "delay"
    by: Duration = Field(
        description="how long; the mean of `normal`, the median of `lognormal`, the least of `pareto`",
        examples=["400ms"],
        ge=0,
        le=LONGEST_S,
    )
    jitter: Duration = Field(
        0.0, description="standard deviation of `normal`; of `lognormal`, relative to `by`", ge=0, le=LONGEST_S
    )
    distribution: Literal["fixed", "normal", "lognormal", "pareto"] = Field("fixed", description="how the delay varies")
    alpha: float = Field(
        1.5, description="of `pareto`: how quickly its tail gets thinner; the lower, the longer", gt=0.1, le=20
    )

    @model_validator(mode="after")
    def _spreads_in_one_way(self) -> Self:
        if self.distribution == "pareto" and self.jitter:
            raise ValueError("`jitter` says nothing about `distribution: pareto`; leave it out, and write `alpha`")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        spread = f" ± {format_duration(self.jitter)}" if self.jitter else ""
        told = f"{format_duration(self.by)}{spread} ({self.distribution})"
        if self.distribution == "pareto":
            told = f"{format_duration(self.by)} or longer (pareto, alpha {self.alpha:g})"
        return f"{format_share(self.share)} of the treatment arm's requests to {self.target} wait {told}"

    def act(self, call: Call) -> Iterator[Action]:
        """One wait, never negative, the same at every retry of the request."""
        yield Wait(self.seconds(call))

    def seconds(self, call: Call) -> float:
        """How long this request waits."""
        if self.distribution == "pareto":
            return pareto(call.chance(0, "delay"), self.by, self.alpha, LONGEST_S)
        if self.distribution == "fixed" or not self.jitter:
            return self.by
        # Box and Muller (1958): a standard normal from two uniforms.
        first, second = 1.0 - call.chance(0, "delay"), call.chance(1, "delay")
        normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
        if self.distribution == "normal":
            drawn = self.by + self.jitter * normal
        else:
            drawn = self.by * math.exp(normal * (self.jitter / self.by if self.by else 0.0))
        return min(LONGEST_S, max(0.0, drawn))

    def treated(self, signal: Signal, control: float) -> float | None:
        """Latency grows by the delay where every request is hurt."""
        mean = pareto_mean(self.by, self.alpha, LONGEST_S) if self.distribution == "pareto" else self.by
        return control + mean * self.share if signal is Signal.latency else None
