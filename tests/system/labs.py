"""Labs for the system tests: one as processes, one in Docker, each brought up once, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from chaos.drivers.folder import RunFolder
from chaos.journal import Line
from chaos.lab import places
from chaos.lab.processes import LabStatus

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RUN_S = 300.0
QUIET_S = 4.0
"""A scrape, an evaluation and a notification, with room: what has not become an alert by then will not."""


def hurried(experiment: str) -> str:
    """The text of a shipped experiment with the shortest of what comes before the fault: for what is asked of runs, and not of alerts."""
    text = (EXPERIMENTS / f"{experiment}.yaml").read_text()
    shorter = re.sub(r"warmup: \d+s", "warmup: 4s", re.sub(r"baseline: \d+s", "baseline: 6s", text))
    return shorter.replace("min: 88%", "min: 70%")  # of accuracy, which so few labels know badly


def at_once(text: str) -> str:
    """The experiment ends as soon as its alert has told: it asks of nothing else whether it holds, which takes longer to know."""
    return re.sub(r"holds: \[.*\]", "holds: []", re.sub(r" +until: full.*\n", "", text))


@dataclass(frozen=True)
class Answered:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Work:
    """A folder that commands run in, with a lab in it."""

    folder: Path
    name: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command runs; its output is piped."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.Popen(
            [sys.executable, "-m", "chaos", *arguments],
            cwd=self.folder,
            env={**environment, "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def chaos(self, *arguments: str) -> Answered:
        """The command has ended."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
            pytest.fail(f"chaos {' '.join(arguments)} did not end within {RUN_S:g}s\n{out}\n{err}")
        return Answered(process.returncode, out, err)

    def experiment(self, text: str, name: str = "experiment.yaml") -> str:
        """A file with this text; its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def status(self) -> LabStatus:
        """How the lab is."""
        return places.status(self.name, self.folder / ".chaos")

    def quiet(self) -> None:
        """Waits until no alert of the lab has been pending or firing for a while: an earlier test may have left one to come."""
        until = time.monotonic() + 90
        loud_s = time.monotonic()
        address = f"http://{self.status().outside['prometheus']}/api/v1/alerts"
        while time.monotonic() - loud_s < QUIET_S:
            alerts = requests.get(address, timeout=5).json()["data"]["alerts"]
            if {one["labels"]["alertname"] for one in alerts} - {"Watchdog"}:
                loud_s = time.monotonic()
            assert time.monotonic() < until, "the lab does not get quiet"
            time.sleep(0.5)

    def system(self) -> str:
        """The lab's system file."""
        return (self.folder / ".chaos" / "labs" / self.name / "system.yaml").read_text()

    def runs(self) -> list[Path]:
        """Every run folder, oldest first."""
        return sorted((self.folder / "runs").glob("*")) if (self.folder / "runs").exists() else []


@dataclass(frozen=True)
class Ran:
    """One run of the command, with what it left behind."""

    answered: Answered
    folder: Path

    @property
    def verdict(self) -> dict[str, Any]:
        return json.loads((self.folder / "verdict.json").read_text())

    def finding(self, question: str) -> dict[str, Any]:
        """The first finding whose question has these words."""
        return next(one for one in self.verdict["findings"] if question in one["question"])

    def stages(self, alert: str) -> dict[str, float | None]:
        """Gate → seconds after the first effect (reset: after the removal)."""
        found = next(one for one in self.verdict["detections"] if one["alert"] == alert)
        return {stage["gate"]: stage["after_s"] for stage in found["stages"]}

    def lines(self) -> list[Line]:
        return RunFolder(self.folder).lines()


def run(work: Work, experiment: str, *more: str) -> Ran:
    """The experiment has been run by the command line."""
    path = EXPERIMENTS / f"{experiment}.yaml" if (EXPERIMENTS / f"{experiment}.yaml").exists() else Path(experiment)
    work.quiet()
    before = set(work.runs())
    answered = work.chaos("run", str(path), "--system", work.name, *more)
    made = set(work.runs()) - before
    assert len(made) == 1, f"no run folder: {answered.err}"
    return Ran(answered, made.pop())


def _lab(folder: Path, name: str, *, docker: bool) -> Iterator[Work]:
    state = folder / ".chaos"
    said: list[str] = []
    places.up(name, state, said.append, docker=docker)
    try:
        yield Work(folder, name)
    finally:
        places.down(name, state, said.append)
        assert not places.status(name, state).services, "chaos lab down left something"


@pytest.fixture(scope="session")
def process_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """The lab as local processes."""
    yield from _lab(tmp_path_factory.mktemp("process-lab"), "lab", docker=False)


@pytest.fixture(scope="module")
def docker_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """The lab in Docker: one file asks for it, and the tests after that need no containers beside them."""
    yield from _lab(tmp_path_factory.mktemp("docker-lab"), "lab-test", docker=True)
