"""What the proxy's resident memory is made of: `python -m benchmarks.memory`.

    imports   a fresh interpreter imports one thing after the other; what each adds, with all that it brings along
    life      a proxy at its start, after idle load, armed, with 512 connections, after answers of 1 and 10 MB

    python -m benchmarks.memory MODULE …                 these imports alone, in this order
    python -m benchmarks.memory --workers 2 --flags=-OO        a life with other flags of Python

Modules are compiled before anything is measured: an interpreter that compiles them holds some megabytes more.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.proxy import machine
from benchmarks.proxy.cases import LARGE, MODELS, SMALL, Case, Model
from benchmarks.proxy.load import run
from benchmarks.proxy.peers import ROOT, TOKEN, arming
from chaos.drivers.proxy import ProxyFleet

STEPS = (
    "asyncio", "uvloop", "json", "logging", "hashlib", "pydantic", "pydantic.main", "importlib.metadata", "chaos.protocols",
    "chaos.faults.base", "chaos.faults", "chaos.proxy.armed", "chaos.proxy.exchange", "h2.connection", "chaos.proxy.plane",
    "chaos.proxy.serving", "chaos.proxy.workers", "argparse", "h11", "chaos.proxy.control", "chaos.proxy.__main__",
)  # fmt: skip
"""From below: what comes first is charged with what later ones would have brought, too. What the proxy does without is left out."""
_USED = (
    "import json, sys, chaos.proxy.__main__; print(json.dumps([name for name in sys.argv[1:] if name in sys.modules]))"
)
_IMPORTS = """
import sys
def held():
    words = (line.split() for line in open("/proc/self/smaps_rollup"))
    told = {words[0]: int(words[1]) * 1024 / 1e6 for words in words if words[0] in ("Rss:", "Anonymous:")}
    return told["Rss:"], told["Anonymous:"]
last = held()
print(f"{'python':24} {last[0]:6.1f} MB, {last[1]:5.1f} of it its own; {len(sys.modules)} modules")
for name in sys.argv[1:]:
    before = set(sys.modules)
    try:
        __import__(name)
    except ImportError as error:
        print(f"{name:24} is not there: {error}")
        continue
    now = held()
    print(f"{name:24} {now[0]:6.1f} MB, +{now[0] - last[0]:4.1f} (+{now[1] - last[1]:4.1f} its own); +{len(set(sys.modules) - before)}")
    last = now
"""


def _python(*arguments: str) -> str:
    """What this interpreter says, started afresh with modules that it may compile and keep."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    argv, environment = [sys.executable, *arguments], {**kept, "PYTHONPATH": str(ROOT)}
    return subprocess.run(argv, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def used() -> list[str]:
    """The steps that a proxy takes before it serves anybody; every module of it is compiled."""
    found: list[str] = json.loads(_python("-c", _USED, *STEPS))
    return found


def imports(modules: Sequence[str]) -> None:
    """The table of imports is on standard output."""
    _python("-c", _IMPORTS, *modules)  # once for compiling them
    print(_python("-c", _IMPORTS, *modules))


def _told(what: str, number: int) -> None:
    held = machine.memory(number)
    others = f", largest worker {held.largest_mb:.1f}" if held.largest_mb else ""
    print(
        f"{what:24} {held.parent_mb:6.1f} MB resident{others}; all processes {held.pss_mb:.1f} proportional", flush=True
    )


def life(workers: int, flags: Sequence[str]) -> None:
    """What one proxy holds while it lives is on standard output; it has ended."""
    used()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-memory-", ignore_cleanup_errors=True))
        )
        backend, port, control = (machine.free_port() for _ in range(3))
        (folder / "token").write_text(TOKEN)

        def start(argv: list[str], ports: list[int]) -> machine.Running:
            running = machine.start(
                [sys.executable, *argv], None, folder / f"{ports[0]}", ports, {"PYTHONPATH": str(ROOT)}
            )
            stack.callback(running.end)
            return running

        def load(model: Model, connections: int, seconds: float) -> None:
            found = run(port, model, connections, seconds, 0.0)
            if found.errors:
                raise RuntimeError(f"{found.errors} requests failed")

        start(["-m", "benchmarks.proxy.backend", str(backend)], [backend])
        argv = [
            *flags,
            "-m",
            "chaos.proxy",
            f"--route=model=127.0.0.1:{port}>127.0.0.1:{backend}",
            f"--workers={workers}",
        ]
        proxy = start([*argv, f"--control=127.0.0.1:{control}", f"--token-file={folder / 'token'}"], [port, control])
        fleet, number = ProxyFleet([f"http://127.0.0.1:{control}"], TOKEN), proxy.process.pid
        _told("at its start", number)
        load(SMALL, 32, 1)
        _told("32 connections, idle", number)
        fleet.arm("benchmark", arming(Case("a tenth", SMALL, 0.1)))
        load(SMALL, 32, 1)
        load(LARGE, 8, 1)
        _told("armed, 10 % changed", number)
        load(SMALL, 512, 2)
        _told("512 connections", number)
        load(MODELS["1MB"], 2, 3)
        _told("1 MB, 10 % changed", number)
        load(MODELS["10MB"], 8, 2)
        _told("8 answers of 10 MB", number)
        fleet.disarm("benchmark")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="import these alone, and start no proxy")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--flags", default="", help="of Python, for the proxy that lives")
    given = parser.parse_args()
    imports(given.modules or used())
    if not given.modules:
        life(given.workers, shlex.split(given.flags))
    return 0


if __name__ == "__main__":
    sys.exit(main())
