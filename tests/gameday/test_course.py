"""Which step follows, and what the day showed in the end."""

from __future__ import annotations

import json

import pytest

from chaos.gameday import Ask, Outcome, Run, Skip, following, summary
from chaos.verdict import EXIT_CODE, VerdictName
from tests.gameday.values import day, outcome


def over(*outcomes: Outcome) -> str:
    made = summary(day(), outcomes, began_wall_s=1.0, ended_wall_s=9.0, version="v")
    return f"{made.verdict} {made.exit_code} {made.sentence}"


def test_the_first_step_of_a_day_has_nothing_before_it_that_went_wrong() -> None:
    assert following(day(("  - experiment: first.yaml", "  - {experiment: first.yaml, only_if: passed}")), []) == Run(0)
    failed = day(("  - experiment: first.yaml", "  - {experiment: first.yaml, only_if: failed}"))
    assert isinstance(following(failed, []), Skip)


@pytest.mark.parametrize(
    ("verdict", "second"),
    [("confirmed", Run(1)), ("undetected", None), ("deviated", None), ("invalid", None), ("inconclusive", None)],
)
def test_only_what_was_confirmed_has_passed(verdict: VerdictName, second: Run | None) -> None:
    found = following(day(), [outcome(0, verdict)])
    assert found == second or (second is None and isinstance(found, Skip))


@pytest.mark.parametrize(
    ("verdict", "runs"), [("undetected", True), ("late", True), ("confirmed", False), ("invalid", False)]
)
def test_only_what_found_a_weakness_has_failed_and_a_skipped_step_is_looked_through(
    verdict: VerdictName, runs: bool
) -> None:
    found = following(day(), [outcome(0, verdict), outcome(1, None)])
    assert (found == Run(2)) is runs


@pytest.mark.parametrize("verdict", ["unsafe", "interrupted", "aborted"])
def test_after_an_abort_an_unsafe_run_or_an_interruption_nothing_more_is_hurt(verdict: VerdictName) -> None:
    assert following(day(("only_if: passed", "only_if: always")), [outcome(0, verdict)]) is None


def test_a_step_that_wants_it_asks_a_person_first() -> None:
    assert following(day(("only_if: passed", "confirm: true")), [outcome(0, "confirmed")]) == Ask(1)


def test_a_skipped_step_asks_nobody() -> None:
    found = following(day(("only_if: passed", "only_if: passed\n    confirm: true")), [outcome(0, "undetected")])
    assert found == Skip(1, "only if the one before passed, and it was undetected")


def test_the_day_is_as_bad_as_the_worst_of_its_runs() -> None:
    assert over(outcome(0, "confirmed"), outcome(1, "undetected"), outcome(2, "confirmed")) == (
        "undetected 1 3 of 3 experiments were run: 2 confirmed, 1 with a weakness"
    )
    assert over(outcome(0, "confirmed"), outcome(1, "confirmed"), outcome(2, None)).startswith("confirmed 0 2 of 3")
    assert over(outcome(0, "confirmed"), outcome(1, "invalid"), outcome(2, None)).startswith("invalid 3")


def test_a_day_that_ends_early_says_why() -> None:
    assert over(outcome(0, "aborted")) == (
        "aborted 4 1 of 3 experiments were run: 0 confirmed, 0 with a weakness, 1 without an answer; "
        "it ended early: first was aborted: a guard ended the run; everything is undone"
    )
    assert over(outcome(0, "confirmed")).startswith("interrupted 130")
    declined = Outcome(0, "first", "declined", "inconclusive", "no")
    assert over(declined).startswith("inconclusive 3 0 of 3")


def test_a_day_on_which_nothing_was_run_is_never_green() -> None:
    assert over(outcome(0, None), outcome(1, None), outcome(2, None)).startswith("invalid 3 0 of 3")


def test_the_summary_as_json_has_every_step_and_the_exit_code() -> None:
    made = summary(day(), [outcome(0, "late")], began_wall_s=1.0, ended_wall_s=9.0, version="v", scheduled_wall_s=0.5)
    said = json.loads(made.to_json())
    assert (said["exit_code"], said["outcomes"][0]["verdict"], said["scheduled_wall_s"]) == (130, "late", 0.5)
    assert set(EXIT_CODE) >= {said["verdict"]}
