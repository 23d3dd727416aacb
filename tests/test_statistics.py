"""Arm comparisons that hold under peeking, certified by simulation; exact intervals; bands."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chaos.statistics import (
    ArmCounts,
    RiskRatio,
    clopper_pearson,
    quantile_band,
    sample_ratio_mismatch,
    standard_error,
    standard_errors_apart,
)

counts = st.integers(1, 60).flatmap(lambda exposed: st.builds(ArmCounts, st.just(exposed), st.integers(0, exposed)))
windows = st.lists(st.tuples(counts, counts), min_size=1, max_size=12)


def after(looks: list[tuple[ArmCounts, ArmCounts]], **settings_: float) -> RiskRatio:
    running = RiskRatio(**settings_)
    for treatment, control in looks:
        running = running.update(treatment, control)
    return running


# --- certification by simulation --------------------------------------------------------------------------------------
#
# A second, vectorised writing of the module's docstring plays thousands of runs at once. That it and the product say the
# same is a test of its own, so what is certified for the one holds for the other.

STEPS = np.linspace(0.05, 3.0, 60)
WEIGHTS = np.exp(-0.5 * STEPS**2) / np.exp(-0.5 * STEPS**2).sum()
RUNS = 1_000
ALLOWED = 0.038
"""Of 1,000 A/A runs at most 38 may say broken."""

Exposures = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


class Simulated:
    """Many runs side by side: a look a second, decided at the first look at which the evidence suffices."""

    def __init__(self, seed: int, runs: int = RUNS, margin: float = 1.0, side: int = 1, alpha: float = 0.05) -> None:
        self.chance = np.random.default_rng(seed)
        self.logs = np.zeros((runs, len(STEPS)))
        self.decided = np.zeros(runs, dtype=bool)
        self.when = np.full(runs, -1)
        self.margin, self.side, self.alpha, self.runs = margin, side, alpha, runs
        self.looks = 0

    def look(
        self, treatment: np.ndarray, control: np.ndarray, bad_treatment: np.ndarray, bad_control: np.ndarray
    ) -> None:
        self.looks += 1
        moved = (bad_treatment + bad_control) > 0  # without a bad event the evidence stays as it was
        treatment, control, bad_treatment, bad_control = (
            counted[moved] for counted in (treatment, control, bad_treatment, bad_control)
        )
        odds = np.log(treatment / control)[:, None]

        def logs(log_ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return -np.logaddexp(0.0, -(log_ratio + odds)), -np.logaddexp(0.0, log_ratio + odds)

        falls, stays = logs(np.log(self.margin) + self.side * STEPS)
        falls_at, stays_at = logs(np.array([np.log(self.margin)]))
        self.logs[moved] += bad_treatment[:, None] * (falls - falls_at) + bad_control[:, None] * (stays - stays_at)
        now = (self.evidence() >= 1 / self.alpha) & ~self.decided
        self.when[now] = self.looks
        self.decided |= now

    def evidence(self) -> np.ndarray:
        return np.asarray((np.exp(np.minimum(self.logs, 700.0)) * WEIGHTS).sum(axis=1))

    def play(self, seconds: int, treatment: Callable[[int], int], control: Callable[[int], int],
             risk: Callable[[int], float], ratio: float = 1.0) -> float:  # fmt: skip
        """The share of runs that are ever decided."""
        for second in range(seconds):
            exposed = [np.full(self.runs, arm(second)) for arm in (treatment, control)]
            risks = (risk(second) * ratio, risk(second))
            bad = [self.chance.binomial(arm, chance) for arm, chance in zip(exposed, risks, strict=True)]
            self.look(*exposed, *bad)
        return float(self.decided.mean())


def flat(value: float) -> Callable[[int], float]:
    return lambda second: value


NULLS: dict[str, tuple[int, Callable, Callable, Callable]] = {
    "the lab's mistakes, 10/90 at 40/s": (120, flat(4), flat(36), flat(0.07)),
    "the lab's errors, rare": (240, flat(4), flat(36), flat(0.001)),
    "half and half": (120, flat(50), flat(50), flat(0.05)),
    "a drift common to both arms": (90, flat(20), flat(20), lambda second: 0.01 + 0.002 * second),
    "a storm common to both arms": (90, flat(20), flat(20), lambda second: 0.6 if 30 <= second < 60 else 0.01),
    "treatment ramped up": (90, lambda second: 1 + second // 4, lambda second: 9 + second, flat(0.05)),
}


@pytest.mark.parametrize("case", NULLS)
def test_two_equal_arms_are_rarely_called_broken_however_often_one_looks(case: str):
    seconds, treatment, control, risk = NULLS[case]
    runs = 2_000 if "lab" in case else RUNS
    assert Simulated(seed=1, runs=runs).play(seconds, treatment, control, risk) <= ALLOWED


def test_two_equal_arms_are_rarely_called_broken_in_a_closed_loop():
    """Clients who got a bad answer come back later: exposure depends on the past."""
    played = Simulated(seed=2)
    treatment, control = np.full(RUNS, 20), np.full(RUNS, 20)
    for _ in range(120):
        bad = played.chance.binomial(treatment, 0.1), played.chance.binomial(control, 0.1)
        played.look(treatment, control, *bad)
        treatment, control = 20 - 2 * bad[0].clip(0, 9), 20 - 2 * bad[1].clip(0, 9)
    assert played.decided.mean() <= ALLOWED


def test_less_harm_than_the_margin_is_rarely_called_broken():
    assert Simulated(seed=3).play(120, flat(20), flat(20), flat(0.08), ratio=0.8) <= ALLOWED / 2


def test_harm_at_the_margin_itself_is_rarely_called_held():
    played = Simulated(seed=4, margin=1.5, side=-1)
    assert played.play(120, flat(20), flat(20), flat(0.05), ratio=1.5) <= ALLOWED


@pytest.mark.parametrize(
    ("case", "seconds", "treatment", "control"),
    [("half and half at 100/s", 60, 50, 50), ("half and half at 40/s", 120, 20, 20), ("10/90 at 40/s", 300, 4, 36)],
)
def test_twofold_harm_is_found_in_99_of_100_runs(case: str, seconds: int, treatment: int, control: int):
    assert Simulated(seed=5, runs=1_000).play(seconds, flat(treatment), flat(control), flat(0.05), ratio=2.0) >= 0.99


def test_no_harm_is_called_held_within_minutes():
    played = Simulated(seed=6, runs=500, margin=1.5, side=-1)
    assert played.play(300, flat(50), flat(50), flat(0.05)) >= 0.95
    assert np.median(played.when[played.decided]) < 120


def test_the_simulated_evidence_is_the_products():
    """Look by look, for both questions, with exposures that change: no nominal split, no window twice, no lost 1/alpha."""
    chance = np.random.default_rng(7)
    for ratio in (1.0, 2.0, 0.5):
        broken, held = Simulated(0, 1), Simulated(0, 1, margin=1.5, side=-1)
        running = RiskRatio()
        for _ in range(60):
            exposed = chance.integers(1, 60, size=2)
            bad = chance.binomial(exposed, (0.1 * ratio, 0.1))
            running = running.update(*(ArmCounts(int(n), int(k)) for n, k in zip(exposed, bad, strict=True)))
            for twin in (broken, held):
                twin.look(*(np.array([value]) for value in (*exposed, *bad)))
            assert running.e_broken == pytest.approx(broken.evidence()[0], rel=1e-9)
            assert running.e_held == pytest.approx(held.evidence()[0], rel=1e-9)
            expected = "broken" if broken.decided[0] else "held" if held.decided[0] else "undecided"
            assert running.decision == expected


def test_the_product_itself_keeps_its_promise_on_equal_arms():
    chance = np.random.default_rng(8)
    broken = 0
    for _ in range(100):
        running = RiskRatio()
        for _ in range(60):
            exposed = (40, 360)
            bad = chance.binomial(exposed, 0.01)
            running = running.update(ArmCounts(40, int(bad[0])), ArmCounts(360, int(bad[1])))
            if running.decision != "undecided":
                break
        broken += running.decision == "broken"
    assert broken <= 100 * ALLOWED


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


# --- the comparison's other promises ----------------------------------------------------------------------------------


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
    assert nothing.interval == (0.0, math.inf)
    assert math.isnan(nothing.ratio)


@settings(max_examples=60, deadline=None)
@given(windows)
def test_the_interval_contains_the_estimate(looks: list):
    running = after(looks)
    low, high = running.interval
    assert 0.0 <= low < high
    if not math.isnan(running.ratio):
        assert low <= running.ratio <= high


@settings(max_examples=60, deadline=None)
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


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (3, 3), (0, 20), (1, 10), (5, 10), (80, 1082), (109, 118), (2, 50_000)]
)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_agrees_with_scipy(k: int, n: int, confidence: float):
    low, high = clopper_pearson(k, n, confidence)
    tail = (1 - confidence) / 2
    assert low == pytest.approx(0.0 if k == 0 else stats.beta.ppf(tail, k, n - k + 1), abs=1e-9)
    assert high == pytest.approx(1.0 if k == n else stats.beta.ppf(1 - tail, k + 1, n - k), abs=1e-9)


def test_three_of_three_is_no_hundred_percent():
    low, high = clopper_pearson(3, 3)
    assert (round(low, 2), high) == (0.29, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_contains_the_share_and_moves_with_it(seen: tuple[int, int]):
    k, n = seen
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    if k < n:
        assert clopper_pearson(k + 1, n)[0] > low
        assert clopper_pearson(k + 1, n)[1] >= high
    wider = clopper_pearson(k, n, 0.99)
    assert wider[0] <= low
    assert wider[1] >= high


@pytest.mark.parametrize(("k", "n"), [(0, 0), (4, 3), (-1, 3)])
def test_impossible_shares_are_refused(k: int, n: int):
    with pytest.raises(ValueError, match="impossible"):
        clopper_pearson(k, n)


@pytest.mark.parametrize(
    ("treatment", "control", "share"), [(336, 3064, 0.1), (120, 880, 0.1), (60, 40, 0.5), (700, 300, 0.5)]
)
def test_a_splits_chance_agrees_with_the_exact_one(treatment: int, control: int, share: float):
    exact = stats.binomtest(treatment, treatment + control, share).pvalue
    assert sample_ratio_mismatch(treatment, control, share) == pytest.approx(exact, rel=0.15, abs=1e-6)


def test_a_split_as_planned_is_certain_and_a_lopsided_one_is_not():
    assert sample_ratio_mismatch(100, 900, 0.1) == 1.0
    assert sample_ratio_mismatch(500, 500, 0.1) < 1e-12
    assert sample_ratio_mismatch(0, 0, 0.1) == 1.0
    assert sample_ratio_mismatch(10, 0, 1.0) == 1.0  # everybody is treated: there is no split


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99))
def test_a_splits_chance_is_a_chance(treatment: int, control: int, share: float):
    assert 0.0 <= sample_ratio_mismatch(treatment, control, share) <= 1.0


def test_standard_errors_are_known_values():
    assert standard_error(0.5, 100) == pytest.approx(0.05)
    assert standard_error(0.93, 0) == math.inf
    assert standard_errors_apart(0.93, 0.88, 600) == pytest.approx(0.05 / math.sqrt(0.93 * 0.07 / 600))
    assert standard_errors_apart(0.93, 0.88, 0) == 0.0  # no events: nothing can be told apart
    assert standard_errors_apart(1.0, 0.99, 100) == math.inf  # no spread at all


# --- bands ------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("k", "n"), [(0, 10**6), (3, 10**6), (10**5, 10**6), (10**6, 10**6)])
def test_the_interval_of_very_many_is_that_of_many_and_costs_nothing(k, n):
    exact, approximate = clopper_pearson(k, n), clopper_pearson(k, n + 1)
    assert approximate == pytest.approx(exact, abs=6e-6)
    low, high = clopper_pearson(k * 10**24, n * 10**24)
    assert 0 <= low <= k / n <= high <= 1
