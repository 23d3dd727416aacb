"""Rules that somebody adds to a lab: evaluated at once, gone again, and a file that Prometheus would not take changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from chaos.drivers.ports import free_ports
from chaos.errors import Unreachable
from chaos.lab import added_rules
from chaos.lab.added_rules import BadRules
from chaos.lab.monitoring import Tools
from chaos.lab.processes import LabStatus
from chaos.lab.topology import ADDED_RULES
from tests.drivers.loopback import eventually

RULES = "groups:\n  - name: added\n    rules:\n      - {alert: Always, expr: vector(1)}\n      - {record: one, expr: vector(1)}\n"


def ready(place: str) -> bool:
    try:
        return requests.get(f"http://{place}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def lab(tools: Tools, tmp_path: Path) -> Iterator[LabStatus]:
    """A lab as far as this is concerned: a folder, and a Prometheus that loads the added rules in it."""
    place = f"127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{tmp_path}/{ADDED_RULES}']\n"
    )
    server = subprocess.Popen(
        [
            str(tools.prometheus), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address={place}", "--web.enable-lifecycle", "--log.level=error",
        ]
    )  # fmt: skip
    try:
        eventually(lambda: ready(place), 15, "Prometheus is ready")
        yield LabStatus("lab", tmp_path, {"prometheus": "running"}, {"prometheus": place})
    finally:
        server.terminate()
        server.wait(10)


def loaded(lab: LabStatus) -> set[str]:
    data = requests.get(f"http://{lab.outside['prometheus']}/api/v1/rules", timeout=5).json()["data"]
    return {rule["name"] for group in data["groups"] for rule in group["rules"]}


def written(folder: Path, text: str) -> Path:
    path = folder / "missing.yml"
    path.write_text(text)
    return path


def test_added_rules_are_evaluated_and_dropped_ones_are_not(lab: LabStatus, tools: Tools, tmp_path: Path) -> None:
    assert added_rules.add(lab, written(tmp_path, RULES), tools.promtool) == ["Always", "one"]
    assert loaded(lab) == {"Always", "one"}
    assert added_rules.drop(lab) == ["Always", "one"]
    eventually(lambda: loaded(lab) == set(), 5, "the dropped rules are gone")
    assert added_rules.drop(lab) == []


def test_a_file_of_the_same_name_takes_the_place_of_the_one_before(
    lab: LabStatus, tools: Tools, tmp_path: Path
) -> None:
    added_rules.add(lab, written(tmp_path, RULES), tools.promtool)
    added_rules.add(lab, written(tmp_path, RULES.replace("Always", "Ever")), tools.promtool)
    assert loaded(lab) == {"Ever", "one"}


@pytest.mark.parametrize(
    "text", ["nonsense", RULES.replace("vector(1)", "vector("), RULES.replace("alert: Always, ", "")]
)
def test_what_prometheus_would_not_load_is_refused_in_one_line_and_changes_nothing(
    lab: LabStatus, tools: Tools, tmp_path: Path, text: str
) -> None:
    with pytest.raises(BadRules, match=r"missing.yml was not loaded: .+") as refused:
        added_rules.add(lab, written(tmp_path, text), tools.promtool)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.glob(ADDED_RULES)) == []


def test_a_file_that_is_not_there_is_named_with_what_writes_one(lab: LabStatus, tools: Tools, tmp_path: Path) -> None:
    path = tmp_path / "nothing.yml"
    with pytest.raises(
        BadRules, match=r"there is no file .*nothing\.yml; .*`chaos coverage --suggest .*nothing\.yml` writes one"
    ) as caught:
        added_rules.add(lab, path, tools.promtool)
    assert "Errno" not in str(caught.value)


def test_a_lab_that_is_down_says_how_to_bring_it_up(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="run `chaos lab up`"):
        added_rules.add(LabStatus("lab", tmp_path, {}, {}), written(tmp_path, RULES), tools.promtool)


def test_a_file_without_a_rule_is_refused_and_a_dead_prometheus_leaves_no_file(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    dead = LabStatus(
        "lab", tmp_path / "lab", {"prometheus": "running"}, {"prometheus": f"127.0.0.1:{free_ports(1)[0]}"}
    )
    for text in ("", "groups: []\n"):
        with pytest.raises(BadRules, match="has no rule"):
            added_rules.add(dead, written(tmp_path, text), tools.promtool)
    with pytest.raises(Unreachable, match=r"the lab's Prometheus at .* cannot be reached"):
        added_rules.add(dead, written(tmp_path, RULES), tools.promtool)
    assert list((tmp_path / "lab").iterdir()) == []
