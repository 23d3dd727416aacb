"""`mode: shadow` in the experiment, the plan, the verdict and what the proxies are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.experiment import parse
from chaos.plans import Plan
from tests.values import EXPERIMENT, edited, experiment, planned, system

SHADOW = ("blast_radius: {traffic: 10%", "blast_radius: {mode: shadow, traffic: 10%")
CONSUMED = ("expect:\n", "expect:\n  telemetry: shadow\n")
USERS = ("max_duration: 2m}", "max_duration: 2m, subjects: users}")


def test_an_experiment_is_live_unless_it_says_otherwise() -> None:
    made = experiment()
    assert (made.blast_radius.mode, made.expect.telemetry) == ("live", "live")
    assert planned().shadows() is False


def test_a_shadowed_experiment_whose_expectations_read_its_consumer_is_planned() -> None:
    drawn = planned(SHADOW, CONSUMED)
    assert drawn.refusals == ()
    assert drawn.shadows()
    assert any("shadow: nobody is hurt" in note for note in drawn.notes)
    assert drawn.warnings == ()
    assert [alert.foresight for alert in drawn.alerts] == [None]


def test_a_shadow_without_expectations_holds_everything_on_the_live_service() -> None:
    text = edited(EXPERIMENT, SHADOW).partition("expect:")[0] + "expect: {}\n"
    made, _ = parse(text, "shadow.yaml", {})
    assert made.holding() == ["accuracy", "latency"]


@pytest.mark.parametrize(("mode", "allowed"), [((), False), ((SHADOW, CONSUMED), True)])
def test_real_people_need_nobodys_leave_where_none_of_their_answers_is_touched(mode: tuple, allowed: bool) -> None:
    production = system(("environment: lab", "environment: staging"))
    drawn = planned(USERS, *mode, of=production)
    assert any("real people" in why for why in drawn.refusals) is not allowed


def test_the_mode_survives_being_written_and_an_old_plan_was_live() -> None:
    drawn = planned(SHADOW, CONSUMED)
    assert Plan.from_json(drawn.to_json()) == drawn
    assert Plan.from_json(drawn.to_json().replace('"mode":"shadow",', "")) == replace(drawn, mode="live")
