"""Rules' mutants over the telemetry of a run at hand: one that the experiment notices, and one that it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.app.mutating import _without_routes, mutation
from chaos.app.telemetry_kept import NAME
from chaos.drivers.folder import RunFolder
from chaos.drivers.throwaway import Programs
from chaos.errors import Refused
from chaos.lab import monitoring
from chaos.rehearsal.mutants import mutants
from chaos.report.mutation import mutation_view
from chaos.telemetry import RuleInfo
from tests.app.test_rehearsal_command import measured

JOURNAL = Path(__file__).parents[1] / "judging" / "confirmed.jsonl"


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Prometheus and promtool, from PATH or unpacked below .chaos."""
    found = monitoring.find(Path(__file__).parents[2] / ".chaos")
    return Programs(found.prometheus, found.promtool)


def at_hand(runs: Path, wrong: float = 0.4) -> Path:
    """A run whose journal expects ModelAccuracyLow to page within a minute, and that kept its telemetry."""
    folder = RunFolder.make(runs, "20260101-000000", "quickstart", "1a2b3c4d")
    (folder.path / "journal.jsonl").write_bytes(JOURNAL.read_bytes())
    folder.write("verdict.json", json.dumps({"verdict": "confirmed"}))
    made = measured(wrong=wrong)
    (rule,) = made.rules
    folder.write_packed(
        NAME, replace(made, rules=(replace(rule, labels={"severity": "page", "team": "risk"}),)).lines()
    )
    return folder.path


def test_mutants_that_the_expectation_notices_and_those_that_it_does_not(programs: Programs, tmp_path: Path) -> None:
    at_hand(tmp_path)
    found = mutation(tmp_path, None, programs, 10, lambda said: None)
    states = {one.change: one.state for one in found.mutants}
    assert states["the metric seen is called otherwise"] == "noticed"
    assert [one.split(":")[0] for one in found.left_out] == [
        "ModelAccuracyLow"
    ] * 2  # its labels: it asks for a receiver
    assert states["the threshold 0.88 becomes 0.82"] == "survived"  # two in five are wrong: far beyond both
    assert found.score is not None
    assert 0 < found.score < 1
    assert mutation_view(found)


def test_a_rule_that_does_not_tell_of_the_fault_says_nothing_of_its_mutants(programs: Programs, tmp_path: Path) -> None:
    at_hand(tmp_path, wrong=0.05)
    found = mutation(tmp_path, None, programs, 10, lambda said: None)
    assert (found.mutants, found.score) == ((), None)
    assert "the rule itself is not told" in found.untold["ModelAccuracyLow"]


def test_without_a_run_that_kept_its_telemetry_it_is_refused(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has kept its telemetry"):
        mutation(tmp_path, None, programs, 10, lambda said: None)


def test_labels_are_left_out_where_a_receiver_is_asked_for_and_said_so() -> None:
    made = {"A": mutants(RuleInfo("A", "m > 1", 0.0, {"team": "risk"}))}
    kept, left = _without_routes(made, {"A"})
    assert {one.kind for one in kept["A"]} == {"threshold", "metric"}
    [said] = left
    assert said.startswith("A: the label `team: risk` is dropped: whether its receiver")
    assert _without_routes(made, {"B"}) == (made, ())
