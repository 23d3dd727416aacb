"""The proxies' cumulative counts, taken apart into seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chaos.comparisons import compare
from chaos.observation import SLOW_S, ArmTraffic, ProxyRead
from chaos.proxied_arms import increments
from chaos.statistics import bonferroni

WALL = 1_700_000_000.0


def traffic(answered: int, errors: int = 0, slow: int = 0) -> ArmTraffic:
    return ArmTraffic(2 * answered + 7, answered + 5, errors, slow, answered)


def look(at: float, treatment: ArmTraffic, control: ArmTraffic) -> ProxyRead:
    return ProxyRead("model", WALL + at, "armed", treatment=treatment, control=control)


def test_each_answer_is_counted_once_and_what_was_there_before_the_first_look_is_not() -> None:
    looks = [
        look(0, traffic(100, 50, 50), traffic(100)),
        look(1, traffic(110, 52, 51), traffic(130, 3, 0)),
        look(2, traffic(110, 52, 51), traffic(135, 3, 1)),
    ]
    first, second = increments(looks)
    assert (first.wall_s, second.wall_s) == (WALL + 1, WALL + 2)
    assert [(arm.first, arm.first_errors, arm.latency_le) for arm in first.arms.values()] == [
        (10, 2, {f"{SLOW_S:g}": 9}),
        (30, 3, {f"{SLOW_S:g}": 30}),
    ]
    assert [arm.first for arm in second.arms.values()] == [0, 5]


def test_exposure_is_first_attempts_that_were_answered_and_neither_retries_nor_what_is_on_its_way() -> None:
    begun = look(0, traffic(0), traffic(0))
    retried = replace(traffic(10, 1), requests=500, first_attempts=90)
    (second,) = increments([begun, look(1, retried, traffic(10))])
    assert second.arms["treatment"].first == 10


@pytest.mark.parametrize("fallen", [traffic(40), traffic(120, 1, 5), traffic(120, 5, 1)])
def test_a_look_at_which_a_count_has_fallen_says_nothing_and_the_next_goes_on_from_it(fallen: ArmTraffic) -> None:
    after = replace(fallen, answered=fallen.answered + 7)
    seen = increments([
        look(0, traffic(100, 5, 5), traffic(100)), look(1, fallen, traffic(110)), look(2, after, traffic(120)),
    ])  # fmt: skip
    assert [(one.wall_s - WALL, one.arms["treatment"].first) for one in seen] == [(2.0, 7)]


def test_a_proxy_that_did_not_say_what_it_answered_says_nothing_of_harm() -> None:
    """Journals of before: the counts were there, and what they are parts of was not."""
    old = [look(at, ArmTraffic(50 * at, 50 * at, 20 * at), ArmTraffic(50 * at, 50 * at, at)) for at in range(9)]
    assert increments(old) == []


RUNS = 300
EACH = bonferroni(0.05, 2)


def called_broken(ratio: float, seconds: int, seed: int) -> float:
    """The share of runs that the product ever calls broken, with a look a second at cumulative counts of 2 × 20/s, 5 % bad in control."""
    chance, broken = np.random.default_rng(seed), 0
    for _ in range(RUNS):
        answered = chance.poisson(20, size=(seconds, 2))
        bad = chance.binomial(answered, (0.05 * ratio, 0.05))
        total = np.vstack([np.zeros((1, 4), dtype=int), np.cumsum(np.hstack([answered, bad]), axis=0)])
        looks = [
            look(at, traffic(int(row[0]), int(row[2])), traffic(int(row[1]), int(row[3])))
            for at, row in enumerate(total)
        ]
        broken += compare(increments(looks), "errors", EACH).result.decision == "broken"
    return broken / RUNS


def test_arms_that_are_alike_are_called_broken_in_no_more_runs_than_alpha() -> None:
    """By the product itself, from cumulative counts; that its e-process keeps alpha is certified over more runs in tests/statistics."""
    assert called_broken(1.0, 60, seed=1) <= EACH


def test_errors_that_are_three_times_as_many_are_found() -> None:
    assert called_broken(3.0, 60, seed=2) >= 0.95
