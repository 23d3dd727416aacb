"""What the plan promises of a comparison is what simulation shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import Scenario, flat
from chaos.statistics import Traffic, chance_to_tell, events_to_tell, seconds_to_tell, smallest_ratio

RUNS = 1_000
CASES = [(100, 0.5, 0.05, 2.0, 60), (40, 0.5, 0.05, 2.0, 120), (40, 0.1, 0.05, 2.0, 300), (100, 0.5, 0.05, 1.4, 120), (40, 0.1, 0.07, 1.5, 300), (40, 0.5, 0.001, 3.0, 400), (40, 0.5, 0.3, 1.5, 60)]  # fmt: skip
"""Requests a second, treatment's share, base rate, ratio, seconds."""


def played(rate: int, share: float, base: float, ratio: float, seconds: int, margin: float = 1.0, side: int = 1, alpha: float = 0.05) -> np.ndarray:  # fmt: skip
    """When each simulated run had its answer, in seconds; infinity where it never had."""
    scenario = Scenario("", seconds, flat(round(rate * share)), flat(round(rate * (1 - share))), flat(base), ratio)
    many = ManyRuns(RUNS, margin, side, alpha)
    for look in scenario.play(RUNS, seed=5):
        many.look(*look)
    return np.where(many.decided, many.when, math.inf)


def near(promised: float | None, seen: float) -> bool:
    """To a fifth, or two seconds."""
    return promised is not None and abs(promised - seen) <= max(2.0, 0.2 * seen)


@pytest.mark.parametrize(("rate", "share", "base", "ratio", "seconds"), CASES)
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_the_promised_chance_and_time_are_those_of_simulated_runs(rate: int, share: float, base: float, ratio: float, seconds: int, alpha: float) -> None:  # fmt: skip
    seen, traffic = played(rate, share, base, ratio, seconds, alpha=alpha), Traffic(rate, share, base)
    assert chance_to_tell(traffic, ratio, seconds, alpha) == pytest.approx(float(np.isfinite(seen).mean()), abs=0.05)
    assert near(seconds_to_tell(traffic, ratio, alpha=alpha), float(np.quantile(seen, 0.5, method="lower")))


@pytest.mark.parametrize(("rate", "share", "base", "seconds"), [(100, 0.5, 0.05, 120), (40, 0.1, 0.07, 400)])
def test_so_are_those_of_held(rate: int, share: float, base: float, seconds: int) -> None:
    seen, traffic = played(rate, share, base, 1.0, seconds, margin=1.5, side=-1), Traffic(rate, share, base)
    chance = chance_to_tell(traffic, 1.0, seconds, margin=1.5, answer="held")
    assert chance == pytest.approx(float(np.isfinite(seen).mean()), abs=0.05)
    assert near(seconds_to_tell(traffic, 1.0, margin=1.5, answer="held"), float(np.quantile(seen, 0.5, method="lower")))


@pytest.mark.parametrize(("rate", "share", "seconds"), [(100, 0.5, 60), (40, 0.5, 120), (40, 0.1, 300)])
def test_twofold_harm_at_5_percent_is_found_in_99_of_100_runs(rate: int, share: float, seconds: int) -> None:
    assert np.isfinite(played(rate, share, 0.05, 2.0, seconds)).mean() >= 0.99


@pytest.mark.parametrize("power", [0.8, 0.9])
@pytest.mark.parametrize(("rate", "share", "base", "seconds"), [(40, 0.5, 0.05, 60), (40, 0.1, 0.07, 120)])
def test_the_smallest_ratio_that_is_promised_is_found_with_its_power(rate: int, share: float, base: float, seconds: int, power: float) -> None:  # fmt: skip
    smallest = smallest_ratio(Traffic(rate, share, base), seconds, power)
    assert smallest is not None
    assert np.isfinite(played(rate, share, base, smallest, seconds)).mean() == pytest.approx(power, abs=0.05)


@pytest.mark.parametrize(("ratio", "median", "nine_of_ten"), [(1.5, 151, 395), (2.0, 57, 135), (3.0, 28, 56)])
def test_bad_events_needed_are_those_that_were_simulated_independently(ratio: float, median: int, nine_of_ten: int) -> None:  # fmt: skip
    """A look after each event needs a few fewer than one every five seconds, by which those numbers were found."""
    for chance, known in ((0.5, median), (0.9, nine_of_ten)):
        needed = events_to_tell(ratio, 0.5, chance)
        assert needed is not None
        assert 0.8 * known <= needed <= known


def test_more_of_anything_tells_sooner_and_less_is_asked_for_by_a_laxer_question() -> None:
    usual = seconds_to_tell(Traffic(40, 0.1, 0.05), 2.0)
    assert usual is not None
    sooner = [
        seconds_to_tell(Traffic(80, 0.1, 0.05), 2.0),
        seconds_to_tell(Traffic(40, 0.5, 0.05), 2.0),
        seconds_to_tell(Traffic(40, 0.1, 0.10), 2.0),
        seconds_to_tell(Traffic(40, 0.1, 0.05), 3.0),
        seconds_to_tell(Traffic(40, 0.1, 0.05), 2.0, chance=0.3),
        seconds_to_tell(Traffic(40, 0.1, 0.05), 2.0, alpha=0.2),
    ]
    assert all(other is not None and other < usual for other in sooner)


def test_far_too_many_events_to_walk_through_are_told_by_one_look() -> None:
    """Just beyond the limit the chance is that of a walk just below it, or a little less."""
    below, beyond = (chance_to_tell(Traffic(rate, 0.5, 0.05), 1.15, 600) for rate in (80, 100))
    assert 0.5 < below < 1
    assert below - 0.15 < beyond <= 1.0
    assert chance_to_tell(Traffic(10_000, 0.1, 0.2), 2.0, 3_600) == pytest.approx(1.0)
    assert chance_to_tell(Traffic(10_000, 0.1, 0.2), 1.0, 3_600) < 0.05


def test_what_can_never_be_told_is_none() -> None:
    assert seconds_to_tell(Traffic(0.01, 0.01, 1e-6), 2.0) is None
    assert seconds_to_tell(Traffic(100, 0.5, 0.05), 1.0) is None  # nothing is worse
    assert smallest_ratio(Traffic(1, 0.1, 0.01), 10) is None
    assert smallest_ratio(Traffic(100, 0.5, 1.0), 60) is None  # it cannot get worse than always
    assert events_to_tell(1.0, 0.5) is None


@pytest.mark.parametrize(("rate", "share", "base"), [(0, 0.5, 0.1), (1, 0.0, 0.1), (1, 1.0, 0.1), (1, 0.5, 0.0), (1, 0.5, 1.1)])  # fmt: skip
def test_traffic_without_two_arms_or_bad_events_is_refused(rate: float, share: float, base: float) -> None:
    with pytest.raises(ValueError, match="no two arms"):
        Traffic(rate, share, base)
