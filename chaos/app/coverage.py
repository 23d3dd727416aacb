"""Reads runs for the coverage matrix, and asks what the rules are. Wiring."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from chaos.app.past import Unreadable, each
from chaos.coverage import Tried, tried
from chaos.faults import catalogue
from chaos.faults.base import Fault
from chaos.protocols import catalogue as protocols
from chaos.system import System

log = logging.getLogger(__name__)


def tried_in(runs: Path, system: str | None = None) -> Iterator[Tried]:
    """Every fault of every run in this folder, of this system's when it is named. A run that cannot be read is said and left out."""
    for found in each(runs, lambda folder: tried(folder.lines(), str(folder.path))):
        if isinstance(found, Unreadable):
            log.warning("%s is left out: %s", runs / found.folder, found.reason)
        else:
            yield from (one for one in found if system is None or one.system == system)


def possible_faults(system: System | None) -> dict[str, str]:
    """Fault → family, of all that can exist on some target of this system; of all there are when nobody names one."""
    return {name: fault.family for name, fault in catalogue().items() if system is None or _possible(fault, system)}


def _possible(fault: type[Fault], system: System) -> bool:
    for target in system.targets.values():
        protocol = protocols().get(target.protocol)
        speaks = "text" if getattr(protocol, "free_text", False) else "predictions"
        if fault.acts_on == "container" and target.runs_in() is None:
            continue
        if fault.acts_on in ("request", "answer") and not target.proxies:
            continue
        if fault.acts_on == "load" and system.feedback is None:
            continue
        if fault.works_on in ("any", speaks):
            return True
    return False
