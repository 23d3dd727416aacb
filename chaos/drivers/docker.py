"""Containers of a Docker engine, through the docker SDK.

This driver finds containers, holds to the opt-in label, to the deadlines and to the identity that was picked; what is done to
them, verb by verb, is in the files beside this one that are called `docker_…`.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chaos.drivers.base import Act, Before, Container, Performed, Verb
from chaos.drivers.docker_disk import DiskFill
from chaos.drivers.docker_engine import EFFECT_S, STATUS, Connection, Reached, elsewhere, speaking
from chaos.drivers.docker_limits import CpuLimit, MemoryLimit, limits
from chaos.drivers.docker_network import Network
from chaos.drivers.docker_stress import CpuStress, MemoryStress
from chaos.drivers.docker_verbs import Crash, DockerVerb, Done, Kill, Pause, Restart, Stop, life
from chaos.drivers.http import without_secrets
from chaos.errors import NotUndone, Refused

__all__ = ["APPLY_S", "EFFECT_S", "UNDO_S", "DockerDriver"]

APPLY_S = 10.0
"""The longest that an apply takes; the engine of a run takes one for dead a few seconds later."""
UNDO_S = 9.0
"""The longest that an undo takes; the engine of a run asks for another one after that."""
LOOK_S = 8.0
"""The longest that any call of a look takes."""
LEFT_TO_HURT = 0.25
"""The part of an apply's time that must be left when the container is hurt: else nobody would wait for the answer."""


class DockerDriver:
    """Hurts the containers of one target, and puts them back.

    `tools` is an image with `sh`, `iptables` and `tc`, for what otherwise takes root on the engine's own host.
    """

    def __init__(
        self,
        labels: Mapping[str, str],
        opt_in: tuple[str, str],
        host: str | None = None,
        *,
        tools: str | None = None,
        apply_s: float = APPLY_S,
    ) -> None:
        self._labels = dict(labels)
        self._opt_in = opt_in
        self._host = host
        self._tools = tools
        self._apply_s = apply_s
        self._version: str | None = None
        network = Network()
        self._verbs: Mapping[Verb, DockerVerb] = {
            "kill": Kill(),
            "crash": Crash(),
            "stop": Stop(),
            "pause": Pause(),
            "restart": Restart(),
            "cpu_limit": CpuLimit(),
            "memory_limit": MemoryLimit(),
            "cpu_stress": CpuStress(),
            "memory_stress": MemoryStress(),
            "disk_fill": DiskFill(),
            "network_delay": network,
            "network_loss": network,
            "network_corruption": network,
            "network_bandwidth": network,
            "network_partition": network,
        }

    @contextmanager
    def _connected(self, within_s: float) -> Iterator[Connection]:
        """A connection for one question. Whatever the engine refuses, and whatever keeps us from it, is Unreachable."""
        import docker

        ends_s = time.monotonic() + within_s
        with speaking():
            how = {"version": self._version, "timeout": within_s}
            client = docker.DockerClient(base_url=self._host, **how) if self._host else docker.from_env(**how)
            self._version = client.api.api_version  # asked for once: this costs a call
            try:
                yield Connection(client, ends_s)
            finally:
                client.close()

    def _reached(self, engine: Connection, container: Container) -> Reached:
        return Reached(engine, container, self._docker(), self._tools)

    def find(self) -> list[Container]:
        """Every container of the target, stopped ones included."""
        filters = {"label": [f"{name}={value}" for name, value in self._labels.items()]}
        with self._connected(LOOK_S) as engine:
            found = [
                _container(one)
                for one in engine.in_time().containers.list(all=True, filters=filters, ignore_removed=True)
            ]
        return sorted(found, key=lambda one: one.name)

    def cannot(self, act: Act, container: Container) -> str | None:
        """Why this act cannot be done to this container here, or could not be undone exactly, or by nobody if the run died."""
        there = elsewhere(self._host, os.environ)
        if there is not None:
            return (
                f"its engine is on another machine ({there}), where no warden of this run could undo it when the network is gone; run "
                "chaos on that machine"
            )
        with self._connected(LOOK_S) as engine:
            return self._verbs[act.verb].cannot(act, self._reached(engine, container))

    def inspect(self, container: Container) -> Before:
        """The state that an undo has to bring back: its life, its limits, its networks, and what memory it uses."""
        with self._connected(LOOK_S) as engine:
            at = self._reached(engine, container)
            used = at.used()[1] if at.status == "running" else 0
            return {**life(at.found.attrs), **limits(at), "networks": _networks(at.found.attrs), "memory_used": used}

    def apply(self, act: Act, container: Container, before: Before) -> Performed:
        """The container is hurt, within APPLY_S; when the time runs out before that, it is left alone."""
        with self._connected(self._apply_s) as engine:
            at = self._reached(engine, container)
            name, value = self._opt_in
            if at.found.labels.get(name) != value:
                raise Refused([f"the container {container.name} does not carry {name}={value} and is never touched"])
            engine.in_time(self._apply_s * LEFT_TO_HURT)
            return _performed(at, self._verbs[act.verb].apply(act, at, before))

    def undo(self, act: Act, container: Container, before: Before) -> Performed:
        """The container is as before. Idempotent; one that somebody removed, or that died of something else, is reported."""
        import docker.errors

        with self._connected(UNDO_S) as engine:
            try:
                at = self._reached(engine, container)
            except docker.errors.NotFound as error:
                message = f"the container {container.name} was removed by somebody else during the run"
                raise NotUndone(message, self.by_hand(act, container, before)) from error
            engine.in_time()
            return _performed(at, self._verbs[act.verb].undo(act, at, before))

    def by_hand(self, act: Act, container: Container, before: Before) -> str:
        """The command with which a person undoes it."""
        return self._verbs[act.verb].by_hand(act, container.id[:12], self._docker(), before)

    def _docker(self) -> str:
        return f"docker -H {shlex.quote(_shown(self._host))}" if self._host else "docker"

    def events_since(self, since_wall_s: float) -> list[tuple[float, str, str]]:
        """What the engine itself saw of the target's containers: (wall_s, action, container id), in order."""
        filters = {"type": "container", "label": [f"{name}={value}" for name, value in self._labels.items()]}
        with self._connected(LOOK_S) as engine:
            rows = engine.in_time().events(
                since=int(since_wall_s), until=int(time.time()) + 1, decode=True, filters=filters
            )
            return [(row["timeNano"] / 1e9, row["Action"], row["Actor"]["ID"]) for row in rows]


def _performed(at: Reached, done: Done) -> Performed:
    return Performed(at.found.name, at.container.id, at.status, done.at_wall_s, done.call, done.evidence)


def _networks(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Which networks a container is in, and by which names it is found there."""
    networks = (attrs.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        name: {"aliases": list(one.get("Aliases") or []), "address": one.get("IPAddress", "")}
        for name, one in networks.items()
        if one
    }


def _shown(host: str) -> str:
    """The engine's address for a command by hand: SSH needs to know as whom, and nobody else's name or password is shown."""
    try:
        parts = urlsplit(host)
        return host if parts.scheme == "ssh" and parts.password is None else without_secrets(host)
    except ValueError:  # a bracket that is left open
        return without_secrets(host)


def _container(one: Any) -> Container:
    return Container(
        name=one.name,
        id=one.id,
        labels=dict(one.labels),
        status=STATUS.get(one.status, "exited"),
        started_at=one.attrs.get("State", {}).get("StartedAt", ""),
    )
