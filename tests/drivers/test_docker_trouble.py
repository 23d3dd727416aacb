"""What the Docker driver says when the engine is not there, or is something else. No engine is needed for that."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chaos.drivers.base import Container
from chaos.drivers.docker import APPLY_S, UNDO_S, DockerDriver
from chaos.drivers.ports import free_ports
from chaos.engine import APPLY_DEAD_S, UNDO_CALL_S
from chaos.errors import ChaosError, NotUndone, Unreachable
from tests.drivers.container_contract import KILL, OPT_IN, PAUSE
from tests.drivers.loopback import Asked, Loopback, Said, serving

BEFORE = Container("model-1", "f00d" * 16, {"app": "model"}, "running")
CALLS: dict[str, Callable[[DockerDriver], object]] = {
    "find": lambda driver: driver.find(),
    "apply": lambda driver: driver.apply(KILL, BEFORE, {}),
    "undo": lambda driver: driver.undo(PAUSE, BEFORE, {}),
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
        driver_at(engine.url).apply(KILL, BEFORE, {})
    with pytest.raises(NotUndone, match="model-1 was removed by somebody else") as caught:
        driver_at(engine.url).undo(KILL, BEFORE, {})
    assert caught.value.by_hand == f"docker -H {engine.url} start f00df00df00d"
    assert [asked.method for asked in engine.asked] == ["GET"] * len(engine.asked), "nothing was made anew"


# --- an engine that is slow, and containers that are not as they were left ------------------------------------------------

SHORT_S = 1.0
"""What an apply may take in these tests."""
Delays = Callable[[Asked], float]


def inspected(status: str) -> Said:
    """What an engine says of the container."""
    said = {"Id": BEFORE.id, "Name": "/model-1", "State": {"Status": status}, "Config": {"Labels": dict([OPT_IN])}}
    return Said(200, json.dumps(said).encode())


def slowly(engine: Loopback, seconds_of: Delays, status: str = "running") -> Callable[[Asked], Said]:
    """An engine that has one container, to which nothing ever happens, and takes its time with some answers."""

    def answer(asked: Asked) -> Said:
        engine.released.wait(seconds_of(asked))
        if asked.method == "POST":
            return Said(204, b"")
        return speaking(inspected(status))(asked)

    return answer


def posts(engine: Loopback) -> list[str]:
    return [asked.path for asked in engine.asked if asked.method == "POST"]


def seconds_of_apply(engine: Loopback) -> float:
    """How long an apply takes that the engine makes fail."""
    begun_s = time.perf_counter()
    with pytest.raises(Unreachable) as caught:
        DockerDriver({"app": "model"}, OPT_IN, engine.url, apply_s=SHORT_S).apply(KILL, BEFORE, {})
    assert "\n" not in str(caught.value)
    return time.perf_counter() - begun_s


HANGS: dict[str, Delays] = {
    "greeting": lambda asked: 20.0 if asked.path.endswith("/version") else 0.0,
    "inspection": lambda asked: 20.0 if asked.path.endswith("/json") else 0.0,
    "kill": lambda asked: 20.0 if asked.method == "POST" else 0.0,
    "every answer": lambda asked: 0.3,
}


@pytest.mark.parametrize("hangs", HANGS.values(), ids=HANGS)
def test_an_apply_ends_at_its_deadline_whatever_hangs(hangs: Delays, engine: Loopback) -> None:
    engine.answer = slowly(engine, hangs)
    assert seconds_of_apply(engine) < SHORT_S + 0.4


def test_an_inspection_after_the_kill_that_hangs_ends_at_the_deadline_of_the_whole_apply(engine: Loopback) -> None:
    engine.answer = slowly(engine, lambda asked: 20.0 if posts(engine) and asked.method == "GET" else 0.0)
    assert seconds_of_apply(engine) < SHORT_S + 0.4
    assert len(posts(engine)) == 1


def test_a_container_is_not_hurt_when_the_time_is_nearly_up(engine: Loopback) -> None:
    engine.answer = slowly(engine, lambda asked: 0.85 * SHORT_S if asked.path.endswith("/json") else 0.0)
    seconds_of_apply(engine)
    assert posts(engine) == []


def test_an_apply_and_an_undo_end_before_the_loop_gives_them_up() -> None:
    assert APPLY_S < APPLY_DEAD_S - 1
    assert UNDO_S < UNDO_CALL_S


@pytest.mark.parametrize("status", ["exited", "dead", "created"])
def test_one_that_was_paused_and_died_of_something_else_is_reported_and_not_started(
    status: str, engine: Loopback
) -> None:
    engine.answer = slowly(engine, lambda asked: 0.0, status)
    with pytest.raises(NotUndone, match=f"model-1 was paused and is {status} now") as caught:
        driver_at(engine.url).undo(PAUSE, BEFORE, {})
    assert posts(engine) == []
    assert caught.value.by_hand == f"docker -H {engine.url} start f00df00df00d"


def test_the_command_by_hand_reaches_the_same_engine() -> None:
    assert driver_at("ssh://ops@there").by_hand(PAUSE, BEFORE, {}) == "docker -H ssh://ops@there unpause f00df00df00d"
    odd = "unix:///run/my docker; reboot.sock"
    assert shlex.split(driver_at(odd).by_hand(KILL, BEFORE, {})) == ["docker", "-H", odd, "start", "f00df00df00d"]
    assert DockerDriver({}, OPT_IN).by_hand(KILL, BEFORE, {}) == "docker start f00df00df00d"
