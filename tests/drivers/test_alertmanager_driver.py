"""Alertmanager and the notification sink as the drivers read them, against real ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests

from chaos.telemetry import AlertInstance, NotifiedAlert
from tests.drivers.conftest import GAUGE, ODD, Watch
from tests.drivers.loopback import eventually, now_wall_s


def held(watch: Watch, name: str) -> AlertInstance | None:
    return next((alert for alert in watch.alertmanager.alerts() if alert.labels["alertname"] == name), None)


def in_state(watch: Watch, name: str, state: str) -> AlertInstance:
    return eventually(
        lambda: (found := held(watch, name)) is not None and found.state == state and found, 15, f"{name} is {state}"
    )


def notified(watch: Watch, name: str, status: str, after: int) -> list[tuple[float, NotifiedAlert]]:
    return [
        (note.received_at_wall_s, alert)
        for note in watch.sink.notifications(after)
        for alert in note.alerts
        if alert.labels["alertname"] == name and alert.status == status
    ]


def test_an_alert_is_active_told_and_resolved_and_all_three_parts_agree_on_when_it_began(watch: Watch) -> None:
    eventually(lambda: held(watch, "GaugeHigh") is None, 15, "no earlier GaugeHigh is left")
    before = max((note.id for note in watch.sink.notifications()), default=0)
    begun_wall_s = now_wall_s()
    watch.gauges.set(GAUGE, 7)
    try:
        active = in_state(watch, "GaugeHigh", "active")
        told = eventually(lambda: notified(watch, "GaugeHigh", "firing", before), 10, "the notification")
    finally:
        watch.gauges.set(GAUGE, 0)
    resolved = eventually(lambda: notified(watch, "GaugeHigh", "resolved", before), 15, "the notification of the end")
    (received_wall_s, alert), (ended_wall_s, gone) = told[0], resolved[0]
    rule = next(rule for rule in watch.prometheus.rules() if rule.name == "GaugeHigh")
    assert (active.labels["odd"], alert.labels["odd"]) == (ODD, ODD)
    assert alert.fingerprint == active.fingerprint == gone.fingerprint
    assert alert.starts_at_wall_s == pytest.approx(active.starts_at_wall_s, abs=0.002)
    assert active.starts_at_wall_s >= begun_wall_s + rule.for_s - 0.1, "startsAt is when it fired, `for` included"
    assert active.starts_at_wall_s <= received_wall_s <= now_wall_s()
    assert alert.ends_at_wall_s is None
    assert gone.ends_at_wall_s is not None
    assert received_wall_s < gone.ends_at_wall_s <= ended_wall_s


def test_only_notifications_after_an_id_are_given_and_in_order(watch: Watch) -> None:
    everything = eventually(watch.sink.notifications, 15, "the standing alert Inhibitor is told")
    assert [note.id for note in everything] == sorted(note.id for note in everything)
    assert [note.id for note in watch.sink.notifications(everything[0].id)] == [note.id for note in everything[1:]]
    assert watch.sink.notifications(everything[-1].id + 1000) == []
    assert everything[0].receiver == "oncall"


def test_a_silenced_alert_is_suppressed_and_names_its_silence(watch: Watch) -> None:
    found = in_state(watch, "Silenced", "suppressed")
    assert found.silenced_by == (watch.silence,)
    assert found.inhibited_by == ()


def test_a_silence_is_read_with_who_made_it_and_why_and_until_when(watch: Watch) -> None:
    (silence,) = [one for one in watch.alertmanager.silences() if one.id == watch.silence]
    assert (silence.created_by, silence.comment) == ("a test", "to be seen")
    assert silence.ends_at_wall_s == datetime(2099, 1, 1, tzinfo=UTC).timestamp()


def test_an_alert_is_known_by_the_groups_in_which_it_is_told(watch: Watch) -> None:
    found = in_state(watch, "Inhibited", "suppressed")
    groups = eventually(lambda: watch.alertmanager.groups().get(found.fingerprint), 10, "Inhibited is in a group")
    assert {group.receiver for group in groups} == {"tickets", "tickets-too"}
    assert all(dict(group.labels) == {"alertname": "Inhibited"} for group in groups)


def test_alertmanager_says_when_it_last_heard_of_an_alert_and_the_sink_which_group_was_told(watch: Watch) -> None:
    found = in_state(watch, "Inhibitor", "active")
    assert found.updated_at_wall_s is not None
    assert found.starts_at_wall_s <= found.updated_at_wall_s <= now_wall_s()
    notes = eventually(watch.sink.notifications, 15, "the standing alert Inhibitor is told")
    (told,) = {
        one.group["alertname"] for one in notes if one.group and one.alerts[0].labels["alertname"] == "Inhibitor"
    }
    assert told == "Inhibitor"


def test_an_inhibited_alert_is_suppressed_and_names_who_inhibits_it(watch: Watch) -> None:
    source = in_state(watch, "Inhibitor", "active")
    found = in_state(watch, "Inhibited", "suppressed")
    assert found.inhibited_by == (source.fingerprint,)
    assert found.silenced_by == ()


@pytest.mark.parametrize("name", ["Inhibitor", "Inhibited", "Silenced"])
def test_our_reading_of_the_routes_says_the_same_as_alertmanager(watch: Watch, name: str) -> None:
    found = eventually(lambda: held(watch, name), 15, f"{name} has arrived")
    ours = [route.receiver for route in watch.alertmanager.route().routes_for(found.labels)]
    assert ours == list(found.receivers)


def test_routes_inherit_what_they_do_not_say(watch: Watch) -> None:
    route = watch.alertmanager.route()
    assert (route.receiver, route.group_by, route.group_wait_s, route.group_interval_s) == (
        "oncall",
        ("alertname",),
        0.1,
        1.0,
    )
    tickets, too = route.children
    assert (tickets.receiver, tickets.group_wait_s, tickets.group_interval_s, tickets.continue_) == (
        "tickets",
        0.2,
        1.0,
        True,
    )
    assert (too.receiver, too.group_wait_s, too.continue_) == ("tickets-too", 0.1, False)


def test_an_alert_without_an_end_by_itself_has_the_end_that_alertmanager_assumes(watch: Watch) -> None:
    found = in_state(watch, "Inhibitor", "active")
    assert found.ends_at_wall_s is not None
    assert found.ends_at_wall_s > found.starts_at_wall_s


def test_the_sink_refuses_what_is_no_notification_and_goes_on(watch: Watch) -> None:
    before = len(watch.sink.notifications())
    for body in (b"{", b"[]", b'"text"', b"\xff\xfe", b'{"alerts": ["text"]}', b'{"alerts": 3}'):
        assert requests.post(f"{watch.sink.url}/", data=body, timeout=5).status_code == 400, body
    assert requests.get(f"{watch.sink.url}/notifications", params={"after": "x"}, timeout=5).status_code == 400
    watch.sink.ready()
    assert len(watch.sink.notifications()) >= before
    assert all(note.receiver for note in watch.sink.notifications()), "nothing of it was kept"
