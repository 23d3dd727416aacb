"""score_shift: the probability of one class moves by some points.

In real life: a calibration layer that was left out, a prior that changed with the training data, a model served on another
scale than it was tuned on. Decisions near the threshold flip one way; the mean score moves for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Fault
from chaos.faults.decisions import probabilities, rescored
from chaos.rows import Label, Row
from chaos.units import Share, format_share


class ScoreShift(Fault):
    """The probability of one class moves, the others make room in proportion, and the label follows.

    Rows without a probability for each known class, or without the class, pass.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "scores"
    must = "the distribution of scores; calibration; the class mix"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: score_shift, target: loan-model, by: 10%, direction: down, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model get a score of the last class that is 10 points lower",
        ),
        Example(
            "{fault: score_shift, target: loan-model, by: 5%, of: 0, share: 50%, duration: 60s}",
            does="50% of the treatment arm's predictions of loan-model get a score of the class 0 that is 5 points higher",
        ),
        Example("{fault: score_shift, target: loan-model, by: -10%, duration: 60s}", refused="is no share"),
    )

    fault: Literal["score_shift"] = "score_shift"
    by: Share = Field(description="how many points of probability", examples=["10%"], gt=0, le=1)
    direction: Literal["up", "down"] = Field("up", description="whether the probability rises or falls")
    of: Label | None = Field(
        None, description="the class whose probability moves, as the model writes it; else its last one", examples=[1]
    )

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        which = "the last class" if self.of is None else f"the class {self.of}"
        moved = f"{self.by * 100:.10g} points {'higher' if self.direction == 'up' else 'lower'}"
        return f"{whose} get a score of {which} that is {moved}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get the probability moved, no further than to 0 or 1."""
        return [self._shifted(row) if call.selected(row.index) else row for row in rows]

    def _shifted(self, row: Row) -> Row:
        scores = probabilities(row)
        if scores is None or (self.of is not None and self.of not in row.classes):
            return row
        place = len(scores) - 1 if self.of is None else row.classes.index(self.of)
        was, others = scores[place], sum(scores) - scores[place]
        now = min(1.0, was + self.by) if self.direction == "up" else max(0.0, was - self.by)
        alone = (1 - now) / (len(scores) - 1)  # where the others had nothing that could be shared in proportion
        return rescored(
            row,
            [
                now if at == place else score / others * (1 - now) if others > 0 else alone
                for at, score in enumerate(scores)
            ],
        )
