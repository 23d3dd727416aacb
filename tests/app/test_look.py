"""What a run's eyes see: no sink that is gone loses what another one has heard, and the expected rules' clocks are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.app.look import Look
from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.webhook import SinkClient
from chaos.errors import Unreachable
from chaos.observation import RuleClock
from tests.drivers.loopback import Asked, Said, now_wall_s, serving
from tests.worlds import PLAN

NOBODY = "http://127.0.0.1:9"
ALERT = {"status": "firing", "fingerprint": "f1", "labels": {"alertname": "A"}, "startsAt": "2024-01-02T03:04:05Z"}
NOTE = {"id": 7, "receiver": "on-call", "status": "firing", "groupLabels": {"team": "x"}, "alerts": [ALERT]}
RULE = {
    "name": "ModelAccuracyLow", "query": "accuracy < 1", "type": "alerting", "health": "ok", "state": "inactive",
    "lastEvaluation": "2024-01-02T03:04:05Z", "labels": {}, "alerts": [],
}  # fmt: skip


def look(prometheus: str = NOBODY, **sinks: str) -> Look:
    driver = PrometheusDriver(prometheus)
    return Look(PLAN, driver, driver, None, {name: SinkClient(url) for name, url in sinks.items()}, begun_wall_s=0.0)


def heard(asked: Asked) -> Said:
    """A sink that has one notification."""
    after = int(asked.path.split("=")[-1])
    notes = [{**NOTE, "received_at": 10.0}] if after < NOTE["id"] else []  # type: ignore[operator]
    return Said(200, json.dumps({"notifications": notes, "last": 7}).encode())


@pytest.mark.parametrize("order", [("oncall", "tickets"), ("tickets", "oncall")])
def test_a_sink_that_is_gone_loses_nothing_that_another_one_has_heard(order: tuple[str, str]) -> None:
    with serving(heard) as sink:
        urls = {"oncall": sink.url, "tickets": NOBODY}
        seen = look(**{name: urls[name] for name in order})
        read = seen.deliveries()
        assert [(one.receiver, one.notified, one.group) for one in read.deliveries] == [
            ("oncall", "on-call", {"team": "x"})
        ]
        assert read.unanswered == ("tickets",)
        assert seen.deliveries().deliveries == (), "each notification is told once"


def test_a_system_without_alertmanager_is_told_from_one_that_holds_nothing() -> None:
    assert look().routed().asked is False


def test_when_no_sink_answers_that_is_told_as_a_failure() -> None:
    with pytest.raises(Unreachable):
        look(oncall=NOBODY, tickets=NOBODY).deliveries()


def test_the_clocks_of_the_expected_rules_are_read_and_of_no_other() -> None:
    rules = [RULE, {**RULE, "name": "Another"}]
    group = {"name": "g", "interval": 15, "rules": rules}
    answer = Said(200, json.dumps({"status": "success", "data": {"groups": [group]}}).encode())
    with serving(lambda _: answer) as prometheus:
        read = look(prometheus.url).alerts()
    assert read.evaluated == {"ModelAccuracyLow": RuleClock(1_704_164_645.0, 15.0)}
    assert read.at_wall_s <= now_wall_s()


def test_alertmanager_is_asked_for_groups_and_silences_only_where_an_expected_alert_is_held() -> None:
    held = [
        {
            "fingerprint": "f1", "labels": {"alertname": name}, "startsAt": "2024-01-02T03:04:05Z", "receivers": [],
            "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": []},
        }
        for name in ("ModelAccuracyLow", "Another")
    ]  # fmt: skip
    silences = [
        {"id": name, "createdBy": "Ada", "comment": "", "endsAt": "2024-01-02T03:04:05Z"} for name in ("s1", "s2")
    ]
    rows = held[1:]

    def answer(asked: Asked) -> Said:
        path = Path(asked.path.split("?")[0]).name
        return Said(200, json.dumps({"alerts": rows, "groups": [], "silences": silences}[path]).encode())

    with serving(answer) as alertmanager:
        seen = look()
        seen.alertmanager = AlertmanagerDriver(alertmanager.url)
        assert (len(seen.routed().alerts), len(alertmanager.asked)) == (1, 1)
        rows = held
        assert [one.id for one in seen.routed().silences] == ["s1"]
        assert len(alertmanager.asked) == 4
