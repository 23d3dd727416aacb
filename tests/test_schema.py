"""The JSON Schemas that editors use: they take what `chaos check` takes and refuse what it refuses, as far as a schema can."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path for path in (ROOT / "experiments").glob("*.yaml") if path.name != "gameday.yaml")


@cache
def validator(kind: str) -> Any:
    said = subprocess.run(
        [sys.executable, "-m", "chaos", "schema", kind], capture_output=True, text=True, check=True, timeout=60
    )
    schema = json.loads(said.stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_shipped_experiment_satisfies_the_schema(path: Path) -> None:
    assert list(validator("experiment").iter_errors(yaml.safe_load(path.read_text()))) == []


def test_the_shipped_game_day_satisfies_the_schema() -> None:
    assert (
        list(validator("gameday").iter_errors(yaml.safe_load((ROOT / "experiments" / "gameday.yaml").read_text())))
        == []
    )


@pytest.mark.parametrize("path", sorted((ROOT / "probes").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_probe_satisfies_the_schema(path: Path) -> None:
    assert list(validator("probes").iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    "name",
    [
        "key_unknown",
        "key_of_another_fault",
        "missing_target",
        "value_not_offered",
        "value_list_for_mapping",
        "unit_missing_duration",
        "steady_moment_misspelt_alone",
        "steady_judged_never",
        "sweep_unknown_key",
        "sweep_over_a_list",
        "expect_via_nothing_known",
        "expect_judge_not_offered",
    ],
)
def test_an_editor_marks_what_the_check_refuses(name: str) -> None:
    assert list(
        validator("experiment").iter_errors(yaml.safe_load((ROOT / "tests" / "bad" / f"{name}.yaml").read_text()))
    )


def test_the_schema_knows_each_fault_with_its_own_parameters() -> None:
    text = json.dumps(validator("experiment").schema)
    for fault in ("wrong_predictions", "biased_outputs", "delay", "http_error", "kill", "pause"):
        assert f'"const": "{fault}"' in text
    assert "how long; the mean of" in text, "descriptions are what editors show"
