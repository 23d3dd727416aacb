"""A plan refuses the experiment whose expected alert cannot fire, and says what is doubtful about the others."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from pydantic import TypeAdapter

from chaos.rulecheck.facts import RuleFacts
from chaos.survey import Survey
from chaos.telemetry import RuleAlert
from tests.rulecheck.cases import Server, answered
from tests.values import RULE, planned, survey

NAMES = {"right": True, "feedback": True}


def found(facts: RuleFacts, rule=RULE, series: dict[str, int] | None = None) -> Survey:
    return survey(rules=(rule,), rule_facts={0: answered(rule, facts, Server(series or {}))})


def test_an_alert_that_can_fire_is_no_reason_to_say_anything():
    bare, asked = planned(), planned(found=found(RuleFacts(names=NAMES)))
    assert (asked.refusals, asked.warnings, asked.notes) == (bare.refusals, bare.warnings, bare.notes) == ((), (), ())


DEAD = {
    RULE.expr.partition(" < ")[0]: 0,
    'sum(increase(right{job="loan"}[30s]))': 0,
    'increase(right{job="loan"}[30s])': 0,
    'right{job="loan"}': 0,
}


def test_an_alert_that_cannot_fire_is_refused_with_what_to_do():
    facts = RuleFacts(names={**NAMES, "right": False}, near={"right": ("right_total",)})
    assert planned(found=found(facts, series=DEAD)).refusals == (
        "ModelAccuracyLow cannot fire: no series is called `right`, and no target declares it; did you mean `right_total`?",
    )


def test_a_metric_that_waits_for_its_first_event_is_noted_and_neither_refused_nor_warned_of():
    facts = RuleFacts(names={**NAMES, "right": False}, types={"right": "counter"})
    plan = planned(found=found(facts, series=DEAD))
    assert (plan.refusals, plan.warnings) == ((), ())
    [note] = plan.notes
    assert note == (
        "ModelAccuracyLow may not do what it says: `right` is declared and has no series yet; "
        "the rule is blind until its first event, so start it at 0"
    )


def test_a_doubtful_rule_is_warned_of_and_runs_all_the_same():
    plan = planned(found=found(RuleFacts(names=NAMES, silenced="{a} by ada until 2030")))
    assert plan.refusals == ()
    [warning] = plan.warnings
    assert warning == (
        "ModelAccuracyLow may not do what it says: a silence holds it back: {a} by ada until 2030; "
        "expire the silence, or wait for its end"
    )


def test_an_alert_that_always_fires_is_refused_once():
    always = replace(RULE, expr="right >= bool 0")
    told = "ModelAccuracyLow always fires: `bool` makes the comparison return 0 instead of nothing, and an alert fires for any value: "
    refusals = planned(found=found(RuleFacts(names=NAMES), always)).refusals
    assert [one.startswith(told) for one in refusals] == [True]
    firing = replace(always, state="firing", alerts=(RuleAlert({}, "firing", 1.0),))
    refusals = planned(found=found(RuleFacts(names=NAMES), firing)).refusals
    assert refusals == ("ModelAccuracyLow is already firing; its firing would prove nothing. Wait until it is quiet",)


def test_a_rule_with_an_evaluation_error_is_refused_once():
    sick = replace(RULE, health="err", last_error="many-to-many")
    assert planned(found=found(RuleFacts(names=NAMES), sick)).refusals == (
        "the rule of ModelAccuracyLow is broken: many-to-many; mend it first",
    )


def test_what_was_asked_of_rules_is_kept_in_the_survey_as_json():
    """Written as `survey.json` is, and read again it is the same."""
    seen = found(RuleFacts(names={**NAMES, "right": False}, near={"right": ("right_total",)}), series=DEAD)
    kept = TypeAdapter(Survey).validate_json(json.dumps(asdict(seen), default=str))
    assert kept == seen
    assert planned(found=kept).refusals == planned(found=seen).refusals != ()
