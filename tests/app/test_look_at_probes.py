"""What a run sees of its probes: every series with its labels, as Prometheus tells them."""

from __future__ import annotations

import json
from dataclasses import replace

from chaos.app.look import Look
from chaos.drivers.prometheus import PrometheusDriver
from tests.drivers.loopback import Asked, Said, serving
from tests.worlds import ALERT, PLAN

SERIES = [
    {"metric": {"group": "a"}, "value": [1_700_000_000.5, "0.93"]},
    {"metric": {"group": "b"}, "value": [1_700_000_000.5, "0.71"]},
]


def answer(asked: Asked) -> Said:
    return Said(body=json.dumps({"status": "success", "data": {"resultType": "vector", "result": SERIES}}).encode())


def test_every_series_of_a_probe_is_read_with_its_labels() -> None:
    with serving(answer) as server:
        driver = PrometheusDriver(server.url)
        (reading,) = Look(PLAN, driver, driver, None, {}).probes(None).readings
    assert reading.values == (0.93, 0.71)
    assert reading.labels == ({"group": "a"}, {"group": "b"})


def test_nobody_asks_prometheus_for_an_alert_that_only_its_sink_knows() -> None:
    with serving(answer) as server:
        driver = PrometheusDriver(server.url)
        for alert in (ALERT, replace(ALERT, via="sink", left=None)):
            Look(replace(PLAN, probes=(), alerts=(alert,)), driver, driver, None, {}).collect(())
            asked = [one for one in server.asked if "ALERTS" in one.path or b"ALERTS" in one.body]
            assert bool(asked) is (alert.via == "prometheus")
            server.asked.clear()
