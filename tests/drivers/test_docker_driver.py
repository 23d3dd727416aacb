"""The Docker driver keeps the containers' contract on a real engine; and what only an engine can tell.

Needs an engine (DOCKER_HOST, or the default socket) and an image with `sleep`: $CHAOS_BASE_IMAGE, or `chaos-base:local`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import docker  # the look from outside
import docker.errors
import pytest

from chaos.drivers.base import Status
from chaos.drivers.docker import DockerDriver
from chaos.errors import Unreachable
from tests.containers import IMAGE
from tests.drivers.container_contract import KILL, OPT_IN, PAUSE, ContainerContract, ContainerWorld
from tests.drivers.loopback import eventually, now_wall_s

pytestmark = pytest.mark.docker


PROGRAM = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 600 & wait; done"]
"""Unlike a bare `sleep`, it hears of a SIGTERM although it is the first process."""


class Engine:
    """A client of its own, beside the driver's; removes every container that it made."""

    def __init__(self) -> None:
        self.client: Any = docker.from_env(timeout=20)
        self.token = uuid.uuid4().hex[:8]
        self.labels = {"chaos.contract": self.token}

    def start(self, name: str, labels: dict[str, str]) -> str:
        """The container runs; its full name."""
        full = f"chaos-{self.token}-{name}"
        self.client.containers.run(
            IMAGE,
            PROGRAM,
            name=full,
            labels={**labels, "chaos.test": self.token},
            detach=True,
            network_mode="none",
        )
        return full

    def status(self, name: str) -> Status:
        """What the engine's own inspection says."""
        try:
            state = self.client.api.inspect_container(name)["State"]
        except docker.errors.NotFound:
            return "gone"
        if state["Paused"]:
            return "paused"
        return "running" if state["Running"] else "exited"

    def remove(self, name: str) -> None:
        """The container is gone for good."""
        self.client.api.remove_container(name, force=True)

    def replace(self, name: str) -> None:
        """Another container stands under the same name and labels, as after a deployment."""
        labels = self.client.api.inspect_container(name)["Config"]["Labels"]
        self.remove(name)
        self.start(name.removeprefix(f"chaos-{self.token}-"), labels)

    def end(self) -> None:
        """Nothing that was started is left."""
        for one in self.client.containers.list(all=True, filters={"label": f"chaos.test={self.token}"}):
            with suppress(docker.errors.NotFound):
                one.remove(force=True)
        self.client.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    try:
        made.client.ping()
        yield made
    finally:
        made.end()


class TestContainers(ContainerContract):
    """The contract, with an engine's kill and pause."""

    @pytest.fixture
    def world(self, engine: Engine) -> ContainerWorld:
        opted_in = {**engine.labels, OPT_IN[0]: OPT_IN[1]}
        second, first = engine.start("b-second", opted_in), engine.start("a-first", opted_in)
        shy = engine.start("c-shy", engine.labels)
        alien = engine.start("alien", {"chaos.contract": "another", OPT_IN[0]: OPT_IN[1]})
        driver = DockerDriver(engine.labels, OPT_IN)
        return ContainerWorld(
            driver,
            engine.status,
            first,
            second,
            shy,
            alien,
            engine.remove,
            engine.replace,
            lambda: DockerDriver(engine.labels, OPT_IN),
        )


def test_a_restart_by_somebody_else_keeps_the_identity_and_shows_in_the_start_time(engine: Engine) -> None:
    name = engine.start("a", {**engine.labels, OPT_IN[0]: OPT_IN[1]})
    driver = DockerDriver(engine.labels, OPT_IN)
    (before,) = driver.find()
    engine.client.containers.get(name).restart(timeout=0)
    (after,) = driver.find()
    assert after.id == before.id
    assert after.started_at > before.started_at


def test_the_engines_own_events_tell_what_was_done_and_when(engine: Engine) -> None:
    engine.start("a", {**engine.labels, OPT_IN[0]: OPT_IN[1]})
    driver = DockerDriver(engine.labels, OPT_IN)
    (before,) = driver.find()
    begun_wall_s = now_wall_s()
    done = driver.apply(KILL, before, {})
    driver.undo(KILL, before, {})

    def told() -> list[tuple[float, str, str]]:
        found = [event for event in driver.events_since(begun_wall_s) if event[0] >= begun_wall_s]
        return found if "start" in [action for _, action, _ in found] else []

    events = eventually(told, 10, "kill, die and start")
    assert [action for _, action, _ in events if action in ("kill", "die", "start")] == ["kill", "die", "start"]
    assert {container for _, _, container in events} == {before.id}
    killed_wall_s = next(at for at, action, _ in events if action == "kill")
    assert begun_wall_s - 0.1 <= killed_wall_s <= done.at_wall_s + 0.1


def test_what_the_engine_refuses_is_one_sentence(engine: Engine) -> None:
    name = engine.start("a", {**engine.labels, OPT_IN[0]: OPT_IN[1]})
    driver = DockerDriver(engine.labels, OPT_IN)
    (before,) = driver.find()
    engine.client.containers.get(name).stop(timeout=0)
    with pytest.raises(Unreachable, match="refused") as caught:
        driver.apply(PAUSE, before, {})
    assert "\n" not in str(caught.value)
