"""The pytest plugin against a lab: a session of its own with an experiment that passes, one that fails, one that cannot tell, and the
fixtures in an ordinary test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.system.checks import detected, nothing_left, outcome
from tests.system.labs import EXPERIMENTS, Answered, Ran, Work, hurried

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

TESTS = """
import time
import requests

def test_a_slow_model_is_told_of_while_the_fault_is_on_and_not_after(chaos_fault, chaos_system, alerts):
    system, path = chaos_system
    with chaos_fault("scrape_loss", target="gateway-metrics", max_duration="60s") as fault:
        told = alerts.wait_for("MetricsAbsent", within="45s", delivered_to="oncall")
        assert told.reached == "delivered"
        assert fault.effects() > 0
    assert fault.read().state != "armed"

def test_requests_that_carry_its_headers_are_hurt_and_no_others(chaos_fault, chaos_system):
    system, path = chaos_system
    row = __import__("json").loads((path.parent / "traffic.jsonl").read_text().splitlines()[0])
    def ask(headers):
        begun = time.monotonic()
        answer = requests.post(system.entry, json={"application": row["application"]}, headers={"x-applicant-group": str(row["group"]), **headers}, timeout=10)
        assert answer.ok
        return time.monotonic() - begun
    with chaos_fault("delay", target="loan-model", by="300ms") as fault:
        slow = ask(fault.headers())
        fast = ask({"x-applicant-id": "nobody"})
        assert fault.effects() >= 1
    assert slow > 0.25 > fast
"""


def lines(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A session of pytest in this folder."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


@pytest.fixture
def project(process_lab: Work, tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nchaos_system = " + str(process_lab.status().system) + "\n")
    process_lab.quiet()
    return tmp_path


def test_the_fixtures_hurt_who_carries_the_headers_and_wait_for_alerts(process_lab: Work, project: Path) -> None:
    (project / "test_ordinary.py").write_text(TESTS)
    done = lines(project, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(process_lab)


def test_an_experiment_that_passes_one_that_fails_and_one_that_cannot_tell(process_lab: Work, project: Path) -> None:
    passing = (EXPERIMENTS / "catalogue" / "scrape_loss.yaml").read_text()
    killed = hurried("catalogue/kill")
    failing = killed.replace("name: catalogue-kill", "name: nobody-may-be-missed").replace(
        "harms: [replicas_up]", "holds: [replicas_up]"
    )
    assert "holds: [replicas_up]" in failing
    quickstart = hurried("quickstart").split("expect:")[0].replace("duration: 90s", "duration: 20s")
    open_ = quickstart.replace("name: wrong-predictions-page-the-on-call", "name: too-weak-to-tell")
    open_ = open_.replace("traffic: 10%", "traffic: 1%").replace("recovery: 90s", "recovery: 15s")
    assert "recovery: 15s" in open_
    for name, text in {"a": passing, "b": failing, "c": open_ + "expect:\n  harms: [accuracy]\n"}.items():
        (project / f"{name}.chaos.yaml").write_text(text)
    done = lines(project, "--junitxml", "junit.xml")
    said = done.stdout
    assert "1 failed, 1 passed" in said, said
    assert "1 error" in said, said
    assert "DEVIATED: nobody-may-be-missed" in said
    assert "INCONCLUSIVE: too-weak-to-tell" in said
    assert "Traceback" not in said
    assert ".py:" not in said
    cases = {case.get("name"): case for case in ET.parse(project / "junit.xml").iter("testcase")}
    found = {one.get("name"): one.get("value") for one in cases["catalogue-scrape-loss"].iter("property")}
    assert found["chaos.verdict"] == "confirmed"
    assert float(found["chaos.MetricsAbsent.told_after_s"] or "nan") > 0
    assert len(list((project / "runs").iterdir())) == 3
    [folder] = (project / "runs").glob("*-catalogue-scrape-loss-*")
    vanished = Ran(Answered(0, said, done.stderr), folder)
    assert outcome(vanished)[:2] == (0, "confirmed"), outcome(vanished)
    detected(vanished, "MetricsAbsent", 30)
    assert vanished.finding("Is the removal at gateway-metrics proven")["verdict"] == "confirmed"
    nothing_left(process_lab)
