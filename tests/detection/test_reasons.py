"""Why nobody was told: blind monitoring, a silence, an inhibiting alert, a group that waits, another alert instead; from hand-made histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.detection import AlertHistory, Gate
from chaos.observation import AlertSeen, AlertsRead, Delivered, RoutedAlert, RoutedRead, RuleClock
from chaos.telemetry import AlertGroup, Silence
from tests.test_detection import LABELS, SILENT, TIMES, UNTOLD, WELL, found, held, looks, polled, told
from tests.worlds import ALERT

OTHER = {"alertname": "GatewayErrors", "service": "loan"}
GROUP = AlertGroup("oncall", {"team": "loans"})


def clocked(history: AlertHistory, until: float) -> AlertHistory:
    """The history of a rule that was last evaluated at `until`."""
    looked = tuple(
        replace(seen, evaluated={ALERT.alert: RuleClock(min(seen.at_wall_s - 0.2, until), 1.0)})
        for seen in history.polled
    )
    return replace(history, polled=looked)


# --- monitoring was blind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silent_s", "outcome"), [(14.0, "undetected"), (17.0, "invalid")])
def test_a_prometheus_that_is_silent_for_long_is_nobodys_miss(silent_s: float, outcome: str) -> None:
    kept = [one for one in SILENT.polled if not 1_005.0 < one.at_wall_s < 1_005.0 + silent_s]
    detection = found(replace(SILENT, polled=kept))
    assert detection.outcome == outcome
    assert (detection.failed_gate is Gate.alive) is (outcome == "invalid")


def test_a_rule_that_is_not_evaluated_any_more_is_nobodys_miss() -> None:
    detection = found(clocked(SILENT, 1_010.0))
    assert (detection.outcome, detection.failed_gate) == ("invalid", Gate.alive)
    assert "its rule was not evaluated for" in detection.explanation
    assert found(clocked(SILENT, 1_100.0)).outcome == "undetected"


def test_a_rule_that_is_not_loaded_any_more_is_nobodys_miss() -> None:
    detection = found(replace(SILENT, polled=tuple(replace(seen, evaluated={}) for seen in SILENT.polled)))
    assert detection.outcome == "invalid"
    assert "Prometheus had no rule ModelAccuracyLow any more" in detection.explanation


def test_a_slow_rule_group_is_waited_for_at_its_own_interval() -> None:
    slow = tuple(
        replace(seen, evaluated={ALERT.alert: RuleClock(seen.at_wall_s // 20 * 20, 20.0)}) for seen in SILENT.polled
    )
    assert found(replace(SILENT, polled=slow)).outcome == "undetected"


def test_who_was_told_was_told_however_often_prometheus_was_silent() -> None:
    kept = [one for one in WELL.polled if not 1_005.0 < one.at_wall_s < 1_025.0]
    assert found(replace(WELL, polled=kept)).outcome == "detected"


def test_an_alertmanager_that_did_not_answer_is_nobodys_miss() -> None:
    dead = replace(WELL, deliveries=(), routed=held(970.0, 1_008.0))
    detection = found(dead)
    assert (detection.outcome, detection.failed_gate) == ("invalid", Gate.alive)
    assert "it fired, and Alertmanager did not answer for" in detection.explanation
    assert found(replace(dead, routed=held(970.0, 1_040.0))).outcome == "undelivered"
    assert found(dead, UNTOLD).outcome == "detected", "where nobody need be told, nobody asks Alertmanager"


def test_a_system_without_alertmanager_is_not_blamed_for_what_that_would_hold() -> None:
    nobody = tuple(replace(seen, asked=False) for seen in held(970.0, 1_100.0))
    detection = found(replace(WELL, deliveries=(), routed=nobody))
    assert (detection.outcome, detection.failed_gate) == ("undelivered", Gate.delivered)


# --- something kept it quiet ------------------------------------------------------------------------------------------


def suppressed(*others: RoutedAlert, silences: tuple[Silence, ...] = (), **why: tuple[str, ...]) -> str:
    mine = RoutedAlert("f1", LABELS, "suppressed", 1_008.5, receivers=("oncall",), **why)
    looked = RoutedRead(1_009.0, (mine, *others), silences=silences)
    detection = found(replace(WELL, routed=(looked,), deliveries=()))
    assert (detection.outcome, detection.failed_gate) == ("undelivered", Gate.active)
    return detection.explanation


def test_a_silence_is_told_with_who_made_it_why_and_until_when() -> None:
    silence = Silence("s-17", "Ada", "we deploy,\nagain " + "x" * 500, 1_700_000_000.0)
    said = suppressed(silences=(silence,), silenced_by=("s-17",))
    assert "silenced by Ada's silence s-17 until 2023-11-14 22:13:20 UTC (we deploy, again xx" in said
    assert len(said) < 400
    assert "\n" not in said


def test_several_silences_are_all_told() -> None:
    silence = Silence("s-17", "", "", 1_700_000_000.0)
    said = suppressed(silences=(silence,), silenced_by=("s-17", "s-18"))
    assert "nobody's silence s-17 until 2023-11-14 22:13:20 UTC and silenced by silence s-18" in said


def test_an_inhibiting_alert_is_told_by_its_name() -> None:
    source = RoutedAlert("f9", {"alertname": "DatacentreDown"}, "active", 900.0)
    assert "inhibited by DatacentreDown" in suppressed(source, inhibited_by=("f9",))
    assert "inhibited by f9" in suppressed(inhibited_by=("f9",))


# --- its group waits --------------------------------------------------------------------------------------------------


def grouped(at: float, told_at: float, group: dict[str, str], *, later: float | None = None) -> str:
    """The explanation of an alert that was held at `at`, and of whose group another alert was told at `told_at`."""
    mine = RoutedAlert("f1", LABELS, "active", 1_008.5, receivers=("oncall",), updated_at_wall_s=at, groups=(GROUP,))
    other = Delivered("oncall", told_at, "firing", "f2", OTHER, told_at, notified="oncall", group=group)
    deliveries = (other,) if later is None else (other, told(later), told(1_095.0, "resolved"))
    alert = replace(ALERT, group_interval_s=60.0, within_s=30.0)
    return found(replace(WELL, routed=(RoutedRead(1_009.4, (mine,)),), deliveries=deliveries), alert).explanation


def test_a_group_that_was_told_shortly_before_is_why_nobody_was_told() -> None:
    assert "its group was told 12s before and waits group_interval 1m" in grouped(1_009.0, 997.0, {"team": "loans"})


def test_a_group_that_was_told_shortly_before_is_why_it_was_late() -> None:
    said = grouped(1_009.0, 997.0, {"team": "loans"}, later=1_057.0)
    assert said == "told after 57.0s; asked for within 30s; its group was told 12s before and waits group_interval 1m"


@pytest.mark.parametrize(
    ("told_at", "group"), [(997.0, {"team": "cards"}), (940.0, {"team": "loans"}), (1_011.0, {"team": "loans"})]
)
def test_another_group_and_another_time_explain_nothing(told_at: float, group: dict[str, str]) -> None:
    assert "its group" not in grouped(1_009.0, told_at, group)


def test_whom_alertmanager_tells_instead_is_named() -> None:
    elsewhere = RoutedAlert("f1", LABELS, "active", 1_008.5, receivers=("tickets",))
    detection = found(replace(WELL, routed=(RoutedRead(1_009.0, (elsewhere,)),), deliveries=()))
    assert detection.explanation.endswith("(Alertmanager routes it to tickets)")


# --- another one fired ------------------------------------------------------------------------------------------------


def firing(labels: dict[str, str], active_at: float = 1_004.0) -> AlertHistory:
    """A history in which the expected alert is silent and this one fires."""
    seen = [polled(at + 0.4, "firing", active_at, labels) for at in range(1_009, 1_030)]
    return replace(
        SILENT, polled=looks(970.0, 1_100.0, *seen), match={"service": "loan"}, expected=frozenset({ALERT.alert})
    )


def test_another_alert_of_the_system_that_fires_is_the_wrong_one() -> None:
    detection = found(firing(OTHER))
    assert (detection.outcome, detection.failed_gate) == ("wrong_alert", Gate.signal)
    assert detection.explanation.startswith("GatewayErrors (active 4.0s after the first effect) fired instead; ")


@pytest.mark.parametrize(
    "history",
    [
        firing({**OTHER, "service": "cards"}),
        firing(OTHER, active_at=985.0),
        replace(firing(OTHER), expected=frozenset({ALERT.alert, "GatewayErrors"})),
    ],
    ids=["of another system", "since before the fault", "expected, too"],
)
def test_what_has_nothing_to_do_with_it_is_not_the_wrong_alert(history: AlertHistory) -> None:
    assert found(history).outcome == "undetected"


def test_an_alert_that_is_only_pending_told_nobody() -> None:
    pending = AlertsRead(1_009.4, (AlertSeen("GatewayErrors", OTHER, "pending", 1_004.0),))
    assert found(replace(SILENT, polled=looks(970.0, 1_100.0, pending))).outcome == "undetected"


def test_many_others_are_counted() -> None:
    seen = AlertsRead(1_009.4, tuple(AlertSeen(f"Other{n}", {"service": "loan"}, "firing", 1_004.0) for n in range(5)))
    said = found(replace(SILENT, polled=looks(970.0, 1_100.0, seen))).explanation
    assert "Other2" in said
    assert "2 more fired instead" in said
    assert TIMES.effect == 1_000.0


def test_a_rule_of_which_nothing_was_read_is_told_as_such() -> None:
    assert "returned nothing at all: renamed, or not scraped" in found(replace(SILENT, signal=())).explanation
    assert "returned nothing" not in found(SILENT).explanation


def test_what_the_fault_is_meant_to_break_excuses_no_silence() -> None:
    dead = replace(WELL, deliveries=(), routed=held(970.0, 1_008.0))
    assert found(replace(dead, breaks=frozenset({"alertmanager"}))).outcome == "undelivered"
    assert found(replace(dead, breaks=frozenset({"prometheus"}))).outcome == "invalid", "another one is no excuse"
    blind_ = replace(SILENT, looked=False, polled=(), unhealthy="parse error")
    assert found(blind_).outcome == "invalid"
    assert found(replace(blind_, breaks=frozenset({"prometheus"}))).outcome == "undetected"
