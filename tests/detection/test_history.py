"""The band of a baseline: what a series read in it, and what it may do by chance."""

from __future__ import annotations

import math

from chaos.detection import baseline_band


def test_a_band_holds_all_that_was_read_and_nothing_far_from_it() -> None:
    band = baseline_band([(float(at), 0.9 + 0.01 * (at % 3)) for at in range(30)], 0.0)
    assert band is not None
    assert band[0] <= 0.9
    assert band[1] >= 0.92
    assert band[1] - band[0] < 0.2


def test_a_mean_over_a_window_gets_a_wider_band_for_its_baseline_shows_little_of_what_it_does_by_chance() -> None:
    drifting = [(float(at), 0.9 + 0.002 * at) for at in range(15)]
    plain, windowed = baseline_band(drifting, 0.0), baseline_band(drifting, 60.0)
    assert plain is not None
    assert windowed is not None
    assert windowed[0] < plain[0]
    assert windowed[1] > plain[1]


def test_with_under_three_known_values_there_is_no_band() -> None:
    assert baseline_band([(0.0, 1.0), (1.0, math.nan), (2.0, 1.0), (3.0, math.nan)], 30.0) is None
