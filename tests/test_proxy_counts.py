"""The windows between looks at proxies: what was answered in them, nothing twice, and nothing that nobody knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chaos.comparisons import ALPHA, begun
from chaos.observation import ArmTraffic, ProxyRead
from chaos.proxy_counts import counts_subjects, each_at_proxies, summed, windows_of_requests, windows_of_subjects
from chaos.statistics import ArmCounts

WALL = 1_000.0

# --- subjects ---------------------------------------------------------------------------------------------------------


def look(at: float, subjects: int | None, failed: int = 0, slow: int = 0) -> ProxyRead:
    arm = ArmTraffic(9_999, 9_999, 9_999, 9_999, 9_999, subjects, failed, slow)
    return ProxyRead("model", WALL + at, "armed", arm, replace(arm, subjects_failed=0, subjects_slow=0))


LOOKS = [look(1, 10, 1), look(2, 30, 3, 2), look(3, 60, 4, 2)]


def test_a_window_holds_the_subjects_between_two_looks_and_no_retries() -> None:
    (first, second) = windows_of_subjects(LOOKS, WALL)
    assert first[0] == WALL + 2
    assert first[1] == {"errors": (ArmCounts(20, 2), ArmCounts(20, 0)), "slow": (ArmCounts(20, 2), ArmCounts(20, 0))}
    assert second[1]["errors"][0] == ArmCounts(30, 1)
    assert summed((first, second), "errors") == (ArmCounts(50, 3), ArmCounts(50, 0))


def test_a_window_that_began_before_the_first_effect_or_ended_after_the_removal_is_none() -> None:
    assert [wall_s for wall_s, _ in windows_of_subjects(LOOKS, WALL + 1.5)] == [WALL + 3]
    assert [wall_s for wall_s, _ in windows_of_subjects(LOOKS, WALL, WALL + 2.5)] == [WALL + 2]
    assert list(windows_of_subjects([LOOKS[0], replace(LOOKS[1], state="expired"), LOOKS[2]], WALL)) == []


def test_no_window_goes_over_a_moment_in_which_counting_began_anew() -> None:
    anew = [look(1, 100, 5), look(2, 10, 1), look(3, 20, 1)]
    assert [counted["errors"][0] for _, counted in windows_of_subjects(anew, WALL)] == [ArmCounts(10, 0)]


def test_what_an_older_proxy_or_several_of_them_do_not_say_is_not_made_up() -> None:
    unknown = [look(1, None), look(2, None)]
    assert list(windows_of_subjects(unknown, WALL)) == []
    assert not counts_subjects(unknown)
    assert counts_subjects(LOOKS)


def test_the_windows_of_the_first_looks_stay_when_more_come() -> None:
    assert list(windows_of_subjects(LOOKS, WALL))[:1] == list(windows_of_subjects(LOOKS[:2], WALL))


def test_all_targets_and_both_kinds_share_alpha() -> None:
    assert each_at_proxies(3) == ALPHA / 6


# --- requests ---------------------------------------------------------------------------------------------------------


def traffic(answered: int, errors: int = 0, slow: int = 0) -> ArmTraffic:
    return ArmTraffic(2 * answered + 7, answered + 5, errors, slow, answered)


def asked(at: float, treatment: ArmTraffic, control: ArmTraffic) -> ProxyRead:
    return ProxyRead("model", WALL + at, "armed", treatment=treatment, control=control)


def test_each_answer_is_counted_once_and_what_was_there_before_the_first_look_is_not() -> None:
    looks = [
        asked(0, traffic(100, 50, 50), traffic(100)),
        asked(1, traffic(110, 52, 51), traffic(130, 3, 0)),
        asked(2, traffic(110, 52, 51), traffic(135, 3, 1)),
    ]
    first, second = windows_of_requests(looks)
    assert (first.until_wall_s, second.until_wall_s) == (WALL + 1, WALL + 2)
    assert first.counted == {
        "errors": (ArmCounts(10, 2), ArmCounts(30, 3)),
        "slow": (ArmCounts(10, 1), ArmCounts(30, 0)),
    }
    assert second.counted["slow"] == (ArmCounts(0, 0), ArmCounts(5, 1))


def test_exposure_is_first_attempts_that_were_answered_and_neither_retries_nor_what_is_on_its_way() -> None:
    before = asked(0, traffic(0), traffic(0))
    retried = replace(traffic(10, 1), requests=500, first_attempts=90)
    (window,) = windows_of_requests([before, asked(1, retried, traffic(10))])
    assert window.counted["errors"][0] == ArmCounts(10, 1)


@pytest.mark.parametrize("fallen", [traffic(40), traffic(120, 1, 5), traffic(120, 5, 1)])
def test_a_look_at_which_a_count_has_fallen_says_nothing_and_the_next_goes_on_from_it(fallen: ArmTraffic) -> None:
    after = replace(fallen, answered=fallen.answered + 7)
    seen = windows_of_requests([
        asked(0, traffic(100, 5, 5), traffic(100)), asked(1, fallen, traffic(110)), asked(2, after, traffic(120)),
    ])  # fmt: skip
    assert [(wall_s - WALL, counted["errors"][0].exposed) for wall_s, counted in seen] == [(2.0, 7)]


def test_a_proxy_that_did_not_say_what_it_answered_says_nothing_of_harm() -> None:
    """Journals of before: the counts were there, and what they are parts of was not."""
    old = [asked(at, ArmTraffic(50 * at, 50 * at, 20 * at), ArmTraffic(50 * at, 50 * at, at)) for at in range(9)]
    assert list(windows_of_requests(old)) == []


RUNS = 300
EACH = each_at_proxies(1)


def called_broken(ratio: float, seconds: int, seed: int) -> float:
    """The share of runs that the product ever calls broken, with a look a second at cumulative counts of 2 × 20/s, 5 % bad in control."""
    chance, broken = np.random.default_rng(seed), 0
    for _ in range(RUNS):
        answered = chance.poisson(20, size=(seconds, 2))
        bad = chance.binomial(answered, (0.05 * ratio, 0.05))
        total = np.vstack([np.zeros((1, 4), dtype=int), np.cumsum(np.hstack([answered, bad]), axis=0)])
        looks = [
            asked(at, traffic(int(row[0]), int(row[2])), traffic(int(row[1]), int(row[3])))
            for at, row in enumerate(total)
        ]
        running = begun("errors", EACH)
        for wall_s, counted in windows_of_requests(looks):
            running = running.with_window(wall_s, *counted["errors"])
        broken += running.result.decision == "broken"
    return broken / RUNS


def test_arms_that_are_alike_are_called_broken_in_no_more_runs_than_alpha() -> None:
    """By the product itself, from cumulative counts; that its e-process keeps alpha is certified over more runs in tests/statistics."""
    assert called_broken(1.0, 60, seed=1) <= EACH


def test_errors_that_are_three_times_as_many_are_found() -> None:
    assert called_broken(3.0, 60, seed=2) >= 0.95
