"""What faults on scores do beyond the contract."""

from __future__ import annotations

import math
import statistics

import pytest

from chaos.faults.base import Call
from chaos.faults.decisions import probabilities, rescored, standard_normal
from chaos.faults.label_score_mismatch import LabelScoreMismatch
from chaos.faults.miscalibrated import Miscalibrated
from chaos.faults.nan_scores import NanScores
from chaos.faults.score_noise import ScoreNoise
from chaos.faults.score_shift import ScoreShift
from chaos.rows import Row, Rule

BINARY = Row(0, 1, (0.4, 0.6), (0, 1))
MANY = Row(0, "b", (0.2, 0.5, 0.3), ("a", "b", "c"))
FRAUD = ("legit", "fraud")
NO_PROBABILITIES = [
    Row(0, 1, None, (0, 1)),
    Row(0, 1, (0.3, 0.6), (0, 1)),
    Row(0, 1, (-1.0, 2.0), (0, 1)),
    Row(0, None, (0.5, 0.5), ()),
    Row(0, 0, (1.0,), (0,)),
    Row(0, 1, (math.nan, math.nan), (0, 1)),
    Row(0, 17.5),
]


def call(subject: str = "s") -> Call:
    return Call("seed", 0, subject, 1.0, {})


def second(row: Row) -> float:
    assert row.scores is not None
    return row.scores[1]


@pytest.mark.parametrize("row", NO_PROBABILITIES)
def test_scores_that_are_no_probabilities_of_known_classes_pass(row: Row) -> None:
    assert probabilities(row) is None
    for fault in (
        ScoreNoise(target="m", deviation=0.1),
        ScoreShift(target="m", by=0.1),
        Miscalibrated(target="m", temperature=3),
    ):
        assert fault.edit([row], call())[0] is row


def test_standard_normal_is_one() -> None:
    drawn = [standard_normal(call(f"s{number}"), 0, "x") for number in range(4000)]
    assert abs(statistics.mean(drawn)) < 5 / math.sqrt(4000)
    assert statistics.stdev(drawn) == pytest.approx(1, abs=0.06)


# --- score_noise --------------------------------------------------------------------------------------------------------


def test_score_noise_has_its_deviation_and_no_bias() -> None:
    fault = ScoreNoise(target="m", deviation=0.05)
    drawn = [second(fault.edit([BINARY], call(f"s{number}"))[0]) for number in range(2000)]
    assert statistics.mean(drawn) == pytest.approx(0.6, abs=5 * 0.05 / math.sqrt(2000))
    assert statistics.stdev(drawn) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("row", [BINARY, MANY])
def test_the_label_follows_noisy_scores_or_stays_with_scores_that_say_so(row: Row) -> None:
    labels = {}
    for keep in (False, True):
        fault = ScoreNoise(target="m", deviation=0.3, keep_label=keep)
        after = [fault.edit([row], call(f"s{number}"))[0] for number in range(200)]
        for one in after:
            assert one.scores is not None
            assert one.classes[one.scores.index(max(one.scores))] == one.label
        labels[keep] = {one.label for one in after}
    assert labels == {False: set(row.classes), True: {row.label}}


@pytest.mark.parametrize("keep", [False, True])
def test_a_threshold_decides_over_noisy_scores(keep: bool) -> None:
    rule = Rule(1, 0.93)
    row = Row(0, "legit", (0.1, 0.9), FRAUD, rule)
    fault = ScoreNoise(target="m", deviation=0.1, keep_label=keep)
    after = [fault.edit([row], call(f"s{number}"))[0] for number in range(200)]
    assert all(one.scores and one.classes[rule.decides(one.scores)] == one.label for one in after)
    assert {one.label for one in after} == ({"legit"} if keep else {"legit", "fraud"})


def test_a_label_against_its_scores_is_the_models_own_business() -> None:
    row = Row(0, 0, (0.1, 0.9), (0, 1))
    assert {ScoreNoise(target="m", deviation=0.5).edit([row], call(f"s{n}"))[0].label for n in range(100)} == {0}


# --- score_shift --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "row", "label", "scores"),
    [
        (ScoreShift(target="m", by=0.1), BINARY, 1, (0.3, 0.7)),
        (ScoreShift(target="m", by=0.2, direction="down"), BINARY, 0, (0.6, 0.4)),
        (ScoreShift(target="m", by=0.5, of=0), BINARY, 0, (0.9, 0.1)),
        (ScoreShift(target="m", by=0.3), MANY, "c", (0.4 * 2 / 7, 0.4 * 5 / 7, 0.6)),
        (ScoreShift(target="m", by=1.0, of="b"), MANY, "b", (0.0, 1.0, 0.0)),
        (ScoreShift(target="m", by=0.1, of=0, direction="down"), Row(0, 0, (1.0, 0.0, 0.0), (0, 1, 2)), 0, (0.9, 0.05, 0.05)),
    ],
)  # fmt: skip
def test_score_shift_moves_one_class_and_the_label_follows(
    fault: ScoreShift, row: Row, label: object, scores: tuple[float, ...]
) -> None:
    (after,) = fault.edit([row], call())
    assert after.label == label
    assert after.scores == pytest.approx(scores)


def test_score_shift_leaves_a_row_without_the_class_and_one_at_the_end() -> None:
    end = Row(0, 1, (0.0, 1.0), (0, 1))
    assert ScoreShift(target="m", by=0.1, of="x").edit([MANY], call())[0] is MANY
    assert ScoreShift(target="m", by=0.1).edit([end], call())[0] is end


def test_score_shift_crosses_a_threshold() -> None:
    row = Row(0, "legit", (0.1, 0.9), FRAUD, Rule(1, 0.93))
    assert ScoreShift(target="m", by=0.05).edit([row], call())[0].label == "fraud"


# --- miscalibrated ------------------------------------------------------------------------------------------------------


def test_a_low_temperature_makes_scores_sharper_and_a_high_one_flatter_and_no_label_changes() -> None:
    assert second(Miscalibrated(target="m", temperature=0.5).edit([BINARY], call())[0]) == pytest.approx(9 / 13)
    flat = 1 / (1 + (0.4 / 0.6) ** 0.5)
    assert second(Miscalibrated(target="m", temperature=2).edit([BINARY], call())[0]) == pytest.approx(flat)
    for temperature in (0.01, 0.4, 3, 100):
        assert Miscalibrated(target="m", temperature=temperature).edit([MANY], call())[0].label == "b"


@pytest.mark.parametrize("temperature", [0.01, 0.4, 3, 100])
@pytest.mark.parametrize("score", [0.0, 0.3, 0.92, 0.93, 0.99, 1.0])
def test_a_decision_by_threshold_survives_any_temperature(score: float, temperature: float) -> None:
    rule = Rule(1, 0.93)
    row = Row(0, FRAUD[rule.decides((1 - score, score))], (1 - score, score), FRAUD, rule)
    (after,) = Miscalibrated(target="m", temperature=temperature).edit([row], call())
    assert after.label == row.label
    assert after.scores is not None
    assert FRAUD[rule.decides(after.scores)] == row.label


def test_a_score_of_nothing_stays_a_number() -> None:
    row = Row(0, 1, (0.0, 1.0), (0, 1))
    (after,) = Miscalibrated(target="m", temperature=100).edit([row], call())
    assert 0.5 < second(after) < 0.6


# --- label_score_mismatch, nan_scores -----------------------------------------------------------------------------------


def test_label_score_mismatch_changes_the_label_alone() -> None:
    assert LabelScoreMismatch(target="m").edit([MANY], call()) == [Row(0, "c", MANY.scores, MANY.classes)]


@pytest.mark.parametrize(
    "row", [Row(0, 1, None, (0, 1)), Row(0, 1, (0.4, 0.6), (0, 1), Rule()), Row(0, 5, (0.4, 0.6), (0, 1)), Row(0, 17.5)]
)
def test_nothing_is_contradicted_where_label_or_scores_are_missing(row: Row) -> None:
    assert LabelScoreMismatch(target="m").edit([row], call())[0] is row


def test_nan_scores_leaves_no_number_and_a_label_only_where_it_stands_by_itself() -> None:
    ruled = Row(1, 1, (0.4, 0.6), (0, 1), Rule())
    after = NanScores(target="m").edit([BINARY, ruled, Row(2, 1, None, (0, 1))], call())
    assert [row.label for row in after] == [1, None, 1]
    assert all(row.scores is not None and all(map(math.isnan, row.scores)) for row in after[:2])
    assert after[2].scores is None


def test_scores_that_come_back_as_they_were_are_the_same_row() -> None:
    assert rescored(BINARY, [0.4, 0.6]) is BINARY
