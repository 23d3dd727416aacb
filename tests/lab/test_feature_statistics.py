"""Features are counted by bins of the training half: every value in one, what is impossible there told apart."""

from __future__ import annotations

import numpy as np
import pytest

from chaos.lab.feature_statistics import FeatureStatistics, reference

NUMBERS = [float(number) for number in range(1, 101)]
CATEGORIES = [float(place % 3) for place in range(100)]


def counted(*rows: tuple[float, float]) -> dict[tuple[str, ...], float]:
    """Sample → value, after these rows of an amount and a kind."""
    expected = reference(np.array([NUMBERS, CATEGORIES]).T)
    statistics = FeatureStatistics(("amount", "kind"), expected)
    statistics.count(np.array(rows, dtype=np.float64).reshape(-1, 2))
    return {(one.name, *one.labels.values()): one.value for family in statistics.collect() for one in family.samples}


def test_a_number_falls_into_the_quarter_that_training_had() -> None:
    found = counted((1, 0), (25, 0), (26, 0), (60, 0), (99, 0), (100, 0))
    assert [found["model_feature_values_total", "amount", str(quarter)] for quarter in range(4)] == [2, 1, 1, 2]
    shares = [found["model_feature_values_expected", "amount", str(quarter)] for quarter in range(4)]
    assert shares == pytest.approx([0.25] * 4)


def test_a_category_has_a_bin_of_its_own() -> None:
    found = counted((1, 0), (1, 2), (1, 2))
    assert [found["model_feature_values_total", "kind", str(kind)] for kind in range(3)] == [1, 0, 2]
    assert sum(found["model_feature_values_expected", "kind", str(kind)] for kind in range(3)) == pytest.approx(1)


@pytest.mark.parametrize(("amount", "unseen"), [(150.0, 0), (199.0, 0), (200.0, 1), (-97.0, 0), (-99.0, 1), (1e9, 1)])
def test_a_number_is_unseen_when_it_is_further_out_than_training_was_wide(amount: float, unseen: int) -> None:
    assert counted((amount, 0))["model_feature_unseen_total", "amount"] == unseen


@pytest.mark.parametrize(("kind", "unseen"), [(0.0, 0), (2.0, 0), (3.0, 1), (0.5, 1), (-1.0, 1)])
def test_a_category_is_unseen_when_training_did_not_have_it(kind: float, unseen: int) -> None:
    assert counted((1, kind))["model_feature_unseen_total", "kind"] == unseen


def test_what_is_missing_is_neither_unseen_nor_in_a_bin() -> None:
    found = counted((float("nan"), float("nan")))
    assert found["model_feature_missing_total", "amount"] == found["model_feature_missing_total", "kind"] == 1
    assert found["model_feature_unseen_total", "amount"] == found["model_feature_unseen_total", "kind"] == 0
    assert sum(value for name, value in found.items() if name[0] == "model_feature_values_total") == 0


def test_how_often_a_feature_was_missing_in_training_is_told() -> None:
    column = np.array([[1.0], [float("nan")], [3.0], [4.0]])
    (one,) = reference(column)
    assert one["missing"] == 0.25
    assert sum(one["shares"]) == pytest.approx(1), "of the values that were there"


def test_without_rows_every_series_is_there_at_zero() -> None:
    found = counted()
    assert {value for name, value in found.items() if name[0].endswith("_total")} == {0}
