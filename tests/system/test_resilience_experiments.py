"""The shipped experiments that slow and kill, run for real, each with the verdict it must have."""

from __future__ import annotations

import pytest

from tests.system.checks import arms_agree, detected, nothing_left, outcome, sound
from tests.system.labs import Work, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(330)]


def test_a_slow_model_is_held_by_the_fallback_and_told_by_two_alerts(process_lab: Work) -> None:
    ran = run(process_lab, "delay")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "LatencyHigh", 60)
    detected(ran, "FallbackShareHigh", 60)
    assert ran.finding("Did availability hold")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)


def test_a_killed_replica_is_told_and_availability_holds(process_lab: Work) -> None:
    ran = run(process_lab, "replica-killed")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ReplicaDown", 15)
    assert ran.finding("Did availability hold")["verdict"] == "confirmed"
    sound(ran)
    nothing_left(process_lab)
