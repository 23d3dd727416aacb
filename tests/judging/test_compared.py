"""Treatment against control, judged: what each comparison says, when it knew, and when it may not say that treatment held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos.events import Observed, Record
from chaos.exposure import ArmSample, SliceCounts
from chaos.judging import judge
from chaos.observation import LoadRead
from chaos.plans import Plan
from chaos.verdict import Finding, Verdict
from tests.judging.journals import JUDGED, WALL, Story, lines_of
from tests.worlds import ACCURACY

HELD = replace(JUDGED, arms_held=True, probes=(ACCURACY,), holds=(), harms=("accuracy",))
"""`arms: held` is asked for, and by its one probe decided by mistakes."""
LATENCY = replace(ACCURACY, title="latency", signal="latency", unit="s", minimum=None, maximum="0.5")
Counts = Callable[[str, bool], ArmSample]
"""An arm, and whether the fault is on → what the load counted of it in a second."""


def arm(each: int, wrong: int = 0, errors: int = 0, slow: int = 0) -> ArmSample:
    return ArmSample(each, each, errors, each, errors, each, wrong, {"0.1": each - slow, "0.25": each})


def story(of: Counts, plan=HELD, *, undo: float = 46.0) -> Verdict:
    """The judge on a run whose load counted this; the fault acts from second 16.5 until `undo`."""
    told = Story(plan=plan, undo=undo, recovered=undo + 14.0)

    def counted(record: Record) -> Record:
        if not isinstance(record, Observed) or not isinstance(record.observation, LoadRead):
            return record
        (sample,) = record.observation.samples
        hurt = told.effect is not None and told.effect < sample.wall_s - WALL <= told.undo + 1.0
        arms = {name: of(name, hurt) for name in ("treatment", "control")}
        return Observed(LoadRead((replace(sample, arms=arms),)))

    return judge(lines_of((at, counted(record)) for at, record in told.entries()))


def compared(verdict: Verdict, what: str) -> Finding:
    return next(
        one for one in verdict.findings if one.question == f"How does treatment compare with control in {what}?"
    )


def alike(_arm: str, _hurt: bool) -> ArmSample:
    return arm(50, wrong=5, errors=5, slow=0)


@pytest.mark.parametrize(("what", "kind"), [("mistakes", "wrong"), ("errors", "errors"), ("slow requests", "slow")])
def test_harm_in_treatment_deviates_and_says_after_how_many_seconds_it_was_known(what: str, kind: str) -> None:
    found = compared(story(lambda name, hurt: arm(20, **{kind: 12 if hurt and name == "treatment" else 0})), what)
    assert found.verdict == "deviated"
    after_s = found.evidence["decided after, s"]
    assert isinstance(after_s, float)
    assert 0 < after_s < 5
    assert f"broken after {after_s:.0f}s" in found.answer
    assert "(alpha 1.7%)" in found.answer


def test_slow_is_what_is_slower_than_the_control_arms_p99_before_the_fault() -> None:
    found = compared(story(lambda name, hurt: arm(20, slow=10 if hurt and name == "treatment" else 0)), "slow requests")
    assert "slower than 100ms" in found.answer
    assert found.evidence["slower than, s"] == 0.1


def test_what_the_fault_makes_slow_has_no_part_in_what_slow_means() -> None:
    """It reaches control, too: by the control arm under the fault, slow would begin where nothing is slower."""
    found = compared(
        story(lambda name, hurt: arm(20, slow=(16 if name == "treatment" else 4) if hurt else 0)), "slow requests"
    )
    assert found.evidence["slower than, s"] == 0.1
    assert found.evidence["decision"] == "broken"


def test_arms_that_stay_alike_for_long_enough_have_held() -> None:
    found = compared(story(alike), "mistakes")
    assert (found.verdict, found.evidence["decision"]) == ("confirmed", "held")
    assert "held after" in found.answer


def test_too_short_a_look_is_undecided() -> None:
    found = compared(story(alike, undo=19.0), "mistakes")
    assert (found.verdict, found.evidence["decision"]) == ("inconclusive", "undecided")


@pytest.mark.parametrize("under_fault", [5, 30])
def test_a_control_arm_that_left_its_own_baseline_lets_nobody_say_that_treatment_held(under_fault: int) -> None:
    """The fault may have reached it, too: through a queue, a cache or a model that both arms share."""
    found = compared(story(lambda name, hurt: arm(50, wrong=under_fault if hurt else 15)), "mistakes")
    assert found.evidence["decision"] == "held"
    assert found.evidence["control moved"] == "true"
    assert found.verdict == "inconclusive"
    assert "control has left its own baseline" in found.answer


def test_harm_that_is_proven_stays_proven_where_control_was_moved_too() -> None:
    def both(name: str, hurt: bool) -> ArmSample:
        return arm(50, wrong=(40 if name == "treatment" else 15) if hurt else 5)

    assert compared(story(both), "mistakes").verdict == "deviated"


def test_what_the_steady_state_does_not_speak_of_may_stay_open_and_harm_in_it_may_not() -> None:
    """No error ever happens: nobody can say whether there are more of them in treatment, and nobody asked."""
    without_errors = story(lambda name, hurt: arm(50, wrong=5))
    assert compared(without_errors, "errors").evidence["decision"] == "undecided"
    assert compared(without_errors, "errors").verdict == "confirmed"
    with_errors = story(lambda name, hurt: arm(50, wrong=5, errors=20 if hurt and name == "treatment" else 0))
    assert compared(with_errors, "errors").verdict == "deviated"


def test_a_probe_of_latency_asks_for_slow_requests() -> None:
    plan = replace(HELD, probes=(ACCURACY, LATENCY))
    assert compared(story(alike, plan), "slow requests").verdict == "inconclusive", "none was slow"

    def uncounted(name: str, hurt: bool) -> ArmSample:
        return replace(arm(50, wrong=5), latency_le={})

    assert (
        compared(story(uncounted, plan), "slow requests").answer
        == "cannot tell: no latency was counted in the baseline"
    )


def test_arms_that_nobody_counted_have_not_held() -> None:
    """Nobody looked, so nothing is known; without the question nothing is missing."""

    def asked(plan: Plan) -> list[Finding]:
        entries = [one for one in Story(plan=plan).entries() if not _of_load(one[1])]
        return [one for one in judge(lines_of(entries)).findings if one.question.startswith("How does treatment")]

    assert [one.verdict for one in asked(HELD)] == ["inconclusive"]
    assert asked(replace(HELD, arms_held=False)) == []


def _of_load(record: Record) -> bool:
    return isinstance(record, Observed) and isinstance(record.observation, LoadRead)


def test_nothing_is_judged_where_arms_held_was_not_asked_for() -> None:
    verdict = story(lambda name, hurt: arm(20, wrong=12 if hurt and name == "treatment" else 0), JUDGED)
    assert compared(verdict, "mistakes").evidence["decision"] == "broken"
    assert compared(verdict, "mistakes").verdict == "confirmed"


def test_positive_decisions_means_and_groups_are_told_and_judge_nothing() -> None:
    def counted(name: str, hurt: bool) -> ArmSample:
        worse = hurt and name == "treatment"
        mean = 0.15 if worse else 0.05
        return replace(
            arm(50, wrong=5), first_decided=50, first_positive=10 if worse else 30, first_latency_s=50 * mean,
            first_latency_squares=50 * (mean**2 + 0.0001),
        )  # fmt: skip

    verdict = story(counted)
    positive, mean = compared(verdict, "positive decisions"), compared(verdict, "mean latency")
    assert "they differ" in positive.answer
    assert "+100.0ms" in mean.answer
    assert "they differ" in mean.answer
    assert "asymptotic" in mean.answer
    assert {positive.verdict, mean.verdict} == {"confirmed"}


def test_a_group_in_which_treatment_is_worse_is_named_and_no_other() -> None:

    def counted(name: str, hurt: bool) -> ArmSample:
        worse = 12 if hurt and name == "treatment" else 1
        groups = {"north": SliceCounts(20, 0, 20, worse), "south": SliceCounts(20, 0, 20, 1)}
        return replace(arm(40, wrong=worse + 1), slices=groups)

    found = next(one for one in story(counted).findings if one.question.startswith("In which groups"))
    assert found.answer.startswith("north (risk ratio ")
    assert "south" not in found.answer
    assert found.verdict == "confirmed"


def test_a_split_that_is_not_the_planned_one_makes_the_run_invalid() -> None:
    verdict = judge(Story(treatment_per_s=20, control_per_s=20).lines())
    split = next(one for one in verdict.findings if one.question == "Were subjects split as planned?")
    assert split.verdict == "invalid"
    assert verdict.verdict == "invalid"


def test_seconds_of_before_are_no_part_of_the_comparison() -> None:
    """Treatment was worse before the fault, which `validity` says; what is compared is the time of the fault alone."""

    def early(name: str, hurt: bool) -> ArmSample:
        return arm(50, wrong=5 if hurt or name == "control" else 40)

    assert compared(story(early), "mistakes").evidence["decision"] == "held"
