"""What faults on decisions do beyond the contract."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.faults.aims import Aim, OutOfReach, share_for
from chaos.faults.base import Call, Memory, Redirect, Signal
from chaos.faults.class_collapse import ClassCollapse
from chaos.faults.constant_output import ConstantOutput
from chaos.faults.frozen_predictions import FrozenPredictions
from chaos.faults.shuffled_predictions import ShuffledPredictions
from chaos.faults.stale_model import StaleModel
from chaos.faults.wrong_predictions import WrongPredictions
from chaos.rows import Row, Rule

CLASSES = (0, 1, 2)
ROW = Row(0, 1, (0.2, 0.5, 0.3), CLASSES)


def call(subject: str = "s", share: float = 1.0, memory: Memory | None = None) -> Call:
    return Call("seed", 0, subject, share, {}, memory=memory or Memory())


def wrong(**more: Any) -> WrongPredictions:
    return WrongPredictions.model_validate({"fault": "wrong_predictions", "target": "m", **more})


# --- wrong_predictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "row", "after"),
    [
        ("next", ROW, Row(0, 2, (0.2, 0.3, 0.5), CLASSES)),
        ("next", Row(0, 2, (0.1, 0.2, 0.7), CLASSES), Row(0, 0, (0.7, 0.2, 0.1), CLASSES)),
        ("worst", ROW, Row(0, 0, (0.5, 0.2, 0.3), CLASSES)),
        ("worst", Row(0, "a", None, ("a", "b", "c")), Row(0, "c", None, ("a", "b", "c"))),
        ("next", Row(0, "no", None, ("no", "yes")), Row(0, "yes", None, ("no", "yes"))),
        ("worst", Row(0, 0, (0.7,), CLASSES), Row(0, 2, (0.7,), CLASSES)),
    ],
)
def test_wrong_predictions_gives_another_class_and_moves_its_score_along(other: str, row: Row, after: Row) -> None:
    assert wrong(other=other).edit([row], call()) == [after]


@pytest.mark.parametrize(
    "row", [Row(0, 5, None, (0, 1)), Row(0, 1, None, ()), Row(0, 1, None, (1,)), Row(0, None, (0.5, 0.5), (0, 1))]
)
def test_wrong_predictions_leaves_a_row_whose_other_classes_nobody_knows(row: Row) -> None:
    assert wrong().edit([row], call())[0] is row


def test_a_random_wrong_class_is_never_the_right_one_and_every_other_one_comes_up_alike() -> None:
    given = [wrong(other="random").edit([ROW], call(f"s{number}"))[0].label for number in range(2000)]
    assert set(given) == {0, 2}
    assert abs(given.count(0) - 1000) < 5 * 22.4


@pytest.mark.parametrize(
    ("confined", "labels"),
    [
        ({"from": 1}, [0, 2, 2]),
        ({"from": 1, "to": 0}, [0, 0, 2]),
        ({"to": 0}, [0, 0, 0]),
        ({"from": 7}, [0, 1, 2]),
        ({"to": 7}, [0, 1, 2]),
    ],
)
def test_from_and_to_confine_wrong_predictions_to_one_direction(confined: dict[str, int], labels: list[int]) -> None:
    rows = [Row(label, label, None, CLASSES) for label in CLASSES]
    after = wrong(**confined).edit(rows, call())
    assert [row.label for row in after] == labels
    assert all(new is old for new, old in zip(after, rows, strict=True) if new.label == old.label)


def test_a_confined_fault_is_sent_on_as_people_wrote_it() -> None:
    written = wrong(**{"from": 1, "to": 0}).model_dump_json(exclude_unset=True)
    assert '"from":1' in written
    assert "from_" not in written
    assert WrongPredictions.model_validate_json(written) == wrong(**{"from": 1, "to": 0})


def test_what_confined_mistakes_cost_nobody_can_say() -> None:
    assert wrong(share="20%").treated(Signal.accuracy, 0.9) == pytest.approx(0.74)
    assert wrong(share="20%").treated(Signal.positive_rate, 0.8) == pytest.approx(0.68)
    assert wrong(share="20%", **{"from": 1}).treated(Signal.accuracy, 0.9) is None


@given(st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_share_that_is_found_gives_the_outcome_to_be_expected(now: float, part: float, mended: float) -> None:
    least = (1 - now) * mended
    to = least + part * (now - least)
    if to >= now:
        with pytest.raises(OutOfReach):
            share_for(Aim("accuracy", to), now, mended)
        return
    share = share_for(Aim("accuracy", to), now, mended)
    assert 0 <= share <= 1
    assert now * (1 - share) + (1 - now) * mended * share == pytest.approx(to, abs=1e-9)


@pytest.mark.parametrize(
    ("more", "classes", "outcome", "truth"),
    [
        ({"to_accuracy": "70%"}, 2, "accuracy", None),
        ({"to_accuracy": "40%", "other": "random"}, 4, "accuracy", None),
        ({"to_recall": "60%"}, 2, "recall", 1),
        ({"to_recall": "60%", "of": 1, "from": 1, "to": 0}, 3, "recall", 1),
        ({"to_recall": "60%", "of": 1, "from": 1}, 3, "recall", 1),
        ({"to_recall": "60%", "of": 1, "to": 2}, 3, "recall", 1),
    ],
)
def test_a_fault_that_is_aimed_gives_its_rows_the_outcome(
    more: dict[str, Any], classes: int, outcome: str, truth: int | None
) -> None:
    """Over 20,000 rows of which the model finds nine in ten: what is left is within five standard deviations of what was asked."""
    names, many = tuple(range(classes)), 20_000
    truths = [truth if truth is not None else number % classes for number in range(many)]
    said = [right if number % 10 else (right + 1) % classes for number, right in enumerate(truths)]
    fault = wrong(**more)
    aim = fault.aim()
    assert aim is not None
    assert aim.outcome == outcome
    aimed = fault.aimed(0.9, classes)
    assert aimed.aim() is None
    rows = [aimed.edit([Row(0, label, None, names)], call(f"s{at}", aimed.share))[0] for at, label in enumerate(said)]
    right = sum(row.label == right for row, right in zip(rows, truths, strict=True)) / many
    assert abs(right - aim.to) < 5 * (0.25 / many) ** 0.5


@pytest.mark.parametrize(
    ("more", "now", "classes", "why"),
    [
        ({"to_accuracy": "70%"}, 0.7, 2, "accuracy reads 70% now, and a fault makes it no better; write less than that"),
        ({"to_accuracy": "5%"}, 0.9, 2, "accuracy reads 90% now, and would still be 10% if every prediction were hurt; write more than that"),
        ({"to_accuracy": "20%"}, 0.4, 2, "accuracy reads 40% now, so low that other answers are no worse and 20% cannot be reached; write `share` instead"),
        ({"to_accuracy": "70%"}, 0.9, None, "nobody knows how many classes the model has; write them under the target's `output: classes`"),
        ({"to_accuracy": "70%"}, 0.9, 1, "the model has one class, and so no other one; write all of them under the target's `output: classes`"),
        ({"to_recall": "70%"}, 0.9, 3, "nobody knows how often the next of 3 classes is the right one; write `other: random`"),
    ],
)  # fmt: skip
def test_an_outcome_that_no_known_share_gives_is_refused_with_the_reason(
    more: dict[str, Any], now: float, classes: int | None, why: str
) -> None:
    with pytest.raises(OutOfReach) as refused:
        wrong(**more).aimed(now, classes)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"to_accuracy": "70%", "to_recall": "60%"}, "write one of them"),
        ({"of": 1}, "write `to_recall` beside it"),
        ({"to_recall": "60%", "of": 1, "from": 0}, "the recall of 1 cannot fall in this direction"),
        ({"to_recall": "60%", "of": 1, "to": 1}, "the recall of 1 cannot fall in this direction"),
    ],
)
def test_an_outcome_that_contradicts_the_rest_of_the_fault_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        wrong(**more)


def test_what_a_fault_costs_nobody_can_say_before_its_share_is_found() -> None:
    assert wrong(to_accuracy="70%").treated(Signal.accuracy, 0.9) is None
    assert wrong(to_accuracy="70%").aimed(0.9, 2).treated(Signal.accuracy, 0.9) == pytest.approx(0.7)


# --- shuffled_predictions -----------------------------------------------------------------------------------------------


def outcomes(count: int) -> list[Row]:
    """Rows of which a third is of each class, with scores of their own."""
    return [Row(0, number % 3, (number / 1000, 0.5, 0.5 - number / 1000), CLASSES) for number in range(count)]


def test_shuffled_predictions_gives_everybody_the_outcome_of_the_one_before() -> None:
    fault, memory, rows = ShuffledPredictions(target="m"), Memory(), outcomes(60)
    after = [fault.edit([row], call(f"s{at}", memory=memory))[0] for at, row in enumerate(rows)]
    assert after[0] is rows[0]
    assert [(row.label, row.scores) for row in after[1:]] == [(row.label, row.scores) for row in rows[:-1]]


def test_shuffled_predictions_keeps_the_class_mix_but_for_one_row() -> None:
    fault, memory, rows = ShuffledPredictions(target="m"), Memory(), outcomes(500)
    after = [fault.edit([row], call(f"s{at}", 0.4, memory))[0] for at, row in enumerate(rows)]
    before, given = (Counter((row.label, row.scores) for row in some) for some in (rows, after))
    assert sum((before - given).values()) == sum((given - before).values()) == 1
    assert sum(new is not old for new, old in zip(after, rows, strict=True)) > 150


def test_rows_of_one_answer_are_shuffled_among_each_other() -> None:
    rows = [Row(at, label, None, ("a", "b", "c")) for at, label in enumerate("abc")]
    after = ShuffledPredictions(target="m").edit(rows, call())
    assert [(row.index, row.label) for row in after] == [(0, "a"), (1, "a"), (2, "b")]


def test_numbers_without_classes_are_shuffled_too() -> None:
    rows = [Row(0, 1.5), Row(1, 2.5)]
    assert ShuffledPredictions(target="m").edit(rows, call())[1] == Row(1, 1.5)


@pytest.mark.parametrize("other", [Row(1, "text"), Row(1, 1, None, (0, 1)), Row(1, 1.0, (0.5, 0.5)), Row(1, None)])
def test_an_answer_of_another_model_is_neither_given_nor_forgotten_for(other: Row) -> None:
    first, last = Row(0, 1.5), Row(2, 3.5)
    after = ShuffledPredictions(target="m").edit([first, other, last], call())
    assert after[1] is other
    assert after[2] == Row(2, 1.5)


def test_an_outcome_that_says_the_same_changes_nothing() -> None:
    rows = [Row(0, 1, None, (0, 1)), Row(1, 1, None, (0, 1))]
    assert ShuffledPredictions(target="m").edit(rows, call())[1] is rows[1]


# --- class_collapse -----------------------------------------------------------------------------------------------------


def test_class_collapse_leaves_one_class_and_moves_the_best_score_to_it() -> None:
    rows = [ROW, Row(1, 2, (0.1, 0.2, 0.7), CLASSES), Row(2, 0, None, CLASSES)]
    after = ClassCollapse(target="m", to=2).edit(rows, call())
    assert after == [Row(0, 2, (0.2, 0.3, 0.5), CLASSES), rows[1], Row(2, 2, None, CLASSES)]
    assert after[1] is rows[1]


def test_without_a_class_the_most_frequent_one_so_far_is_left() -> None:
    fault, memory = ClassCollapse(target="m"), Memory()
    seen = []
    for at, label in enumerate("abbabcc"):
        seen.append(fault.edit([Row(0, label, None, ("a", "b", "c"))], call(f"s{at}", memory=memory))[0].label)
    assert seen == ["a", "a", "b", "a", "b", "b", "b"]


@pytest.mark.parametrize(
    "row", [Row(0, 1.5), Row(0, None, (0.5, 0.5), (0, 1)), Row(0, 1, None, (1, 3)), Row(0, 9, None, (0, 1))]
)
def test_class_collapse_leaves_a_row_that_cannot_have_the_class(row: Row) -> None:
    assert ClassCollapse(target="m", to=0).edit([row], call())[0] is row


# --- frozen_predictions -------------------------------------------------------------------------------------------------


def test_frozen_predictions_gives_the_first_outcome_for_ever() -> None:
    fault, memory, rows = FrozenPredictions(target="m"), Memory(), outcomes(20)
    after = [fault.edit([row], call(f"s{at}", memory=memory))[0] for at, row in enumerate(rows)]
    assert {(row.label, row.scores) for row in after} == {(rows[0].label, rows[0].scores)}


def test_frozen_predictions_replays_as_many_as_it_is_told_to_remember() -> None:
    fault, memory, rows = FrozenPredictions(target="m", remembers=5), Memory(), outcomes(300)
    after = [fault.edit([row], call(f"s{at}", memory=memory))[0] for at, row in enumerate(rows)]
    assert all(new is old for new, old in zip(after[:5], rows, strict=False))
    assert {row.scores for row in after} == {row.scores for row in rows[:5]}


def test_a_retried_request_meets_the_same_frozen_outcome() -> None:
    fault, memory = FrozenPredictions(target="m", remembers=5), Memory()
    for at, row in enumerate(outcomes(5)):
        fault.edit([row], call(f"s{at}", memory=memory))
    assert fault.edit([ROW], call("again", memory=memory)) == fault.edit([ROW], call("again", memory=memory))


# --- constant_output ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "after"),
    [
        (ROW, Row(0, 2, (0.1, 0.1, 0.8), CLASSES)),
        (Row(0, 2, None, CLASSES), None),
        (Row(0, 1, None, CLASSES), Row(0, 2, None, CLASSES)),
        (Row(0, 1, (0.4, 0.6), (0, 1)), None),  # it lacks the class
        (Row(0, 1, (3.0, 5.0, -2.0), CLASSES), None),  # margins
        (Row(0, 17.5), Row(0, 2)),  # a regression
        (Row(0, "text"), None),
        (Row(0, True), None),
        (Row(0, None), None),
        (Row(0, None, (0.5, 0.25, 0.125)), None),  # an embedding
    ],
)
def test_constant_output_is_the_same_for_every_row_that_can_say_it(row: Row, after: Row | None) -> None:
    (given,) = ConstantOutput(target="m", label=2, score=0.8).edit([row], call())
    if after is None:
        assert given is row
    else:
        assert (given.label, given.scores) == (after.label, pytest.approx(after.scores) if after.scores else None)


def test_constant_output_decides_where_a_threshold_does() -> None:
    row = Row(0, "legit", (0.5, 0.5), ("legit", "fraud"), Rule(1, 0.93))
    (given,) = ConstantOutput(target="m", label="fraud", score=0.6).edit([row], call())
    assert given.label == "fraud"
    assert given.scores is not None
    assert given.scores[1] >= 0.93


# --- stale_model --------------------------------------------------------------------------------------------------------


def test_stale_model_asks_the_older_model() -> None:
    assert list(StaleModel(target="m", to="http://old:8080").act(call())) == [Redirect("http://old:8080")]


@pytest.mark.parametrize(
    "to",
    ["old", "old:80", "http://old", "https://old:1", "http://old:0", "http://old:x", "http://u:p@old:1", "http://old:1/v2", "http://o ld:1", ""],
)  # fmt: skip
def test_stale_model_refuses_what_is_no_address_and_shows_no_password(to: str) -> None:
    with pytest.raises(ValueError, match="write http://HOST:PORT") as refused:
        StaleModel(target="m", to=to)
    assert "u:p" not in str(refused.value).split("[type=", maxsplit=1)[0]
