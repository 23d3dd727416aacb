"""constant_output: the same label with the same scores, for everybody.

In real life: a fallback that answers while the model is not loaded, a preprocessing step that makes every row the same, a
stub that went live. Nothing fails and nothing is slow; the spread of scores is gone at once, and needs no labels to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import probabilities
from chaos.rows import Label, Row
from chaos.units import Share, format_share


class ConstantOutput(Fault):
    """Selected rows get this label, and where they have probabilities, these.

    A number or a text without known classes becomes the label when it is of the same kind (a regression's constant). Rows that
    lack the class pass, and so do those with scores that are no probabilities of known classes.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "the spread of scores, the class mix; labelled quality"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: constant_output, target: loan-model, label: 1, score: 90%, duration: 60s}",
            does="100% of the treatment arm's predictions of loan-model become 1 with a score of 90%",
        ),
        Example(
            "{fault: constant_output, target: loan-model, label: 1, score: 40%, duration: 60s}",
            refused="write more than 50%",
        ),
    )

    fault: Literal["constant_output"] = "constant_output"
    label: Label = Field(description="what everybody gets, as the model writes it", examples=[1])
    score: Share = Field(
        1.0,
        description="the probability of that class, more than 50%; the others share the rest alike",
        examples=["90%"],
    )

    @field_validator("score")
    @classmethod
    def _decides(cls, value: float) -> float:
        if value <= 0.5:
            raise ValueError(f"a class with a score of {format_share(value)} need not be the best; write more than 50%")
        return value

    def explain(self) -> str:
        """One plain sentence."""
        score = format_share(self.score)
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        return f"{whose} become {self.label} with a score of {score}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get the constant."""
        return [self._constant(row) if call.selected(row.index) else row for row in rows]

    def _constant(self, row: Row) -> Row:
        if self.label not in row.classes:
            return self._number(row)
        given = row.classes.index(self.label)
        scores: tuple[float, ...] | None = None
        if row.scores is not None:
            if probabilities(row) is None:
                return row
            rest = (1 - self.score) / (len(row.scores) - 1)
            scores = tuple(self.score if place == given else rest for place in range(len(row.scores)))
            if row.rule is not None:
                scores = row.rule.settled(scores, given)
        if (row.label, row.scores) == (row.classes[given], scores):
            return row
        return row.saying(row.classes[given], scores)

    def _number(self, row: Row) -> Row:
        """A row without classes: the constant is its label when it is one of the same kind."""
        alike = isinstance(row.label, str) is isinstance(self.label, str) and isinstance(row.label, bool) is isinstance(
            self.label, bool
        )
        if row.classes or row.scores is not None or row.label is None or not alike or row.label == self.label:
            return row
        return row.saying(self.label, None)

    def treated(self, signal: Signal, control: float) -> float | None:
        """All groups get the same where rows are hurt. The rest depends on how frequent the class is: nobody can say."""
        return (1 - self.share) * control if signal is Signal.fairness_gap else None
