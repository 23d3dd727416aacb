"""The survey asks the drivers what can be done to whom, and what an undo would go back to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.app.surveyor import drivers_of, survey
from chaos.drivers.ports import free_ports
from chaos.drivers.process import identity
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.planning import plan
from tests.drivers.container_contract import OPT_IN
from tests.drivers.loopback import Asked, Said, serving
from tests.values import experiment, probes, system

DELAYED = ("fault: wrong_predictions\n", "fault: network_delay\n    by: 50ms\n")
KILLED = ("fault: wrong_predictions\n", "fault: kill\n")


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[ProcessEntry]]:
    """Two processes of the target, of which the second does not carry the opt-in label."""
    table = ProcessTable(tmp_path / "processes.json")
    started = []
    for name, labels in (("a", dict([OPT_IN])), ("b", {})):
        argv = (sys.executable, "-c", "import time; time.sleep(600)")
        entry = ProcessEntry(name, argv, str(tmp_path), "/dev/null", {}, {"app": "loan-model", **labels})
        started.append(spawn(entry))
    table.update(*started)
    yield started
    for entry in started:
        found = entry.running()
        if found is not None:
            found.kill()
            found.wait(5)


def surveyed(fault: tuple[str, str], folder: Path) -> tuple[list[dict[str, object]], list[str]]:
    """What undos would go back to, and what the plan refuses about containers; nobody else of the system answers."""
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    written, where = experiment(fault), system(("http://127.0.0.1:9090", nowhere), ("http://127.0.0.1:9099", nowhere))
    found = survey(written, where, probes(), drivers_of(where, folder))
    drawn = plan(written, where, probes(), found, "seed")
    befores = [dict(effect.container.before) for effect in drawn.effects if effect.container is not None]
    return befores, [said for said in drawn.refusals if "cannot be done" in said]


SERIES = {"metric": {}, "value": [1_700_000_000, "0.91"]}


@pytest.mark.parametrize(
    ("found", "known"), [([SERIES], 0.91), ([], None), ([SERIES, {**SERIES, "metric": {"slice": "north"}}], None)]
)
def test_an_outcome_that_a_fault_aims_at_is_read_where_it_is_one_value(
    found: list[object], known: float | None, tmp_path: Path
) -> None:
    aimed = ("    duration: 60s", "    to_accuracy: 70%\n    duration: 60s")
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"

    def answer(asked: Asked) -> Said:
        if "/query" not in asked.path:
            return Said(body=json.dumps({"status": "success", "data": {"yaml": "global: {}", "groups": []}}).encode())
        result = found if "quantile_over_time" in asked.path + asked.body.decode() else []
        return Said(body=json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode())

    with serving(answer) as prometheus:
        where = system(("http://127.0.0.1:9090", prometheus.url), ("http://127.0.0.1:9099", nowhere))
        seen = survey(experiment(aimed), where, probes(), drivers_of(where, tmp_path))
    assert seen.outcomes == {"accuracy": known}


@pytest.mark.parametrize("aimed", [True, False])
def test_what_is_usual_and_cannot_be_read_stops_a_run_only_where_a_fault_aims_at_it(
    *, aimed: bool, tmp_path: Path
) -> None:
    """An hour of a large Prometheus may take longer than it allows; without it the plan predicts less."""
    edits = [("    duration: 60s", "    to_accuracy: 70%\n    duration: 60s")] if aimed else []
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"

    def answer(asked: Asked) -> Said:
        if "quantile_over_time" in asked.path + asked.body.decode():
            return Said(422, body=json.dumps({"status": "error", "errorType": "timeout", "error": "too much"}).encode())
        if "/query" not in asked.path:
            return Said(body=json.dumps({"status": "success", "data": {"yaml": "global: {}", "groups": []}}).encode())
        return Said(body=json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode())

    with serving(answer) as prometheus:
        where = system(("http://127.0.0.1:9090", prometheus.url), ("http://127.0.0.1:9099", nowhere))
        seen = survey(experiment(*edits), where, probes(), drivers_of(where, tmp_path))
    assert seen.outcomes == {"accuracy": None}
    assert any("too much" in error for error in seen.errors) is aimed


def test_the_plan_knows_what_each_picked_one_is_like_now(replicas: list[ProcessEntry], tmp_path: Path) -> None:
    befores, refused = surveyed(KILLED, tmp_path)
    assert befores == [{"identity": identity(replicas[0]), "status": "running"}]
    assert refused == []


def test_what_a_driver_cannot_do_is_refused_with_its_reason(replicas: list[ProcessEntry], tmp_path: Path) -> None:
    befores, refused = surveyed(DELAYED, tmp_path)
    assert befores == []
    assert len(refused) == 1
    assert refused[0].startswith("network_delay cannot be done to a: local processes share their network")
    assert "run the target in Docker" in refused[0]
