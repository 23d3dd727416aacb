"""The same experiments with the lab in Docker: real containers, and the engine's own events prove it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from chaos.lab import topology
from tests.system.checks import detected, nothing_left, outcome, sound
from tests.system.labs import Work, run

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(400)]


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    found = docker.from_env()
    yield found
    found.close()


def containers(engine: Any, work: Work) -> dict[str, Any]:
    found = engine.containers.list(filters={"label": f"chaos.lab={work.name}"})
    return {one.labels["chaos.service"]: one for one in found}


def test_every_service_of_the_lab_is_a_running_container(docker_lab: Work, engine: Any) -> None:
    found = containers(engine, docker_lab)
    assert set(found) == set(topology.SERVICES)
    for one in found.values():
        assert one.attrs["State"]["Pid"] > 0
        bound = [entry for ports in one.attrs["NetworkSettings"]["Ports"].values() for entry in ports or []]
        assert all(entry["HostIp"] == "127.0.0.1" for entry in bound), "a port is open to the world"


def test_a_replica_is_killed_by_the_engine_and_the_same_one_comes_back(docker_lab: Work, engine: Any) -> None:
    before = {name: one.id for name, one in containers(engine, docker_lab).items()}
    filters = {"type": "container", "label": f"chaos.lab={docker_lab.name}"}
    seen: list[dict[str, Any]] = []
    # Heard as they come: an engine keeps only its last 256 events, and others ask it for much meanwhile.
    stream = engine.events(decode=True, filters=filters)
    listening = threading.Thread(target=lambda: seen.extend(stream), daemon=True)
    listening.start()
    ran = run(docker_lab, "replica-killed")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ReplicaDown", 15)
    sound(ran)
    nothing_left(docker_lab)
    assert {name: one.id for name, one in containers(engine, docker_lab).items()} == before
    [effect] = ran.verdict["effects"]
    hurt = [identity for name, identity in before.items() if identity[:12] in effect["apply_call"]]
    assert len(hurt) == 1
    assert hurt[0] in {before[name] for name in topology.REPLICAS}
    stream.close()
    listening.join(10)
    actions = [
        (row["Actor"]["ID"], row["Action"]) for row in seen if row["Action"] in ("kill", "die", "start", "pause")
    ]
    assert actions == [(hurt[0], "kill"), (hurt[0], "die"), (hurt[0], "start")]


def test_the_same_experiment_file_is_confirmed_in_docker(docker_lab: Work) -> None:
    ran = run(docker_lab, "quickstart")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ModelAccuracyLow", 60)
    sound(ran)
    nothing_left(docker_lab)


def test_an_unreachable_engine_gives_one_sentence_and_leaves_nothing(
    docker_lab: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    answered = docker_lab.chaos("lab", "up", "--docker", "--name", "another")
    assert answered.code == 3
    assert "no Docker engine answers" in answered.err
    assert "Traceback" not in answered.err
    assert not (docker_lab.folder / ".chaos" / "labs" / "another").exists()
