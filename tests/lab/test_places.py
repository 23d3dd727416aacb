"""Which lab a name means: one folder and nothing else, one kind at a time, and containers without any folder."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import docker
import pytest

from chaos.drivers.process_table import ProcessEntry, ProcessTable
from chaos.errors import ChaosError, Unreachable
from chaos.lab import containers, places, processes, topology
from chaos.system import parse_system
from tests.containers import IMAGE
from tests.drivers.loopback import Asked, Loopback, Said, serving

MINE, ALIEN = "f00d" * 16, "beef" * 16


def quiet(_: str) -> None:
    """Nobody listens."""


# --- names ----------------------------------------------------------------------------------------------------------------

BAD = ["../precious", "..", ".", "", "a/b", "-rf", ".hidden", "a b", "a\n", "ä", "a" * 65]
VERBS: dict[str, Callable[[str, Path, bool], object]] = {
    "up": lambda name, state, in_docker: places.up(name, state, quiet, docker=in_docker),
    "down": lambda name, state, in_docker: places.down(name, state, quiet, docker=in_docker),
    "status": lambda name, state, in_docker: places.status(name, state, docker=in_docker),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
kinds = pytest.mark.parametrize("in_docker", [False, True], ids=["processes", "docker"])


@verbs
@kinds
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_name_is_refused_before_anything_is_touched(
    name: str, verb: Callable[[str, Path, bool], object], in_docker: bool, tmp_path: Path
) -> None:
    state = tmp_path / ".chaos"
    precious = state / "precious" / "file"
    for keep in (precious, state / "labs" / "file"):
        keep.parent.mkdir(parents=True)
        keep.touch()
    with pytest.raises(ChaosError, match="is no name for a lab; write letters, digits, dots, dashes") as caught:
        verb(name, state, in_docker)
    assert caught.value.exit_code == 2
    assert precious.exists()


def test_a_folders_path_is_no_name_on_the_command_line(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in (str(precious), "../../precious"):
        argv = [sys.executable, "-m", "chaos", "lab", "down", "--name", name]
        ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 2
        assert "is no name for a lab" in ended.stderr
    assert precious.is_dir()


@pytest.mark.parametrize("name", ["lab", "lab-docker", "a", "A.b_c-1", "1" * 64])
def test_a_name_is_one_folder_below_the_labs(name: str, tmp_path: Path) -> None:
    assert processes.folder_of(name, tmp_path).parent == tmp_path / "labs"


@pytest.mark.parametrize("name", ["1", "true", "1e3", "null"])
def test_a_name_that_yaml_would_take_for_something_else_stays_a_name(name: str) -> None:
    outside = dict.fromkeys(topology.PORTS, "127.0.0.1:1")
    text = topology.system_yaml(name, outside, "docker: {labels: {app: loan-model}}")
    assert parse_system(text, "system.yaml", {"file:token": "t"})[0].name == name


# --- kinds ----------------------------------------------------------------------------------------------------------------


@dataclass
class Engine:
    """A Docker engine as far as a lab is taken down: one container and one network of the lab, and what was removed."""

    lab: str
    removed: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> Said:
        path = unquote(asked.path)
        if path.endswith("/version"):
            return Said(200, json.dumps({"ApiVersion": "1.41"}).encode())
        if path.endswith("/_ping"):
            return Said(200, b"OK", "text/plain")
        if asked.method == "DELETE":
            self.removed.append(path.partition("?")[0].partition("/v1.41/")[2])
            return Said(204, b"")
        mine = f'chaos.lab={self.lab}"' in path or f"chaos.lab={self.lab}'" in path
        if "/containers/json" in path:
            return Said(200, json.dumps([{"Id": MINE}] if mine else [{"Id": MINE}, {"Id": ALIEN}]).encode())
        if "/networks" in path:
            return Said(200, json.dumps([{"Id": "net-1"}] if mine else [{"Id": "net-1"}, {"Id": "net-2"}]).encode())
        labels = topology.labels("sink", self.lab)
        said = {
            "Id": MINE,
            "State": {"Status": "running"},
            "Config": {"Labels": labels},
            "NetworkSettings": {"Ports": {}},
        }
        return Said(200, json.dumps(said).encode())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    here = Engine("loans")
    with serving(here.answer) as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("http://", "tcp://"))
        yield here


EVERYTHING = [f"containers/{MINE}", "networks/net-1"]


def folder_of_docker(state: Path) -> Path:
    """The folder of a lab that was brought up in Docker."""
    folder = state / "labs" / "loans"
    folder.mkdir(parents=True)
    (folder / containers.MARK).touch()
    return folder


def folder_of_processes(state: Path) -> Path:
    """The folder of a lab that was brought up as local processes, none of which runs any more."""
    folder = state / "labs" / "loans"
    folder.mkdir(parents=True)
    ProcessTable(folder / "processes.json").update(ProcessEntry("sink", ("true",), str(folder), str(folder / "log")))
    return folder


def test_containers_are_taken_down_though_their_labs_folder_is_gone(engine: Engine, tmp_path: Path) -> None:
    said: list[str] = []
    assert places.status("loans", tmp_path, docker=True).services == {"sink": "running"}
    places.down("loans", tmp_path, said.append, docker=True)
    assert engine.removed == EVERYTHING
    assert said[-1] == "the lab `loans` is down"
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_hands_docker_on(engine: Engine, tmp_path: Path) -> None:
    for verb, code in (("status", 0), ("down", 0)):
        argv = [sys.executable, "-m", "chaos", "lab", verb, "--docker", "--name", "loans"]
        ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == code, ended.stderr
    assert engine.removed == EVERYTHING


def test_a_lab_in_docker_is_taken_down_without_saying_docker(engine: Engine, tmp_path: Path) -> None:
    folder = folder_of_docker(tmp_path)
    assert places.status("loans", tmp_path).services == {"sink": "running"}
    places.down("loans", tmp_path, quiet)
    assert engine.removed == EVERYTHING
    assert not folder.exists()


def test_taking_containers_down_leaves_the_files_of_processes_alone(engine: Engine, tmp_path: Path) -> None:
    folder = folder_of_processes(tmp_path)
    places.down("loans", tmp_path, quiet, docker=True)
    assert engine.removed == EVERYTHING
    assert (folder / "processes.json").exists()


def test_processes_do_not_take_the_name_of_a_lab_in_docker(engine: Engine, tmp_path: Path) -> None:
    folder = folder_of_docker(tmp_path)
    with pytest.raises(
        ChaosError, match=r"is up in Docker already; .*`chaos lab down --docker --name loans`"
    ) as caught:
        places.up("loans", tmp_path, quiet)
    assert caught.value.exit_code == 3
    assert (folder / containers.MARK).exists()
    assert engine.removed == []


def test_containers_do_not_take_the_name_of_a_lab_of_processes(engine: Engine, tmp_path: Path) -> None:
    folder = folder_of_processes(tmp_path)
    with pytest.raises(
        ChaosError, match=r"is up as local processes already; .*`chaos lab down --name loans`"
    ) as caught:
        places.up("loans", tmp_path, quiet, docker=True)
    assert caught.value.exit_code == 3
    assert (folder / "processes.json").exists()
    assert engine.removed == []


@pytest.mark.docker
def test_a_real_engine_has_nothing_of_the_lab_left_and_everything_else(tmp_path: Path) -> None:
    client = docker.from_env(timeout=20)
    name, other = (f"test-{uuid.uuid4().hex[:8]}" for _ in range(2))
    try:
        for lab in (name, other):
            network = client.networks.create(f"chaos-{lab}", labels={"chaos.lab": lab})
            client.containers.run(
                IMAGE, ["sleep", "60"], labels=topology.labels("sink", lab), network=network.name, detach=True
            )
        assert places.status(name, tmp_path, docker=True).services == {"sink": "running"}
        places.down(name, tmp_path, quiet, docker=True)
        assert client.networks.list(filters={"label": f"chaos.lab={name}"}) == []
        assert places.status(name, tmp_path, docker=True).services == {}
        assert places.status(other, tmp_path, docker=True).services == {"sink": "running"}
    finally:
        for lab in (name, other):
            places.down(lab, tmp_path, quiet, docker=True)
        client.close()


# --- an engine in trouble -------------------------------------------------------------------------------------------------


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """An engine that greets; what it answers to everything else the test chooses."""
    greeting = Engine("loans")
    with serving(greeting.answer) as server:
        monkeypatch.setenv("DOCKER_HOST", server.url.replace("http://", "tcp://"))
        yield server


def test_an_engine_that_hangs_in_a_call_is_one_sentence(
    trouble: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "CALL_S", 0.3)
    greeting = trouble.answer

    def hangs(asked: Asked) -> Said:
        if "/containers/" in asked.path:
            trouble.released.wait(20)
        return greeting(asked)

    trouble.answer = hangs
    for verb in VERBS.values():
        with pytest.raises(Unreachable, match=r"did not answer within 0\.3s") as caught:
            verb("loans", tmp_path, True)
        assert "\n" not in str(caught.value)


def test_an_engine_that_goes_away_in_a_call_is_one_sentence(trouble: Loopback, tmp_path: Path) -> None:
    greeting = trouble.answer

    def goes_away(asked: Asked) -> Said:
        if "/containers/" in asked.path:
            raise ConnectionResetError
        return greeting(asked)

    trouble.answer = goes_away
    for verb in VERBS.values():
        with pytest.raises(Unreachable, match="the Docker engine went away") as caught:
            verb("loans", tmp_path, True)
        assert "\n" not in str(caught.value)
