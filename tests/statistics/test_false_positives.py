"""Certified by simulation: arms that are alike are rarely called broken, however often one looks; and a judge that is wrong shows here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import ALIKE, AT_THE_MARGIN, BELOW, Scenario, flat, guarded
from chaos.arms_watch import each_guard
from chaos.comparisons import JUDGED
from chaos.plans import PlannedGuard
from chaos.statistics import ArmCounts, RiskRatio

RUNS = 2_500
ALPHA = 0.05
ERROR = math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
"""A standard error of the rate of a judge that errs in exactly ALPHA of its runs: 0.44 points."""


def decided(scenario: Scenario, runs: int = RUNS, seed: int = 1, **judge: float) -> float:
    """The share of runs that are ever decided, with a look every second."""
    many = ManyRuns(runs, **judge)  # type: ignore[arg-type]
    for look in scenario.play(runs, seed):
        many.look(*look)
    return float(many.decided.mean())


@pytest.mark.parametrize("scenario", [*ALIKE, BELOW], ids=lambda scenario: scenario.title)
def test_arms_that_are_alike_are_called_broken_in_no_more_runs_than_alpha(scenario: Scenario) -> None:
    assert decided(scenario) <= ALPHA


@pytest.mark.parametrize("seed", [1, 2])
def test_harm_of_exactly_the_held_margin_is_called_held_in_no_more_runs_than_beta(seed: int) -> None:
    """On the boundary of what it denies: a correct judge may err in exactly beta of the runs, and by chance in a few more."""
    assert decided(AT_THE_MARGIN, seed=seed, margin=1.5, side=-1) <= ALPHA + 3 * ERROR


@pytest.mark.parametrize("alpha", [0.05 / 3, 0.001])
def test_what_is_asked_of_alpha_is_kept_for_smaller_ones(alpha: float) -> None:
    """Of the alphas that several comparisons share, and that the arms before the fault are compared with."""
    limit = alpha + 3 * math.sqrt(alpha * (1 - alpha) / RUNS)
    assert decided(ALIKE[0], alpha=alpha) <= limit


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_several_guards_on_arms_end_no_more_runs_wrongly_than_alpha_in_all(margin: float) -> None:
    """Treatment is exactly as bad as they allow, the worst case; each has its part of alpha, and is looked at every second."""
    guards = [PlannedGuard(name, compared=what, worse_than=margin) for name, what in zip("abc", JUDGED, strict=True)]
    assert ended(margin, each_guard(guards)) <= ALPHA
    assert ended(margin, 1.0) > 4 * ALPHA, "and that is no wonder"


def ended(margin: float, alpha: float) -> float:
    """The share of runs that any of three guards ends."""
    wrongly = np.zeros(RUNS, dtype=bool)
    for seed, scenario in enumerate(guarded(margin)):
        many = ManyRuns(RUNS, margin, alpha=alpha)
        for look in scenario.play(RUNS, seed):
            many.look(*look)
        wrongly |= many.decided
    return float(wrongly.mean())


# --- it has teeth: what a wrong judge does -----------------------------------------------------------------------------


def test_a_judge_without_one_over_alpha_breaks_the_limit() -> None:
    assert decided(ALIKE[0], alpha=1.0) > 10 * ALPHA


def test_a_judge_that_counts_each_window_twice_breaks_the_limit() -> None:
    many = ManyRuns(RUNS)
    for look in ALIKE[0].play(RUNS, 1):
        many.look(*look)
        many.look(*look)
    assert many.decided.mean() > ALPHA + 3 * ERROR


def test_a_judge_that_goes_by_the_planned_split_breaks_the_limit() -> None:
    """Treatment is ramped up, so that it sees more than its first share; nothing is worse there."""
    ramped = next(scenario for scenario in ALIKE if scenario.title.startswith("treatment ramped"))
    planned: float | None = None
    many = ManyRuns(RUNS)
    for treatment, control, bad_treatment, bad_control in ramped.play(RUNS, 1):
        total = treatment + control
        planned = planned if planned is not None else float(treatment[0] / total[0])
        many.look(total * planned, total * (1 - planned), bad_treatment, bad_control)
    assert many.decided.mean() > 0.9


def test_a_judge_that_compares_before_with_during_breaks_the_limit() -> None:
    """Under a drift that both arms share, the control arm alone looks broken: that is why arms are compared side by side."""
    drift = next(scenario for scenario in ALIKE if scenario.title.startswith("a drift"))
    looks = list(drift.play(RUNS, 1))
    many = ManyRuns(RUNS)
    for (_, before, _, bad_before), (_, during, _, bad_during) in zip(looks[:60], looks[60:], strict=True):
        many.look(during, before, bad_during, bad_before)
    assert many.decided.mean() > 0.9


def test_a_z_test_that_is_peeked_at_errs_many_times_as_often() -> None:
    """What most dashboards do: two shares, 1.96 standard errors, looked at again and again."""
    seen = np.zeros((4, RUNS))
    wrong = np.zeros(RUNS, dtype=bool)
    for second, look in enumerate(ALIKE[0].play(RUNS, 1)):
        seen += np.array(look)
        treatment, control, bad_treatment, bad_control = seen
        pooled = (bad_treatment + bad_control) / (treatment + control)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / treatment + 1 / control))
        apart = np.abs(bad_treatment / treatment - bad_control / control)
        wrong |= (second >= 4) & (spread > 0) & (apart > 1.96 * spread)
    assert wrong.mean() > 5 * ALPHA
    assert decided(ALIKE[0]) < ALPHA


# --- guards against misuse ---------------------------------------------------------------------------------------------


def test_users_analysed_by_request_err_often_and_counted_once_they_do_not() -> None:
    """Each user is good or bad for good, and comes back: requests are no independent events, users are."""
    chance = np.random.default_rng(4)
    by_request, by_user = ManyRuns(RUNS), ManyRuns(RUNS)
    for _ in range(60):
        users = np.full(RUNS, 4), np.full(RUNS, 4)
        bad = [chance.binomial(arm, 0.1) for arm in users]
        by_user.look(*users, *bad)
        by_request.look(*(20 * arm for arm in users), *(20 * count for count in bad))
    assert by_request.decided.mean() > 4 * ALPHA
    assert by_user.decided.mean() <= ALPHA


def test_retries_counted_as_events_err_often_and_first_attempts_do_not() -> None:
    """A client whose request failed asks again, three times, in vain: one failure is counted as four."""
    chance = np.random.default_rng(5)
    attempts, firsts = ManyRuns(RUNS), ManyRuns(RUNS)
    for _ in range(120):
        asked = np.full(RUNS, 20), np.full(RUNS, 20)
        failed = [chance.binomial(arm, 0.03) for arm in asked]
        firsts.look(*asked, *failed)
        attempts.look(
            *(arm + 3 * count for arm, count in zip(asked, failed, strict=True)), *(4 * one for one in failed)
        )
    assert attempts.decided.mean() > 4 * ALPHA
    assert firsts.decided.mean() <= ALPHA


# --- what is certified here is the product -----------------------------------------------------------------------------


def test_the_simulated_evidence_is_the_products() -> None:
    """Look by look, for both questions, with exposures that change: no nominal split, no window twice, no lost 1/alpha."""
    chance = np.random.default_rng(7)
    for ratio in (1.0, 2.0, 0.5):
        broken, held = ManyRuns(1), ManyRuns(1, margin=1.5, side=-1)
        running = RiskRatio()
        for _ in range(60):
            exposed = chance.integers(0, 60, size=2)
            bad = chance.binomial(exposed, (0.1 * ratio, 0.1))
            running = running.update(*(ArmCounts(int(n), int(k)) for n, k in zip(exposed, bad, strict=True)))
            for twin, said in ((broken, running.e_broken), (held, running.e_held)):
                twin.look(*(np.array([value]) for value in (*exposed, *bad)))
                if not twin.decided[0]:  # what is decided is carried no further
                    assert said == pytest.approx(float(np.exp(twin.evidence()[0])), rel=1e-9)
            expected = "broken" if broken.decided[0] else "held" if held.decided[0] else "undecided"
            assert running.decision == expected


def test_the_product_itself_says_what_the_simulated_runs_say() -> None:
    """Run by run over whole scenarios, and so that it keeps the limit itself."""
    for scenario in (ALIKE[0], ALIKE[4]):
        runs = 20
        looks = list(scenario.play(runs, 3))[:60]
        many = ManyRuns(runs)
        for look in looks:
            many.look(*look)
        for run in range(runs):
            running = RiskRatio()
            for look in looks:
                treatment, control, bad_treatment, bad_control = (int(counted[run]) for counted in look)
                running = running.update(ArmCounts(treatment, bad_treatment), ArmCounts(control, bad_control))
            assert (running.decision == "broken") == many.decided[run]


def test_a_common_ratio_is_found_and_so_the_limit_is_not_kept_by_saying_nothing() -> None:
    assert decided(Scenario("twice", 60, flat(50), flat(50), flat(0.05), ratio=2.0), runs=1_000) >= 0.99
