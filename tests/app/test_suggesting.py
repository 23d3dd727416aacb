"""A rule is suggested for what nobody was told of, from the run's own telemetry; it was quiet and told on scenarios that did not choose it."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from chaos.app.suggesting import suggest
from chaos.coverage import FaultRow
from chaos.drivers.throwaway import Programs
from chaos.lab import monitoring
from chaos.rehearsal.suggestion import Suggestion, rules_file
from tests.rehearsal.telemetry import grown, recording, series

RUN = Path(__file__).parent / "recorded" / "few_events"
"""A run of the lab's blind spot with some 60 events a window and a baseline of twenty seconds, so that what is usual (0.42 at worst) and
what the fault makes (0.52 in the middle) overlap. The group's decisions, and nothing else of its telemetry."""
WARMUP_S, BASELINE_S, FAULT_S, RECOVERY_S = 60, 40, 75, 60


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Prometheus and promtool, from PATH or unpacked below .chaos."""
    found = monitoring.find(Path(__file__).parents[2] / ".chaos")
    return Programs(found.prometheus, found.promtool)


def asked(programs: Programs, folder: Path) -> Suggestion:
    """What is suggested for a run in this folder."""
    row = FaultRow("biased_outputs", "prediction quality", "survived", {}, run="run-1", folder=str(folder))
    [only] = suggest([row], {"biased_outputs": ["approval_hispanic"]}, programs, lambda said: None)
    return only


def decided(folder: Path, a_second: float, hurt: float) -> Path:
    """The same run, with so many decisions a second, of which four in five are approved, and `hurt` while the fault is on."""
    chance = np.random.default_rng(9)
    seconds = WARMUP_S + BASELINE_S + FAULT_S + RECOVERY_S
    approved = np.full(seconds, 0.8)
    approved[WARMUP_S + BASELINE_S :][:FAULT_S] = hurt
    all_of_them = chance.poisson(a_second, seconds)
    yes = chance.binomial(all_of_them, approved)
    effect_s = WARMUP_S + BASELINE_S + 0.5
    made = recording(
        [
            series("ml_decisions_total", grown(count, 10), decision=decision, group="hispanic", job="loan-gateway")
            for decision, count in (("approve", yes), ("deny", all_of_them - yes))
        ],
        seconds, effect_s=effect_s, removal_s=effect_s + FAULT_S, severity=0.5,
    )  # fmt: skip
    shutil.copytree(RUN, folder)
    with gzip.open(folder / "telemetry.jsonl.gz", "wt") as file:
        file.writelines(f"{line}\n" for line in made.lines())
    return folder


def test_a_rule_is_found_for_what_reads_otherwise_under_the_fault(programs: Programs, tmp_path: Path) -> None:
    found = asked(programs, decided(tmp_path / "run", 6.0, 0.4))
    assert found.rule is not None, found.why_not
    assert (found.probe, found.rule.name) == ("approval_hispanic", "ApprovalHispanicLow")
    assert found.caught is not None
    assert found.caught.share >= 0.97
    assert (found.beyond, found.quiet_scenarios) == (0.0, 100)
    assert f"read {found.baseline:.4g} at worst, with it 0.4" in rules_file([found])


def test_where_no_rule_is_both_quiet_and_quick_none_is_suggested_and_that_is_said(programs: Programs) -> None:
    found = asked(programs, RUN)
    assert found.rule is None
    assert found.why_not is not None
    assert "rules over approval_hispanic both tells of the fault within 60s and stays quiet without it" in found.why_not
