"""shuffled_predictions: people get each other's answers.

In real life: a batch whose order was lost between feature store and model, a cache keyed by the wrong id, answers that were
joined to the wrong requests. Every answer is one that the model gave, so class mix, scores and drift stay exactly what they
were: only labels that come back can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import comparable, replayed
from chaos.rows import Row
from chaos.units import format_share


class ShuffledPredictions(Fault):
    """Each selected row gets the label and scores of the selected row before it; the first one keeps its own.

    Over time the outcomes are the model's, but for one in each process of the proxy. Numbers without classes are shuffled, too.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "labelled quality (accuracy, recall)"
    quiet = "latency, error rate, and every drift alert that needs no labels"
    examples: ClassVar = (
        Example(
            "{fault: shuffled_predictions, target: loan-model, share: 50%, duration: 60s}",
            does="50% of the treatment arm's predictions of loan-model are those of somebody else",
        ),
        Example("{fault: shuffled_predictions, target: loan-model, share: half, duration: 60s}", refused="is no share"),
    )

    fault: Literal["shuffled_predictions"] = "shuffled_predictions"

    def explain(self) -> str:
        """One plain sentence."""
        return (
            f"{format_share(self.share)} of the treatment arm's predictions of {self.target} are those of somebody else"
        )

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows change places with the one that is remembered, which is always the last."""
        held = call.memory.rows
        after: list[Row] = []
        for row in rows:
            if not call.selected(row.index) or (held and not comparable(row, held[0])):
                after.append(row)
                continue
            after.append(replayed(row, held[0]) if held else row)
            held[:] = [row]
        return after

    def treated(self, signal: Signal, control: float) -> float | None:
        """The positive rate stays; a gap between groups closes among hurt rows, whose outcomes know no group."""
        if signal is Signal.positive_rate:
            return control
        return (1 - self.share) * control if signal is Signal.fairness_gap else None
