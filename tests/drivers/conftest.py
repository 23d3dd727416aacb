"""A real Prometheus and a real Alertmanager, watching a gauge that the tests set, telling a real sink."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.webhook import SinkClient
from chaos.lab import monitoring
from chaos.lab.monitoring import Tools
from tests.drivers.loopback import Asked, Said, eventually, module, ready, running, serving
from tests.drivers.rule_stand import rule_stand  # noqa: F401 - a fixture

STATE = Path(__file__).parents[2] / ".chaos"
ODD = 'a "b" \\c\nd {é} 東京'
"""A label value with everything that has to be escaped somewhere."""

RULES = r"""
groups:
  - name: tests
    interval: 1s
    rules:
      - alert: GaugeHigh
        expr: chaos_gauge > 1
        for: 2s
        labels: {severity: page}
        annotations: {summary: "it is {{ $value }}"}
      - {alert: NeverLongEnough, expr: chaos_waiting > 1, for: 1h, labels: {severity: page}}
      - {alert: Quiet, expr: chaos_gauge > 1000, labels: {severity: page}}
      - {alert: ManyToMany, expr: chaos_many * on() chaos_many > 0, labels: {severity: page}}
      - {alert: Inhibitor, expr: chaos_always > 0, labels: {severity: page, family: inhibition}}
      - {alert: Inhibited, expr: chaos_always > 0, labels: {severity: ticket, family: inhibition}}
      - {alert: Silenced, expr: chaos_always > 0, labels: {severity: ticket}}
"""
ALERTMANAGER = """
route:
  receiver: oncall
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - {receiver: tickets, matchers: ['severity="ticket"'], group_wait: 200ms, continue: true}
    - {receiver: tickets-too, matchers: ['severity=~"tic.*"', 'alertname!="Silenced"']}
inhibit_rules:
  - {source_matchers: ['alertname="Inhibitor"'], target_matchers: ['alertname="Inhibited"'], equal: [family]}
receivers:
  - {name: oncall, webhook_configs: [{url: 'SINK', send_resolved: true}]}
  - {name: tickets}
  - {name: tickets-too}
"""


class Gauges:
    """What the exporter exposes; set by tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}

    def set(self, name: str, value: float) -> None:
        """From the next scrape on the gauge has this value."""
        with self._lock:
            self._values[name] = value

    def exposed(self, _: Asked) -> Said:
        """The text that Prometheus scrapes."""
        with self._lock:
            lines = [f"{name} {value}\n" for name, value in self._values.items()]
        return Said(200, "".join(lines).encode(), "text/plain; version=0.0.4; charset=utf-8")


def escaped(value: str) -> str:
    """A label value in the exposition format (and in PromQL)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


GAUGE = f'chaos_gauge{{odd="{escaped(ODD)}"}}'
WAITING = "chaos_waiting"


@dataclass(frozen=True, slots=True)
class Watch:
    """The whole chain, up and watching."""

    gauges: Gauges
    prometheus: PrometheusDriver
    alertmanager: AlertmanagerDriver
    sink: SinkClient
    exporter: str
    silence: str
    """The id of the silence on the alert `Silenced`."""


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The programs, from PATH or unpacked below .chaos."""
    return monitoring.find(STATE)


def _files(folder: Path, tools: Tools, exporter: str, alertmanager: str, sink: str) -> None:
    (folder / "rules.yml").write_text(RULES)
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.replace("SINK", f"http://{sink}/"))
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}\n"
        f"rule_files: ['{folder}/rules.yml']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: exporter, static_configs: [{{targets: ['{exporter}', '127.0.0.1:9']}}]}}]\n"
    )
    for template in tools.templates.glob("*.tmpl") if tools.templates else ():
        shutil.copy(template, folder)


def _up(using: AlertmanagerDriver | PrometheusDriver, folder: Path) -> None:
    eventually(lambda: ready(using), 20, f"{using.url} is ready; its log is in {folder}")


def _silence(alertmanager: str) -> str:
    matcher = {"name": "alertname", "value": "Silenced", "isRegex": False, "isEqual": True}
    times = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    body = {"matchers": [matcher], "createdBy": "a test", "comment": "to be seen", **times}
    answer = requests.post(f"{alertmanager}/api/v2/silences", json=body, timeout=5)
    answer.raise_for_status()
    return str(answer.json()["silenceID"])


def _commands(folder: Path, tools: Tools, prometheus: int, alertmanager: int) -> Mapping[str, list[str]]:
    return {
        "alertmanager": [
            str(tools.alertmanager), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am-data",
            f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=", "--log.level=warn",
        ],
        "prometheus": [
            str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{prometheus}", "--rules.alert.resend-delay=2s", "--log.level=warn",
        ],
    }  # fmt: skip


@pytest.fixture(scope="session")
def watch(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Exporter, Prometheus, Alertmanager and sink; the first samples are in and the standing alerts are routed."""
    folder = tmp_path_factory.mktemp("watch")
    gauges = Gauges()
    for name, value in (
        (GAUGE, 0),
        (WAITING, 0),
        ('chaos_many{n="1"}', 1),
        ('chaos_many{n="2"}', 1),
        ("chaos_always", 1),
    ):
        gauges.set(name, value)
    ports = free_ports(2)
    with ExitStack() as stack:
        exporter = stack.enter_context(serving(gauges.exposed)).url
        sink = stack.enter_context(module("chaos.sink", "--log", str(folder / "notes.jsonl"), folder=folder))["sink"]
        _files(folder, tools, exporter.removeprefix("http://"), f"127.0.0.1:{ports[1]}", sink)
        commands = _commands(folder, tools, ports[0], ports[1])
        alertmanager = AlertmanagerDriver(f"http://127.0.0.1:{ports[1]}")
        stack.enter_context(running(commands["alertmanager"], folder, "alertmanager"))
        _up(alertmanager, folder)
        silence = _silence(alertmanager.url)
        prometheus = PrometheusDriver(f"http://127.0.0.1:{ports[0]}")
        stack.enter_context(running(commands["prometheus"], folder, "prometheus"))
        _up(prometheus, folder)
        watch = Watch(gauges, prometheus, alertmanager, SinkClient(f"http://{sink}"), exporter, silence)
        eventually(lambda: prometheus.query("chaos_always"), 20, "the first sample")
        yield watch
