"""The comparison of two arms: evidence, decision, estimate and confidence sequence. How rarely it errs is in test_false_positives.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.statistics import ArmCounts, RiskRatio
from tests.fuzzing import examples

counts = st.integers(1, 60).flatmap(lambda exposed: st.builds(ArmCounts, st.just(exposed), st.integers(0, exposed)))
windows = st.lists(st.tuples(counts, counts), min_size=1, max_size=12)


def after(looks: list[tuple[ArmCounts, ArmCounts]], **settings_: float) -> RiskRatio:
    running = RiskRatio(**settings_)
    for treatment, control in looks:
        running = running.update(treatment, control)
    return running


def test_the_confidence_sequence_covers_the_ratio_at_all_times_at_once():
    chance = np.random.default_rng(9)
    missed = 0
    for _ in range(120):
        running, covers = RiskRatio(), True
        for _ in range(40):
            bad = chance.binomial((50, 50), (0.1, 0.05))
            running = running.update(ArmCounts(50, int(bad[0])), ArmCounts(50, int(bad[1])))
            low, high = running.interval
            covers &= low <= 2.0 <= high
        missed += not covers
    assert missed <= 0.05 * 120


def test_a_decision_stays_and_broken_overrules_held():
    calm = (ArmCounts(500, 20), ArmCounts(500, 30))
    held = after([calm] * 20)
    assert held.decision == "held"
    storm = (ArmCounts(500, 400), ArmCounts(500, 20))
    broken = held.update(*storm)
    for _ in range(30):
        broken = broken.update(*calm)
        assert broken.decision == "broken"


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_window_in_which_one_arm_saw_nobody_changes_nothing_but_the_count_of_skipped(bad: int, other: int):
    before = after([(ArmCounts(50, bad), ArmCounts(50, other))])
    for window in ((ArmCounts(0, 0), ArmCounts(9, 9)), (ArmCounts(9, 9), ArmCounts(0, 0))):
        following = before.update(*window)
        assert (following.e_broken, following.e_held, following.decision) == (
            before.e_broken,
            before.e_held,
            before.decision,
        )
        assert (following.treatment, following.control, following.skipped) == (before.treatment, before.control, 1)


def test_without_bad_events_nothing_is_known():
    nothing = after([(ArmCounts(100, 0), ArmCounts(100, 0))] * 5)
    assert (nothing.e_broken, nothing.e_held) == (pytest.approx(1.0), pytest.approx(1.0))
    assert nothing.decision == "undecided"
    assert (nothing.treatment, nothing.control) == (ArmCounts(500, 0), ArmCounts(500, 0)), "but that they were seen"
    assert nothing.interval == (0.0, math.inf)
    assert math.isnan(nothing.ratio)


@settings(max_examples=examples(20), deadline=None)
@given(windows)
def test_the_interval_contains_the_estimate(looks: list):
    running = after(looks)
    low, high = running.interval
    assert 0.0 <= low < high
    if not math.isnan(running.ratio):
        assert low <= running.ratio <= high


@settings(max_examples=examples(20), deadline=None)
@given(windows, st.randoms(use_true_random=False))
def test_the_order_of_windows_changes_neither_evidence_nor_estimate(looks: list, chance):
    shuffled = list(looks)
    chance.shuffle(shuffled)
    one, other = after(looks), after(shuffled)
    assert one.e_broken == pytest.approx(other.e_broken, rel=1e-6)
    assert one.e_held == pytest.approx(other.e_held, rel=1e-6)
    assert (one.treatment, one.control) == (other.treatment, other.control)


@given(st.integers(2, 80), st.integers(0, 78))
def test_one_more_bad_event_in_treatment_is_more_evidence_of_harm(exposed: int, bad: int):
    bad = min(bad, exposed - 1)
    control = ArmCounts(80, 8)
    fewer, more = (after([(ArmCounts(exposed, k), control)]) for k in (bad, bad + 1))
    assert more.e_broken > fewer.e_broken
    assert more.e_held < fewer.e_held


def test_the_estimate_is_the_ratio_of_the_risks():
    running = after([(ArmCounts(1000, 100), ArmCounts(9000, 300))] * 3)
    assert running.ratio == pytest.approx(3.0, rel=0.02)
    low, high = running.interval
    assert 2.3 < low < 3.0 < high < 3.8


def test_overwhelming_evidence_is_a_number():
    running = after([(ArmCounts(100_000, 90_000), ArmCounts(100_000, 10))] * 5)
    assert running.decision == "broken"
    assert math.isfinite(running.e_broken)


@pytest.mark.parametrize(("exposed", "bad"), [(3, 4), (3, -1), (-1, 0)])
def test_impossible_counts_are_refused(exposed: int, bad: int):
    with pytest.raises(ValueError, match="impossible"):
        ArmCounts(exposed, bad)
