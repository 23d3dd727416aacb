"""`chaos export` from folders to a file that others read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.app.export_command import dashboard, openmetrics
from chaos.errors import ChaosError
from tests.app.test_past import run_in


def test_the_file_has_the_runs_and_their_score(tmp_path: Path) -> None:
    run_in(tmp_path / "runs", "a")
    said: list[str] = []
    out = tmp_path / "chaos.prom"
    openmetrics(tmp_path / "runs", out, said.append)
    names = {family.name for family in text_string_to_metric_families(out.read_text())}
    assert {"chaos_last_run_verdict", "chaos_alert_time_to_detect_seconds", "chaos_detection_score_ratio"} <= names
    assert said == [f"the metrics of 1 runs are in {out}"]
    assert out.stat().st_mode & 0o777 == 0o644


def test_stdout_has_nothing_but_metrics_and_what_cannot_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in(tmp_path, "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "journal.jsonl").write_text("nonsense\n")
    said: list[str] = []
    openmetrics(tmp_path, None, said.append, score=False)
    names = {family.name for family in text_string_to_metric_families(capsys.readouterr().out)}
    assert "chaos_last_run_verdict" in names
    assert "chaos_detection_score_ratio" not in names
    assert len(said) == 1
    assert "b is left out" in said[0]


def test_no_runs_are_no_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    openmetrics(tmp_path / "none", None, lambda _: None)
    assert capsys.readouterr().out == "# EOF\n"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ChaosError, match="name a file in a folder that is there"):
        dashboard(tmp_path / "none" / "dashboard.json", lambda _: None)


def test_the_dashboard_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dashboard(None, lambda _: None)
    assert json.loads(capsys.readouterr().out)["title"] == "Chaos experiments"
