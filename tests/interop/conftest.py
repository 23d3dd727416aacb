"""One server after another, each behind a proxy with a tap on both sides; what came of every check is kept and written down."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.interop.cases import CASES, SUBJECTS, Case
from tests.interop.environments import environment, version
from tests.interop.matrix import Results, publish, section
from tests.interop.servers import KINDS, PROGRAMS, serving
from tests.interop.tap import Tap
from tests.proxy.loopback import Proxy, running_proxy

_KEPT: pytest.StashKey[Results] = pytest.StashKey()
_SERVERS = {name: (kind.environment, kind.package) for name, kind in KINDS.items()}


@dataclass
class Stand:
    """client ─▶ near ─▶ proxy ─▶ far ─▶ server, or client ─▶ near ─▶ server."""

    near: Tap
    far: Tap
    proxy: Proxy
    server_port: int
    program: subprocess.Popen[str]
    calls: str
    direct: list[dict[str, Any]] = field(default_factory=list)
    """What the client makes of the server's answers without the proxy, a subject each."""
    asked_directly: list[bytes] = field(default_factory=list)
    """What it sent for them, an exchange each; with gRPC a connection each."""

    def ask(self, *, directly: bool = False) -> list[dict[str, Any]]:
        """What the client makes of one answer for each subject, asked one after another over one client object."""
        self.near.upstream = self.server_port if directly else self.proxy.routes["model"]
        self.near.forget()
        self.far.forget()
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        command = {"client": self.calls, "port": self.near.port, "calls": SUBJECTS}
        self.program.stdin.write(json.dumps(command) + "\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        assert line, "the client's program has ended"
        answers: list[dict[str, Any]] = json.loads(line)["answers"]
        return answers


class Stands:
    """One server at a time with its proxy, and one client program an environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = ""
        self._begun = 0
        self._failed: dict[str, str] = {}
        self._running = ExitStack()
        self._programs = ExitStack()
        self._started: dict[str, subprocess.Popen[str]] = {}
        self._made: dict[str, Stand] = {}
        self._parts: dict[bool, tuple[Tap, Tap, Proxy, int]] = {}

    def close(self) -> None:
        """Everything that was started has ended."""
        self._running.close()
        self._programs.close()

    def of(self, case: Case) -> Stand:
        """The case's stand, the proxy idle. Raises AssertionError when the server does not start."""
        if case.server != self._server:
            self._begin(case.server)
        assert case.server not in self._failed, self._failed[case.server]
        if case.name not in self._made:
            near, far, proxy, port = self._parts[case.grpc]
            self._made[case.name] = stand = Stand(near, far, proxy, port, self._program(case.environment), case.calls)
            stand.direct = stand.ask(directly=True)
            stand.asked_directly = [bytes(one.asked) for one in (near.connections if case.grpc else near.exchanges)]
        assert self._made[case.name].proxy.ask("DELETE", "/runs").status_code == 204
        return self._made[case.name]

    def _begin(self, server: str) -> None:
        self._running.close()
        self._server = server
        self._made.clear()
        self._begun += 1
        folder = self._folder / f"server-{self._begun}"
        folder.mkdir()
        try:
            found = self._running.enter_context(serving(server, folder))
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            self._failed[server] = str(error) or type(error).__name__
            return
        for grpc, port in ((False, found.http), (True, found.grpc)):
            near, far = Tap(port), Tap(port)
            self._running.callback(near.close)
            self._running.callback(far.close)
            own = folder / ("grpc" if grpc else "http")
            own.mkdir()
            proxy = self._running.enter_context(running_proxy(own, "--protocol=auto", model=far.port))
            self._parts[grpc] = near, far, proxy, port

    def _program(self, name: str) -> subprocess.Popen[str]:
        if name not in self._started:
            command = [str(environment(name) / "python"), str(PROGRAMS / "client_calls.py")]
            errors = self._programs.enter_context((self._folder / f"{name}.log").open("w"))
            self._started[name] = self._programs.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
            )  # leaving the context closes its stdin, which ends it
        return self._started[name]


@pytest.fixture(scope="session")
def _stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stands]:
    made = Stands(tmp_path_factory.mktemp("interop"))
    yield made
    made.close()


@pytest.fixture
def stand(_stands: Stands, case: Case) -> Stand:
    """The case's client, proxy and server; the proxy is idle."""
    return _stands.of(case)


# --- what came of it --------------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Checks of one case follow each other, so that each server is started once."""
    places = {case.name: place for place, case in enumerate(CASES)}

    def place(item: pytest.Item) -> int:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")  # type: ignore[attr-defined]
        return places[case.name] if isinstance(case, Case) else -1

    items.sort(key=place)


def pytest_configure(config: pytest.Config) -> None:
    """Nothing was tried yet."""
    config.stash[_KEPT] = Results()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The outcome of a check is kept under its case."""
    report = yield
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "case" in parameters and (report.when == "call" or report.failed):
        lines = call.excinfo.exconly().removeprefix("AssertionError: ").splitlines() if call.excinfo else []
        said = next((line for line in reversed(lines) if report.when == "setup" and line.strip()), "")
        reason = (said or next(iter(lines), "failed"))[:160] if report.failed else ""
        item.config.stash[_KEPT].outcomes[parameters["case"].name, parameters.get("fault", "idle")] = reason
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The matrix is printed; once every cell was tried, it is in the page."""
    results = config.stash[_KEPT]
    if not results.outcomes:
        return
    for case in CASES:
        for asked in (_SERVERS[case.server], (case.environment, case.package)):
            if any(name == case.name for name, _ in results.outcomes) and asked not in results.versions:
                results.versions[asked] = _version(*asked)
    text = section(results, _SERVERS, f"{datetime.now(UTC):%Y-%m-%d}")
    terminalreporter.write_line("")
    terminalreporter.write_line(text)
    if results.whole():
        publish(text)
        terminalreporter.write_line("written to docs/interop.md")
    else:
        terminalreporter.write_line("not written to docs/interop.md: some cells were not tried")


def _version(name: str, package: str) -> str:
    try:
        return version(name, package)
    except AssertionError:
        return ""
