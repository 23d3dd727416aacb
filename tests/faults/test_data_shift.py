"""What the faults of data shift make of a row, beyond the contract."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from chaos.faults.base import Call, Signal
from chaos.faults.concept_drift import ConceptDrift
from chaos.faults.covariate_shift import CovariateShift
from chaos.faults.label_shift import LabelShift
from chaos.faults.loads import Drawn, Population

ROWS: list[dict[str, Any]] = [
    {"income": number, "group": ("north", "south")[number % 2], "label": ("deny", "approve")[number % 5 > 0]}
    for number in range(100)
]
PEOPLE = Population(ROWS, "label", "approve")


def call(share: float = 1.0) -> Call:
    return Call("seed", 0, "s", share, {})


def drawn(number: int) -> Drawn:
    row = ROWS[number % 100]
    return Drawn(number, row, row["label"])


def shifted(fault: Any, count: int = 2000, share: float = 1.0) -> list[Drawn]:
    return [fault.draw(drawn(number), PEOPLE, call(share)) for number in range(count)]


def test_shifted_requests_all_meet_the_condition_and_their_outcomes_are_their_own() -> None:
    for one in shifted(CovariateShift(target="m", where="income >= 60")):
        assert one.row["income"] >= 60
        assert one.label == one.row["label"]


def test_rows_that_meet_the_condition_already_are_left_as_they_are() -> None:
    fault = CovariateShift(target="m", where="income >= 60")
    for number in range(200):
        before = drawn(number)
        assert (fault.draw(before, PEOPLE, call()) is before) is (before.row["income"] >= 60)


def test_every_row_that_meets_the_condition_takes_part() -> None:
    counts = Counter(one.row["income"] for one in shifted(CovariateShift(target="m", where="income >= 90"), 5000))
    assert set(counts) == set(range(90, 100))
    assert max(abs(count - 500) for count in counts.values()) < 5 * 500**0.5


def test_where_the_concept_drifts_outcomes_turn_and_inputs_do_not() -> None:
    fault = ConceptDrift(target="m", where='group == "south"')
    for number in range(200):
        before = drawn(number)
        after = fault.draw(before, PEOPLE, call())
        assert after.row is before.row
        assert (after.label != before.label) is (before.row["group"] == "south")


def test_a_drift_everywhere_predicts_the_accuracy_and_one_of_a_part_does_not() -> None:
    assert ConceptDrift(target="m", share=0.5).treated(Signal.accuracy, 0.9) == pytest.approx(0.5)
    assert ConceptDrift(target="m", where="income > 3").treated(Signal.accuracy, 0.9) is None
    assert ConceptDrift(target="m").treated(Signal.positive_rate, 0.9) is None


@pytest.mark.parametrize("positive", [0.0, 0.2, 0.5, 1.0])
def test_the_positive_outcome_gets_the_share_that_was_asked_for(positive: float) -> None:
    after = shifted(LabelShift(target="m", positive=positive), 4000)
    share = sum(one.label == "approve" for one in after) / 4000
    assert abs(share - positive) <= 5 * (positive * (1 - positive) / 4000) ** 0.5
    assert all(one.label == one.row["label"] for one in after)


def test_a_row_of_the_wanted_outcome_already_is_left_as_it_is() -> None:
    fault = LabelShift(target="m", positive=1.0)
    for number in range(200):
        before = drawn(number)
        assert (fault.draw(before, PEOPLE, call()) is before) is (before.label == "approve")


def test_within_each_outcome_cases_look_as_before() -> None:
    after = [one.row["income"] for one in shifted(LabelShift(target="m", positive=0.5), 6000) if one.label == "approve"]
    counts = Counter(after)
    assert set(counts) == {row["income"] for row in ROWS if row["label"] == "approve"}
    assert max(abs(count - len(after) / 80) for count in counts.values()) < 6 * (len(after) / 80) ** 0.5


@pytest.mark.parametrize(
    ("fault", "people", "why"),
    [
        (
            CovariateShift(target="m", where="incme > 3"),
            PEOPLE,
            "covariate_shift: no row of the load's data meets `where: incme > 3`; its columns are group, income, label",
        ),
        (
            ConceptDrift(target="m", where="income > 1000"),
            PEOPLE,
            "concept_drift: no row of the load's data meets `where: income > 1000`; its columns are group, income, label",
        ),
        (
            ConceptDrift(target="m"),
            Population([{"label": 1}, {"label": 1}], "label", None),
            "concept_drift needs outcomes of at least two classes, and the load's data has 1",
        ),
        (
            LabelShift(target="m", positive=0.5),
            Population(ROWS, "label", None),
            "label_shift must know which outcome is the positive one; write `positive:` under `request` in the system file",
        ),
        (
            LabelShift(target="m", positive=0.5),
            Population(ROWS, "label", "yes"),
            "label_shift: no row of the load's data has the outcome yes, so nothing can be shifted",
        ),
        (
            LabelShift(target="m", positive=0.5),
            Population([{"label": "yes"}], "label", "yes"),
            "label_shift: no row of the load's data has another outcome than yes, so nothing can be shifted",
        ),
    ],
)
def test_what_cannot_happen_with_these_rows_is_said_beforehand(fault: Any, people: Population, why: str) -> None:
    assert fault.unfit(people) == why


@pytest.mark.parametrize(
    "fault",
    [CovariateShift(target="m", where="income > 3"), ConceptDrift(target="m"), LabelShift(target="m", positive=0.5)],
)
def test_what_can_happen_is_not_refused(fault: Any) -> None:
    assert fault.unfit(PEOPLE) is None


def test_the_classes_of_a_population_do_not_depend_on_the_order_of_its_rows() -> None:
    rows = [{"label": label} for label in ("deny", "approve", 3, "cancel", "appeal", 1, "wait")]
    for order in (rows, rows[::-1], rows[3:] + rows[:3]):
        assert Population(order, "label", None).labels == (1, 3, "appeal", "approve", "cancel", "deny", "wait")
