"""What a run becomes in pytest, from values: outcome, text of a failure, properties, line of the summary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.detection import Gate
from chaos.judging import judge
from chaos.pytest_plugin.items import tagged
from chaos.pytest_plugin.told import failure_text, outcome_of, properties, summary_lines
from chaos.verdict import EXIT_CODE, Verdict
from tests.report.report_pages import real_run

FOLDER = "runs/20261128-160000-an-experiment-00000000"


def confirmed() -> Verdict:
    return judge(real_run())


def missed() -> Verdict:
    """The same run, had its alert not crossed its threshold."""
    whole = confirmed()
    one = whole.detections[0]
    stages = tuple(
        stage if stage.gate in (Gate.alive, Gate.signal) else replace(stage, at_wall_s=None, after_s=None)
        for stage in one.stages
    )
    missed = replace(
        one, outcome="undetected", failed_gate=Gate.pending, stages=stages, told_after_s=None, resolved_after_s=None
    )
    findings = tuple(
        replace(finding, verdict="undetected", answer="undetected at the gate `pending`")
        if one.alert in finding.question
        else finding
        for finding in whole.findings
    )
    return replace(
        whole, verdict="undetected", exit_code=1, sentence="Nobody noticed.", detections=(missed,), findings=findings
    )


@pytest.mark.parametrize("name", EXIT_CODE)
def test_every_verdict_has_its_outcome(name: str) -> None:
    expected = {0: "passed", 1: "failed", 3: "error", 4: "failed", 5: "failed", 130: "error"}
    assert outcome_of(name) == expected[EXIT_CODE[name]]  # type: ignore[arg-type, index]


def test_a_missed_alert_is_told_with_its_gate_its_times_and_where_the_report_is() -> None:
    text = failure_text(missed(), FOLDER)
    first, *_ = text.splitlines()
    assert first.startswith("UNDETECTED: ")
    assert "✗  pending: what the rule reads moved, but never crossed its threshold" in text
    assert "signal" in text
    assert "  firing (" not in text
    assert "first effect" in text
    assert f"{FOLDER}/report.html" in text
    assert f"chaos judge {FOLDER}" in text
    assert max(map(len, text.splitlines())) < 200


def test_the_end_of_an_alert_is_no_row_among_those_that_count_from_the_effect() -> None:
    late = replace(confirmed(), detections=(replace(confirmed().detections[0], outcome="late"),))
    lines = failure_text(late, FOLDER).splitlines()
    assert any(line.startswith("  after the removal: resolved +") for line in lines)
    assert not any(line.split()[1:2] == ["reset"] for line in lines)


def test_the_properties_have_the_verdict_and_the_time_of_every_stage() -> None:
    found = dict(properties(confirmed(), FOLDER))
    assert found["chaos.verdict"] == "confirmed"
    assert found["chaos.folder"] == FOLDER
    told = {name: float(value) for name, value in found.items() if name.endswith("_after_s")}
    assert {name.rsplit(".", 1)[1] for name in told} >= {"told_after_s", "firing_after_s", "delivered_after_s"}
    assert all(value >= 0 for value in told.values())


def test_the_summary_has_one_line_for_each_experiment_with_its_last_word() -> None:
    row = dict(properties(confirmed(), FOLDER))
    (line,) = summary_lines([{"chaos.experiment": row["chaos.experiment"], "chaos.verdict": "planned"}, row])
    assert "confirmed" in line
    assert "told after" in line
    assert line.endswith(FOLDER)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, True),
        ("", True),
        ("quality", True),
        ("latency", False),
        ("quality,-loan", False),
        ("-slow", True),
        ("latency,loan", True),
    ],
)
def test_tags_choose(wanted: str | None, kept: bool) -> None:
    assert tagged(["quality", "loan"], wanted) is kept
