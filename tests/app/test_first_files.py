"""`chaos init`, from the command line to its files, against servers that answer as the lab's do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.app.files import load
from tests.first_steps.servers import IDLE_PROXY, lab_monitoring, serving

NOWHERE = "http://127.0.0.1:9"


def chaos(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", *words],
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_files_stand_and_fit_and_what_was_found_guessed_and_left_is_said(tmp_path: Path) -> None:
    with lab_monitoring() as (prometheus, alertmanager), serving(IDLE_PROXY) as proxy, serving(IDLE_PROXY) as watching:
        said = chaos(
            "init", "--prometheus", prometheus, "--proxy", proxy, "--monitoring-proxy", watching, "--no-docker",
            "--match", "service=loan", "--into", str(tmp_path),
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    experiments = sorted((tmp_path / "experiments").glob("*.yaml"))
    assert len(experiments) == 28
    assert {load(path).system.telemetry.alertmanager for path in experiments} == {alertmanager}
    assert (tmp_path / "experiment.schema.json").is_file()
    for sentence in ("Found", "45 alert rules", "LatencyHigh", "delay", "Left to fill in", "$ chaos check"):
        assert sentence in said.stdout
    assert all(len(line) <= 80 for line in said.stdout.splitlines() if not line.startswith("  $"))


def test_nothing_that_is_there_is_replaced_unless_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "system.yaml").write_text("mine")
    with lab_monitoring() as (prometheus, _):
        words = ("init", "--prometheus", prometheus, "--no-docker", "--into", str(tmp_path))
        refused = chaos(*words)
        assert refused.returncode == 2
        assert "there already; write --force" in " ".join(refused.stderr.split())
        assert [path.name for path in tmp_path.iterdir()] == ["system.yaml"]
        assert (tmp_path / "system.yaml").read_text() == "mine"
        assert chaos(*words, "--force").returncode == 0
    assert (tmp_path / "system.yaml").read_text() != "mine"


def test_machines_are_told_the_same(tmp_path: Path) -> None:
    with lab_monitoring() as (prometheus, _):
        said = chaos("init", "--prometheus", prometheus, "--no-docker", "--into", str(tmp_path), "--json")
    found = json.loads(said.stdout)
    assert {row["alert"]: row["fault"] for row in found["rules"]}["ReplicaDown"] == "kill"
    assert all(Path(row["path"]).is_file() for row in found["files"])


def test_check_says_where_each_place_is_that_is_left_to_fill_in(tmp_path: Path) -> None:
    with lab_monitoring() as (prometheus, _):
        chaos("init", "--prometheus", prometheus, "--no-docker", "--into", str(tmp_path))
    said = chaos("check", str(tmp_path / "experiments" / "latency-high.yaml"))
    assert said.returncode == 0
    assert "to fill in: where users' traffic enters" in said.stderr
    assert "places are still to be filled in" in said.stderr


def test_without_rules_there_is_a_system_file_and_no_experiment(tmp_path: Path) -> None:
    with lab_monitoring({"status": "success", "data": {"groups": []}}) as (prometheus, _):
        said = chaos("init", "--prometheus", prometheus, "--no-docker", "--into", str(tmp_path))
    assert said.returncode == 0, said.stderr
    assert not (tmp_path / "experiments").exists()
    assert "no alert rule" in said.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--prometheus", NOWHERE), 3, "cannot be reached"),
        (("--prometheus", "localhost"), 2, "is no address; write something like http://127.0.0.1:9090"),
        (("--sink", "oncall"), 2, "write something like oncall=http://127.0.0.1:9099"),
        (("--name", "a b"), 2, "is no name"),
        (("--data", "nowhere.jsonl"), 2, "no rows can be read"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    words: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    said = chaos("init", "--no-docker", "--into", str(tmp_path / "new"), *words)
    assert said.returncode == code
    assert sentence in " ".join(said.stderr.replace("│", " ").split())
    assert not (tmp_path / "new").exists()


def test_a_proxy_that_was_named_and_does_not_answer_ends_it(tmp_path: Path) -> None:
    with lab_monitoring() as (prometheus, _):
        said = chaos(
            "init", "--prometheus", prometheus, "--proxy", NOWHERE, "--no-docker", "--into", str(tmp_path / "new")
        )
    assert said.returncode == 3
    assert "the fault proxy" in said.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_of_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chaos").mkdir()
    (tmp_path / "chaos" / "__init__.py").touch()
    said = chaos("init", "--prometheus", NOWHERE, "--no-docker", "--into", str(tmp_path / "chaos"))
    assert said.returncode == 2
    assert "is a Python package; name another one with --into" in " ".join(said.stderr.split())


def test_data_that_is_no_csv_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "x" * 200_000 + ",1\n")
    said = chaos("init", "--no-docker", "--data", str(tmp_path / "rows.csv"), "--into", str(tmp_path / "new"))
    assert said.returncode == 2
    assert "no rows can be read" in said.stderr
    assert "Traceback" not in said.stderr
