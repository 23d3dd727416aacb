"""What the drivers of containers and processes have in common: find, hurt, undo, inspect.

A container here is whatever a target runs in: a Docker container, or a local process of a process lab. Which ones may be
hurt is frozen when the plan is made; a driver only ever acts on the identity that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Verb = Literal["kill", "pause"]
Status = Literal["running", "paused", "exited", "gone"]


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


class ContainerDriver(Protocol):
    """Hurts containers and puts them back. Every call has a time-out; errors are Unreachable or NotUndone."""

    def find(self) -> list[Container]:
        """Every container of the target, whatever its state, in the order of names."""
        ...

    def apply(self, verb: Verb, before: Container) -> Performed:
        """The container is hurt. Refuses (Unreachable) when `before.id` is no longer the same container."""
        ...

    def undo(self, verb: Verb, before: Container) -> Performed:
        """The container is as in `before` (running, unpaused); idempotent, also when apply never took hold.

        Never does more than was done: a container that someone else removed is reported (NotUndone) and not made anew.
        """
        ...

    def by_hand(self, verb: Verb, before: Container) -> str:
        """The command with which a person undoes it."""
        ...
