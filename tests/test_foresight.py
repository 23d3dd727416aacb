"""What dilution lets a rule see: (1 - x) · control + x · treatment, and how much traffic it would take."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chaos.foresight import Foresight, foresee
from chaos.promql import left_side
from chaos.telemetry import RuleInfo
from chaos.units import parse_share
from tests.values import KILL, RULE, experiment, probes, system

PERCENT = st.integers(1, 100)
VALUES = st.integers(0, 1000).map(lambda parts: parts / 1000)


def foreseen(
    *edits: tuple[str, str], now: float | None = 0.95, rule: RuleInfo = RULE, lower_bound_s: float = 10.0
) -> Foresight | None:
    """The prediction for one rule under the edited experiment."""
    return foresee(rule, left_side(rule.expr), experiment(*edits), system(), probes(), now, lower_bound_s)


def with_threshold(operator: str, threshold: float) -> RuleInfo:
    """RULE that asks for something else."""
    return replace(RULE, expr=RULE.expr.replace("< 0.88", f"{operator} {threshold:.6f}"))


def test_a_tenth_of_wrong_answers_brings_95_percent_down_to_86():
    seen = foreseen()
    assert seen is not None
    assert seen.reachable == pytest.approx(0.9 * 0.95 + 0.1 * 0.05)
    assert seen.crosses
    assert seen.warning is None


@settings(deadline=None)
@given(PERCENT, VALUES)
def test_what_is_reachable_lies_between_control_and_treatment(percent, now):
    seen = foreseen(("traffic: 10%", f"traffic: {percent}%"), now=now)
    assert seen is not None
    treated = 1 - now
    assert min(now, treated) - 1e-9 <= seen.reachable <= max(now, treated) + 1e-9


@settings(deadline=None)
@given(PERCENT, VALUES, VALUES, st.sampled_from(["<", "<=", ">", ">="]))
def test_the_traffic_that_a_warning_advises_is_enough_and_no_less_would_be(percent, now, threshold, operator):
    rule = with_threshold(operator, threshold)
    seen = foreseen(("traffic: 10%", f"traffic: {percent}%"), now=now, rule=rule)
    assert seen is not None
    assert (seen.warning is None) is seen.crosses
    assume(seen.warning is not None)
    advised = re.search(r"write traffic: (\d+%)", seen.warning)
    if advised is None:
        everybody = foreseen(("traffic: 10%", "traffic: 100%"), now=now, rule=rule)
        assert everybody is not None
        assert not everybody.crosses
        return
    enough = foreseen(("traffic: 10%", f"traffic: {advised[1]}"), now=now, rule=rule)
    assert enough is not None
    assert enough.crosses
    less = round(parse_share(advised[1]) * 100) - 1
    if less:
        missed = foreseen(("traffic: 10%", f"traffic: {less}%"), now=now, rule=rule)
        assert missed is not None
        assert not missed.crosses


def test_a_threshold_that_is_met_exactly_is_not_crossed_by_a_strict_rule():
    rule = with_threshold("<", 0.5)
    seen = foreseen(("traffic: 10%", "traffic: 20%"), now=1.0, rule=rule)
    assert seen is not None
    assert seen.warning is not None
    assert seen.warning.endswith("write traffic: 51%, or use a rule per slice")


@settings(deadline=None)
@given(PERCENT)
def test_the_expected_time_lies_between_the_lower_bound_and_a_full_window_more(percent):
    seen = foreseen(("traffic: 10%", f"traffic: {percent}%"))
    assert seen is not None
    assert (seen.expected_s is not None) is seen.crosses
    if seen.expected_s is not None:
        assert 10.0 <= seen.expected_s <= 10.0 + 30.0


def test_more_traffic_is_seen_sooner():
    few, many = (foreseen(("traffic: 10%", f"traffic: {percent}%")) for percent in (10, 100))
    assert few is not None
    assert many is not None
    assert few.expected_s is not None
    assert many.expected_s is not None
    assert many.expected_s < few.expected_s


def test_when_nothing_helps_no_traffic_is_advised():
    seen = foreseen(rule=with_threshold("<", 0.01))
    assert seen is not None
    assert seen.needed_traffic is None
    assert seen.warning is not None
    assert seen.warning.endswith("and asks for < 0.01; use a rule per slice")


@pytest.mark.parametrize("now", [None, math.nan, math.inf, -math.inf])
def test_nothing_is_predicted_from_a_rule_that_has_no_value_now(now):
    assert foreseen(now=now) is None


@pytest.mark.parametrize("expr", ["absent(right)", "right < wrong", "vector(1)", "no promql at all ((", "failures > 3"])
def test_nothing_is_predicted_for_a_rule_without_a_plain_threshold_or_known_metrics(expr):
    assert foreseen(rule=replace(RULE, expr=expr)) is None


def test_nothing_is_predicted_for_a_fault_whose_effect_nobody_knows():
    assert foreseen(KILL) is None


def test_two_faults_are_put_one_after_the_other():
    half = ("    duration: 60s", "    duration: 60s\n    share: 25%")
    again = (
        "    duration: 60s",
        "    duration: 60s\n    share: 25%\n  - {fault: wrong_predictions, target: loan-model, share: 25%, duration: 60s}",
    )
    one, two = foreseen(half, now=1.0), foreseen(again, now=1.0)
    assert one is not None
    assert two is not None
    assert one.reachable == pytest.approx(0.975)
    assert two.reachable == pytest.approx(0.9625)


def test_a_rule_that_writes_its_threshold_first_is_understood():
    seen = foreseen(rule=replace(RULE, expr="0.88 > " + RULE.expr.removesuffix(" < 0.88")))
    assert seen is not None
    assert seen.crosses
