"""Every experiment that ships, run for real, with the verdict it must have."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
import requests
import yaml

from tests.system.labs import Ran, Work, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(330), pytest.mark.xdist_group("process-lab")]

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
    for address in system["targets"]["loan-model"]["proxies"]:
        assert requests.get(f"{address}/healthz", timeout=5).json().get("held_by") is None
    assert work.status().up
    assert not [child for child in psutil.Process().children(recursive=True) if "locustfile" in _command(child)]


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


def test_wrong_predictions_are_caught_by_the_accuracy_alert(process_lab: Work) -> None:
    ran = run(process_lab, "quickstart")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ModelAccuracyLow", 60)
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)
    again = process_lab.chaos("judge", str(ran.folder), "--json")
    assert again.code == 0
    assert yaml.safe_load(again.out) == ran.verdict


def test_bias_is_caught_by_the_fairness_alert_while_accuracy_and_drift_stay_quiet(process_lab: Work) -> None:
    ran = run(process_lab, "bias")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "FairnessGapHigh", 100)
    assert ran.finding("stay quiet")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)


def test_a_slow_model_is_held_by_the_fallback_and_told_by_two_alerts(process_lab: Work) -> None:
    ran = run(process_lab, "delay")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "LatencyHigh", 60)
    detected(ran, "FallbackShareHigh", 60)
    assert ran.finding("Did availability hold")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)


def test_a_killed_replica_is_told_and_availability_holds(process_lab: Work) -> None:
    ran = run(process_lab, "replica-killed")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ReplicaDown", 15)
    assert ran.finding("Did availability hold")["verdict"] == "confirmed"
    sound(ran)
    nothing_left(process_lab)


def test_the_blind_spot_is_reported_as_undetected_with_the_gate_that_failed(process_lab: Work) -> None:
    ran = run(process_lab, "blind-spot")
    assert outcome(ran)[:2] == (1, "undetected"), outcome(ran)
    assert ran.verdict["detections"][0]["failed_gate"] == "signal"
    assert ran.finding("Did the fault harm approval_hispanic")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)
