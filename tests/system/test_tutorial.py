"""docs/tutorial.md does what it says: its commands are run one after the other, as they stand there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks, commands
from tests.system.checks import arms_agree, nothing_left, outcome, sound
from tests.system.labs import RUN_S, Answered, Ran, Work

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
FIRST = ("make setup", "chaos lab up")
LAST = "chaos lab down"


def shown() -> list[str]:
    """The tutorial's commands, without those that bring the lab up and down, which the fixture does."""
    found = [line for block in blocks("console") if block.page.name == "tutorial.md" for line in commands(block)]
    assert found[0].startswith(FIRST[0])
    assert (found[1], found[-1]) == (FIRST[1], LAST)
    return found[2:-1]


def typed(command: str, folder: Path) -> Answered:
    """The command has been run by a shell in this folder."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    return Answered(done.returncode, done.stdout, done.stderr)


def test_the_tutorial_finds_the_blind_spot_and_closes_it(process_lab: Work) -> None:
    folder = process_lab.folder / "tutorial"
    folder.mkdir()
    (folder / ".chaos").symlink_to(process_lab.folder / ".chaos")
    (folder / "experiments").symlink_to(ROOT / "experiments")
    process_lab.quiet()
    said = {command: typed(command, folder) for command in shown()}
    first, second = "chaos run experiments/blind-spot.yaml", "chaos run closed.yaml"
    assert {command: answered.code for command, answered in said.items() if answered.code} == {first: 1}, said
    assert "Survived (1)" in said["chaos coverage --suggest missing.yml"].out
    assert "evaluates ApprovalHispanicLow" in said["chaos lab rules missing.yml"].out
    assert "Monitoring mutation score: 100%" in said["chaos coverage"].out
    found, closed = (
        Ran(said[command], path)
        for command, path in zip((first, second), sorted((folder / "runs").glob("*-bias-*")), strict=True)
    )
    assert outcome(found)[:2] == (1, "undetected")
    assert found.verdict["detections"][0]["failed_gate"] == "signal"
    assert found.finding("Did the fault harm approval_hispanic")["verdict"] == "confirmed"
    assert outcome(closed)[:2] == (0, "confirmed")
    for ran in (found, closed):
        sound(ran)
        arms_agree(ran)
    nothing_left(process_lab)
