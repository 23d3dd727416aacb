"""label_noise: some outcomes that come back are not what really happened.

In real life: annotators in a hurry, a chargeback that is booked on the wrong order, a rule that fills labels in where a human should
have. The model is as good as ever and looks worse; trained on such labels, the next one will be worse. What the outcomes say does not
tell this apart from a model that is wrong: a set of cases with known outcomes, asked beside the traffic, can.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Signal
from chaos.faults.loads import LoadFault, Population, Told
from chaos.rows import Label
from chaos.units import format_share


class LabelNoise(LoadFault):
    """Selected outcomes are told as the next class; with `only`, those of one class alone."""

    needs_labels = True
    needs_feedback = True
    family = "labels"
    must = "labelled quality"
    quiet = "a canary set whose outcomes are known, drift, latency"
    examples: ClassVar = (
        Example(
            "{fault: label_noise, target: loan-model, share: 20%, duration: 60s}",
            does="20% of the outcomes of the treatment arm at loan-model are told as the next class",
        ),
        Example(
            "{fault: label_noise, target: loan-model, share: 20%, only: deny, duration: 60s}",
            does="20% of the outcomes deny of the treatment arm at loan-model are told as the next class",
        ),
        Example("{fault: label_noise, target: loan-model, share: 20, duration: 60s}", refused="write 20%"),
    )

    fault: Literal["label_noise"] = "label_noise"
    only: Label | None = Field(
        None, description="the one outcome that is told wrongly; left out: every one", examples=["deny"]
    )

    def explain(self) -> str:
        """One plain sentence."""
        which = "outcomes" if self.only is None else f"outcomes {self.only}"
        return f"{format_share(self.share)} of the {which} of the treatment arm at {self.target} are told as the next class"

    def unfit(self, population: Population) -> str | None:
        """There must be another outcome, and the one that is named must occur."""
        why = super().unfit(population)
        if why is None and self.only is not None and self.only not in population.labels:
            known = ", ".join(map(str, population.labels[:8]))
            why = f"{self.fault}: no row of the load's data has the outcome {self.only}; write one of {known} after `only:`"
        return why

    def feedback(self, told: Told, population: Population, call: Call) -> Told:
        """The next class, or what was true."""
        hurt = self.only is None or told.label == self.only
        other = population.other(told.label) if hurt and call.selected(told.number) else told.label
        return told if other is told.label else Told(told.number, other, told.decision, told.later_s)

    def treated(self, signal: Signal, control: float) -> float | None:
        """With two classes, what was right looks wrong; how frequent one class is, nobody can say beforehand."""
        if signal is Signal.accuracy and self.only is None:
            return (1 - self.share) * control + self.share * (1 - control)
        return None
