"""What system tests ask of every run, and of what it leaves behind."""

from __future__ import annotations

from typing import Any

import psutil
import requests
import yaml

from tests.system.labs import Ran, Work

GATES = ["signal", "pending", "firing", "active", "delivered"]


def detected(ran: Ran, alert: str, within_s: float) -> None:
    """Every gate was passed, in order, in time, and the alert resolved."""
    stages = ran.stages(alert)
    passed = [stages[gate] for gate in GATES if gate != "signal"]
    assert None not in passed
    assert passed == sorted(passed), stages  # type: ignore[type-var]
    assert 0 < stages["delivered"] <= within_s, stages  # type: ignore[operator]
    assert stages["reset"] is not None


def nothing_left(work: Work) -> None:
    """The proxies are held by nobody, every replica runs, and no load is alive."""
    system = yaml.safe_load(work.system().replace("${file:token}", "TOKEN"))
    for address in [address for target in system["targets"].values() for address in target.get("proxies", [])]:
        assert requests.get(f"{address}/healthz", timeout=5).json().get("held_by") is None
    assert work.status().up
    place = str(work.folder)  # the load's working folder is the run's
    assert not [one.pid for one in psutil.process_iter() if "locustfile" in _command(one) and place in _folder(one)]


def _folder(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> str:
    """Its command line; empty when it is gone or only waits for its parent to ask."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def sound(ran: Ran) -> None:
    """What every run must have whatever its verdict: all undone, arms that agree, a report, and a journal that judges the same."""
    assert ran.finding("Was every effect undone")["verdict"] == "confirmed"
    assert ran.finding("Was the load what was asked for")["verdict"] == "confirmed"
    for name in (
        "journal.jsonl",
        "plan.json",
        "verdict.json",
        "junit.xml",
        "report.html",
        "experiment.yaml",
        "system.yaml",
    ):
        assert (ran.folder / name).stat().st_size > 0, name
    assert "<svg" in (ran.folder / "report.html").read_text()
    assert str(ran.folder.name) in ran.answered.out.replace("\n", "")


def arms_agree(ran: Ran) -> None:
    """Load and proxy counted the same arms, split as planned, and alike before the fault."""
    for question in ("count the same arms", "Were subjects split", "(A/A)"):
        assert ran.finding(question)["verdict"] == "confirmed", ran.finding(question)


def outcome(ran: Ran) -> tuple[int, str, Any]:
    return ran.answered.code, ran.verdict["verdict"], ran.verdict["sentence"]
