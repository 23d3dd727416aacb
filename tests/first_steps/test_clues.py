"""Which fault a rule's own words and shape point at, held against what really made such rules fire."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.faults import catalogue
from chaos.first_steps.clue_table import CLUES
from chaos.first_steps.clues import candidates
from chaos.first_steps.found import Metric
from chaos.first_steps.rule_reading import reading_of
from chaos.telemetry import RuleInfo
from tests.first_steps.field_rules import FIELD, LAB_RULES, lab_metric

COVERAGE = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text()
PROVEN = {
    name: {fault.strip() for fault in f"{expected},{beside}".split(",") if fault.strip()}
    for name, expected, beside in re.findall(r"^\| (\w+) \| ([^|]*) \| ([^|]*) \|$", COVERAGE, re.MULTILINE)
}
KNOWN = [rule for rule in LAB_RULES if PROVEN.get(rule.name)]


def test_the_page_says_of_nearly_every_rule_of_the_lab_what_made_it_fire() -> None:
    assert len(KNOWN) >= 40


@pytest.mark.parametrize("rule", KNOWN, ids=lambda rule: rule.name)
def test_the_first_guess_for_a_rule_of_the_lab_is_a_fault_that_made_it_fire_in_a_real_run(rule: RuleInfo) -> None:
    assert candidates(reading_of(rule, lab_metric))[0].fault in PROVEN[rule.name]


@pytest.mark.parametrize(("name", "expr", "faults"), FIELD, ids=[name for name, _, _ in FIELD])
def test_the_first_guess_for_a_rule_of_the_field_is_a_fault_that_would_make_it_fire(
    name: str, expr: str, faults: frozenset[str]
) -> None:
    found = candidates(reading_of(RuleInfo(name, expr, 0.0), lambda _: Metric()))
    assert (found[0].fault in faults) if faults else not found


def test_a_rule_that_always_fires_needs_no_fault() -> None:
    assert candidates(reading_of(RuleInfo("Watchdog", "vector(1)", 0.0), lambda _: Metric())) == ()


def test_a_rule_that_cannot_be_parsed_is_guessed_by_its_words_alone() -> None:
    found = candidates(reading_of(RuleInfo("LatencyHigh", "p99 over some unknown language(", 0.0), lambda _: Metric()))
    assert [one.fault for one in found] == ["delay"]
    assert found[0].how_sure != "sure"


def test_the_help_text_of_a_metric_alone_is_no_more_than_a_hint() -> None:
    rule = RuleInfo("Odd", "x_total > 1", 0.0)
    found = candidates(reading_of(rule, lambda _: Metric("counter", "Requests that ended in errors.")))
    assert [(one.fault, one.how_sure) for one in found] == [("http_error", "a guess")]


def test_every_clue_is_about_a_fault_of_the_catalogue() -> None:
    assert {clue.fault for clue in CLUES} <= set(catalogue())
