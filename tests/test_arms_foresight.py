"""What the plan says of the arms' comparisons: what they will tell, when, and when `arms: held` is hopeless."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import Scenario, flat
from chaos.arms_foresight import foresee_arms, undecidable
from chaos.comparisons import EACH
from chaos.plans import Plan
from chaos.units import parse_duration
from tests.values import KILL, planned, survey

EVEN = ("traffic: 10%", "traffic: 50%")
HELD = ("  harms: [accuracy]", "  harms: [accuracy]\n  arms: held")
ACCURACY_ALONE = ("  - probe: latency\n    max: 2x baseline\n", "")
LONG = ("    duration: 60s", "    duration: 10m")
LONGER_ALLOWED = ("max_duration: 2m", "max_duration: 10m")


def test_the_plan_says_in_one_sentence_what_can_be_told_and_when() -> None:
    drawn = planned(EVEN, ACCURACY_ALONE)
    assert drawn.arms is not None
    assert drawn.arms.told() == (
        "with 40/s at 50% a doubling of mistakes (5% → 10%) is told in about 26s; the smallest change found in 1m (80%) is x1.83",
    )
    assert drawn.refusals == ()


def test_what_it_says_is_what_simulated_runs_do() -> None:
    drawn = planned(EVEN, ACCURACY_ALONE)
    assert drawn.arms is not None
    (row,) = drawn.arms.comparisons
    assert row.smallest_ratio_80 is not None
    assert row.doubled_s is not None
    for ratio, told in ((row.smallest_ratio_80, 0.8), (row.smallest_ratio_90, 0.9)):
        many = ManyRuns(1_000, alpha=EACH)
        for look in Scenario("", 60, flat(20), flat(20), flat(0.05), ratio or 0.0).play(1_000, seed=2):
            many.look(*look)
        assert many.decided.mean() == pytest.approx(told, abs=0.05)
    many = ManyRuns(1_000, alpha=EACH)
    for look in Scenario("", 120, flat(20), flat(20), flat(0.05), 2.0).play(1_000, seed=3):
        many.look(*look)
    assert float(np.median(many.when)) == pytest.approx(row.doubled_s, rel=0.2)


def test_what_is_usual_comes_from_the_last_hour_before_what_a_rule_reads_now() -> None:
    def base(drawn: Plan) -> float | None:
        assert drawn.arms is not None
        return drawn.arms.comparisons[0].base_rate

    assert base(planned()) == pytest.approx(0.05), "the alert's rule reads 95 %"
    assert base(planned(found=survey(outcomes={"accuracy": 0.92}))) == pytest.approx(0.08)


@pytest.mark.parametrize("reading", [None, float("nan"), 1.0, 1.2])
def test_what_nobody_knows_is_not_predicted(reading: float | None) -> None:
    drawn = planned(ACCURACY_ALONE, found=survey(rule_values={}, outcomes={"accuracy": reading}))
    assert drawn.arms is not None
    assert drawn.arms.comparisons[0].base_rate is None
    assert "is not known" in drawn.arms.told()[0]
    assert drawn.refusals == ()


def test_arms_held_is_not_refused_where_nobody_knows_what_is_usual_and_the_plan_says_so() -> None:
    drawn = planned(HELD, ACCURACY_ALONE, found=survey(rule_values={}))
    assert drawn.refusals == ()
    assert any("`arms: held` may stay undecided" in note for note in drawn.notes)


def test_arms_held_that_cannot_be_decided_in_the_time_is_refused_with_what_would_suffice() -> None:
    (refused,) = planned(HELD, ACCURACY_ALONE).refusals
    assert refused.startswith(
        "`arms: held` cannot be decided by mistakes within 1m: with 40/s at 10%, of which 5% are usual"
    )
    alone, even = re.findall(r"`duration: (\w+)`", refused)
    assert parse_duration(even) < parse_duration(alone)
    enough = (LONG[0], f"    duration: {alone}"), LONGER_ALLOWED
    assert planned(HELD, ACCURACY_ALONE, *enough).refusals == ()
    with_traffic = (
        (LONG[0], f"    duration: {even}"),
        (EVEN[0] + ", max_duration: 2m", f"traffic: 50%, max_duration: {even}"),
    )
    assert planned(HELD, ACCURACY_ALONE, *with_traffic).refusals == ()


def test_nothing_is_refused_where_arms_held_was_not_asked_for() -> None:
    assert planned(ACCURACY_ALONE).refusals == ()


def test_a_fault_that_hurts_everybody_alike_has_no_arms_to_foresee() -> None:
    from tests.values import containers

    assert planned(KILL, found=survey(containers={"loan-model": containers("replica-1")})).arms is None
    assert foresee_arms(40, 1.0, 60, {"wrong": 0.05}) is None
    assert foresee_arms(40, 0.0, 60, {"wrong": 0.05}) is None
    assert foresee_arms(40, 0.5, 0.0, {"wrong": 0.05}) is None


def test_arms_held_without_two_arms_that_somebody_counts_is_refused() -> None:
    from tests.values import containers

    found = survey(containers={"loan-model": containers("replica-1")})
    everybody = ("traffic: 10%", "traffic: 100%")
    for drawn in (planned(HELD, KILL, found=found), planned(HELD, everybody)):
        assert any(why.startswith("`arms: held` compares two arms") for why in drawn.refusals)
    assert planned(KILL, found=found).refusals == ()


USERS = (
    ("load: {rate: 40/s, data: lab:applications, feedback: {after: 2s, share: 50%}}\n", ""),
    ("traffic: 10%", "traffic: 10%, subjects: users"),
)
OF_ERRORS = (
    ("  - probe: accuracy\n    min: 88%", "  - probe: errors\n    max: 1%"),
    ("harms: [accuracy]", "harms: [errors]"),
)


def test_real_users_are_compared_by_the_proxies_and_the_plan_says_what_it_cannot_foretell() -> None:
    drawn = planned(*USERS, *OF_ERRORS, ("  harms: [errors]", "  harms: [errors]\n  arms: held"))
    assert not any("arms" in why for why in drawn.refusals)
    assert drawn.compared_at() == ("loan-model",)
    assert drawn.arms is None
    assert any(
        note.startswith("the arms are compared by what the proxy of loan-model counts") and "not predicted" in note
        for note in drawn.notes
    )
    assert not any("the arms are compared" in note for note in planned(*USERS, *OF_ERRORS).notes)


def test_proxies_are_not_asked_which_answers_are_wrong() -> None:
    assert any("decided by mistakes" in why and "write `load:`" in why for why in planned(*USERS, HELD).refusals)
    guard = ("max_duration: 2m", "max_duration: 2m, abort: [{arms: WHAT, worse_than: 2x}]")
    mistakes, errors = (planned(*USERS, (guard[0], guard[1].replace("WHAT", what))) for what in ("mistakes", "errors"))
    assert any("needs to know which answers are wrong" in why for why in mistakes.refusals)
    assert not any("guard on" in why for why in errors.refusals)


def test_subjects_that_come_back_are_no_new_evidence() -> None:
    returning = ("feedback: {after", "returning: 50%, feedback: {after")
    assert planned(returning).arms == replace(planned(returning).arms, rate_per_s=20.0)  # type: ignore[type-var]


def test_what_cannot_double_or_never_gets_told_is_said_so() -> None:
    mostly_bad = foresee_arms(40, 0.5, 60, {"wrong": 0.6})
    hopeless = foresee_arms(0.01, 0.01, 60, {"errors": 1e-6})
    assert mostly_bad is not None
    assert hopeless is not None
    assert "none can be twice as many" in mostly_bad.told()[0]
    assert "is not told within a week; the smallest change found in 1m (80%) is none" in hopeless.told()[0]
    why = undecidable(hopeless, "errors")
    assert why is not None
    assert why.endswith("write more `rate:`")
    assert undecidable(hopeless, "wrong") is None


def test_a_plan_with_foresight_survives_being_written() -> None:
    drawn = planned(EVEN)
    assert drawn.arms is not None
    assert Plan.from_json(drawn.to_json()) == drawn
