"""What deceives whoever watches alerts, each against a real Prometheus and a real Alertmanager: what looks like a recovery or like quiet
and is none, what keeps an alert from people, and what is told late but well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import requests

from chaos.detection import Gate
from chaos.lab.monitoring import Tools
from chaos.plans import PlannedAlert
from tests.detection.stand import RECEIVER, Settings, Stand, Watcher, found, standing
from tests.drivers.loopback import eventually, now_wall_s
from tests.worlds import ALERT

INTERVAL_S = 0.5
NAMES = (
    "Vanishes",
    "Mistaken",
    "Outlives",
    "Unsent",
    "Sick",
    "Quiet",
    "Silenced",
    "Inhibited",
    "Second",
    "First",
    "Namesake",
)
"""An alert each, on the gauge of the same name in lower case."""
RULES = "groups:\n- name: traps\n  rules:\n" + "".join(
    f"  - {{alert: {name}, expr: {name.lower()} > 0.5, labels: {{severity: page, team: {team}}}}}\n"
    for name in NAMES
    for team in [{"Second": "grouped", "First": "grouped"}.get(name, "alone")]
    if name not in ("Mistaken", "Namesake")
) + (
    "  - {alert: Mistaken, expr: mistaken * on() many > 0.5, labels: {severity: page}}\n"
    "  - {alert: Namesake, expr: namesake > 0.5, labels: {severity: ticket}}\n"
    "  - {alert: Renamed, expr: old_name > 0.5, labels: {severity: page}}\n"
    "  - {alert: Inhibitor, expr: inhibitor > 0.5, labels: {severity: page}}\n"
)  # fmt: skip
ALERTMANAGER = """
route:
  {receiver: oncall, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h, routes: [
    {receiver: oncall, matchers: ['team="grouped"'], group_by: [team], group_wait: 100ms, group_interval: 1m}]}
inhibit_rules: [{source_matchers: ['alertname="Inhibitor"'], target_matchers: ['alertname="Inhibited"']}]
receivers: [{name: oncall, webhook_configs: [{url: RECEIVER, send_resolved: true}]}]
"""


@pytest.fixture(scope="module")
def stand(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One stand for every trap; each trap leaves it as it found it."""
    gauges = {name.lower(): 0.0 for name in (*NAMES, "new_name", "inhibitor")}
    settings = Settings(RULES, ALERTMANAGER, INTERVAL_S, "1s")
    with standing(tmp_path_factory.mktemp("traps"), tools, settings, {**gauges, 'many{n="1"}': 1.0}) as made:
        yield made


@pytest.fixture(autouse=True)
def calm(stand: Stand) -> Iterator[None]:
    """Both servers run before each trap, and afterwards nothing is on."""
    for name in ("alertmanager", "prometheus"):
        if name not in stand.processes or stand.processes[name].poll() is not None:
            stand.start(name)
    eventually(lambda: stand.prometheus.query("up == 1"), 10, "the gauges are scraped")
    yield
    stand.gauges.down = stand.receiver.sick = False
    stand.gauges.set('many{n="2"}', None)
    for name in (*NAMES, "new_name", "inhibitor"):
        stand.gauges.set(name.lower(), 0.0)


def expected(name: str, **changes: object) -> PlannedAlert:
    """The alert of this name, expected at the receiver at any time, resolved within half a minute."""
    base = replace(
        ALERT, alert=name, within_s=None, delivered_to=RECEIVER, resolved_within_s=30.0, left=name.lower(), operator=">",
        threshold=0.5, for_s=0.0, group_wait_s=0.1, group_interval_s=1.0, lower_bound_s=0.0,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def watching(stand: Stand, alert: PlannedAlert) -> Watcher:
    """A run that has seen its baseline: three samples of what the rule reads."""
    watcher = Watcher(stand, [alert], INTERVAL_S)
    begun = now_wall_s()
    eventually(lambda: now_wall_s() > begun + 3.2, 5, "the baseline")
    return watcher


def looks_after(watcher: Watcher, at_wall_s: float) -> None:
    """Prometheus, Alertmanager and sink have been looked at since then."""

    def looked() -> bool:
        seen = watcher.seen()
        return (
            seen.alerts[-1].at_wall_s > at_wall_s
            and seen.sinks[-1][0] > at_wall_s
            and (seen.routed[-1].at_wall_s > at_wall_s or "routed" in seen.failed)
        )

    eventually(looked, 10, "a look")


def fires(stand: Stand, watcher: Watcher, name: str) -> None:
    """The fault has begun, and its alert has been told."""
    watcher.hurt(stand.gauges.set(name.lower(), 1.0))
    eventually(lambda: watcher.told(name, "firing"), 10, f"{name} is told")


def test_an_alert_that_ends_because_its_target_is_gone_has_not_recovered(stand: Stand) -> None:
    watcher = watching(stand, expected("Vanishes"))
    fires(stand, watcher, "Vanishes")
    stand.gauges.down = True  # the gauge is still bad, and nobody can see it
    eventually(lambda: watcher.told("Vanishes", "resolved"), 15, "Alertmanager tells that it is over")
    gone = now_wall_s()
    watcher.healed(gone)
    eventually(lambda: now_wall_s() > gone + 3.0, 5, "what is gone stays gone")
    detection = found(watcher.end(), "Vanishes")
    assert detection.outcome == "undecided"
    assert "because what its rule reads was gone, not because it was good again" in detection.explanation
    assert detection.stage(Gate.reset).at_wall_s is None


def test_it_has_recovered_when_its_target_is_back_and_good(stand: Stand) -> None:
    watcher = watching(stand, expected("Vanishes"))
    fires(stand, watcher, "Vanishes")
    stand.gauges.down = True
    eventually(lambda: watcher.told("Vanishes", "resolved"), 15, "Alertmanager tells that it is over")
    healed = stand.gauges.set("vanishes", 0.0)
    watcher.healed(healed)
    eventually(lambda: now_wall_s() > healed + 3.0, 5, "it is good, and nobody can see it yet")
    back = now_wall_s()
    stand.gauges.down = False
    eventually(lambda: now_wall_s() > back + 2.5, 5, "it is scraped again")
    detection = found(watcher.end(), "Vanishes")
    assert detection.outcome == "detected"
    assert "that came back later" in detection.explanation
    assert back <= healed + (detection.resolved_after_s or 0.0) <= back + 2.5


def test_a_rule_that_fails_under_the_fault_is_nobodys_miss(stand: Stand) -> None:
    watcher = watching(stand, expected("Mistaken"))
    stand.gauges.set('many{n="2"}', 1.0)
    watcher.hurt(stand.gauges.set("mistaken", 1.0))
    eventually(lambda: any("Mistaken" in seen.unhealthy for seen in watcher.seen().alerts), 10, "the rule fails")
    watcher.healed(now_wall_s())
    seen = watcher.end()
    assert all(not look.alerts for look in seen.alerts), "the trap: it merely looks inactive"
    detection = found(seen, "Mistaken")
    assert (detection.outcome, detection.failed_gate) == ("invalid", Gate.alive)
    assert "many-to-many" in detection.explanation


def test_a_renamed_metric_fails_at_the_signal_and_is_called_missing(stand: Stand) -> None:
    watcher = watching(stand, expected("Renamed", left="old_name"))
    hurt = stand.gauges.set("new_name", 1.0)
    watcher.hurt(hurt)
    eventually(lambda: now_wall_s() > hurt + 2.0, 5, "it had its time")
    watcher.healed(now_wall_s())
    looks_after(watcher, now_wall_s())
    detection = found(watcher.end(), "Renamed")
    assert (detection.outcome, detection.failed_gate) == ("undetected", Gate.signal)
    assert "returned nothing at all: renamed, or not scraped" in detection.explanation


def test_a_prometheus_that_died_while_it_fired_makes_no_reset_of_alertmanagers_own_resolve(stand: Stand) -> None:
    watcher = watching(stand, expected("Outlives"))
    fires(stand, watcher, "Outlives")
    stand.kill("prometheus")
    eventually(lambda: watcher.told("Outlives", "resolved"), 20, "Alertmanager gives it up")
    falsely = watcher.seen().deliveries[-1].received_at_wall_s
    watcher.healed(now_wall_s())
    open_ = found(watcher.seen(), "Outlives")
    assert open_.outcome == "undecided"
    assert "Alertmanager says so by itself when Prometheus is silent" in open_.explanation
    assert open_.stage(Gate.reset).at_wall_s is None
    stand.gauges.set("outlives", 0.0)
    back = now_wall_s()
    stand.start("prometheus")  # its last samples are still there, so it fires once more until it has scraped again
    eventually(
        lambda: (last := watcher.seen().alerts[-1]).at_wall_s > back and not last.alerts,
        20,
        "Prometheus says it is over",
    )
    eventually(lambda: stand.alertmanager.alerts() == [], 20, "Alertmanager knows it, too")
    looks_after(watcher, now_wall_s() + 1.5)
    detection = found(watcher.end(), "Outlives")
    assert detection.outcome == "detected"
    at = detection.stage(Gate.reset).at_wall_s
    assert at is not None
    assert falsely < back <= at, "it is over when Prometheus says so"


def test_a_dead_alertmanager_is_broken_monitoring_though_prometheus_fires(stand: Stand) -> None:
    watcher = watching(stand, expected("Unsent"))
    stand.kill("alertmanager")
    watcher.hurt(stand.gauges.set("unsent", 1.0))
    eventually(
        lambda: any(one.state == "firing" for seen in watcher.seen().alerts for one in seen.alerts), 10, "it fires"
    )
    looks_after(watcher, now_wall_s() + 1.0)
    watcher.healed(now_wall_s())
    looks_after(watcher, now_wall_s())
    detection = found(watcher.end(), "Unsent")
    assert (detection.outcome, detection.failed_gate) == ("invalid", Gate.alive)
    assert "Alertmanager did not answer" in detection.explanation
    assert detection.stage(Gate.firing).at_wall_s is not None, "the trap: Prometheus says that it fires"


def test_a_receiver_that_is_sick_and_heals_is_told_once_and_when_it_healed(stand: Stand) -> None:
    watcher = watching(stand, expected("Sick"))
    stand.receiver.sick = True
    stand.receiver.came.clear()
    watcher.hurt(stand.gauges.set("sick", 1.0))
    eventually(lambda: len(stand.receiver.came) >= 3, 15, "Alertmanager tries again")
    healed = now_wall_s()
    stand.receiver.sick = False
    eventually(lambda: watcher.told("Sick", "firing"), 15, "it is told")
    stand.gauges.set("sick", 0.0)
    watcher.healed(now_wall_s())
    eventually(lambda: watcher.told("Sick", "resolved"), 15, "its end is told")
    looks_after(watcher, now_wall_s() + 0.5)
    seen = watcher.end()
    detection = found(seen, "Sick")
    taken = next(at for at, status in stand.receiver.came if status == 200)
    assert detection.outcome == "detected"
    assert detection.stage(Gate.delivered).at_wall_s == pytest.approx(taken, abs=0.15)
    assert taken >= healed
    assert sum(one.status == "firing" and one.labels["alertname"] == "Sick" for one in seen.deliveries) == 1
    assert detection.parts["group wait, s"] >= 1.0, "the wait for the receiver is told apart from the rest"


# --- what keeps an alert from people ----------------------------------------------------------------------------------


def untold(stand: Stand, watcher: Watcher, name: str) -> str:
    """The explanation of an alert that fired and was held in Alertmanager, of which nobody was told."""
    watcher.hurt(stand.gauges.set(name.lower(), 1.0))
    eventually(
        lambda: any(one.labels["alertname"] == name for seen in watcher.seen().routed for one in seen.alerts),
        10, f"{name} is held",
    )  # fmt: skip
    looks_after(watcher, now_wall_s() + 1.0)
    watcher.healed(now_wall_s())
    looks_after(watcher, now_wall_s())
    detection = found(watcher.end(), name)
    assert detection.outcome == "undelivered", detection.explanation
    return detection.explanation


def test_a_silence_that_kept_it_quiet_is_named_with_whose_it_is_why_and_until_when(stand: Stand) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    body = {
        "matchers": [{"name": "alertname", "value": "Silenced", "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": until.isoformat(), "createdBy": "Ada", "comment": "we deploy",
    }  # fmt: skip
    made = requests.post(f"{stand.alertmanager.url}/api/v2/silences", json=body, timeout=5)
    silence = made.json()["silenceID"]
    told = untold(stand, watching(stand, expected("Silenced")), "Silenced")
    assert f"silenced by Ada's silence {silence} until {until:%Y-%m-%d %H:%M:%S} UTC (we deploy)" in told


def test_an_alert_that_inhibited_it_is_named(stand: Stand) -> None:
    stand.gauges.set("inhibitor", 1.0)
    watcher = watching(stand, expected("Inhibited"))
    assert "inhibited by Inhibitor" in untold(stand, watcher, "Inhibited")


def test_a_group_that_was_told_before_and_waits_is_named(stand: Stand) -> None:
    watcher = watching(stand, expected("Second", group_interval_s=60.0))
    stand.gauges.set("first", 1.0)
    eventually(lambda: watcher.told("First", "firing"), 10, "the group has been told of another alert")
    told = untold(stand, watcher, "Second")
    assert "its group was told" in told
    assert "waits group_interval 1m" in told


def test_an_alert_with_the_expected_name_and_other_labels_is_the_wrong_one(stand: Stand) -> None:
    watcher = watching(stand, expected("Namesake"))
    watcher.hurt(stand.gauges.set("namesake", 1.0))
    eventually(
        lambda: any(one.state == "firing" for seen in watcher.seen().alerts for one in seen.alerts), 10, "it fires"
    )
    watcher.healed(now_wall_s())
    looks_after(watcher, now_wall_s())
    detection = found(watcher.end(), "Namesake")
    assert detection.outcome == "wrong_alert"
    assert 'Namesake{severity="ticket"}' in detection.explanation
