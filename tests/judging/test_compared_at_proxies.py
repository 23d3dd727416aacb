"""Treatment against control where no load of ours asks: judged by what the proxies counted of real users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos.events import LoadStarted, LoadStopped, Observed, Record, StartLoad, StopLoad
from chaos.judging import judge
from chaos.observation import ArmTraffic, LoadRead, ProxyRead
from chaos.plans import Plan
from chaos.verdict import Finding, Verdict
from tests.judging.journals import AVAILABILITY, JUDGED, WALL, Story, lines_of
from tests.worlds import ACCURACY

USERS = replace(JUDGED, load=None, subjects="users", arms_held=True, probes=(AVAILABILITY,), harms=(), holds=())
Counts = Callable[[str, bool], tuple[int, int, int]]
"""An arm, and whether the fault is on → subjects of a second, and of these the failed and the slow ones."""


def alike(_arm: str, _hurt: bool) -> tuple[int, int, int]:
    return 50, 5, 5


def failing(arm: str, hurt: bool) -> tuple[int, int, int]:
    return (50, 20, 5) if hurt and arm == "treatment" else (50, 5, 5)


def findings(of: Counts | None, plan: Plan = USERS, undo: float = 46.0) -> dict[str, Finding]:
    """What is said of the arms, by question."""
    return {
        one.question.removeprefix("How does treatment compare with control ").removesuffix("?"): one
        for one in judged(of, plan, undo).findings
        if one.question.startswith("How does treatment")
    }


def judged(of: Counts | None, plan: Plan = USERS, undo: float = 46.0) -> Verdict:
    """The verdict on a run in which the proxies counted this; `None` is an older proxy, which does not count subjects."""
    told = Story(plan=plan, undo=undo, recovered=undo + 14.0)
    so_far = {"treatment": [0, 0, 0], "control": [0, 0, 0]}

    def counted(record: Record) -> Record:
        if not isinstance(record, Observed) or not isinstance(record.observation, ProxyRead) or of is None:
            return record
        seen = record.observation
        assert told.effect is not None
        hurt = told.effect < seen.at_wall_s - WALL <= told.undo
        for arm, counts in so_far.items():
            so_far[arm] = [one + more for one, more in zip(counts, of(arm, hurt), strict=True)]
        arms = {arm: ArmTraffic(n, n, 0, 0, n, n, failed, slow) for arm, (n, failed, slow) in so_far.items()}
        return Observed(replace(seen, **arms))

    entries = [(at, counted(record)) for at, record in told.entries() if not _of_load(record)]
    return judge(lines_of(entries))


def _of_load(record: Record) -> bool:
    load = isinstance(record, Observed) and isinstance(record.observation, LoadRead)
    return load or isinstance(record, (LoadStarted, LoadStopped, StartLoad, StopLoad))


def test_errors_in_treatment_deviate_and_say_who_counted() -> None:
    found = findings(failing)["in errors at model"]
    assert found.verdict == "deviated"
    assert "by the proxy of model" in found.answer
    assert found.evidence["alpha"] == 0.025
    assert found.evidence["counted by"] == "the proxy of model"


def test_slow_answers_deviate_too_and_slow_has_the_proxys_bound() -> None:
    found = findings(lambda arm, hurt: (50, 5, 20 if hurt and arm == "treatment" else 5))
    assert found["in slow requests at model"].verdict == "deviated"
    assert "slower than 2.5s" in found["in slow requests at model"].answer
    assert found["in errors at model"].verdict == "confirmed"


def test_users_who_fare_alike_have_held_and_too_short_a_look_is_undecided() -> None:
    held = findings(alike)["in errors at model"]
    assert (held.verdict, held.evidence["decision"]) == ("confirmed", "held")
    short = findings(alike, undo=19.0)["in errors at model"]
    assert (short.verdict, short.evidence["decision"]) == ("inconclusive", "undecided")


def test_a_control_arm_that_left_its_own_baseline_lets_nobody_say_that_treatment_held() -> None:
    found = findings(lambda arm, hurt: (50, 25 if hurt else 5, 5))["in errors at model"]
    assert found.verdict == "inconclusive"
    assert "control has left its own baseline" in found.answer


def test_what_nobody_counted_has_not_held() -> None:
    found = findings(None)["at model"]
    assert found.verdict == "inconclusive"
    assert "several proxies or workers" in found.answer
    assert findings(None, replace(USERS, arms_held=False)) == {}


def test_proxies_cannot_say_that_answers_are_right() -> None:
    found = findings(alike, replace(USERS, probes=(ACCURACY, AVAILABILITY)))["in mistakes"]
    assert found.verdict == "inconclusive"


def test_nothing_is_judged_where_arms_held_was_not_asked_for() -> None:
    found = findings(failing, replace(USERS, arms_held=False))["in errors at model"]
    assert (found.verdict, found.evidence["decision"]) == ("confirmed", "broken")


@pytest.mark.parametrize("worse", [12, 20, 40])
def test_more_failures_in_treatment_never_improve_what_is_said(worse: int) -> None:
    order = ("confirmed", "inconclusive", "deviated")
    found = [
        findings(lambda arm, hurt, bad=bad: (50, bad if hurt and arm == "treatment" else 5, 5))["in errors at model"]
        for bad in (5, worse)
    ]
    assert order.index(found[0].verdict) <= order.index(found[1].verdict)


def test_the_table_of_the_arms_holds_subjects_and_their_errors_under_the_fault() -> None:
    treatment, control = judged(failing).arms
    assert (treatment.arm, control.arm) == ("treatment", "control")
    assert treatment.requests == control.requests > 0
    assert (treatment.error_share, control.error_share) == (0.4, 0.1)
    assert judged(None).arms == ()


def test_what_was_before_the_fault_is_no_part_of_the_comparison() -> None:
    found = findings(lambda arm, hurt: (50, 5 if hurt or arm == "control" else 25, 5))["in errors at model"]
    assert found.evidence["decision"] == "held"


# --- by requests, where no proxy knows subjects -----------------------------------------------------------------------

SEVERAL = replace(JUDGED, load=None, holds=(), harms=())


def by_proxies(
    hurt_errors: int, *, plan: Plan = SEVERAL, before: int = 1, control: int = 1, unsaid: bool = False
) -> list[Finding]:
    """The findings of a run without a load, of whose twenty answers a second and arm so many of treatment fail under the fault."""
    told, failed, spared, answered = Story(plan=plan, undo=46.0, recovered=60.0), 0, 0, 0
    records: list[tuple[float, Record]] = []
    for at, record in told.entries():
        match record:
            case Observed(observation=LoadRead()):
                continue
            case Observed(observation=ProxyRead() as seen):
                hurt = told.inject + 1.0 < at < told.undo
                failed += hurt_errors if hurt else before
                spared += control if hurt else 1
                answered += 20
                arms = [ArmTraffic(answered, answered, bad, 0, 0 if unsaid else answered) for bad in (failed, spared)]
                records.append((at, Observed(replace(seen, treatment=arms[0], control=arms[1]))))
            case _:
                records.append((at, record))
    findings = judge(lines_of(records)).findings
    return [one for one in findings if "by the proxies at" in one.question]


def test_errors_of_real_people_are_compared_by_what_the_proxies_counted() -> None:
    errors, slow = by_proxies(9)
    assert errors.question == "How does treatment compare with control in errors, by the proxies at model?"
    assert errors.evidence["decision"] == "broken"
    assert errors.evidence["source"] == "proxy"
    assert errors.evidence["alpha"] == 0.025, "two comparisons share 5 %"
    assert slow.answer.startswith("no such events (slower than 2.5s); undecided")


def test_what_proxies_count_judges_nothing_since_they_do_not_know_who_comes_back() -> None:
    assert {one.verdict for one in by_proxies(9)} == {"confirmed"}
    assert "whoever comes back is counted again" in by_proxies(9)[0].answer


def test_arms_that_the_proxies_count_alike_are_not_called_broken() -> None:
    assert by_proxies(1)[0].evidence["decision"] != "broken"


def test_what_the_proxies_counted_before_the_fault_is_no_part_of_the_comparison() -> None:
    assert by_proxies(1, before=15)[0].evidence["decision"] != "broken"


def test_a_control_arm_that_left_its_baseline_at_the_proxies_is_told() -> None:
    assert by_proxies(12, control=12)[0].evidence["control moved"] == "true"
    assert by_proxies(1)[0].evidence["control moved"] == "false"


def test_proxies_that_did_not_say_what_they_answered_tell_nothing_nor_do_they_where_a_load_counted() -> None:
    assert by_proxies(9, unsaid=True) == []
    assert by_proxies(9, plan=JUDGED) == []
