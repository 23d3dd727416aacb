"""A run in short says what its verdict says, and whose it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.events import RunStarted, StopLoad
from chaos.history import head_of, summary_of
from chaos.journal import BrokenJournal
from chaos.judging import judge
from tests.judging.journals import JUDGED, Story


def head(text: str = "", **changes: object):
    line = Story().lines()[0]
    assert isinstance(line.record, RunStarted)
    plan = replace(JUDGED, **changes)
    return head_of(replace(line, record=replace(line.record, experiment=text, plan=plan.to_json())))


def test_it_says_what_the_verdict_says() -> None:
    verdict = judge(Story().lines())
    found = summary_of(verdict, head_of(Story().lines()[0]), "20260101-000000-quick")
    assert (found.run, found.experiment, found.system) == (verdict.run, verdict.experiment, verdict.system)
    assert (found.verdict, found.sentence, found.exit_code) == ("confirmed", verdict.sentence, 0)
    assert (found.started_wall_s, found.ended_wall_s) == (verdict.started_wall_s, verdict.ended_wall_s)
    assert (found.environment, found.folder) == ("lab", "20260101-000000-quick")
    [alert], [detection] = found.alerts, verdict.detections
    assert (alert.alert, alert.outcome, alert.told) == ("ModelAccuracyLow", "detected", True)
    assert alert.told_after_s == detection.told_after_s
    assert alert.gates == {stage.gate.value: stage.after_s for stage in detection.stages}
    [fault], [effect] = found.faults, [one for one in verdict.effects if one.first_effect_wall_s is not None]
    assert (fault.target, fault.first_effect_wall_s, fault.removed_wall_s) == (
        effect.target,
        effect.first_effect_wall_s,
        effect.removed_wall_s,
    )


def test_an_alert_of_which_nobody_can_say_anything_is_neither_told_nor_missed() -> None:
    [alert] = summary_of(judge(Story().lines()), head_of(Story().lines()[0])).alerts
    assert replace(alert, outcome="undecided").told is None
    assert replace(alert, outcome="undetected").told is False
    assert replace(alert, outcome="late").told is False


def test_owner_and_tags_are_those_of_the_experiments_text() -> None:
    found = head("name: quick\nowner: risk-models\ntags: [quality, loan]\n")
    assert (found.owner, found.tags) == ("risk-models", ("quality", "loan"))


@pytest.mark.parametrize("text", ["", "owner: [", "owner: {a: b", "- owner: x", "owner:\ntags: loan"])
def test_an_experiment_that_says_nothing_readable_of_them_belongs_to_nobody(text: str) -> None:
    assert (head(text).owner, head(text).tags) == ("", ())


def test_a_run_of_a_sweep_is_repeated_only_at_its_own_severity() -> None:
    found = summary_of(judge(Story().lines()), head(swept="7.05%"))
    assert found.title == f"{found.experiment} at 7.05%"


def test_a_journal_that_begins_otherwise_or_is_of_another_run_is_refused() -> None:
    first = Story().lines()[0]
    with pytest.raises(BrokenJournal, match="does not begin"):
        head_of(replace(first, record=StopLoad()))
    verdict = judge(Story().lines())
    with pytest.raises(BrokenJournal, match="another-run"):
        summary_of(replace(verdict, run="another-run"), head_of(first))
