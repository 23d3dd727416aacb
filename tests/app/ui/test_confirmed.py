"""What has to be confirmed anew, and what has not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.app.ui.confirmed import fingerprint
from chaos.plans import Plan
from chaos.survey import ContainerFound
from tests.app.ui.test_starts import plan

PLAN = plan()
HOLD, HURT = PLAN.effects[0], PLAN.effects[-1]
REPLICA = ContainerFound("replica-1", "5eed", "running", {}, opted_in=True)


def hurting(container: ContainerFound) -> Plan:
    return replace(PLAN, effects=(HOLD, replace(HURT, kind="container", driver="docker", container=container)))


def test_a_plan_that_was_made_again_says_the_same() -> None:
    again = replace(Plan.from_json(PLAN.to_json()), warnings=("it is late",), notes=("it is Saturday",), seed="another")
    assert fingerprint(again, "a", "b") == fingerprint(PLAN, "a", "b")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (hurting(REPLICA), hurting(replace(REPLICA, name="replica-2"))),
        (hurting(REPLICA), hurting(replace(REPLICA, id="5eee"))),
        (PLAN, replace(PLAN, by_hand={**PLAN.by_hand, HOLD.id: "curl -X DELETE http://127.0.0.1:1/runs"})),
        (PLAN, replace(PLAN, alerts=(replace(PLAN.alerts[0], routed_to=("nobody",)),))),
        (PLAN, replace(PLAN, alerts=(replace(PLAN.alerts[0], expr="vector(1)"),))),
        (PLAN, replace(PLAN, probes=(replace(PLAN.probes[0], query="vector(1)"), *PLAN.probes[1:]))),
        (PLAN, replace(PLAN, guards=())),
        (PLAN, replace(PLAN, where="header:x=1")),
    ],
)  # fmt: skip
def test_what_changes_whom_a_plan_hurts_or_who_is_told_has_to_be_confirmed_anew(before: Plan, after: Plan) -> None:
    assert fingerprint(before, "a", "b") != fingerprint(after, "a", "b")


def test_a_file_that_has_changed_has_to_be_confirmed_anew() -> None:
    assert fingerprint(PLAN, "a", "b") != fingerprint(PLAN, "ab", "") != fingerprint(PLAN, "a", "c")
