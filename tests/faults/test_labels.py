"""What the faults of labels do to an outcome, beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.faults.base import Call, Signal
from chaos.faults.feedback_loop import FeedbackLoop
from chaos.faults.label_delay import LabelDelay
from chaos.faults.label_loss import LabelLoss
from chaos.faults.label_noise import LabelNoise
from chaos.faults.loads import Population, Told

ROWS = [{"label": ("legit", "fraud")[number % 4 == 0]} for number in range(40)]
PEOPLE = Population(ROWS, "label", "fraud")
LEGIT = Told(3, "legit", "fraud")


def call(subject: str = "s", share: float = 1.0) -> Call:
    return Call("seed", 0, subject, share, {})


def test_a_late_outcome_is_the_same_outcome_and_delays_add_up() -> None:
    late = LabelDelay(target="m", by=600.0)
    assert late.feedback(LEGIT, PEOPLE, call()) == Told(3, "legit", "fraud", 600.0)
    assert late.feedback(Told(3, "legit", "fraud", 5.0), PEOPLE, call()).later_s == 605.0


def test_a_lost_outcome_is_never_told() -> None:
    assert LabelLoss(target="m").feedback(LEGIT, PEOPLE, call()) is None


def test_a_noisy_outcome_is_the_other_one_whatever_was_decided() -> None:
    noisy = LabelNoise(target="m")
    assert noisy.feedback(LEGIT, PEOPLE, call()) == Told(3, "fraud", "fraud")
    assert noisy.feedback(Told(3, "fraud", None), PEOPLE, call()).label == "legit"


def test_noise_can_be_confined_to_one_outcome() -> None:
    noisy = LabelNoise(target="m", only="fraud")
    assert noisy.feedback(LEGIT, PEOPLE, call()) is LEGIT
    assert noisy.feedback(Told(3, "fraud", "fraud"), PEOPLE, call()).label == "legit"
    assert noisy.treated(Signal.accuracy, 0.9) is None


@pytest.mark.parametrize("label", [None, "unheard of"])
def test_an_outcome_without_another_one_stays(label: Any) -> None:
    told = Told(3, label, "fraud")
    assert LabelNoise(target="m").feedback(told, PEOPLE, call()) is told


def test_the_next_of_many_outcomes_is_never_the_same_and_comes_round() -> None:
    people = Population([{"y": value} for value in (2, 0, 1)], "y", None)
    told = [LabelNoise(target="m").feedback(Told(0, label, None), people, call()).label for label in (0, 1, 2)]
    assert told == [1, 2, 0]


def test_in_a_feedback_loop_every_outcome_agrees_with_the_decision() -> None:
    loop = FeedbackLoop(target="m")
    assert loop.feedback(LEGIT, PEOPLE, call()) == Told(3, "fraud", "fraud")
    agreed, undecided = Told(3, "fraud", "fraud"), Told(3, "fraud", None)
    assert loop.feedback(agreed, PEOPLE, call()) is agreed
    assert loop.feedback(undecided, PEOPLE, call()) is undecided


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        (LabelDelay(target="m", by=60.0), 0.9),
        (LabelLoss(target="m"), 0.9),
        (LabelNoise(target="m", share=0.5), 0.5),
        (FeedbackLoop(target="m", share=0.5), 0.95),
    ],
)
def test_the_accuracy_that_monitoring_will_read_is_predicted(fault: Any, read: float) -> None:
    assert fault.treated(Signal.accuracy, 0.9) == pytest.approx(read)
    assert fault.treated(Signal.latency, 0.9) is None


def test_a_blind_spot_says_why_nothing_can_see_it_and_what_could() -> None:
    assert "canary" in FeedbackLoop.blind


def test_noise_in_an_outcome_that_never_occurs_is_refused_with_those_that_do() -> None:
    why = LabelNoise(target="m", only="frod").unfit(PEOPLE)
    assert why == "label_noise: no row of the load's data has the outcome frod; write one of fraud, legit after `only:`"
    assert LabelNoise(target="m", only="fraud").unfit(PEOPLE) is None


@pytest.mark.parametrize("fault", [LabelNoise(target="m"), FeedbackLoop(target="m")])
def test_one_class_alone_cannot_be_told_wrongly(fault: Any) -> None:
    why = fault.unfit(Population([{"label": "legit"}], "label", None))
    assert why == f"{fault.fault} needs outcomes of at least two classes, and the load's data has 1"
