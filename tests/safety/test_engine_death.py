"""The container engine itself is killed while a run hurts one of its containers: what is undone, what is said, and what is left.

The engine is one of the test's own: another one's death would be everybody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from chaos.lab import monitoring
from tests.drivers.loopback import eventually
from tests.safety.stand import Stand, standing
from tests.safety.test_docker_kills import EXPERIMENT, IMAGE, SYSTEM

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None,
        reason="an engine of the test's own takes root and dockerd",
    ),
]
STATE = Path(__file__).parents[2] / ".chaos"


@dataclass
class Engine:
    """A Docker engine without a bridge, whose containers outlive it."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    clients: list[Any] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Where it listens."""
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """It answers."""
        for stale in (self.folder / "exec" / "containerd" / "containerd.pid", self.folder / "pid"):
            stale.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            # In a network of its own, for an engine without a bridge takes the bridge of every other engine down as it starts.
            self.process = subprocess.Popen(
                [
                    "unshare", "--net", "dockerd", "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"), "--pidfile",
                    str(self.folder / "pid"), "-H", self.host, "--bridge=none", "--iptables=false", "--ip6tables=false", "--live-restore",
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, 30, f"the engine answers: {(self.folder / 'log').read_text()[-800:]}")

    def _answers(self) -> bool:
        try:
            self.client().ping()
        except Exception:
            return False
        return True

    def client(self, timeout_s: float = 10) -> Any:
        """A client of the test's own."""
        made = docker.DockerClient(base_url=self.host, timeout=timeout_s)
        self.clients.append(made)
        return made

    def kill(self) -> None:
        """It dies at once; its containers go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Neither it nor anything of it is left."""
        with contextlib.suppress(Exception):
            for one in self.client().containers.list(all=True):
                one.remove(force=True)
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        subprocess.run(["umount", "-l", str(self.folder / "data")], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def bridges() -> set[str]:
    """The default bridges of container engines in this network."""
    return {name for _, name in socket.if_nameindex() if name.startswith("docker")}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine with the image that its containers are made of."""
    folder = Path(f"/var/tmp/chaos-own-engine-{os.getpid()}")
    folder.mkdir(mode=0o711)
    made = Engine(folder)
    before = bridges()
    try:
        made.start()
        assert bridges() >= before, "the test's own engine took the bridge of another one down"
        shared = docker.from_env(timeout=120)
        try:
            made.client(timeout_s=120).images.load(b"".join(shared.images.get(IMAGE).save(named=True)))
        finally:
            shared.close()
        yield made
    finally:
        made.end()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A stand of its own."""
    with standing(tmp_path, monitoring.find(STATE)) as found:
        yield found


def paused(stand: Stand, engine: Engine, seconds: str) -> tuple[subprocess.Popen[str], Any]:
    """A run that has paused a container of this engine for so long, and the container."""
    token = uuid.uuid4().hex[:8]
    box = engine.client().containers.run(
        IMAGE,
        ["sleep", "600"],
        detach=True,
        network_mode="none",
        labels={"chaos.kills": token, "chaos.enabled": "true"},
    )
    prometheus = (stand.folder / "system.yaml").read_text().partition("prometheus: '")[2].partition("'")[0]
    system = stand.folder / "own.yaml"
    target = f"docker: {{host: '{engine.host}', labels: {{"
    system.write_text(SYSTEM.format(token=token, prometheus=prometheus).replace("docker: {labels: {", target))
    path = stand.folder / "own-pause.yaml"
    path.write_text(EXPERIMENT.format(system=system, name="pause", more="").replace("1500ms", seconds))
    process = stand.start(path)

    def is_paused() -> bool:
        assert process.poll() is None, f"the run ended before it paused anything: {process.communicate()}"
        return bool(engine.client().containers.get(box.id).status == "paused")

    try:
        eventually(is_paused, 60, "the container is paused")
    except AssertionError as error:
        raise AssertionError(f"{error}; its journal: {journal(stand)[-3000:]}") from None
    return process, box.id


def journal(stand: Stand) -> str:
    """What the run has written so far."""
    return "".join(path.read_text() for path in (stand.folder / "runs").glob("*/journal.jsonl"))


def test_an_engine_that_dies_and_comes_back_in_time_costs_nothing(stand: Stand, engine: Engine) -> None:
    process, box = paused(stand, engine, "4s")
    engine.kill()
    eventually(lambda: "undo_failed" in journal(stand), 40, "an undo has failed for want of an engine")
    engine.start()
    eventually(lambda: engine.client().containers.get(box).status == "running", 30, "the container runs again")
    said, _ = process.communicate(timeout=60)
    verdict = json.loads(said[said.index("{\n") :])
    undone = next(one for one in verdict["findings"] if one["question"] == "Was every effect undone?")
    assert undone["verdict"] == "confirmed", verdict
    eventually(lambda: not stand.left(), 20, "nothing is left")


def test_when_engine_and_run_die_the_warden_undoes_it_once_the_engine_is_back(stand: Stand, engine: Engine) -> None:
    process, box = paused(stand, engine, "15s")
    engine.kill()
    process.kill()
    process.communicate()
    engine.start()
    eventually(lambda: engine.client().containers.get(box).status == "running", 30, "the container runs again")
    eventually(lambda: not stand.left(), 40, "nothing is left")
