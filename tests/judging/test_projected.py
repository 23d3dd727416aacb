"""Alerts of a run with `judge: projected`: told live is told; else the projection in the journal decides, and is called one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.events import Projected, ProjectedAlert
from chaos.judging import judge
from chaos.verdict import Finding, Verdict
from tests.judging.journals import JUDGED, SILENT, Story, lines_of

PLAN = replace(JUDGED, judge="projected")
ALERT = JUDGED.alerts[0].alert


def projected(told: bool | None, error: str | None = None) -> Projected:
    alerts = () if error else (ProjectedAlert(ALERT, told, 97 if told else 3, 100, 12.0, "…"),)
    return Projected("the arms", alerts, error)


def verdict_of(story: Story, said: Projected | None) -> Verdict:
    entries = replace(story, plan=PLAN).entries()
    return judge(lines_of([*entries, *([(entries[-1][0], said)] if said is not None else [])]))


def finding(verdict: Verdict) -> Finding:
    [one] = [one for one in verdict.findings if ALERT in one.question]
    return one


@pytest.mark.parametrize(
    ("said", "made", "words"),
    [
        (
            projected(True),
            "confirmed",
            "projected, and no proof: told in 97 of 100 scenarios, after 12s; live undetected",
        ),
        (projected(False), "undetected", "no: projected, told in 3 of 100 scenarios"),
        (projected(None, "too few outcomes"), "inconclusive", "cannot tell: too few outcomes; live undetected"),
        (None, "inconclusive", "cannot tell: nothing was projected"),
    ],
)
def test_an_alert_that_did_not_tell_live_is_judged_by_its_projection(
    said: Projected | None, made: str, words: str
) -> None:
    found = finding(verdict_of(SILENT, said))
    assert found.question == f"Would {ALERT} tell, were all traffic hurt?"
    assert found.verdict == made
    assert words in found.answer


def test_an_alert_that_fired_and_reached_nobody_is_a_weakness_whatever_is_projected() -> None:
    undelivered = replace(SILENT, pending=20.2, firing=25.2, active=25.9, resolved=None)
    assert finding(verdict_of(undelivered, projected(True))).verdict == "undelivered"
    late = Story(plan=replace(PLAN, alerts=(replace(JUDGED.alerts[0], within_s=9.0),)))
    entries = late.entries()
    assert judge(lines_of([*entries, (entries[-1][0], projected(True))])).verdict == "late"


def test_an_alert_that_told_live_needs_no_projection() -> None:
    assert finding(verdict_of(Story(), projected(False))).question == f"Did {ALERT} tell?"
    assert verdict_of(Story(), None).verdict == "confirmed"


def test_without_being_asked_for_a_projection_changes_nothing() -> None:
    entries = SILENT.entries()
    assert judge(lines_of([*entries, (entries[-1][0], projected(True))])).verdict == "undetected"


def test_no_moment_of_the_run_is_changed_by_what_is_worked_out_later() -> None:
    with_, without = verdict_of(Story(), projected(True)), verdict_of(Story(), None)
    assert with_.ended_wall_s == without.ended_wall_s
    assert with_.detections == without.detections
