"""frozen_predictions: earlier answers come back, whatever is asked.

In real life: a cache that never expires, a batch job that stopped and whose last results are still served, a feature
snapshot that nobody refreshes. Answers look like the model's, and are fast: the mix of classes and the spread of scores
freeze with them, and labels that come back say the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import REMEMBERED_ROWS, Call, Example, Fault, Signal
from chaos.faults.decisions import replayed
from chaos.rows import Row
from chaos.units import format_share


class FrozenPredictions(Fault):
    """The first selected rows pass and are remembered; every later one gets the label and scores of one of them."""

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "the class mix and the spread of scores; labelled quality"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: frozen_predictions, target: loan-model, share: 30%, duration: 60s}",
            does="30% of the treatment arm's predictions of loan-model are one earlier prediction, again and again",
        ),
        Example(
            "{fault: frozen_predictions, target: loan-model, remembers: 20, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model are one of 20 earlier predictions, again and again",
        ),
        Example("{fault: frozen_predictions, target: loan-model, remembers: 0, duration: 60s}", refused="at least 1"),
    )

    fault: Literal["frozen_predictions"] = "frozen_predictions"
    remembers: int = Field(
        1,
        ge=1,
        le=REMEMBERED_ROWS,
        description="how many predictions come back, in each process of the proxy: the first ones that are selected",
    )

    def explain(self) -> str:
        """One plain sentence."""
        which = "one earlier prediction" if self.remembers == 1 else f"one of {self.remembers} earlier predictions"
        return f"{format_share(self.share)} of the treatment arm's predictions of {self.target} are {which}, again and again"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows are remembered as long as there is room, and then get what was remembered; by chance, which."""
        return [self._frozen(row, call) if call.selected(row.index) else row for row in rows]

    def _frozen(self, row: Row, call: Call) -> Row:
        remembered = call.memory.rows
        if len(remembered) < self.remembers:
            remembered.append(row)
            return row
        return replayed(row, remembered[int(call.chance(row.index, "frozen_predictions") * self.remembers)])

    def treated(self, signal: Signal, control: float) -> float | None:
        """Hurt rows know no group any more: a gap between groups closes among them. The rest depends on what is remembered."""
        return (1 - self.share) * control if signal is Signal.fairness_gap else None
