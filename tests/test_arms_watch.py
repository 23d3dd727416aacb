"""What the arms say while a run goes on: guards on them end it once harm is proven, and not before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.arms_watch import ArmsWatch, each_guard
from chaos.comparisons import ALPHA, compare, deciding
from chaos.exposure import ArmSample, Sample
from chaos.observation import ArmTraffic, ProxyRead
from chaos.plans import PlannedGuard
from tests.worlds import ACCURACY, KILL, PLAN, with_effects

WALL = 1_000.0
ERRORS = PlannedGuard("errors of treatment (worse than 2x control)", compared="errors", worse_than=2.0)
SLOW = PlannedGuard("slow of treatment (worse than 2x control)", compared="slow", worse_than=2.0)
PROBE = PlannedGuard("accuracy (min 80%)", ACCURACY)


def second(at: float, treatment: int, control: int) -> Sample:
    """One in which so many of fifty requests failed in each arm."""
    arms = {
        "treatment": ArmSample(first=50, first_errors=treatment),
        "control": ArmSample(first=50, first_errors=control),
    }
    return Sample(int(at), WALL + at, 100.0, 100, 0, 0, 0.0, arms)


def watching(*guards: PlannedGuard, samples: list[Sample], first_wall_s: float = WALL) -> tuple[str, str] | None:
    watch = ArmsWatch.of(replace(PLAN, guards=guards))
    for sample in samples:
        watch.learn(sample)
    return watch.breached(first_wall_s)


def test_harm_beyond_the_margin_breaks_a_guard_and_it_says_how_much() -> None:
    broken = watching(ERRORS, samples=[second(1 + at, 25, 3) for at in range(10)])
    assert broken is not None
    assert broken[0] == ERRORS.title
    assert broken[1].startswith("treatment is proven to have more than 2 times control's share of errors: risk ratio ")
    assert broken[1].endswith("(by the load, alpha 5.0%)")


def test_harm_that_is_within_the_margin_breaks_none_however_sure_it_is() -> None:
    seconds = [second(1 + at, 15, 10) for at in range(120)]
    assert compare(seconds, "errors").result.decision == "broken"
    assert watching(ERRORS, samples=seconds) is None


def test_what_was_before_the_first_effect_breaks_none() -> None:
    seconds = [second(1 + at, 25, 3) for at in range(10)]
    assert watching(ERRORS, samples=seconds, first_wall_s=WALL + 11) is None


def test_guards_on_arms_share_alpha_and_others_have_no_part_of_it() -> None:
    assert each_guard([ERRORS, PROBE]) == ALPHA
    assert each_guard([ERRORS, SLOW, PROBE]) == ALPHA / 2
    assert each_guard([PROBE]) == ALPHA
    seconds = [second(1 + at, 10, 1) for at in range(3)]
    alone, beside = (watching(*guards, samples=seconds) for guards in ((ERRORS,), (ERRORS, *[SLOW] * 60)))
    assert alone is not None
    assert beside is None


REAL = replace(PLAN, load=None, subjects="users", arms_held=True, probes=(replace(ACCURACY, signal="availability"),))


def look(at: float, treatment: int, control: int, target: str = "model") -> ProxyRead:
    """So many of a hundred subjects a second have failed in each arm so far."""
    many = int(100 * at)
    arms = [ArmTraffic(many, many, 0, 0, many, many, failed) for failed in (treatment, control)]
    return ProxyRead(target, WALL + at, "armed", *arms)


def test_without_a_load_the_proxies_tell_the_arms_apart() -> None:
    watch = ArmsWatch.of(replace(REAL, guards=(ERRORS,)))
    watch.learn(look(0, 0, 0))
    assert watch.open(WALL) == ["errors"]
    for at in range(1, 8):
        watch.learn(look(at, 30 * at, 3 * at))
    assert watch.open(WALL) == []
    broken = watch.breached(WALL)
    assert broken is not None
    assert "(by the proxy of model, alpha 5.0%)" in broken[1]
    assert watch.breached(WALL + 8) is None, "nothing of it was after the first effect"


def test_a_window_is_evidence_once_however_often_it_is_looked_at() -> None:
    watch = ArmsWatch.of(replace(REAL, guards=(replace(ERRORS, worse_than=1.0),)))
    for at in range(8):
        watch.learn(look(at, 6 * at, 4 * at))
        for _ in range(3):
            assert watch.open(WALL) == ["errors"]
            assert watch.breached(WALL) is None


def test_proxies_decide_nothing_that_they_do_not_know() -> None:
    assert ArmsWatch.of(replace(REAL, probes=(ACCURACY,))).deciding == ()
    assert ArmsWatch.of(REAL).deciding == ("errors",)


def test_a_load_of_our_own_knows_more_and_counts_alone() -> None:
    watch = ArmsWatch.of(replace(PLAN, guards=(ERRORS,)))
    for at in range(8):
        watch.learn(look(at, 30 * at, 3 * at))
    assert watch.breached(WALL) is None


def test_slow_is_slow_by_the_baseline() -> None:
    def taking(at: float, treatment: int) -> Sample:
        arms = {
            name: ArmSample(first=50, latency_le={"0.1": 50 - slow, "1": 50})
            for name, slow in (("treatment", treatment), ("control", 0))
        }
        return Sample(int(at), WALL + at, 100.0, 100, 0, 0, 0.0, arms)

    samples = [taking(at, 0) for at in range(5)] + [taking(5 + at, 20) for at in range(5)]
    broken = watching(SLOW, samples=samples, first_wall_s=WALL + 4)
    assert broken is not None
    assert "slow requests" in broken[1]


@pytest.mark.parametrize("plan", [replace(with_effects(KILL)), replace(PLAN, traffic=1.0)])
def test_where_there_are_no_two_arms_nothing_is_watched(plan) -> None:
    watch = ArmsWatch.of(replace(plan, guards=(ERRORS,), arms_held=True))
    assert (watch.guards, watch.deciding) == ((), ())


def test_arms_held_waits_for_what_the_steady_state_speaks_of() -> None:
    assert ArmsWatch.of(replace(PLAN, arms_held=True)).deciding == deciding(["accuracy"]) == ("wrong",)
    assert ArmsWatch.of(PLAN).deciding == ()
