"""score_noise: the probabilities jitter.

In real life: a quantised model, a feature that became noisy upstream, two replicas with different builds of a numeric
library. Most decisions stay; those near the threshold become a matter of luck. The spread of the scores shows it long before
the accuracy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import probabilities, rescored, standard_normal
from chaos.rows import Row
from chaos.units import Share, format_share


class ScoreNoise(Fault):
    """Selected rows get other probabilities, which sum to one; the label follows them, unless it is kept.

    Rows without a probability for each known class pass: embeddings, margins, labels alone.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "scores"
    must = "the distribution of scores; calibration"
    quiet = "latency, error rate; with keep_label, accuracy"
    examples: ClassVar = (
        Example(
            "{fault: score_noise, target: loan-model, deviation: 10%, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model get scores with noise of 10%, and the label follows",
        ),
        Example(
            "{fault: score_noise, target: loan-model, deviation: 10%, keep_label: true, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model get scores with noise of 10%, and the label stays",
        ),
        Example("{fault: score_noise, target: loan-model, deviation: 0.1, duration: 60s}", refused="write 10%"),
    )

    fault: Literal["score_noise"] = "score_noise"
    deviation: Share = Field(
        description="standard deviation of the noise on each class's probability (of two classes, on the second one's)",
        examples=["10%"],
        gt=0,
        le=1,
    )
    keep_label: bool = Field(
        False,
        description="true: the label stays, and scores that would decide otherwise are moved until they decide for it",
    )

    def explain(self) -> str:
        """One plain sentence."""
        label = "stays" if self.keep_label else "follows"
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        return f"{whose} get scores with noise of {format_share(self.deviation)}, and the label {label}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get a normal deviate on each probability, cut off at 0 and 1, and are made to sum to one again."""
        return [self._noisy(row, call) if call.selected(row.index) else row for row in rows]

    def _noisy(self, row: Row, call: Call) -> Row:
        scores = probabilities(row)
        if scores is None:
            return row
        # Of two classes the second one's noise is the first one's, turned around: the deviation is what was asked for.
        drawn = range(1, 2) if len(scores) == 2 else range(len(scores))
        noisy = [*scores]
        for place in drawn:
            noise = self.deviation * standard_normal(call, row.index, f"score_noise {place}")
            noisy[place] = min(1.0, max(0.0, scores[place] + noise))
        if len(scores) == 2:
            noisy[0] = 1 - noisy[1]
        total = sum(noisy)
        if not total:
            return row
        return rescored(row, [score / total for score in noisy], keep=self.keep_label)

    def treated(self, signal: Signal, control: float) -> float | None:
        """With the label kept, nothing that is made of labels moves; else it depends on how many rows are near the threshold."""
        if self.keep_label and signal in (Signal.accuracy, Signal.positive_rate, Signal.fairness_gap):
            return control
        return None
