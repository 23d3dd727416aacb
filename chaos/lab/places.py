"""One door to the lab: the same three verbs for local processes and for containers.

A name belongs to one of the two at a time: which one, the lab's folder says. Containers are found by their labels as well,
so what is asked for with `docker` needs no folder.
"""

from __future__ import annotations

from pathlib import Path

from chaos.errors import ChaosError
from chaos.lab import processes
from chaos.lab.processes import LabStatus, Report, folder_of, of_processes


def _in_docker(name: str, state: Path) -> bool:
    return (folder_of(name, state) / "containers").exists()


def up(name: str, state: Path, report: Report, *, docker: bool = False) -> LabStatus:
    """The lab runs and is watched. Raises ChaosError when the other kind of lab has this name."""
    if docker:
        if of_processes(name, state):
            raise _taken(name, "as local processes", "")
        from chaos.lab import containers

        return containers.up(name, state, report)
    if _in_docker(name, state):
        raise _taken(name, "in Docker", " --docker")
    return processes.up(name, state, report)


def _taken(name: str, how: str, flag: str) -> ChaosError:
    down = f"chaos lab down{flag} --name {name}"
    return ChaosError(
        f"the lab `{name}` is up {how} already; take it down with `{down}` first, or write another --name"
    )


def down(name: str, state: Path, report: Report, *, docker: bool = False) -> None:
    """Nothing of the lab is left."""
    if docker or _in_docker(name, state):
        from chaos.lab import containers

        containers.down(name, state, report)
    else:
        processes.down(name, state, report)


def status(name: str, state: Path, *, docker: bool = False) -> LabStatus:
    """How the lab is now."""
    if docker or _in_docker(name, state):
        from chaos.lab import containers

        return containers.status(name, state)
    return processes.status(name, state)
