"""What an experiment asks of its system is there: an outcome that is to be told can be told, or it is said what to write."""

from __future__ import annotations

import pytest

from chaos.experiment import link, parse
from tests.values import EXPERIMENT, edited, probes, system

BODY = "json: {outcome: $row.outcome}"
NO_ANSWER = ("answer: {decision: $.decision}, ", "")


def messages(body: str, *edits: tuple[str, str]) -> list[str]:
    """What is wrong with an experiment that tells outcomes, in a system whose feedback has this body."""
    made, document = parse(edited(EXPERIMENT), "experiment.yaml", {})
    assert made.load is not None
    assert made.load.feedback is not None
    return [one.message for one in link(made, document, system((BODY, f"json: {body}"), *edits), probes())]


@pytest.mark.parametrize(
    ("body", "edits", "said"),
    [
        ("{a: $row.a}", [NO_ANSWER], ["write something like `answer: {decision: $.decision}` there"]),
        ("{id: $answer.id}", [NO_ANSWER], ["write something like `answer: {decision: $.decision, id: $.id}` there"]),
        ("{id: $answer.id}", [], ["write something like `answer: {decision: $.decision, id: $.id}`, with the path"]),
        ("{deep: [{id: 'of-$answer.id-'}]}", [], ["has no `id:`"]),
        ("{id: $answer.decision_id}", [], ["places `$answer.decision_id`, which nobody knows; write `$answer.id`"]),
        ("{truth: $label}", [], ["write `label: COLUMN` there"]),
        ("{id: $answer.id, truth: $label}", [], ["has no `id:`", "write `label: COLUMN` there"]),
    ],
)
def test_an_outcome_that_could_not_be_told_is_said_with_what_to_write(
    body: str, edits: list[tuple[str, str]], said: list[str]
) -> None:
    found = messages(body, *edits)
    assert len(found) == len(said), found
    assert all(part in one for part, one in zip(said, found, strict=True)), found


def test_what_is_suggested_is_right_as_it_stands() -> None:
    whole = ("answer: {decision: $.decision}, ", "answer: {decision: $.decision, id: $.id}, label: truth, ")
    assert messages("{id: $answer.id, outcome: $label, more: '$answer.id of $row.a'}", whole) == []


def test_without_feedback_nothing_of_it_is_asked() -> None:
    made, document = parse(edited(EXPERIMENT, (", feedback: {after: 2s, share: 50%}", "")), "experiment.yaml", {})
    assert link(made, document, system((BODY, "json: {id: $answer.id}"), NO_ANSWER), probes()) == []
