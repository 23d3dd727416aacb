"""One door to the lab: the same three verbs for local processes and for containers."""

from __future__ import annotations

from pathlib import Path

from chaos.lab import processes
from chaos.lab.processes import LabStatus, Report, folder_of


def _in_docker(name: str, state: Path) -> bool:
    return (folder_of(name, state) / "containers").exists()


def up(name: str, state: Path, report: Report, *, docker: bool = False) -> LabStatus:
    """The lab runs and is watched."""
    if docker:
        from chaos.lab import containers

        return containers.up(name, state, report)
    return processes.up(name, state, report)


def down(name: str, state: Path, report: Report) -> None:
    """Nothing of the lab is left."""
    if _in_docker(name, state):
        from chaos.lab import containers

        containers.down(name, state, report)
    else:
        processes.down(name, state, report)


def status(name: str, state: Path) -> LabStatus:
    """How the lab is now."""
    if _in_docker(name, state):
        from chaos.lab import containers

        return containers.status(name, state)
    return processes.status(name, state)
