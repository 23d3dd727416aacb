"""What the gateway makes of the model's answers: a decision, and whether the answer is one that a sound model can give. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

VIOLATIONS = ("label", "not_a_number", "range", "sum")
"""The label is not the likeliest class · a score is no number · a score is outside of [0, 1] · scores do not add up to one."""
TOLERANCE = 1e-3
"""How far the sum of scores may be from one: models answer with 32-bit numbers, too."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was answered: 1 approve, 0 deny; by whom."""

    approved: int
    score: float
    source: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A decision of the model, the version that gave it, and what is unsound about it."""

    decision: Decision
    version: str
    violations: tuple[str, ...]


def read_answer(answer: Any) -> ModelAnswer:
    """The one row of an answer of the Open Inference Protocol. Raises ValueError, LookupError or TypeError when it is none."""
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    approved = int(outputs["predict"][0])
    scores = [float(score) for score in outputs["predict_proba"]]
    return ModelAnswer(
        Decision(approved, scores[1], "model"),
        str(answer.get("model_version", "")),
        tuple(_violations(approved, scores)),
    )


def _violations(approved: int, scores: list[float]) -> list[str]:
    if not all(isfinite(score) for score in scores):
        return ["not_a_number"]
    found = [] if all(0 <= score <= 1 for score in scores) else ["range"]
    if abs(sum(scores) - 1) > TOLERANCE:
        found.append("sum")
    if not 0 <= approved < len(scores) or scores[approved] < max(scores):
        found.append("label")
    return found
