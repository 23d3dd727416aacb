"""One server after another, each behind a proxy with a tap on both sides, and the client programs that ask them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.interop.cases import SUBJECTS, Case
from tests.interop.environments import environment
from tests.interop.servers import PROGRAMS, NotReady, serving
from tests.interop.tap import Tap
from tests.proxy.loopback import Proxy, running_proxy

_PLUGIN = "[chaos.faults]\nshouting = shouting:Shouting\n"


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
        self._failed: dict[str, NotReady] = {}
        self._running = ExitStack()
        self._programs = ExitStack()
        self._started: dict[str, subprocess.Popen[str]] = {}
        self._made: dict[str, Stand] = {}
        self._parts: dict[bool, tuple[Tap, Tap, Proxy, int]] = {}
        self._plugin = _with_entry_points(folder / "plugin")

    def close(self) -> None:
        """Everything that was started has ended."""
        self._running.close()
        self._programs.close()

    def of(self, case: Case) -> Stand:
        """The case's stand, the proxy idle. Raises NotInstalled, or NotReady when the server does not start."""
        if case.server != self._server:
            self._begin(case.server)
        if case.server in self._failed:
            raise self._failed[case.server]
        if case.name not in self._made:
            near, far, proxy, port = self._parts[case.grpc]
            stand = Stand(near, far, proxy, port, self._program(case.environment), case.calls)
            stand.direct = stand.ask(directly=True)
            stand.asked_directly = [bytes(one.asked) for one in (near.connections if case.grpc else near.exchanges)]
            self._made[case.name] = stand
        assert self._made[case.name].proxy.ask("DELETE", "/runs").status_code == 204
        return self._made[case.name]

    def _begin(self, server: str) -> None:
        self._running.close()
        self._server = ""
        self._made.clear()
        self._begun += 1
        folder = self._folder / f"server-{self._begun}"
        folder.mkdir()
        try:
            found = self._running.enter_context(serving(server, folder))
        except NotReady as error:
            self._failed[server] = error
        else:
            for grpc, port in ((False, found.http), (True, found.grpc)):
                self._parts[grpc] = self._around(port, folder / ("grpc" if grpc else "http"))
        self._server = server

    def _around(self, port: int, folder: Path) -> tuple[Tap, Tap, Proxy, int]:
        """Taps and a proxy in front of this port."""
        folder.mkdir()
        near, far = Tap(port), Tap(port)
        self._running.callback(near.close)
        self._running.callback(far.close)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(self._plugin), prepend=os.pathsep)
            proxy = self._running.enter_context(running_proxy(folder, "--protocol=auto", model=far.port))
        return near, far, proxy, port

    def _program(self, name: str) -> subprocess.Popen[str]:
        if name not in self._started:
            command = [str(environment(name) / "python"), str(PROGRAMS / "client_calls.py")]
            errors = self._programs.enter_context((self._folder / f"{name}.log").open("w"))
            self._started[name] = self._programs.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
            )  # leaving the context closes its stdin, which ends it
        return self._started[name]


def _with_entry_points(folder: Path) -> Path:
    """A folder that, on the path of a process, is the installed plugin."""
    about = folder / "shouting-1.dist-info"
    about.mkdir(parents=True)
    shutil.copy(PROGRAMS / "shouting.py", folder)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    (about / "entry_points.txt").write_text(_PLUGIN)
    return folder
