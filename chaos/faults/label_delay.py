"""label_delay: true outcomes come back later than they used to.

In real life: a batch job that joins labels once a night instead of every hour, a queue that lags, a partner who reports weekly. Until
they come, quality is judged by what is old, or by nothing; a dashboard of accuracy shows its last value and looks fine.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Signal
from chaos.faults.loads import LoadFault, Population, Told
from chaos.units import Duration, format_duration, format_share


class LabelDelay(LoadFault):
    """Selected outcomes wait; when the fault is taken off, those that still wait are told."""

    needs_feedback = True
    family = "labels"
    must = "label freshness, join rate"
    quiet = "labelled quality; drift, latency"
    examples: ClassVar = (
        Example(
            "{fault: label_delay, target: loan-model, by: 10m, duration: 60s}",
            does="100% of the outcomes of the treatment arm at loan-model are told 10m later",
        ),
        Example("{fault: label_delay, target: loan-model, by: 10, duration: 60s}", refused="write 10s"),
    )

    fault: Literal["label_delay"] = "label_delay"
    by: Duration = Field(gt=0, description="how much later an outcome is told", examples=["10m"])

    def explain(self) -> str:
        """One plain sentence."""
        outcomes = f"{format_share(self.share)} of the outcomes of the treatment arm at {self.target}"
        return f"{outcomes} are told {format_duration(self.by)} later"

    def feedback(self, told: Told, population: Population, call: Call) -> Told:  # noqa: ARG002
        """The same outcome, later."""
        if not call.selected(told.number):
            return told
        return Told(told.number, told.label, told.decision, told.later_s + self.by)

    def treated(self, signal: Signal, control: float) -> float | None:
        """Which outcomes are late has nothing to do with who was right."""
        return control if signal is Signal.accuracy else None
