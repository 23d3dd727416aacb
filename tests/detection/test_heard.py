"""An alert that only its receiver knows of: what the sink heard decides, and what nobody looked at is neither passed nor failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.detection import AlertHistory, Gate
from tests.test_detection import TIMES, WELL, found
from tests.worlds import ALERT

PAGE = replace(ALERT, via="sink", left=None, expr="", lower_bound_s=0.0, within_s=25.0)
EARLY, LATE = TIMES.effect - 30.0, TIMES.effect + 10.0


def heard(*deliveries: object, asked: float = TIMES.end) -> AlertHistory:
    return AlertHistory(deliveries=deliveries, sink_asked_wall_s=asked)  # type: ignore[arg-type]


def test_a_page_that_came_after_the_effect_is_a_detection_and_no_other_gate_is_claimed() -> None:
    detection = found(heard(*WELL.deliveries), PAGE)
    assert detection.outcome == "detected"
    assert detection.failed_gate is None
    before = [detection.stage(gate) for gate in (Gate.signal, Gate.pending, Gate.firing, Gate.active)]
    assert all(stage.at_wall_s is None and stage.source.startswith("not observed") for stage in before)
    assert detection.told_after_s == pytest.approx(WELL.deliveries[0].received_at_wall_s - TIMES.effect)


def test_a_prometheus_that_never_answered_says_nothing_of_it() -> None:
    assert found(replace(heard(*WELL.deliveries), looked=False, unhealthy="parse error"), PAGE).outcome == "detected"


def test_no_page_while_the_sink_was_asked_is_undetected() -> None:
    detection = found(heard(), PAGE)
    assert (detection.outcome, detection.failed_gate) == ("undetected", Gate.delivered)


def test_no_page_and_no_sink_to_ask_is_not_observed() -> None:
    assert found(heard(asked=TIMES.effect), PAGE).outcome == "not_observed"


def test_a_page_that_was_on_before_anything_was_hurt_says_nothing() -> None:
    first = replace(WELL.deliveries[0], received_at_wall_s=EARLY, starts_at_wall_s=EARLY, status="firing")
    assert found(heard(first), PAGE).outcome == "invalid"
    over = replace(first, received_at_wall_s=EARLY + 5.0, status="resolved")
    assert found(heard(first, over, *WELL.deliveries), PAGE).outcome == "detected"


@pytest.mark.parametrize("change", [{"receiver": "another"}, {"labels": {"alertname": "Other"}}])
def test_a_page_of_something_else_or_to_somebody_else_is_none(change: dict) -> None:
    others = [replace(one, **change) for one in WELL.deliveries]
    assert found(heard(*others), PAGE).outcome == "undetected"


def test_late_and_unresolved_are_judged_by_the_sinks_clock() -> None:
    assert found(heard(*WELL.deliveries), replace(PAGE, within_s=0.1)).outcome == "late"
    firing = [one for one in WELL.deliveries if one.status == "firing"]
    assert found(heard(*firing), replace(PAGE, resolved_within_s=1.0)).outcome == "unresolved"


def test_a_fault_that_was_over_before_the_time_that_was_asked_for_leaves_it_open() -> None:
    assert found(heard(), replace(PAGE, within_s=60.0)).outcome == "undecided"
