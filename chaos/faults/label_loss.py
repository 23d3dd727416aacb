"""label_loss: some true outcomes never come back.

In real life: a join key that changed its format, a consent that was withdrawn, an event that is dropped under load, a table that lost
its oldest partition. Accuracy is judged on what is left, and looks fine as long as anything is left at all.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Signal
from chaos.faults.loads import LoadFault, Population, Told
from chaos.units import format_share


class LabelLoss(LoadFault):
    """Selected outcomes are never told."""

    needs_feedback = True
    family = "labels"
    must = "join rate; label freshness when all are lost"
    quiet = "labelled quality; drift, latency"
    examples: ClassVar = (
        Example(
            "{fault: label_loss, target: loan-model, share: 70%, duration: 60s}",
            does="70% of the outcomes of the treatment arm at loan-model are never told",
        ),
        Example("{fault: label_loss, target: loan-model, share: 0.7, duration: 60s}", refused="write 70%"),
    )

    fault: Literal["label_loss"] = "label_loss"

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.share)} of the outcomes of the treatment arm at {self.target} are never told"

    def feedback(self, told: Told, population: Population, call: Call) -> Told | None:  # noqa: ARG002
        """Nothing, or what there was."""
        return None if call.selected(told.number) else told

    def treated(self, signal: Signal, control: float) -> float | None:
        """Which outcomes are lost has nothing to do with who was right."""
        return control if signal is Signal.accuracy else None
