"""The catalogue of faults: one file each, found by itself.

Built-in faults are the modules of this package; third parties add theirs through the entry-point group `chaos.faults`.
A name that two modules claim, or a module that cannot be imported, stops the program.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from chaos.errors import ChaosError
from chaos.faults.base import Fault


class BrokenCatalogue(ChaosError):
    """Two faults share a name, or one cannot be imported."""


def _classes() -> list[type[Fault]]:
    found: list[type[Fault]] = []
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        found += [
            value
            for value in vars(loaded).values()
            if isinstance(value, type)
            and issubclass(value, Fault)
            and value.__module__ == loaded.__name__
            and isinstance(value.model_fields["fault"].default, str)  # what several share is no fault
        ]
    for entry in entry_points(group="chaos.faults"):
        try:
            found.append(entry.load())
        except Exception as error:
            raise BrokenCatalogue(f"the fault {entry.name!r} from {entry.value} cannot be imported: {error}") from error
    return found


@cache
def catalogue() -> dict[str, type[Fault]]:
    """Every fault by its name, in the order of the alphabet."""
    named: dict[str, type[Fault]] = {}
    for fault in _classes():
        name = fault.model_fields["fault"].default
        if name in named:
            raise BrokenCatalogue(f"two faults are called {name!r}: {named[name].__module__} and {fault.__module__}")
        named[name] = fault
    return dict(sorted(named.items()))
