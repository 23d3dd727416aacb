"""What a target can run in, by name; third parties add theirs through the entry-point group `chaos.drivers`.

driver: {use: swarm, service: fraud}  ─▶  catalogue()["swarm"]({"service": "fraud"}, opt_in, folder) ─▶ ContainerDriver
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from chaos.document import did_you_mean
from chaos.drivers.base import ContainerDriver
from chaos.errors import ChaosError
from chaos.system import Target

Make = Callable[[Mapping[str, Any], tuple[str, str], Path], ContainerDriver]
"""Makes a driver of what the system file says, the opt-in label's name and value, and the folder of the system file."""


class UnknownDriver(ChaosError):
    """The system file asks for a driver that nobody offers, or that cannot be imported."""

    exit_code = 2


def _docker(settings: Mapping[str, Any], opt_in: tuple[str, str], _: Path) -> ContainerDriver:
    from chaos.drivers.docker import DockerDriver

    return DockerDriver(settings["labels"], opt_in, settings.get("host"))


def _process(settings: Mapping[str, Any], opt_in: tuple[str, str], beside: Path) -> ContainerDriver:
    from chaos.drivers.process import ProcessDriver
    from chaos.drivers.process_table import ProcessTable

    return ProcessDriver(ProcessTable(beside / settings["table"]), settings["labels"], opt_in)


@cache
def catalogue() -> dict[str, Make]:
    """Every driver by its name. Raises UnknownDriver when one cannot be imported."""
    found: dict[str, Make] = {"docker": _docker, "process": _process}
    for entry in entry_points(group="chaos.drivers"):
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            raise UnknownDriver(f"the driver {entry.name!r} from {entry.value} cannot be imported: {error}") from error
    return found


def container_driver(target: Target, opt_in: tuple[str, str], beside: Path) -> tuple[str, ContainerDriver] | None:
    """The name and the driver of what the target runs in; None when its system file says nothing of that."""
    settings = target.runs_in()
    if settings is None:
        return None
    name, said = settings
    known = catalogue()
    if name not in known:
        raise UnknownDriver(f"there is no driver `{name}`; {did_you_mean(name, known)}")
    return name, known[name](said, opt_in, beside)
