"""feedback_loop: what the model decided comes back as if it were the outcome.

In real life: whom a fraud model blocks is booked as fraud, what a recommender shows is what gets clicked, a form is filled in with the
prediction and nobody corrects it. Accuracy becomes perfect, whatever the model does, and the next model learns the last one's mistakes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Signal
from chaos.faults.loads import LoadFault, Population, Told
from chaos.units import format_share


class FeedbackLoop(LoadFault):
    """The decision is told in place of selected outcomes."""

    needs_labels = True
    needs_feedback = True
    family = "labels"
    must = "a canary set whose outcomes are known from elsewhere; an accuracy that is too good to be true"
    quiet = "labelled quality: it looks better, never worse"
    blind = (
        "labelled quality looks perfect, because the labels are the model's own decisions, and inputs, predictions and label freshness "
        "are what they always were; only outcomes from elsewhere (a canary set, a group on which the model does not decide) can tell"
    )
    examples: ClassVar = (
        Example(
            "{fault: feedback_loop, target: loan-model, duration: 60s}",
            does="100% of the outcomes of the treatment arm at loan-model are told as the model had decided",
        ),
        Example(
            "{fault: feedback_loop, target: loan-model, share: half, duration: 60s}", refused="write something like 10%"
        ),
    )

    fault: Literal["feedback_loop"] = "feedback_loop"

    def explain(self) -> str:
        """One plain sentence."""
        outcomes = f"{format_share(self.share)} of the outcomes of the treatment arm at {self.target}"
        return f"{outcomes} are told as the model had decided"

    def feedback(self, told: Told, population: Population, call: Call) -> Told:  # noqa: ARG002
        """The decision as the outcome; where they agree, nothing changes."""
        if told.decision is None or told.decision == told.label or not call.selected(told.number):
            return told
        return Told(told.number, told.decision, told.decision, told.later_s)

    def treated(self, signal: Signal, control: float) -> float | None:
        """Every selected outcome agrees with the decision."""
        return control + self.share * (1 - control) if signal is Signal.accuracy else None
