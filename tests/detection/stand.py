"""A fast Prometheus, an Alertmanager and a sink around gauges that the caller sets, watched as a run watches them.

gauges ◀─ scrape ─ Prometheus ─▶ Alertmanager ─▶ receiver (may be sick) ─▶ sink          `Watcher` looks at all three every second
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests

from chaos.app.look import Look
from chaos.detection import AlertHistory, Detection, Times, detect
from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver, wall_of
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError
from chaos.events import (
    Applied,
    Apply,
    Collected,
    Observed,
    QueryFailed,
    Record,
    RunStarted,
    State,
    StateEntered,
    Undone,
)
from chaos.journal import Line, chain, from_text
from chaos.judging import noticed
from chaos.judging.trace import Trace, trace
from chaos.lab.monitoring import Tools
from chaos.observation import Observation
from chaos.plans import Plan, PlannedAlert
from tests.drivers.loopback import Asked, Said, end, eventually, module, now_wall_s, serving
from tests.worlds import KILL, PLAN

RECEIVER = "oncall"


@dataclass
class Gauges:
    """The page that Prometheus scrapes. `scraped` notes when each page was made; `down` answers 500 instead."""

    values: dict[str, float] = field(default_factory=dict)
    scraped: list[float] = field(default_factory=list)
    down: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, name: str, value: float | None) -> float:
        """From the next scrape on the gauge has this value, or is gone; when it was set, in wall-clock seconds."""
        with self.lock:
            if value is None:
                self.values.pop(name, None)
            else:
                self.values[name] = value
            return now_wall_s()

    def page(self, _: Asked) -> Said:
        """What Prometheus gets."""
        with self.lock:
            self.scraped.append(now_wall_s())
            if self.down:
                return Said(500, b"")
            lines = "".join(f"{name} {value}\n" for name, value in self.values.items())
        return Said(200, lines.encode(), "text/plain; version=0.0.4; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Told:
    """One alert in one notification: when it came, when the sink had it, and between which evaluations it fired, as it says itself."""

    alert: str
    status: str
    came: float
    passed: float
    starts: float
    ends: float


@dataclass
class Receiver:
    """The receiver in front of the sink: it notes when each notification came, and answers 500 while it is sick."""

    sink: str = ""
    sick: bool = False
    came: list[tuple[float, int]] = field(default_factory=list)
    """When each notification came, and what was answered."""
    told: list[Told] = field(default_factory=list)
    """Everything that it was told."""

    def take(self, asked: Asked) -> Said:
        """One notification, passed on to the sink unless the receiver is sick."""
        at = now_wall_s()
        if self.sick:
            self.came.append((at, 500))
            return Said(500, b"")
        answer = requests.post(f"{self.sink}/", data=asked.body, timeout=5)
        self.came.append((at, answer.status_code))
        passed = now_wall_s()
        self.told += [
            Told(
                alert["labels"]["alertname"],
                alert["status"],
                at,
                passed,
                wall_of(alert["startsAt"]),
                wall_of(alert["endsAt"]),
            )
            for alert in json.loads(asked.body)["alerts"]
        ]
        return Said(answer.status_code)


@dataclass(frozen=True)
class Settings:
    """How the stand is set up. `rules` is the rules file, `alertmanager` its configuration with RECEIVER for the receiver's address."""

    rules: str
    alertmanager: str
    interval_s: float = 1.0
    resend_delay: str = "2s"


@dataclass
class Stand:
    """All of it, up."""

    folder: Path
    gauges: Gauges
    receiver: Receiver
    prometheus: PrometheusDriver
    alertmanager: AlertmanagerDriver
    sink: SinkClient
    commands: Mapping[str, list[str]]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """`prometheus` or `alertmanager` runs and is ready."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.commands[name], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        driver = self.prometheus if name == "prometheus" else self.alertmanager

        def ready() -> bool:
            with suppress(ChaosError):
                driver.ready()
                return True
            return False

        eventually(ready, 20, f"{name} is ready; its log is in {self.folder}")

    def kill(self, name: str) -> None:
        """It is dead, without a farewell."""
        self.processes[name].kill()
        self.processes[name].wait(5)


def _files(folder: Path, tools: Tools, settings: Settings, exporter: str, alertmanager: str, receiver: str) -> None:
    interval = f"{round(settings.interval_s * 1000)}ms"
    (folder / "rules.yml").write_text(settings.rules)
    (folder / "alertmanager.yml").write_text(settings.alertmanager.replace("RECEIVER", receiver))
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n"
        f"rule_files: ['{folder}/rules.yml']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: gauges, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
    )
    for template in tools.templates.glob("*.tmpl") if tools.templates else ():
        shutil.copy(template, folder)


@contextmanager
def standing(folder: Path, tools: Tools, settings: Settings, gauges: Mapping[str, float]) -> Iterator[Stand]:
    """The stand, up, with its first samples in, until the block ends."""
    page, receiver = Gauges(dict(gauges)), Receiver()
    prometheus, alertmanager = free_ports(2)
    with ExitStack() as stack:
        exporter = stack.enter_context(serving(page.page)).url.removeprefix("http://")
        sink = stack.enter_context(module("chaos.sink", "--log", str(folder / "notes.jsonl"), folder=folder))["sink"]
        receiver.sink = f"http://{sink}"
        told = stack.enter_context(serving(receiver.take)).url
        _files(folder, tools, settings, exporter, f"127.0.0.1:{alertmanager}", told)
        commands = {
            "alertmanager": [
                str(tools.alertmanager), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am-data",
                f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=", "--log.level=warn",
            ],
            "prometheus": [
                str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{prometheus}", f"--rules.alert.resend-delay={settings.resend_delay}",
                "--log.level=warn", "--web.enable-lifecycle",
            ],
        }  # fmt: skip
        made = Stand(
            folder,
            page,
            receiver,
            PrometheusDriver(f"http://127.0.0.1:{prometheus}"),
            AlertmanagerDriver(f"http://127.0.0.1:{alertmanager}"),
            SinkClient(f"http://{sink}"),
            commands,
        )
        stack.callback(lambda: [end(process) for process in made.processes.values() if process.poll() is None])
        made.start("alertmanager")
        made.start("prometheus")
        eventually(lambda: made.prometheus.query("up == 1"), 20, "the first scrape")
        yield made


# --- watched as a run watches -----------------------------------------------------------------------------------------


def planned(alerts: Sequence[PlannedAlert], interval_s: float = 1.0) -> Plan:
    """A plan that expects these alerts of a fault that kills a container; nothing else is asked of it."""
    return replace(
        PLAN, effects=(KILL,), alerts=tuple(alerts), probes=(), harms=(), control=False, load=None, match={},
        quiet=False, scrape_s=interval_s, evaluation_s=interval_s,
    )  # fmt: skip


class Watcher:
    """The journal of a run that does nothing itself: `begin` its baseline, say what is `hurt` and `healed`, and `end` it."""

    def __init__(self, stand: Stand, alerts: Sequence[PlannedAlert], interval_s: float = 1.0) -> None:
        self.plan = planned(alerts, interval_s)
        self.look = Look(self.plan, stand.prometheus, stand.prometheus, stand.alertmanager, {RECEIVER: stand.sink})
        self._records: list[tuple[float, Record]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(question,), daemon=True)
            for question in ("alerts", "routed", "deliveries")
        ]
        self._note(RunStarted("run-1", "0", "name: stand", self.plan.to_json()))
        self._note(StateEntered(State.baseline, "the stand is up"))
        for thread in self._threads:
            thread.start()

    def _note(self, record: Record, at_wall_s: float | None = None) -> None:
        with self._lock:
            self._records.append((now_wall_s() if at_wall_s is None else at_wall_s, record))

    def _watch(self, question: str) -> None:
        due_s = time.perf_counter()
        while not self._over.wait(max(0.0, due_s - time.perf_counter())):
            due_s += 1.0
            try:
                seen: Observation = getattr(self.look, question)()
                self._note(Observed(seen))
            except ChaosError as error:
                self._note(QueryFailed(question, str(error)))  # type: ignore[arg-type]

    def hurt(self, at_wall_s: float) -> None:
        """The first effect of the fault."""
        self._note(StateEntered(State.inject, "the baseline is met"), at_wall_s - 0.002)
        self._note(Apply(KILL.id), at_wall_s - 0.001)
        self._note(Applied(KILL.id, at_wall_s, "kill", {"status": "exited"}), at_wall_s)

    def healed(self, at_wall_s: float) -> None:
        """The fault is gone."""
        self._note(StateEntered(State.undo, "the time is over"), at_wall_s - 0.001)
        self._note(Undone(KILL.id, 1, at_wall_s, "start", {"status": "running"}), at_wall_s)
        self._note(StateEntered(State.recovery, "every effect is undone"), at_wall_s + 0.001)

    def seen(self) -> Trace:
        """The journal so far, sorted."""
        with self._lock:
            return _trace(self._records)

    def told(self, alert: str, status: str, count: int = 1) -> bool:
        """Whether the sink has told of it so often, and a look has heard it."""
        return sum(d.labels["alertname"] == alert and d.status == status for d in self.seen().deliveries) >= count

    def end(self) -> Trace:
        """The journal of the whole run, sorted: once more everything is looked at, then the series are collected."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        for question in ("alerts", "routed", "deliveries"):
            with suppress(ChaosError):
                self._note(Observed(getattr(self.look, question)()))
        collected: Collected = self.look.collect(())
        self._note(collected)
        self._note(StateEntered(State.ended, "the evidence is collected"))
        return self.seen()


def _trace(records: Sequence[tuple[float, Record]]) -> Trace:
    ordered = sorted(records, key=lambda one: one[0])
    texts = chain((at - ordered[0][0], at, record) for at, record in ordered)
    lines: list[Line] = [from_text(text) for text in texts]
    return trace(lines)


def found(seen: Trace, alert: str) -> Detection:
    """What the judge finds of this alert."""
    return next(one for one in noticed.detections(seen) if one.alert == alert)


def at_once(seen: Trace, alert: PlannedAlert, effect: float, removal: float) -> tuple[Detection, AlertHistory, Times]:
    """The detection of an alert that has an effect and a removal of its own."""
    times = replace(noticed.times_of(seen) or _never(), effect=effect, removal=removal)
    history = noticed.history(seen, alert, effect)
    return detect(alert, history, times), history, times


def _never() -> Times:
    raise AssertionError("the run never hurt anything")
