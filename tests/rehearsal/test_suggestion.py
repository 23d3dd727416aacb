"""A suggested rule lies between what is usual and what was hurt, is a rule that Prometheus loads, and says what it rests on."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.lab import monitoring
from chaos.promql import left_side
from chaos.rehearsal.outcome import AtSeverity
from chaos.rehearsal.suggestion import Suggestion, rule_of, rules_file, threshold, thresholds
from chaos.rules_file import parse_rules

STATE = Path(__file__).parents[2] / ".chaos"
RULE = rule_of(
    "approval_hispanic", 'sum(increase(a{g="h"}[30s]))\n  / sum(increase(a[30s]))', 0.6, low_is_bad=True,
    count="sum(increase(a[30s]))", needs=20, for_s=5.0, labels={"service": "loan"},
)  # fmt: skip
CAUGHT = AtSeverity("ApprovalHispanicLow", 0.5, 100, 100, 1.0, (0.96, 1.0), 17.0, 14.0, 20.0, 0)
FOUND = Suggestion("biased_outputs", "run-1", "approval_hispanic", RULE, None, 0.79, 0.41, CAUGHT, 100, 4.6)


@given(
    st.lists(st.floats(0.8, 1.0), min_size=1, max_size=20),
    st.lists(st.floats(0.0, 0.7), min_size=1, max_size=20),
    st.booleans(),
)
def test_the_threshold_lies_between_the_usual_and_the_hurt(
    usual: list[float], hurt: list[float], low_is_bad: bool
) -> None:
    sign = 1 if low_is_bad else -1
    found = threshold([sign * one for one in usual], [sign * one for one in hurt], low_is_bad=low_is_bad)
    assert found is not None
    bound, worst, middle = found
    assert min(worst, middle) < bound < max(worst, middle)


@pytest.mark.parametrize(("usual", "hurt"), [([0.9, 0.5], [0.6]), ([], [0.5]), ([0.9], [math.nan]), ([0.9], [0.95])])
def test_where_the_two_cannot_be_told_apart_there_is_none(usual: list[float], hurt: list[float]) -> None:
    assert threshold(usual, hurt, low_is_bad=True) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_where_luck_makes_the_worst_of_the_usual_more_are_worth_a_try(sign: int) -> None:
    usual = [0.4, *(0.8 + place / 1000 for place in range(199))]  # one of two hundred is as bad as the fault
    hurt = [0.45 + place / 1000 for place in range(100)]
    assert threshold(usual, hurt, low_is_bad=True) is None
    found = thresholds([sign * one for one in usual], [sign * one for one in hurt], low_is_bad=sign > 0)
    assert len(found) == 6
    for bound, beyond in found:
        assert 0.46 <= sign * bound <= 0.81
        assert beyond == sum(one < sign * bound for one in usual) / len(usual)
    assert [beyond for _, beyond in found] == sorted(beyond for _, beyond in found)


def test_what_is_apart_has_its_best_threshold_first_and_no_fault_that_reads_as_usual_has_one() -> None:
    apart = thresholds([0.8, 0.9], [0.3, 0.4], low_is_bad=True)
    assert apart[0] == (0.6, 0.0)
    assert all(beyond <= 0.5 for _, beyond in apart)
    assert thresholds([0.8, 0.9], [0.85, 0.95], low_is_bad=True) == []
    assert thresholds([], [0.5], low_is_bad=True) == thresholds([0.9], [math.nan], low_is_bad=True) == []


def test_the_rule_compares_the_probes_own_expression_and_asks_for_enough_events() -> None:
    assert RULE.name == "ApprovalHispanicLow"
    compared = left_side(RULE.expr)
    assert compared is not None
    assert (compared.operator, compared.threshold) == ("<", 0.6)
    assert RULE.expr.endswith("and (sum(increase(a[30s]))) > 20")
    assert RULE.labels == {"service": "loan", "severity": "page"}


def test_a_rule_says_how_often_the_usual_is_beyond_its_threshold() -> None:
    assert "read 0.79 at worst, with it 0.41" in rules_file([FOUND])
    assert "at worst (beyond the threshold 0.14 % of the time), with it 0.41" in rules_file(
        [replace(FOUND, beyond=0.00135)]
    )


def test_nothing_of_a_hostile_run_becomes_a_rule_or_a_template() -> None:
    evil = replace(FOUND, run="x\n      - alert: Evil\n        expr: vector(1)", probe='{{ query "x" }}', fault="a\nb")
    text = rules_file([replace(evil, rule=replace(RULE, labels={"team": '{{ query "y" }}'}))])
    [read], _ = parse_rules(text)
    assert read.name == RULE.name
    assert "{{ query" not in text
    assert text.count("{{") == 1  # the value of the alert itself


def test_the_file_is_one_that_prometheus_loads_and_says_what_each_rule_rests_on(tmp_path: Path) -> None:
    text = rules_file([FOUND, replace(FOUND, rule=None, why_not="no probe left its bound")])
    path = tmp_path / "rules.yml"
    path.write_text(text)
    checked = subprocess.run(
        [str(monitoring.find(STATE).promtool), "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 rules found" in checked.stdout
    [read], _ = parse_rules(text)
    assert (read.expr, read.for_s, dict(read.labels)) == (RULE.expr, RULE.for_s, dict(RULE.labels))
    assert "told in 100 of 100 scenarios at 50% of traffic, after 17 s; quiet in all 100 without it (4.6 hours)" in text
