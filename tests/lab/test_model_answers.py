"""What no sound model says is told apart, kind by kind, and the decision is read all the same."""

from __future__ import annotations

from math import nan

import pytest

from chaos.lab.model_answers import VIOLATIONS, Decision, read_answer


def answer(label: object, *scores: float, **more: object) -> dict[str, object]:
    outputs = [{"name": "predict", "data": [label]}, {"name": "predict_proba", "data": list(scores)}]
    return {"outputs": outputs, **more}


@pytest.mark.parametrize(("label", "scores"), [(1, (0.1, 0.9)), (0, (0.8, 0.2)), (1, (0.5, 0.5)), (1, (0.1001, 0.9))])
def test_a_sound_answer_violates_nothing(label: int, scores: tuple[float, float]) -> None:
    read = read_answer(answer(label, *scores, model_version="7"))
    assert read.decision == Decision(label, scores[1], "model")
    assert (read.version, read.violations) == ("7", ())


@pytest.mark.parametrize(
    ("label", "scores", "kinds"),
    [
        (0, (0.1, 0.9), ("label",)),
        (7, (0.1, 0.9), ("label",)),
        (1, (nan, nan), ("not_a_number",)),
        (1, (0.1, float("inf")), ("not_a_number",)),
        (1, (-0.2, 1.2), ("range",)),
        (1, (0.2, 0.9), ("sum",)),
        (0, (0.2, 1.9), ("range", "sum", "label")),
    ],
)
def test_each_kind_of_violation_has_its_name(label: int, scores: tuple[float, float], kinds: tuple[str, ...]) -> None:
    assert read_answer(answer(label, *scores)).violations == kinds
    assert set(kinds) <= set(VIOLATIONS)


@pytest.mark.parametrize("body", [[], {}, 3, {"outputs": []}, answer("x", 0.1, 0.9), answer(1), answer(nan, 0.1, 0.9)])
def test_what_is_no_answer_raises_what_the_gateway_expects(body: object) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        read_answer(body)
