"""What ends a run at once: guards on probes, alerts and arms, and the proxies' own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.observation import ArmTraffic
from chaos.plans import PlannedGuard
from chaos.progress import Progress
from chaos.progress.guards import breached
from tests.progress.observations import (
    NAN,
    WALL,
    after,
    alerts,
    counted,
    proxies,
    reading,
)
from tests.worlds import ACCURACY, PLAN

GUARD = PlannedGuard(
    "accuracy (min 80%)", replace(ACCURACY, title="guard:accuracy", minimum="80%", steady=False), for_s=5.0
)
GUARDED = replace(PLAN, guards=(GUARD,))


def guard_course(*values: float | None, step_s: float = 1.0, plan=GUARDED) -> list[float]:
    """When the guard was breached, in seconds, with these readings a second apart; None is no reading at all."""
    progress, since, times_s = Progress(plan), {}, []
    for number, value in enumerate(values):
        at_s = number * step_s
        if value is not None:
            progress.learn(reading(value, scope="sliding", probe="guard:accuracy"), at_s)
        if breached(progress, at_s, since) is not None:
            times_s.append(at_s)
    return times_s


def test_a_guard_is_breached_when_its_bound_is_broken_for_as_long_as_it_allows():
    assert guard_course(*[0.93] * 3, *[0.5] * 8) == [8.0, 9.0, 10.0]
    assert guard_course(*[0.5] * 5, 0.93, *[0.5] * 5) == []


def test_a_guard_without_allowance_is_breached_at_once():
    plan = replace(PLAN, guards=(replace(GUARD, for_s=0.0),))
    assert guard_course(0.93, 0.5, 0.93, plan=plan) == [1.0]


@pytest.mark.parametrize(("for_s", "evaluation_s", "blind_s"), [(5.0, 1.0, 5.0), (0.0, 1.0, 3.0), (0.0, 4.0, 12.0)])
@pytest.mark.parametrize("nothing", [None, NAN], ids=["no answer", "no data"])
def test_a_guard_that_cannot_be_read_for_the_longer_of_its_for_and_three_evaluations_is_breached(
    for_s: float, evaluation_s: float, blind_s: float, nothing: float | None
):  # fmt: skip
    plan = replace(PLAN, guards=(replace(GUARD, for_s=for_s),), evaluation_s=evaluation_s)
    never = guard_course(*[nothing] * 20, plan=plan)
    assert never[0] == blind_s
    later = guard_course(0.93, *[nothing] * 20, plan=plan)
    # Without an answer the last reading says when it was last read; without data the first empty one does.
    assert later[0] == pytest.approx(blind_s, abs=1.0)


def test_one_reading_without_data_neither_breaches_a_guard_nor_forgives_it():
    assert guard_course(*[0.5] * 3, NAN, *[0.5] * 3) == [5.0, 6.0]
    plan = replace(PLAN, guards=(replace(GUARD, for_s=0.0),))
    assert guard_course(0.93, NAN, 0.93, plan=plan) == []


def test_a_breached_guard_says_what_it_reads():
    progress, since = Progress(replace(PLAN, guards=(replace(GUARD, for_s=0.0),))), {}
    progress.learn(reading(0.5, scope="sliding", probe="guard:accuracy"), 0.0)
    assert breached(progress, 0.0, since) == ("accuracy (min 80%)", "it reads 0.5, below 80%")


def test_harm_that_the_arms_prove_ends_the_run():
    worse = PlannedGuard("mistakes of treatment (worse than 2x control)", compared="wrong", worse_than=2.0)
    told_apart = [counted(5 + at, wrong=16) for at in range(6)]
    progress = after(*told_apart, plan=replace(PLAN, guards=(worse,)))
    assert breached(progress, 9.0, {}) is None, "nothing was hurt yet"
    progress.learn(proxies(first_effect=WALL + 4), 9.0)
    broken = breached(progress, 9.0, {})
    assert broken is not None
    assert broken[0] == worse.title
    assert "share of mistakes" in broken[1]


def test_an_unexpected_alert_with_the_guards_labels_ends_the_run():
    plan = replace(PLAN, guards=(PlannedGuard("any unexpected page", alert={"severity": "page"}),))
    assert breached(after(alerts("DiskFull"), plan=plan), 0.0, {}) == (
        "any unexpected page",
        "DiskFull fires and nobody expected it",
    )
    for harmless in (
        alerts("ModelAccuracyLow"),
        alerts("DiskFull", state="pending"),
        alerts("DiskFull", labels={"severity": "ticket", "service": "loan"}),
        alerts("DiskFull", labels={"severity": "page", "service": "someone-elses"}),
    ):
        assert breached(after(harmless, plan=plan), 0.0, {}) is None


def test_the_proxies_own_guard_breaks_when_half_of_the_control_arm_fails():
    calm = ArmTraffic(100, 100, 0)
    assert breached(after(proxies(calm), proxies(ArmTraffic(120, 120, 10))), 0.0, {}) == (
        "control arm at model", "10 of 20 control requests failed",
    )  # fmt: skip
    assert breached(after(proxies(calm), proxies(ArmTraffic(120, 120, 9))), 0.0, {}) is None
    assert breached(after(proxies(calm), proxies(ArmTraffic(119, 119, 19))), 0.0, {}) is None  # too few to tell
    assert breached(after(proxies(ArmTraffic(100, 100, 90)), *[proxies(ArmTraffic(200, 200, 90))] * 6), 0.0, {}) is None
