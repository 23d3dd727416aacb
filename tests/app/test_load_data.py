"""Faults of the load are refused beforehand when the load's rows cannot show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.app.files import load
from chaos.app.load_plan import load_faults, with_data
from chaos.planning import plan
from chaos.plans import Plan
from tests.values import EXPERIMENT, SURVEY, SYSTEM, edited

DRIFT = ("wrong_predictions\n    target: loan-model", "concept_drift\n    target: loan-model\n    where: income > 50")
PROBES = ("  - probe: latency\n    max: 2x baseline\n", "")
LABELLED = ("subject: header:x-applicant-id}", "subject: header:x-applicant-id, label: label, positive: approve}")


def prepared(folder: Path, rows: str, *edits: tuple[str, str]) -> Plan:
    """The plan of the edited experiment beside these rows."""
    (folder / "system.yaml").write_text(edited(SYSTEM, LABELLED))
    (folder / "experiment.yaml").write_text(edited(EXPERIMENT, PROBES, ("system: lab", "system: system.yaml"), *edits))
    (folder / "traffic.jsonl").write_text(rows)
    loaded = load(folder / "experiment.yaml")
    made = plan(loaded.experiment, loaded.system, loaded.probes, SURVEY, "seed")
    return with_data(replace(made, refusals=()), loaded)


RICH = '{"income": 60, "label": "approve"}\n{"income": 40, "label": "deny"}\n'


def test_rows_that_can_show_the_fault_are_no_reason_to_refuse(tmp_path: Path) -> None:
    made = prepared(tmp_path, RICH, DRIFT)
    assert made.refusals == ()
    assert list(load_faults(made)) == ["0"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            RICH.replace("60", "50"),
            "concept_drift: no row of the load's data meets `where: income > 50`; its columns are income, label",
        ),
        (
            RICH.replace("deny", "approve"),
            "concept_drift needs outcomes of at least two classes, and the load's data has 1",
        ),
    ],
)
def test_rows_that_cannot_are_one_with_the_reason(tmp_path: Path, rows: str, why: str) -> None:
    assert prepared(tmp_path, rows, DRIFT).refusals == (why,)


@pytest.mark.parametrize("rows", ["", "no json\n"])
def test_rows_that_cannot_be_read_are_one(tmp_path: Path, rows: str) -> None:
    [refusal] = prepared(tmp_path, rows, DRIFT).refusals
    assert refusal.startswith("the load's data cannot be read: ")


def test_other_faults_do_not_ask_for_the_rows(tmp_path: Path) -> None:
    assert prepared(tmp_path, "").refusals == ()
