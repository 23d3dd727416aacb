"""What the drivers of containers and processes have in common: find, inspect, hurt, undo.

A container here is whatever a target runs in: a Docker container, or a local process of a process lab. Which ones may be
hurt is frozen when the plan is made; a driver only ever acts on the identity that it is given.

    inspect(container) ─▶ before ─┐
    Act(verb, parameters) ────────┼─▶ apply ─▶ Performed      the run
    container ────────────────────┴─▶ undo  ─▶ Performed      the run, or another process that has read all three from a disk
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import JsonValue

from chaos.faults.containers import VERBS, Act, Verb

__all__ = ["VERBS", "Act", "Before", "Container", "ContainerDriver", "Performed", "Status", "Verb"]

Status = Literal["running", "paused", "exited", "gone"]
Before = Mapping[str, JsonValue]
"""The state that an undo goes back to, as `inspect` said it: JSON, and nothing that is secret."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container: `id` is the engine's (or `pid:create_time` of a process), `status` as it was when looked at."""

    name: str
    id: str
    labels: Mapping[str, str]
    status: Status
    started_at: str = ""


@dataclass(frozen=True, slots=True)
class Performed:
    """What a driver did: `at_wall_s` right after the call returned, `status` seen by an inspection afterwards."""

    container: str
    id: str
    status: Status
    at_wall_s: float
    call: str
    """The driver's call in words: `docker kill 3f2a…`, `SIGSTOP 4711`; goes into the journal."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was measured or inspected from outside to prove it, each with its unit."""


class ContainerDriver(Protocol):
    """Hurts containers and puts them back. Every call has a time-out; errors are Unreachable or NotUndone."""

    def find(self) -> list[Container]:
        """Every container of the target, whatever its state, in the order of names."""
        ...

    def cannot(self, act: Act, container: Container) -> str | None:
        """Why this act cannot be done to this container here, or could not be undone exactly; None when it can. Changes nothing."""
        ...

    def inspect(self, container: Container) -> Before:
        """The state that an undo has to bring back."""
        ...

    def apply(self, act: Act, container: Container, before: Before) -> Performed:
        """The container is hurt. Refuses (Unreachable) when `container.id` is no longer the same container, or not as `before`."""
        ...

    def undo(self, act: Act, container: Container, before: Before) -> Performed:
        """The container is as in `before`; idempotent, also when apply never took hold or only half, and from another process.

        Never does more than was done: a container that somebody else removed, or that died for another reason, is reported
        (NotUndone) and not made anew; what somebody else has changed meanwhile is reported and left.
        """
        ...

    def by_hand(self, act: Act, container: Container, before: Before) -> str:
        """The command with which a person undoes it."""
        ...
