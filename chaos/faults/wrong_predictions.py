"""wrong_predictions: the model answers with another class than the one it found.

In real life: a bad retraining, a label map that shifted by one, a wrong artefact behind the right version number. The
service stays up and fast; status codes and latency say nothing. Only labels that come back can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Fault, Signal
from chaos.rows import Row


class WrongPredictions(Fault):
    """Replaces the label, and moves the scores along so that label and scores stay consistent."""

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "labelled quality (accuracy, recall)"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: wrong_predictions, target: loan-model, share: 10%, duration: 60s}",
            does="10% of the treatment arm's predictions of loan-model get the next class",
        ),
        Example("{fault: wrong_predictions, target: loan-model, share: 10, duration: 60s}", refused="write 10%"),
    )

    fault: Literal["wrong_predictions"] = "wrong_predictions"
    to: Literal["next", "random", "worst"] = Field(
        "next", description="which other class: the next one, a random one, or the one the model finds least likely"
    )

    def explain(self) -> str:
        """One plain sentence."""
        other = {"next": "the next class", "random": "a random other class", "worst": "the least likely class"}
        return f"{self.share:.4g} of the treatment arm's predictions of {self.target} get {other[self.to]}".replace(
            f"{self.share:.4g}", f"{self.share * 100:g}%", 1
        )

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get another class; the score of the class found and of the class given are swapped."""
        to = self.to
        return [_wrong(row, to, call) if call.selected(row.index) else row for row in rows]

    def treated(self, signal: Signal, control: float) -> float | None:
        """Accuracy among hurt rows is the share of mistakes that happen to be put right: 1 - control for two classes."""
        if signal is Signal.accuracy:
            return (1 - self.share) * control + self.share * (1 - control)
        return None


def _wrong(row: Row, to: str, call: Call) -> Row:
    classes, scores = row.classes, row.scores
    many = len(classes)
    try:
        found = classes.index(row.label)
    except ValueError:
        return row
    if many < 2:
        return row
    if scores is not None and len(scores) != many:
        scores = None
    given = (found + 1) % many if to == "next" else _other(found, scores, to, row, call)
    if scores is None:
        return Row(row.index, classes[given], row.scores, classes)
    moved = [*scores]
    moved[found], moved[given] = scores[given], scores[found]
    return Row(row.index, classes[given], tuple(moved), classes)


def _other(found: int, scores: tuple[float, ...] | None, to: str, row: Row, call: Call) -> int:
    """The place of a random other class than the one found, or of the least likely one."""
    if to == "random":
        other = int(call.chance(row.index, "wrong_predictions") * (len(row.classes) - 1))
    elif scores is None:
        other = len(row.classes) - 2
    else:
        others = scores[:found] + scores[found + 1 :]
        other = others.index(min(others))
    return other if other < found else other + 1
