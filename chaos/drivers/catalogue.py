"""What a target can run in, by name; third parties add theirs through the entry-point group `chaos.drivers`.

A package is imported when a system file asks for its driver: one that is broken refuses nobody else's system.

driver: {use: swarm, service: fraud}  ─▶  driver_named("swarm")({"service": "fraud"}, opt_in, folder) ─▶ ContainerDriver
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from chaos.document import did_you_mean
from chaos.drivers.base import ContainerDriver
from chaos.errors import ChaosError
from chaos.system import DockerSelector, ProcessSelector, Target

Selector = TypeVar("Selector", DockerSelector, ProcessSelector)

Make = Callable[[Mapping[str, Any], tuple[str, str], Path], ContainerDriver]
"""Makes a driver of what the system file says, the opt-in label's name and value, and the folder of the system file."""


class UnknownDriver(ChaosError):
    """The system file asks for a driver that nobody offers, that cannot be imported, or that needs to be told more."""

    exit_code = 2


def _docker(settings: Mapping[str, Any], opt_in: tuple[str, str], _: Path) -> ContainerDriver:
    from chaos.drivers.docker import DockerDriver

    said = _read(DockerSelector, "docker", settings)
    return DockerDriver(said.labels, opt_in, said.host, tools=said.tools)


def _process(settings: Mapping[str, Any], opt_in: tuple[str, str], beside: Path) -> ContainerDriver:
    from chaos.drivers.process import ProcessDriver
    from chaos.drivers.process_table import ProcessTable

    said = _read(ProcessSelector, "process", settings)
    return ProcessDriver(ProcessTable(beside / said.table), said.labels, opt_in)


def _read(selector: type[Selector], name: str, settings: Mapping[str, Any]) -> Selector:
    """The settings as the selector. Raises UnknownDriver that says what is wrong with them, and never what they are."""
    try:
        return selector.model_validate(settings)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        said = {"missing": "is missing", "extra_forbidden": "is no key of it"}.get(wrong["type"], wrong["msg"])
        message = f"`driver: {{use: {name}, …}}`: `{place}`: {said}; it takes {', '.join(selector.model_fields)}"
        raise UnknownDriver(message) from error


OURS: Mapping[str, Make] = {"docker": _docker, "process": _process}


def names() -> set[str]:
    """What every driver is called, ours and those of other packages; none of them is imported."""
    return {*OURS, *(entry.name for entry in entry_points(group="chaos.drivers"))}


def driver_named(name: str) -> Make:
    """The maker of this driver's drivers. Raises UnknownDriver when nobody offers it, or when it cannot be imported."""
    for entry in entry_points(group="chaos.drivers", name=name):
        try:
            found: Make = entry.load()
        except Exception as error:
            raise UnknownDriver(f"the driver {name!r} from {entry.value} cannot be imported: {error}") from error
        return found
    if name not in OURS:
        raise UnknownDriver(f"there is no driver `{name}`; {did_you_mean(name, names())}")
    return OURS[name]


def container_driver(target: Target, opt_in: tuple[str, str], beside: Path) -> tuple[str, ContainerDriver] | None:
    """The name and the driver of what the target runs in; None when its system file says nothing of that."""
    settings = target.runs_in()
    if settings is None:
        return None
    name, said = settings
    make = driver_named(name)
    try:
        return name, make(said, opt_in, beside)
    except KeyError as error:
        raise UnknownDriver(f"the driver `{name}` misses {error} in what `driver:` says") from error
