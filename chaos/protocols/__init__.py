"""Serving protocols, one file each; third parties add theirs through the entry-point group `chaos.protocols`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from chaos.protocols.base import Protocol


@cache
def catalogue() -> dict[str, Protocol]:
    """Every protocol by its name. A module of this package offers its one under the name `PROTOCOL`."""
    found: dict[str, Protocol] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base":
            protocol: Protocol = importlib.import_module(f"{__name__}.{module.name}").PROTOCOL
            found[protocol.name] = protocol
    for entry in entry_points(group="chaos.protocols"):
        protocol = entry.load()
        found[protocol.name] = protocol
    return dict(sorted(found.items()))
