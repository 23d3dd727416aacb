"""The intervals of a fit to few runs cover what they claim, over simulated sweeps whose truth is known."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from chaos.statistics.curves import LEVEL, Interval, Scale, fit_chance, fit_time

PLACES = tuple(math.log(one) for one in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3))
SCALE = Scale.of(PLACES)
SWEEPS = 2000
COVERED = 0.88
"""Of a nominal 90 %."""


@cache
def half(runs: tuple[tuple[float, bool], ...]) -> Interval:
    return fit_chance(runs).half()


def told(chance: np.random.Generator, place: float, middle: float, width: float) -> bool:
    return bool(chance.random() < 1 / (1 + math.exp(-(place - middle) / width * 2 * math.log(9))))


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_interval_of_where_half_tell_covers_it(repeats: int) -> None:
    """The middle anywhere in what was tried; the change from 1 to 9 in 10 from sudden to half as wide as what was tried."""
    assert LEVEL == 0.9
    chance, covered = np.random.default_rng(7), 0
    for _ in range(SWEEPS):
        middle = chance.uniform(PLACES[0], PLACES[-1])
        width = math.exp(chance.uniform(math.log(0.02), math.log(0.5))) * (PLACES[-1] - PLACES[0])
        runs = tuple((place, told(chance, place, middle, width)) for place in PLACES for _ in range(repeats))
        _, low, high = half(tuple(sorted(runs)))
        covered += low <= middle <= high
    assert covered / SWEEPS >= COVERED


def test_the_interval_of_the_time_covers_it() -> None:
    """Times differ from run to run by 2 to 40 %, and change over what was tried by up to a factor of five."""
    chance, covered, sweeps = np.random.default_rng(8), 0, 500
    for _ in range(sweeps):
        height, slope = chance.uniform(2, 5), chance.uniform(-1.6, 1.6)
        spread = math.exp(chance.uniform(math.log(0.02), math.log(0.4)))
        places = PLACES[int(chance.integers(0, 4)) :]
        runs = [(one, math.exp(height + slope * SCALE.inwards(one) + spread * chance.normal())) for one in places]
        at = places[int(chance.integers(len(places)))]
        _, low, high = fit_time(runs, SCALE).seconds(at)
        covered += low <= math.exp(height + slope * SCALE.inwards(at)) <= high
    assert covered / sweeps >= COVERED


def test_more_runs_make_the_interval_narrower() -> None:
    def width(repeats: int) -> float:
        _, low, high = fit_chance([(place, place > -3) for place in PLACES for _ in range(repeats)]).half()
        return high - low

    assert width(10) < width(3) < width(1)
