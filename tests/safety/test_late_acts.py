"""A run is killed while its call is under way, and the call lands after the undo: nothing of it stays.

A relay before the container engine, or before the fault proxy, holds the call back until the run is dead and its warden has undone it.
A process's effects are system calls of the run, and its load hears through a pipe that ends with it: of those nothing can be late.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kills.results import Kill
from chaos.app.recovery import LANDED_S
from chaos.lab.processes import free_ports
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


@pytest.mark.docker
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_that_the_engine_hears_after_the_undo_is_undone_again(
    stand: Stand, box: Box, tmp_path: Path, name: str
) -> None:
    before = box.snapshot()
    prometheus = re.search(r"prometheus: '([^']+)'", (stand.folder / "system.yaml").read_text())
    assert prometheus is not None
    address = tmp_path / "relay.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    system, path = tmp_path / "late.yaml", tmp_path / f"late-{name}.yaml"
    target = f"docker: {{host: 'unix://{address}', labels: {{"
    said = SYSTEM.format(token=box.token, prometheus=prometheus.group(1))
    system.write_text(said.replace("docker: {labels: {", target))
    path.write_text(EXPERIMENT.format(system=system, name=name, more=FAULTS[name]))
    with holding(listener, engine, CALLS[name]) as held:
        killed_s, log = killed_with_its_call_held(stand, path, held)
        eventually(lambda: says(log, ": undone ("), 10, "the warden has undone what may have been done")
        assert box.snapshot() == before
        since_s = int(time.time())
        held.let_go.set()
        assert held.answered.wait(20)
        with judged(Kill("Docker", name, "run", "inject", None, late=True), killed_s):
            nothing_left(stand, LANDED_S + LEASE_S + 8.0)
            assert box.snapshot() == before
    rows = box.client.api.events(
        since=since_s, until=int(time.time()) + 1, decode=True, filters={"container": box.container.id}
    )
    assert EVENTS[name] in {row["Action"] for row in rows}, "the call landed late"


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
