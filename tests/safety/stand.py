"""A small system for runs that die: a real Prometheus, a real fault proxy before a loopback model, processes that may be hurt."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from chaos.drivers.ports import free_ports
from chaos.drivers.process import status_of
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.drivers.proxy import ProxyFleet
from chaos.drivers.state import State
from chaos.lab.monitoring import Tools
from tests.drivers.loopback import Asked, Said, eventually, running, serving

LEASE_S = 1.0
TOKEN = "secret-of-the-stand"
VICTIM = Path(__file__).with_name("victim.py")
OUTSIDER = Path(__file__).with_name("outsider.py")
REPLICAS = ("replica-1", "replica-2")

SYSTEM = """\
name: stand
environment: lab
targets:
  model:
    proxies: ['http://127.0.0.1:{control}']
    token: {token}
    protocol: oip
    process: {{table: processes.json, labels: {{app: model}}}}
telemetry: {{prometheus: 'http://127.0.0.1:{prometheus}'}}
variables: {{window: 10s}}
entry: 'http://127.0.0.1:{route}/v2/models/m/infer'
request: {{json: {{id: $row.user}}, subject: 'header:x-user', label: label, positive: good, answer: {{decision: $.decision, id: $.id}}}}
feedback: {{post: 'http://127.0.0.1:{route}/feedback', json: {{outcome: $label}}}}
data: {{rows: rows.jsonl}}
"""
ROWS = [{"user": f"user-{place}", "amount": place, "label": ("good", "bad")[place % 4 == 0]} for place in range(40)]

PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: outsider
    static_configs: [{{targets: ['127.0.0.1:{outside}']}}]
"""

EXPERIMENT = """\
name: dies
system: {system}
steady_state:
  - {{name: sky, promql: vector(1), unit: ratio, min: 50%}}
blast_radius: {{traffic: 50%, by: header:x-user, containers: 2, max_duration: 20s, lease: 1s, subjects: users}}
{load}baseline: 300ms
faults:
{faults}
recovery: 2s
expect: {{holds: [sky]}}
"""
FAULTS = {
    "proxy": "  - {fault: http_error, target: model, duration: 1500ms}",
    "kill": "  - {fault: kill, target: model, duration: 1500ms}",
    "pause": "  - {fault: pause, target: model, duration: 1500ms}",
    "external": "  - {fault: external, target: model, duration: 1500ms, effect: {promql: 'up{job=\"outsider\"}', min: 1}}",
    "shift": "  - {fault: covariate_shift, target: model, where: amount > 20, duration: 1500ms}",
    "labels": "  - {fault: label_delay, target: model, by: 10m, duration: 1500ms}",
}
OF_THE_LOAD = {"shift", "labels"}
"""These happen in the run's own load: one before a request is made, one when its outcome is told."""
LOAD = "load: {rate: 60/s, data: 'system:rows', feedback: {after: 200ms, share: 100%}, warmup: 300ms}\n"


@dataclass(frozen=True)
class Stand:
    """The system, up. `state` is the state folder that its runs share."""

    folder: Path
    control: str
    table: ProcessTable
    state: State
    outside: int
    """Where another tool's doing shows: Prometheus scrapes this port, and nobody is there."""
    pids: Mapping[str, int]
    """Of what the stand has started: "prometheus" and "proxy"."""

    def environment(self) -> dict[str, str]:
        """Of every command that is run here."""
        return {**os.environ, "CHAOS_STATE": str(self.state.path)}

    def experiment(self, *faults: str) -> Path:
        """The experiment with these faults, one after the other in the file and all at once in time."""
        path = self.folder / f"{'-'.join(faults)}.yaml"
        path.write_text(
            EXPERIMENT.format(
                system=self.folder / "system.yaml",
                load=LOAD if OF_THE_LOAD & set(faults) else "",
                faults="\n".join(FAULTS[one] for one in faults),
            )
        )
        return path

    def start(self, experiment: Path, *arguments: str) -> subprocess.Popen[str]:
        """A run of it in a process of its own, in which somebody is killed as the arguments say (see `victim.py`)."""
        return subprocess.Popen(
            [sys.executable, str(VICTIM), str(experiment), str(self.folder / "runs"), *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def outsider(self, *arguments: str) -> list[str]:
        """The command of another tool: what it does is on for as long as it runs (see `outsider.py`)."""
        return [sys.executable, str(OUTSIDER), str(self.outside), *arguments]

    def outsiders(self) -> list[int]:
        """The processes of other tools that live."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.cmdline()[1:3] == [str(OUTSIDER), str(self.outside)]
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process.pid)
        return found

    def chaos(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of ours has ended."""
        argv = [sys.executable, "-m", "chaos", *arguments]
        return subprocess.run(
            argv, env=self.environment(), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def logs(self) -> str:
        """What the wardens said, and what stands in the undo lists that are still there."""
        paths = [*self.folder.glob("runs/*/warden.log"), *self.state.path.glob("runs/*/*")]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-600:]}" for path in paths[-8:])

    # --- what is left -------------------------------------------------------------------------------------------------

    def armed(self) -> list[str]:
        """Runs that hold the proxy; a dead one is held by nobody."""
        if not lives(self.pids["proxy"]):
            return []
        holders = ProxyFleet([self.control], TOKEN).look(self.control).holders
        return [f"the proxy is held by {one.run}" for one in holders]

    def hurt(self) -> list[str]:
        """Processes that are not as they were."""
        return [f"{entry.name} is {seen}" for entry in self.table.entries() if (seen := status_of(entry)) != "running"]

    def children(self) -> list[str]:
        """Processes of our runs that still live, whatever they are: wardens, loads, leashes, helpers. All have our state's name."""
        mine = str(self.state.path)
        replicas = {entry.pid for entry in self.table.entries()}  # an undo may have started one again
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                named = process.environ().get("CHAOS_STATE") == mine or any(mine in word for word in process.cmdline())
                if named and process.pid not in replicas and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found

    def left(self) -> list[str]:
        """Everything that a run has left behind, in words; nothing, when all is as before."""
        outside = [f"the command {pid} of another tool" for pid in self.outsiders()]
        return (
            self.hurt()
            + self.armed()
            + outside
            + self.children()
            + [f"state of {run.name}" for run in self.state.runs()]
        )


def lives(pid: int) -> bool:
    """Whether a process of this pid is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _alive(_: Asked) -> Said:
    return Said(200, b'{"id": "an-answer", "decision": "good", "outputs": []}')


@contextmanager
def standing(folder: Path, tools: Tools, more_jobs: str = "") -> Iterator[Stand]:
    """The stand, until the block ends. `more_jobs` are lines of Prometheus' `scrape_configs`."""
    ports = dict(zip(("prometheus", "route", "control", "outside"), free_ports(4), strict=True))
    (folder / "prometheus.yml").write_text(PROMETHEUS.format(outside=ports["outside"]) + more_jobs)
    (folder / "token").write_text(TOKEN)
    table = ProcessTable(folder / "processes.json")
    sleep = shutil.which("sleep")
    assert sleep is not None
    for name in REPLICAS:
        labels = {"app": "model", "chaos.enabled": "true"}
        entry = ProcessEntry(name, (sleep, "3600"), str(folder), str(folder / f"{name}.log"), {}, labels)
        table.update(spawn(entry))
    with ExitStack() as stack:
        stack.callback(_end_all, table)
        model = stack.enter_context(serving(_alive))
        prometheus = [
            str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--log.level=warn",
        ]  # fmt: skip
        pids = {"prometheus": stack.enter_context(running(prometheus, folder, "prometheus")).pid}
        proxy = [
            sys.executable, "-m", "chaos.proxy", "--route", f"model=127.0.0.1:{ports['route']}>{model.url.removeprefix('http://')}",
            "--control", f"127.0.0.1:{ports['control']}", "--token-file", str(folder / "token"), "--protocol", "oip",
        ]  # fmt: skip
        pids["proxy"] = stack.enter_context(running(proxy, folder, "proxy")).pid
        system = SYSTEM.format(
            control=ports["control"], prometheus=ports["prometheus"], token=TOKEN, route=ports["route"]
        )
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        (folder / "system.yaml").write_text(system)
        for address in (
            f"http://127.0.0.1:{ports['prometheus']}/-/ready",
            f"http://127.0.0.1:{ports['control']}/healthz",
        ):
            eventually(lambda address=address: _ready(address), 20, f"{address} answers")
        yield Stand(
            folder, f"http://127.0.0.1:{ports['control']}", table, State(folder / "state"), ports["outside"], pids
        )


def _ready(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).ok
    except requests.RequestException:
        return False


def _end_all(table: ProcessTable) -> None:
    for entry in table.entries():
        found = entry.running()
        if found is not None:
            found.send_signal(signal.SIGKILL)


def nothing_left(stand: Stand, within_s: float) -> float:
    """How long it took until nothing was left; fails when it took longer."""
    begun_s = time.perf_counter()
    try:
        eventually(lambda: not stand.left(), within_s, "nothing is left")
    except AssertionError as error:
        raise AssertionError(f"{error}; {stand.left()}\n{stand.logs()}") from None
    return time.perf_counter() - begun_s
