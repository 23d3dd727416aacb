"""Every YAML block of README and docs is something that this program, Prometheus or Kubernetes takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from chaos.experiment import Experiment, parse
from chaos.faults import catalogue as fault_catalogue
from chaos.lab.monitoring import Tools
from chaos.probe import merge
from chaos.rules_file import parse_rules
from chaos.system import System, Target, parse_system
from tests.docs.blocks import ELIDED, Block, blocks
from tests.lab.promtool import check
from tests.lab.test_probes import world_of

VARIABLES = {"CHAOS_PROXY_TOKEN": "0123456789abcdef", "GRAFANA_TOKEN": "glsa_0123456789"}
EXPERIMENT, SYSTEM = (
    yaml.safe_load(next(block.text for block in blocks("yaml") if block.page.name == name))
    for name in ("experiment.md", "your-system.md")
)
"""The whole experiment and the whole system file that the pages show: pieces are laid over them."""


def keys(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def whole_experiment(data: Any) -> None:
    parse(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), "experiment.yaml", VARIABLES)


def piece_of_an_experiment(data: Any) -> None:
    """What a piece does not say is as the whole one says it, but for `holds`, whose default follows from the piece."""
    named = {one.get("probe") or one["name"] for one in data.get("steady_state", [])}
    kept = [one for one in EXPERIMENT["steady_state"] if (one.get("probe") or one["name"]) not in named]
    expected = {key: value for key, value in EXPERIMENT["expect"].items() if key != "holds"} | data.get("expect", {})
    radius = EXPERIMENT["blast_radius"] | data.get("blast_radius", {})
    if any(fault["fault"] == "external" for fault in data.get("faults", [])):
        del radius["most"]  # it caps what proxies do
    steady = [*kept, *data.get("steady_state", [])]
    whole_experiment({**EXPERIMENT, **data, "steady_state": steady, "expect": expected, "blast_radius": radius})


def whole_system(data: Any) -> None:
    parse_system(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), "system.yaml", VARIABLES)


def piece_of_a_target(data: Any) -> None:
    name, target = next(iter(SYSTEM["targets"].items()))
    whole_system({**SYSTEM, "targets": {name: {key: value for key, value in target.items() if key != "output"} | data}})


def is_probe_file(data: Any) -> bool:
    return all(isinstance(one, dict) and "query" in one for one in data.values())


def probe_file(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    for probe in merge({"probes.yaml": text}).values():
        assert probe.sample is not None


def rules(data: Any) -> None:
    alerting, recording = parse_rules(yaml.safe_dump(data))
    for rule in [*alerting, *recording]:
        promql_parser.parse(rule.expr)


def kubernetes(data: Any) -> None:
    import kubernetes_validate

    kubernetes_validate.validate(data, "1.30", strict=True)


def is_gitlab(data: Any) -> bool:
    return all(isinstance(one, dict) and "script" in one for one in data.values())


def published(data: Any, schema: str) -> None:
    """What these pipelines' makers publish of them says that this is one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yml"
        path.write_text(
            yaml.safe_dump({"on" if key is True else key: value for key, value in data.items()}, sort_keys=False)
        )
        words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


KINDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], None]], ...] = (
    ("a resource of Kubernetes", lambda data: "apiVersion" in data, kubernetes),
    ("a file of Prometheus' rules", lambda data: "groups" in data, rules),
    ("a workflow of GitHub", lambda data: "jobs" in data, lambda data: published(data, "vendor.github-workflows")),
    ("a pipeline of GitLab", is_gitlab, lambda data: published(data, "vendor.gitlab-ci")),
    ("a system file", lambda data: {"name", "targets", "telemetry"} <= set(data), whole_system),
    ("an experiment", lambda data: {"name", "faults", "expect"} <= set(data), whole_experiment),
    ("probes", is_probe_file, probe_file),
    ("a piece of an experiment", lambda data: set(data) <= keys(Experiment), piece_of_an_experiment),
    ("a piece of a system file", lambda data: set(data) <= keys(System), lambda data: whole_system({**SYSTEM, **data})),
    ("a target", lambda data: set(data) <= keys(Target), piece_of_a_target),
)


def read(block: Block) -> Any:
    data = yaml.safe_load(block.text)
    if isinstance(data, list) and all("alert" in one for one in data):
        return {"groups": [{"name": "shown", "rules": data}]}
    return data


def faults_page(block: Block) -> bool:
    """Those of docs/faults.md are the faults' own examples, which the faults' contract holds."""
    return block.page.name == "faults.md"


@pytest.mark.parametrize("block", [one for one in blocks("yaml") if not faults_page(one)], ids=str)
def test_a_shown_block_is_taken(block: Block) -> None:
    data = read(block)
    if ELIDED in block.text:
        return
    if isinstance(data, dict) and set(data) == {"where"}:
        data = {"blast_radius": data}
    fitting = next((takes for _, fits, takes in KINDS if isinstance(data, dict) and fits(data)), None)
    assert fitting is not None, f"{block}: say in {Path(__file__).name} what this is"
    fitting(data)


def test_the_documented_probes_give_what_their_samples_say(tools: Tools, tmp_path: Path) -> None:
    shown = [one for one in blocks("yaml") if isinstance(read(one), dict) and is_probe_file(read(one))]
    worlds = [world_of(name, probe) for one in shown for name, probe in merge({"probes.yaml": one.text}).items()]
    assert worlds
    assert check(tools, tmp_path, worlds) == ""


def test_faults_named_in_blocks_exist() -> None:
    known = set(fault_catalogue())
    for block in blocks("yaml"):
        data = read(block)
        for fault in data.get("faults", []) if isinstance(data, dict) else []:
            assert fault["fault"] in known, block
