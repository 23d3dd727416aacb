"""Certified by simulation: real users at a proxy who fare alike are rarely told apart, and harm is found as soon as the plan's figures say.

Users come, come back, try again, and are slow to be answered; the proxy counts as `chaos.proxy` does, and is looked at every second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import Look
from benchmarks.statistics.users import Users
from chaos.comparisons import begun
from chaos.observation import ArmTraffic, ProxyRead
from chaos.proxy_counts import KNOWN, each_at_proxies, windows_of_subjects
from chaos.statistics import Traffic, chance_to_tell

RUNS = 2_000
ALPHA = 0.05
EACH = each_at_proxies(1)
ERROR = math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def told_apart(looks: Iterator[Look], alpha: float) -> np.ndarray:
    many = ManyRuns(RUNS, alpha=alpha)
    for look in looks:
        many.look(*look)
    return many.decided


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_users_who_fare_alike_are_told_apart_in_no_more_runs_than_alpha_by_errors_or_by_slow_answers(
    share: float,
) -> None:
    users = Users(share=share)
    errors = told_apart(users.failures(RUNS, 1), EACH)
    slow = told_apart(users.slow_answers(RUNS, 2), EACH)
    assert (errors | slow).mean() <= ALPHA
    assert (told_apart(users.failures(RUNS, 1), ALPHA)).mean() <= ALPHA


def test_users_counted_whenever_they_come_break_the_limit() -> None:
    assert told_apart(Users(counted="requests").failures(RUNS, 1), ALPHA).mean() > 4 * ALPHA


def test_retries_counted_as_events_break_the_limit() -> None:
    assert told_apart(Users(counted="attempts").failures(RUNS, 1), ALPHA).mean() > ALPHA + 3 * ERROR


def test_two_proxies_that_each_count_the_same_users_break_the_limit() -> None:
    """That is why several proxies or workers of one target say nothing."""
    assert told_apart(Users(counted="twice").failures(RUNS, 1), ALPHA).mean() > ALPHA + 3 * ERROR


def test_windows_that_overlap_break_the_limit() -> None:
    """Counts since the arming taken for those of a second."""
    so_far = np.zeros((4, RUNS), dtype=np.int64)
    many = ManyRuns(RUNS)
    for look in Users(seconds=30).failures(RUNS, 1):
        so_far = so_far + np.array(look)
        many.look(*so_far)
    assert many.decided.mean() > 4 * ALPHA


def test_a_split_that_was_planned_instead_of_seen_breaks_the_limit() -> None:
    """More of treatment's users are new than of control's: they came in with the fault's own campaign, and nothing is worse."""
    many = ManyRuns(RUNS)
    for treatment, control, failed, spared in Users(share=0.6).failures(RUNS, 1):
        total = treatment + control
        many.look(total * 0.5, total * 0.5, failed, spared)
    assert many.decided.mean() > 0.5


@pytest.mark.parametrize("ratio", [2.0, 1.5])
def test_harm_is_found_as_often_as_the_plan_foretells_for_so_many_new_users(ratio: float) -> None:
    users = Users(ratio=ratio, seconds=60)
    found = told_apart(users.failures(RUNS, 3), EACH).mean()
    foretold = chance_to_tell(Traffic(users.new_per_s, users.share, users.failing), ratio, 60, EACH)
    assert found == pytest.approx(foretold, abs=0.05)


def test_the_products_windows_say_what_the_simulated_ones_say() -> None:
    """Look by look, from the proxies' cumulative counts."""
    runs = 10
    looks = list(Users(ratio=1.6, seconds=60).failures(runs, 5))
    many = ManyRuns(runs, alpha=EACH)
    for look in looks:
        many.look(*look)
    assert 0 < many.decided.sum() < runs
    for run in range(runs):
        running = begun("errors", EACH)
        for wall_s, counted in windows_of_subjects(reads([[int(one[run]) for one in look] for look in looks]), 0.0):
            running = running.with_window(wall_s, *counted["errors"])
        assert (running.result.decision == "broken") == many.decided[run]
        assert len(KNOWN) == 2


def reads(looks: list[list[int]]) -> list[ProxyRead]:
    """What a look at the proxy would have said after each second."""
    so_far, found = np.zeros(4, dtype=np.int64), [ProxyRead("model", 0.0, "armed", *[ArmTraffic(subjects=0)] * 2)]
    for second, look in enumerate(looks, start=1):
        so_far = so_far + np.array(look)
        treated, spared, failed, others = (int(count) for count in so_far)
        arms = (ArmTraffic(0, 0, 0, 0, 0, treated, failed), ArmTraffic(0, 0, 0, 0, 0, spared, others))
        found.append(ProxyRead("model", float(second), "armed", *arms))
    return found
