"""wrong_predictions: the model answers with another class than the one it found.

In real life: a bad retraining, a label map that shifted by one, a wrong artefact behind the right version number. The
service stays up and fast; status codes and latency say nothing. Only labels that come back can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from chaos.faults.aims import Aim, OutOfReach, about, share_for
from chaos.faults.base import Call, Example, Fault, Signal
from chaos.faults.decisions import decided, scored
from chaos.rows import Label, Row
from chaos.units import Share, format_share


class WrongPredictions(Fault):
    """Replaces the label, and moves the scores along so that label and scores stay consistent.

    Rows whose classes nobody knows pass: name them under the target's `output: classes`.

    Instead of a share, the outcome may be written: `to_accuracy: 70%`, or `to_recall: 60%`. The plan finds the share that gives it in
    the treatment arm, from what the probe `accuracy` or `recall` of the steady state has read in the last hour; the run reports what
    was delivered. With a shape, that holds where the shape is at its full intensity.
    """

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
        Example(
            "{fault: wrong_predictions, target: loan-model, share: 40%, from: 1, to: 0, duration: 60s}",
            does="40% of the treatment arm's predictions of loan-model, where they are 1, become 0",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to_accuracy: 70%, duration: 60s}",
            does="as many of the treatment arm's predictions of loan-model get the next class as bring accuracy to 70%",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to_recall: 60%, of: 1, from: 1, to: 0, duration: 60s}",
            does="as many of the treatment arm's predictions of loan-model, where they are 1, become 0 as bring recall to 60%",
        ),
        Example("{fault: wrong_predictions, target: loan-model, share: 10, duration: 60s}", refused="write 10%"),
        Example(
            "{fault: wrong_predictions, target: loan-model, to_accuracy: 70%, share: 20%, duration: 60s}",
            refused="`to_accuracy` decides how many are hurt; leave `share` out",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to_accuracy: 70%, from: 1, duration: 60s}",
            refused="nobody knows how many predictions are of one class",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to_recall: 60%, from: 1, duration: 60s}",
            refused="`of` is missing",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, from: 1, to: 1, duration: 60s}",
            refused="`from` and `to` are the same class",
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to: random, duration: 60s}", refused="write `other: random`"
        ),
        Example(
            "{fault: wrong_predictions, target: loan-model, to: 0, other: worst, duration: 60s}",
            refused="`to` names the class already; leave `other` out",
        ),
    )

    fault: Literal["wrong_predictions"] = "wrong_predictions"
    from_: Label | None = Field(
        None, alias="from", description="only predictions of this class are hurt, as the model writes it", examples=[1]
    )
    to: Label | None = Field(None, description="the class that they get, as the model writes it", examples=[0])
    other: Literal["next", "random", "worst"] = Field(
        "next",
        description="which other class, where `to` names none: the next one, a random one, or the one the model finds least likely",
    )

    to_accuracy: Share | None = Field(
        None, description="instead of `share`: what accuracy is to fall to in the treatment arm", examples=["70%"]
    )
    to_recall: Share | None = Field(
        None, description="instead of `share`: what recall is to fall to in the treatment arm", examples=["60%"]
    )
    of: Label | None = Field(
        None,
        description="with `to_recall`, and needed beside `from` or `to`: the class whose recall it is, as the model writes it",
        examples=[1],
    )

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """`from` is a word of Python's, and stays what people write."""
        return {"from" if key == "from_" else key: value for key, value in serialize(self).items()}

    @model_validator(mode="after")
    def _one_direction(self) -> WrongPredictions:
        if self.to is not None and self.from_ == self.to:
            raise ValueError("`from` and `to` are the same class; write two that differ")
        if self.to in ("next", "random", "worst"):
            raise ValueError(f"`to` names a class of the model's; write `other: {self.to}`")
        if self.to is not None and self.other != "next":
            raise ValueError("`to` names the class already; leave `other` out")
        return self

    @model_validator(mode="after")
    def _one_dial(self) -> WrongPredictions:
        if self.to_accuracy is not None and self.to_recall is not None:
            raise ValueError("`to_accuracy` and `to_recall` need a share each; write one of them")
        aim = self.aim()
        if self.of is not None and self.to_recall is None:
            raise ValueError("`of` says whose recall is meant; write `to_recall` beside it, or leave it out")
        if aim is None:
            return self
        if self.share < 1:
            raise ValueError(f"`to_{aim.outcome}` decides how many are hurt; leave `share` out")
        confined = self.from_ is not None or self.to is not None
        if confined and aim.outcome == "accuracy":
            raise ValueError(
                "nobody knows how many predictions are of one class; leave `from` and `to` out, or write `to_recall`"
            )
        if confined and self.of is None:
            raise ValueError("`of` is missing; write the class whose recall is to fall, as the model writes it")
        if confined and (self.from_ not in (None, self.of) or self.to == self.of):
            raise ValueError(
                f"the recall of {self.of} cannot fall in this direction; write `from: {self.of}`, and another class under `to`"
            )
        return self

    def aim(self) -> Aim | None:
        """Accuracy or recall, where they are written instead of a share."""
        if self.to_accuracy is not None:
            return Aim("accuracy", self.to_accuracy)
        return None if self.to_recall is None else Aim("recall", self.to_recall)

    def aimed(self, now: float, classes: int | None) -> Self:
        """The fault with the share that gives its aim. Raises OutOfReach, also when nobody knows how often a mistake would be mended."""
        aim = self.aim()
        assert aim is not None, "asked only with an aim"
        share = round(share_for(aim, now, self._mended(classes)), 4)  # a hundredth of a percent, as people read it
        if not share:
            raise OutOfReach(f"{aim.outcome} is {about(now)} already, so nothing has to become wrong")
        return self.model_copy(update={"share": share, "to_accuracy": None, "to_recall": None, "of": None})

    def _mended(self, classes: int | None) -> float:
        """The chance that a hurt prediction that was wrong is right afterwards."""
        if self.from_ is not None or self.to is not None:
            return 0.0  # towards other classes than `of`, so that no row of `of` is found again
        if classes is None:
            raise OutOfReach(
                "nobody knows how many classes the model has; write them under the target's `output: classes`"
            )
        if classes < 2:
            raise OutOfReach(
                "the model has one class, and so no other one; write all of them under the target's `output: classes`"
            )
        if classes > 2 and self.other != "random":
            raise OutOfReach(
                f"nobody knows how often the {self.other} of {classes} classes is the right one; write `other: random`"
            )
        return 1 / (classes - 1)

    def explain(self) -> str:
        """One plain sentence."""
        where = "" if self.from_ is None else f", where they are {self.from_},"
        other = {"next": "the next class", "random": "a random other class", "worst": "the least likely class"}
        becomes = f"get {other[self.other]}" if self.to is None else f"become {self.to}"
        aim = self.aim()
        if aim is not None:
            whose = f"as many of the treatment arm's predictions of {self.target}{where} {becomes}"
            return f"{whose} as bring {aim.outcome} to {format_share(aim.to)}"
        return f"{format_share(self.share)} of the treatment arm's predictions of {self.target}{where} {becomes}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows get another class; the score of the class found and of the class given are swapped."""
        return [self._wrong(row, call) if call.selected(row.index) else row for row in rows]

    def _wrong(self, row: Row, call: Call) -> Row:
        if len(row.classes) < 2 or row.label not in row.classes or self.from_ not in (None, row.label):
            return row
        found = row.classes.index(row.label)
        if self.to is None:
            return decided(row, _other(found, self.other, row, call), found)
        if self.to == row.label or self.to not in row.classes:
            return row
        return decided(row, row.classes.index(self.to), found)

    def treated(self, signal: Signal, control: float) -> float | None:
        """With two classes, hurt rows are right where they were wrong, and positive where they were negative.

        Confined to one direction, it depends on how frequent the classes are: nobody can say.
        """
        if self.aim() is not None:
            return None  # as long as nobody has found the share
        if self.from_ is None and self.to is None and signal in (Signal.accuracy, Signal.positive_rate):
            return (1 - self.share) * control + self.share * (1 - control)
        return None


def _other(found: int, which: str, row: Row, call: Call) -> int:
    """The place of another class than the one found: the next, a random or the least likely one."""
    many = len(row.classes)
    if which == "next":
        return (found + 1) % many
    if which == "random":
        place = int(call.chance(row.index, "wrong_predictions") * (many - 1))
    elif row.scores is None or not scored(row):
        place = many - 2
    else:
        others = row.scores[:found] + row.scores[found + 1 :]
        place = others.index(min(others))
    return place if place < found else place + 1
