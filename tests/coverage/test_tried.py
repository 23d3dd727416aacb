"""A run's journal says which fault it tried, what broke, and who was told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.coverage import Tried, tried
from tests.judging.journals import JUDGED, SILENT, Story, lines_of


def one(story: Story) -> Tried:
    [found] = tried(lines_of(story.entries()), "runs/r-1")
    return found


def test_a_run_that_confirms_is_a_fault_that_broke_the_system_and_was_told() -> None:
    found = one(Story())
    assert (found.fault, found.verdict, found.state, found.harmed) == (
        "wrong_predictions",
        "confirmed",
        "broken",
        ("accuracy",),
    )
    assert (found.told[0].alert, found.told[0].outcome, found.told[0].gate) == ("ModelAccuracyLow", "detected", None)
    assert found.caught
    assert found.severity == JUDGED.traffic


def test_a_fault_that_nobody_noticed_says_the_gate_that_failed() -> None:
    found = one(SILENT)
    assert (found.told[0].outcome, found.told[0].gate) == ("undetected", "pending")
    assert not found.caught
    assert found.proves


def test_an_alert_that_fired_beside_the_expected_one_is_told_of() -> None:
    from tests.judging.test_judge import UNEXPECTED

    assert UNEXPECTED.name in one(Story(others=(UNEXPECTED,))).fired


@pytest.mark.parametrize("share", [1.0, 0.995])
def test_a_system_that_held_all_that_was_asked_of_it_held(share: float) -> None:
    plan = replace(JUDGED, harms=(), holds=("availability",))
    assert one(Story(plan=plan, availability=(1.0, share, 1.0))).state == "held"


def test_what_should_hold_and_did_not_is_broken() -> None:
    assert one(Story(availability=(1.0, 0.95, 1.0), accuracy=(0.94, 0.93, 0.94))).harmed == ("availability",)
