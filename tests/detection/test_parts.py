"""The time until somebody was told, taken apart: each wait by the servers' own clocks, together the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.detection import AlertHistory, offsets
from chaos.observation import AlertsRead, RoutedAlert, RoutedRead, RuleClock, ScrapeClock
from tests.test_detection import EFFECT, LABELS, SILENT, TIMES, WELL, alerts, found, looks, polled, read, signal, told
from tests.worlds import ALERT

TARGET = {"job": "gateway", "instance": "a"}
CLOCK = ScrapeClock("gateway", "a", 1_090.7, 1.0)
OTHERS = ScrapeClock("gateway", "b", 1_090.2, 1.0)


def history(**changes: object) -> AlertHistory:
    """WELL, of whose signal the one target is scraped at .7 of every second; the rule is evaluated at .5."""
    mine = RoutedAlert("f1", LABELS, "active", 1_008.5, receivers=("oncall",), updated_at_wall_s=1_008.8)
    known = replace(
        WELL, signal=(read(signal(1_002.0).samples, TARGET),), scrapes=(OTHERS, CLOCK),
        routed=(RoutedRead(1_008.3, ()), RoutedRead(1_009.3, (mine,))),
    )  # fmt: skip
    return replace(known, **changes)  # type: ignore[arg-type]


def test_every_wait_has_its_name_and_its_time() -> None:
    assert found(history()).parts == pytest.approx({
        "scrape wait, s": 0.7, "evaluation wait, s": 0.8, "window and threshold, s": 2.0, "for, s": 5.0, "sending, s": 0.3,
        "group wait, s": 1.2,
    })  # fmt: skip


def test_without_the_one_targets_clock_the_first_waits_stay_one() -> None:
    for unknown in (history(scrapes=()), history(signal=(signal(1_002.0),))):
        parts = found(unknown).parts
        assert parts["until pending, s"] == 3.5
        assert "scrape wait, s" not in parts


def test_what_never_became_pending_has_no_parts_and_what_never_fired_only_the_first_ones() -> None:
    assert found(SILENT).parts == {}
    waiting = replace(SILENT, pending=(alerts(1_003.5, 1_006.5),))
    assert list(found(waiting).parts) == ["until pending, s"]


@given(st.floats(0.0, 0.999), st.floats(0.05, 60.0), st.floats(1_003.6, 1_020.0), st.floats(0.0, 30.0))
def test_the_parts_are_together_the_time_until_somebody_was_told(
    phase: float, interval_s: float, firing: float, group_s: float
) -> None:
    clock = ScrapeClock("gateway", "a", 1_090.0 + phase * interval_s, interval_s)
    at = firing + group_s
    detection = found(
        history(scrapes=(clock,), firing=(alerts(firing, firing + 30.0),), deliveries=(told(at),), routed=())
    )
    parts = detection.parts
    assert all(wait >= 0.0 for wait in parts.values())
    reached = detection.stage(detection.stages[2].gate).after_s
    assert sum(parts.values()) == pytest.approx(reached, abs=1e-6)


def test_the_offsets_of_scrape_and_evaluation_are_told() -> None:
    clocked = tuple(
        replace(seen, evaluated={ALERT.alert: RuleClock(seen.at_wall_s // 15 * 15 + 3.25, 15.0)})
        for seen in WELL.polled
    )
    assert offsets(ALERT, history(polled=clocked), TIMES) == pytest.approx({
        "scrape offset, s": 0.7, "evaluation offset, s": 3.25,
    })  # fmt: skip
    assert offsets(ALERT, SILENT, TIMES) == {}


# --- the stages' own times --------------------------------------------------------------------------------------------


def active(*seen: RoutedRead) -> tuple[float, float, str]:
    stage = next(one for one in found(history(routed=seen)).stages if one.gate.value == "active")
    return round(stage.after_s or 0.0, 6), round(stage.error_s, 6), stage.source


def had(at: float, updated: float | None, state: str = "active") -> RoutedRead:
    return RoutedRead(
        at, (RoutedAlert("f1", LABELS, state, 1_008.5, receivers=("oncall",), updated_at_wall_s=updated),)
    )


def test_alertmanagers_own_time_counts_and_its_error_reaches_back_to_the_last_look_without_it() -> None:
    assert active(RoutedRead(1_008.7, ()), had(1_009.7, 1_008.8)) == (8.8, 0.1, "Alertmanager's updatedAt")
    assert active(RoutedRead(1_008.0, ()), had(1_009.7, 1_008.8)) == (8.8, 0.3, "Alertmanager's updatedAt")


def test_one_that_was_suppressed_became_active_between_two_looks() -> None:
    seen = (had(1_008.9, 1_008.8, "suppressed"), had(1_009.9, 1_008.8))
    assert active(*seen) == (9.9, 1.0, "Alertmanager, looked at every second")


def test_without_its_word_the_look_counts() -> None:
    assert active(RoutedRead(1_008.7, ()), had(1_009.7, None))[0] == 9.7


def test_firing_is_the_servers_word_and_never_the_moment_of_the_look() -> None:
    late = tuple(AlertsRead(at, ()) for at in (1_000.5, 1_008.0))
    seen = looks(1_012.0, 1_100.0, *(polled(at + 0.9, "firing", 1_003.5) for at in range(1_012, 1_036)))
    without = history(firing=(), pending=(), polled=(*late, *seen))
    firing = found(without).stages[2]
    assert (firing.after_s, firing.source) == (8.5, "startsAt")
    alone = found(replace(without, routed=(), deliveries=()), replace(ALERT, delivered_to=None)).stages[2]
    assert (alone.after_s, alone.error_s, alone.source) == (9.5, 1.0, "activeAt and `for`")


def test_a_notification_of_an_alert_that_began_before_the_fault_is_not_its_detection() -> None:
    old = replace(told(1_010.0), starts_at_wall_s=900.0)
    assert found(replace(WELL, deliveries=(old,))).outcome == "undelivered"
    assert TIMES.effect == EFFECT
