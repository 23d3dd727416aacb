"""What the Docker driver says when the engine is not there, or is something else. No engine is needed for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chaos.drivers.base import Container
from chaos.drivers.docker import DockerDriver
from chaos.errors import ChaosError, NotUndone, Unreachable
from chaos.lab.processes import free_ports
from tests.drivers.container_contract import OPT_IN
from tests.drivers.loopback import Asked, Loopback, Said, serving

BEFORE = Container("model-1", "f00d" * 16, {"app": "model"}, "running")
CALLS: dict[str, Callable[[DockerDriver], object]] = {
    "find": lambda driver: driver.find(),
    "apply": lambda driver: driver.apply("kill", BEFORE),
    "undo": lambda driver: driver.undo("pause", BEFORE),
    "events_since": lambda driver: driver.events_since(0.0),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def driver_at(host: str) -> DockerDriver:
    return DockerDriver({"app": "model"}, OPT_IN, host)


@pytest.fixture
def engine() -> Iterator[Loopback]:
    """An address that says it is an engine; the rest of its answers the test chooses."""
    with serving(lambda asked: Said()) as server:
        yield server


def speaking(rest: Said) -> Callable[[Asked], Said]:
    """An engine that greets properly, and then says this."""

    def answer(asked: Asked) -> Said:
        return Said(200, json.dumps({"ApiVersion": "1.41"}).encode()) if asked.path.endswith("/version") else rest

    return answer


@calls
def test_no_engine_is_one_sentence_that_says_what_to_check(
    call: Callable[[DockerDriver], object], tmp_path: Path
) -> None:
    for host in (f"tcp://127.0.0.1:{free_ports(1)[0]}", f"unix://{tmp_path}/no.sock", "nonsense://host"):
        with pytest.raises(Unreachable, match="DOCKER_HOST") as caught:
            call(driver_at(host))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["find", "apply", "undo"])
def test_an_error_of_the_engine_is_told_in_its_own_words(name: str, engine: Loopback) -> None:
    engine.answer = speaking(Said(500, b'{"message": "the disk is full"}'))
    with pytest.raises(Unreachable, match="refused: the disk is full"):
        CALLS[name](driver_at(engine.url))


@calls
def test_what_is_no_engine_is_never_a_traceback(call: Callable[[DockerDriver], object], engine: Loopback) -> None:
    for said in (
        Said(200, b"<html></html>", "text/html"),
        Said(200, b"{}"),
        Said(200, b"[]"),
        Said(401, b"who are you"),
    ):
        for answer in (speaking(said), lambda _, said=said: said):
            engine.answer = answer
            with suppress(ChaosError):  # nothing else may come out
                call(driver_at(engine.url))
    assert engine.asked


def test_a_container_that_is_gone_is_left_alone_and_reported(engine: Loopback) -> None:
    engine.answer = speaking(Said(404, b'{"message": "No such container: f00d"}'))
    with pytest.raises(Unreachable, match="No such container"):
        driver_at(engine.url).apply("kill", BEFORE)
    with pytest.raises(NotUndone, match="model-1 was removed by somebody else") as caught:
        driver_at(engine.url).undo("kill", BEFORE)
    assert caught.value.by_hand == "docker start f00df00df00d"
    assert [asked.method for asked in engine.asked] == ["GET"] * len(engine.asked), "nothing was made anew"
