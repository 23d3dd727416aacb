"""slow_tail: a few requests take very much longer than the rest.

In real life: garbage collection, a cold page, a retry deep below, the one replica on a bad disk, the longest rows of a batch. The
median and the mean look as ever: only the high percentiles tell, and whoever asks many models at once always waits for the slowest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from chaos.faults.base import Action, Call, Example, Fault, Signal, Wait
from chaos.faults.delay import LONGEST_S
from chaos.faults.tails import pareto, pareto_mean
from chaos.units import Duration, Share, format_duration, format_share


class SlowTail(Fault):
    """Selected requests wait before the model is asked, most of them a little longer than `scale`, some very much longer."""

    acts_on = "request"
    family = "time"
    must = "client latency, its 99th percentile"
    quiet = "median latency; server-side latency: the fault is in the path"
    examples: ClassVar = (
        Example(
            "{fault: slow_tail, target: loan-model, scale: 300ms, duration: 60s}",
            does="5% of the treatment arm's requests to loan-model wait 300ms or longer, in a tail up to 30s (Pareto, alpha 1.5)",
        ),
        Example(
            "{fault: slow_tail, target: loan-model, scale: 10s, cap: 5s, duration: 60s}",
            refused="is shorter than `scale`",
        ),
    )

    fault: Literal["slow_tail"] = "slow_tail"
    share: Share = Field(0.05, description="share of the treatment arm's requests that are in the tail")
    scale: Duration = Field(description="the shortest wait of the tail", examples=["300ms"], gt=0, le=LONGEST_S)
    alpha: float = Field(1.5, description="how quickly the tail gets thinner; the lower, the longer", gt=0.1, le=20)
    cap: Duration = Field(30.0, description="the longest wait", gt=0, le=LONGEST_S)

    @model_validator(mode="after")
    def _reaches_its_cap(self) -> Self:
        if self.cap < self.scale:
            told = f"`cap` {format_duration(self.cap)} is shorter than `scale` {format_duration(self.scale)}"
            raise ValueError(f"{told}; write a longer cap")
        return self

    def explain(self) -> str:
        """One plain sentence."""
        tail = f"in a tail up to {format_duration(self.cap)} (Pareto, alpha {self.alpha:g})"
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{who} wait {format_duration(self.scale)} or longer, {tail}"

    def act(self, call: Call) -> Iterator[Action]:
        """One wait, the same at every retry of the request."""
        yield Wait(pareto(call.chance(0, "slow_tail"), self.scale, self.alpha, self.cap))

    def treated(self, signal: Signal, control: float) -> float | None:
        """Mean latency grows by the tail's mean, for the share that is in it."""
        if signal is Signal.latency:
            return control + self.share * pareto_mean(self.scale, self.alpha, self.cap)
        return None
