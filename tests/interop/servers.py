"""Real model servers as processes in environments of their own, each with a tiny model."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.interop.environments import environment
from tests.proxy.loopback import eventually

PROGRAMS = Path(__file__).parent / "programs"
START_S = 120.0
"""How long a server may take until it is ready; importing all of its packages from a cold disk takes most of it."""


class NotReady(Exception):
    """A server that does not start here, in one sentence."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready."""

    http: int
    grpc: int
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server shall listen."""

    http: int
    grpc: int
    more: int


Start = tuple[list[str], dict[str, str]]


def _mlserver(folder: Path, ports: Ports) -> Start:
    programs = environment("mlserver")
    numbers = [str(port) for port in (ports.http, ports.grpc, ports.more)]
    _done(str(programs / "python"), str(PROGRAMS / "mlserver_model.py"), str(folder), *numbers)
    return [str(programs / "mlserver"), "start", str(folder)], {}


def _mlflow(function: str) -> Callable[[Path, Ports], Start]:
    def start(folder: Path, ports: Ports) -> Start:
        python = str(environment("mlflow") / "python")
        _done(python, str(PROGRAMS / "mlflow_model.py"), str(folder / "model"), function)
        # What `mlflow models serve` starts, without its environment manager.
        app = "mlflow.pyfunc.scoring_server.app:app"
        command = [python, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(ports.http), app]
        return command, {"__pyfunc_model_path__": str(folder / "model")}

    return start


def _kserve(folder: Path, ports: Ports) -> Start:
    del folder
    python = str(environment("kserve") / "python")
    flags = ["--http_port", str(ports.http), "--grpc_port", str(ports.grpc)]
    return [python, str(PROGRAMS / "kserve_model.py"), *flags], {}


def _llmock(folder: Path, ports: Ports) -> Start:
    del folder
    flags = ["--host", "127.0.0.1", "--port", str(ports.http), "--latency-ms", "0"]
    return [str(environment("llmock") / "llmock"), "serve", *flags], {}


def _llama(folder: Path, ports: Ports) -> Start:
    return [str(environment("llama") / "python"), str(PROGRAMS / "llama_model.py"), str(folder), str(ports.http)], {}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server: how it is started, and the path that answers 200 once it is ready."""

    environment: str
    package: str
    start: Callable[[Path, Ports], Start]
    ready: str


KINDS: dict[str, Kind] = {
    "MLServer": Kind("mlserver", "mlserver", _mlserver, "/v2/models/iris/ready"),
    "MLflow, labels": Kind("mlflow", "mlflow", _mlflow("predict"), "/ping"),
    "MLflow, probabilities": Kind("mlflow", "mlflow", _mlflow("predict_proba"), "/ping"),
    "KServe": Kind("kserve", "kserve", _kserve, "/v2/models/iris/ready"),
    "xllamacpp, llama.cpp's server": Kind("llama", "xllamacpp", _llama, "/health"),
    "LLMock": Kind("llmock", "llmock", _llmock, "/v1/models"),
}


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Server]:
    """The server, ready; its processes have ended afterwards. Raises NotInstalled, or NotReady with the end of its log."""
    kind = KINDS[name]
    ports = _ports()
    command, more = kind.start(folder, ports)
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYTHONUNBUFFERED": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **quiet, **more}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{ports.http}{kind.ready}", process, folder / "log")
        yield Server(ports.http, ports.grpc, process)
    finally:
        _end(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> bool:
        try:
            return session.get(url, timeout=5).status_code == 200
        except requests.RequestException:
            return False

    with requests.Session() as session:
        session.trust_env = False
        with suppress(AssertionError):
            eventually(lambda: process.poll() is not None or ready(), START_S)
        if process.poll() is not None or not ready():
            how = "it ended while it started" if process.poll() is not None else f"it was not ready in {START_S:.0f} s"
            raise NotReady(f"{how}; the end of its log: {_end_of(log.read_text(errors='replace'))}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and those it has started are gone."""
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def _ports() -> Ports:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        http, grpc, more = (one.getsockname()[1] for one in held)
    return Ports(http, grpc, more)


def _done(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    if ended.returncode != 0:
        raise NotReady(f"its model cannot be made: {_end_of(ended.stderr)}")


def _end_of(said: str) -> str:
    """The last words, on one line."""
    return " ".join(said.split())[-400:]
