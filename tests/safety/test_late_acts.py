"""A run is killed while its call is under way, and the call lands after the undo: nothing of it stays.

A relay before the container engine, or before the fault proxy, holds the call back until the run is dead and its warden has undone it.
A process's effects are system calls of the run, and its load hears through a pipe that ends with it: of those nothing can be late.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.kills.results import Kill
from chaos.app.recovery import LANDED_S
from chaos.drivers.ports import free_ports
from tests.drivers.loopback import eventually
from tests.safety.holding import Held, holding
from tests.safety.kills import GRACE_S, judged, left_nothing
from tests.safety.stand import LEASE_S, Stand, nothing_left
from tests.safety.test_docker_kills import EXPERIMENT, FAULTS, SYSTEM, Box

pytestmark = [pytest.mark.timeout(240)]

CALLS = {"pause": b"/pause HTTP", "kill": b"/kill", "stop": b"/stop?", "cpu_limit": b"/update HTTP"}
"""What the call to the engine has in it that does a fault, and no other call."""
EVENTS = {"pause": "pause", "kill": "kill", "stop": "stop", "cpu_limit": "update"}
"""What the engine itself tells when it has done it."""


@pytest.fixture
def box() -> Iterator[Box]:
    """A container that may be hurt."""
    made = Box()
    try:
        yield made
    finally:
        made.end()


def engine() -> socket.socket:
    """A connection to the container engine."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    return connected


def killed_with_its_call_held(stand: Stand, experiment: Path, held: Held) -> tuple[float, Path]:
    """The run is dead, by SIGKILL, and its call is held; when that was, on the monotonic clock, and where its warden's log stands."""
    process = stand.start(experiment)
    caught = held.caught.wait(60)
    undos = [run.undo_list() for run in stand.state.runs()]
    process.kill()
    killed_s = time.monotonic()
    said, _ = process.communicate()
    assert caught, f"the call was not made: {said[-2000:]}"
    [undo] = undos
    assert undo is not None
    return killed_s, Path(undo.folder) / "warden.log"


def says(log: Path, words: str) -> bool:
    """Whether these words stand in the log."""
    return log.exists() and words in log.read_text()


@contextmanager
def relayed(stand: Stand, box: Box, folder: Path, name: str) -> Iterator[tuple[Path, Held]]:
    """An experiment that hurts the box through a relay before the engine, and the call that the relay holds."""
    prometheus = re.search(r"prometheus: '([^']+)'", (stand.folder / "system.yaml").read_text())
    assert prometheus is not None
    address = folder / "relay.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    system, path = folder / "late.yaml", folder / f"late-{name}.yaml"
    target = f"docker: {{host: 'unix://{address}', labels: {{"
    said = SYSTEM.format(token=box.token, prometheus=prometheus.group(1))
    system.write_text(said.replace("docker: {labels: {", target))
    path.write_text(EXPERIMENT.format(system=system, name=name, more=FAULTS[name]))
    with holding(listener, engine, CALLS[name]) as held:
        yield path, held


@contextmanager
def listening(box: Box) -> Iterator[list[str]]:
    """What the engine does to the box from now on, as it says itself. It remembers no more than 256 things, of all containers."""
    stream = box.client.api.events(decode=True, since=int(time.time()), filters={"container": box.container.id})
    done: list[str] = []
    heard = threading.Thread(target=lambda: done.extend(row["Action"] for row in stream), daemon=True)
    heard.start()
    try:
        yield done
    finally:
        stream.close()
        heard.join(10)


@pytest.mark.docker
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_that_the_engine_hears_after_the_undo_is_undone_again(
    stand: Stand, box: Box, tmp_path: Path, name: str
) -> None:
    before = box.snapshot()
    with relayed(stand, box, tmp_path, name) as (path, held):
        killed_s, log = killed_with_its_call_held(stand, path, held)
        eventually(lambda: says(log, ": undone ("), 10, "the warden has undone what may have been done")
        assert box.snapshot() == before
        with listening(box) as done:
            held.let_go.set()
            assert held.answered.wait(20)
            with judged(Kill("Docker", name, "run", "inject", None, late=True), killed_s):
                nothing_left(stand, LANDED_S + LEASE_S + 8.0)
                assert box.snapshot() == before
            eventually(lambda: EVENTS[name] in done, 10, "the call landed late")


@pytest.mark.docker
def test_a_call_that_gets_no_answer_in_time_and_is_performed_later_is_undone_again_by_the_run(
    stand: Stand, box: Box, tmp_path: Path
) -> None:
    before = box.snapshot()
    earlier = set((stand.folder / "runs").glob("*"))
    with relayed(stand, box, tmp_path, "pause") as (path, held):
        process = stand.start(path)
        try:
            eventually(lambda: held.caught.is_set() or process.poll() is not None, 60, "the call is made")
            assert held.caught.is_set(), f"the call was not made: {process.communicate()[0][-3000:]}"
            [folder] = set((stand.folder / "runs").glob("*")) - earlier
            lines = folder / "journal.jsonl"
            eventually(lambda: says(lines, '"apply_failed"'), 20, "the run has given its call up")
            eventually(lambda: says(lines, '"kind":"undone"'), 10, "the run has undone what may have been done")
            assert box.snapshot() == before
            with listening(box) as done:
                held.let_go.set()
                assert held.answered.wait(20)
                eventually(lambda: {"pause", "unpause"} <= set(done), 10, "it landed, and was undone again")
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert box.snapshot() == before
    assert json.loads(said[said.index("{\n") :])["verdict"] == "invalid", said
    nothing_left(stand, LEASE_S + 8.0)


def test_faults_that_a_proxy_hears_of_after_it_let_go_end_with_the_lease(stand: Stand, tmp_path: Path) -> None:
    [port] = free_ports(1)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    host, _, control = stand.control.removeprefix("http://").partition(":")
    system, path = stand.folder / "late.yaml", tmp_path / "late.yaml"
    system.write_text((stand.folder / "system.yaml").read_text().replace(stand.control, f"http://127.0.0.1:{port}"))
    path.write_text(stand.experiment("proxy").read_text().replace(str(stand.folder / "system.yaml"), str(system)))
    with holding(listener, lambda: socket.create_connection((host, int(control))), b"PUT /runs") as held:
        killed_s, log = killed_with_its_call_held(stand, path, held)
        eventually(lambda: says(log, "have let go of the run"), 10, "the warden has disarmed the proxy")
        assert not stand.armed()
        held.let_go.set()
        assert held.answered.wait(10)
        assert held.answer.startswith(b"HTTP/1.1 200"), held.answer
        assert stand.armed(), "the call landed late"
        left_nothing(stand, Kill("processes", "proxy", "run", "inject", None, late=True), killed_s, LEASE_S + GRACE_S)
