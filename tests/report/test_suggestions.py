"""What is said of rules that are missing: each with what it rests on, and always what became of the file that was asked for."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from chaos.rehearsal.suggestion import Suggestion
from chaos.report.suggestions import file_sentence, suggestions_view
from tests.rehearsal.test_suggestion import FOUND

NONE = Suggestion("delay", "run-2", "latency", why_not="latency reads with the fault what it often reads without")


def shown(*found: Suggestion) -> str:
    drawn = Console(file=io.StringIO(), width=400, color_system=None)
    drawn.print(suggestions_view(found))
    return drawn.file.getvalue()  # type: ignore[attr-defined]


def test_a_rule_stands_with_its_proof_and_one_that_was_not_found_with_its_reason() -> None:
    said = shown(FOUND, NONE)
    assert "\nRules that are missing\n" in said
    assert "biased_outputs: ApprovalHispanicLow told in 100 of 100 rehearsals, after 17s; quiet in all 100" in said
    assert ", for 5s" in said
    assert "delay: no rule was found: latency reads with the fault what it often reads without" in said


def test_a_heading_over_nothing_says_so_and_a_rule_that_does_not_wait_says_nothing_of_for() -> None:
    assert "Rules that are missing: none could be found" in shown(NONE)
    assert FOUND.rule is not None
    assert ", for" not in shown(replace(FOUND, rule=replace(FOUND.rule, for_s=0.0)))


@pytest.mark.parametrize(
    ("found", "tried", "said"),
    [
        ((FOUND,), True, "m.yml has 1 rule, for biased_outputs, to be read before somebody loads it"),
        (
            (FOUND, NONE),
            True,
            "m.yml has 1 rule, for biased_outputs, to be read before somebody loads it; for delay none was found",
        ),
        (
            (NONE,),
            True,
            "m.yml is not written: no rule was found for delay, and why is said with each; run the experiment again",
        ),
        ((), True, "m.yml is not written: every fault that broke the system told somebody in time"),
        ((), False, "m.yml is not written: no run in which a fault broke the system is there"),
    ],
)
def test_the_file_that_was_asked_for_is_always_accounted_for(
    found: tuple[Suggestion, ...], tried: bool, said: str
) -> None:
    sentence = file_sentence(found, "m.yml", stands=False, tried=tried)
    assert sentence.startswith(said)
    older = file_sentence(found, "m.yml", stands=True, tried=tried)
    assert older.endswith("what stands in m.yml is older") is ("is not written" in said)
