"""What a signal reads in its baseline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.statistics import quantile_band


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_band_holds_everything_that_the_baseline_showed(values: list[float]):
    low, high = quantile_band(values)
    assert all(low <= value <= high for value in values)


def test_a_band_is_four_robust_standard_errors_wide():
    values = [0.93, 0.94, 0.95, 0.94, 0.93, 0.95, 0.94]
    low, high = quantile_band(values)
    assert (low, high) == (pytest.approx(0.94 - 4 * 1.4826 * 0.01), pytest.approx(0.94 + 4 * 1.4826 * 0.01))


def test_a_constant_signal_has_no_band_around_it():
    assert quantile_band([1.0] * 9) == (1.0, 1.0)


def test_a_band_needs_values():
    with pytest.raises(ValueError, match="values"):
        quantile_band([])
