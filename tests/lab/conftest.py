"""The lab's parts, each as the real program, without the rest of the lab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from chaos.lab import model, monitoring
from chaos.lab.dataset import Applications, split
from chaos.lab.monitoring import Tools
from tests.drivers.loopback import module

STATE = Path(__file__).parents[2] / ".chaos"


@dataclass(frozen=True, slots=True)
class Service:
    """A running part: its address, and a session with kept connections."""

    url: str
    session: requests.Session

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=5)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.session.post(self.url + path, data=data, headers=dict(headers or {}), timeout=5)

    def metrics(self) -> dict[str, float]:
        """Every sample: `name{labels}` → value."""
        lines = [line.rpartition(" ") for line in self.get("/metrics").text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, _, value in lines}


def service(url: str) -> Service:
    session = requests.Session()
    session.trust_env = False
    return Service(url, session)


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The programs, from PATH or unpacked below .chaos."""
    return monitoring.find(STATE)


@pytest.fixture(scope="session")
def halves() -> tuple[Applications, Applications]:
    """Training and traffic."""
    return split()


@pytest.fixture(scope="session")
def measured() -> Mapping[str, float]:
    """What `python -m chaos.lab.model --measure` prints."""
    return model.measure()


@pytest.fixture(scope="session")
def features(halves: tuple[Applications, Applications], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of feature names that a gateway is started with."""
    path = tmp_path_factory.mktemp("features") / "features.json"
    path.write_text(json.dumps(halves[0].names))
    return path


@pytest.fixture(scope="session")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One real replica of the loan model."""
    folder = tmp_path_factory.mktemp("replica")
    path = model.ready(folder / "model.pickle")
    with module("chaos.lab.model_server", "--model", str(path), "--version", "7", folder=folder) as ports:
        yield service(f"http://{ports['replica']}")


def applications(traffic: Applications) -> list[dict[str, float | None]]:
    """The traffic as the gateway is asked: NaN is null."""
    return [
        {name: None if value != value else value for name, value in zip(traffic.names, row, strict=True)}  # noqa: PLR0124
        for row in traffic.features.tolist()
    ]
