"""Containers of a Docker engine, through the docker SDK.

Everything that a driver is asked for has one deadline, however many calls of the engine it takes: each call may last as long
as is left. A connection serves one question only, since time-outs belong to the connection.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chaos.drivers.base import Container, Performed, Status, Verb
from chaos.drivers.http import without_secrets
from chaos.errors import ChaosError, NotUndone, Refused, Unreachable

APPLY_S = 10.0
"""The longest that an apply takes; the engine of a run takes one for dead a few seconds later."""
UNDO_S = 9.0
"""The longest that an undo takes; the engine of a run asks for another one after that."""
LOOK_S = 8.0
"""The longest that any call of a look takes."""
EFFECT_S = 4.0
"""The longest that an effect takes to show."""
LEFT_TO_HURT = 0.25
"""The part of an apply's time that must be left when the container is hurt: else nobody would wait for the answer."""

_STATUS: dict[str, Status] = {"running": "running", "paused": "paused"}


class _Connection:
    """A connection to the engine, whose every call ends before one moment."""

    def __init__(self, client: Any, ends_s: float) -> None:
        self._client = client
        self._ends_s = ends_s

    def in_time(self, least_s: float = 0.0) -> Any:
        """The client, whose next call ends in time. Raises Unreachable when no more than `least_s` is left."""
        from urllib3.util import Timeout

        left_s = self._ends_s - time.monotonic()
        if left_s <= least_s:
            raise Unreachable("the Docker engine answers too slowly, nothing more was asked of it; is it overloaded?")
        # A plain number would count for connecting, and once more for reading.
        self._client.api.timeout = Timeout(total=left_s)
        return self._client

    def container(self, before: Container) -> Any:
        """The container as it is now."""
        return self.in_time().containers.get(before.id)


class DockerDriver:
    """Hurts the containers of one target, and puts them back."""

    def __init__(
        self, labels: Mapping[str, str], opt_in: tuple[str, str], host: str | None = None, *, apply_s: float = APPLY_S
    ) -> None:
        self._labels = dict(labels)
        self._opt_in = opt_in
        self._host = host
        self._apply_s = apply_s
        self._version: str | None = None

    @contextmanager
    def _connected(self, within_s: float) -> Iterator[_Connection]:
        """A connection for one question. Whatever the engine refuses, and whatever keeps us from it, is Unreachable."""
        import docker

        ends_s = time.monotonic() + within_s
        with _speaking():
            how = {"version": self._version, "timeout": within_s}
            client = docker.DockerClient(base_url=self._host, **how) if self._host else docker.from_env(**how)
            self._version = client.api.api_version  # asked for once: this costs a call
            try:
                yield _Connection(client, ends_s)
            finally:
                client.close()

    def find(self) -> list[Container]:
        """Every container of the target, stopped ones included."""
        filters = {"label": [f"{name}={value}" for name, value in self._labels.items()]}
        with self._connected(LOOK_S) as engine:
            found = [
                _container(one)
                for one in engine.in_time().containers.list(all=True, filters=filters, ignore_removed=True)
            ]
        return sorted(found, key=lambda one: one.name)

    def apply(self, verb: Verb, before: Container) -> Performed:
        """The container is killed or paused, within APPLY_S; when the time runs out before that, it is left alone."""
        with self._connected(self._apply_s) as engine:
            found = engine.container(before)
            name, value = self._opt_in
            if found.labels.get(name) != value:
                raise Refused([f"the container {before.name} does not carry {name}={value} and is never touched"])
            engine.in_time(self._apply_s * LEFT_TO_HURT)
            if verb == "kill":
                found.kill()
            else:
                found.pause()
            return _performed(
                engine, before, f"docker {verb} {_named(before)}", "exited" if verb == "kill" else "paused"
            )

    def undo(self, verb: Verb, before: Container) -> Performed:
        """The container runs. Idempotent; one that somebody removed, or that died of something else, is reported."""
        import docker.errors

        with self._connected(UNDO_S) as engine:
            try:
                found = engine.container(before)
            except docker.errors.NotFound as error:
                message = f"the container {before.name} was removed by somebody else during the run"
                raise NotUndone(message, self.by_hand(verb, before)) from error
            call = "nothing to do"
            engine.in_time()
            if found.status == "paused":
                found.unpause()
                call = "docker unpause"
            elif found.status != "running":
                if verb != "kill":
                    message = (
                        f"the container {before.name} was paused and is {found.status} now; it died for another reason"
                    )
                    raise NotUndone(message, self._command("start", before))
                found.start()
                call = "docker start"
            return _performed(engine, before, f"{call} {_named(before)}", "running")

    def by_hand(self, verb: Verb, before: Container) -> str:
        """The command with which a person undoes it."""
        return self._command("start" if verb == "kill" else "unpause", before)

    def _command(self, word: str, before: Container) -> str:
        host = f"-H {shlex.quote(_shown(self._host))} " if self._host else ""
        return f"docker {host}{word} {before.id[:12]}"

    def events_since(self, since_wall_s: float) -> list[tuple[float, str, str]]:
        """What the engine itself saw of the target's containers: (wall_s, action, container id), in order."""
        filters = {"type": "container", "label": [f"{name}={value}" for name, value in self._labels.items()]}
        with self._connected(LOOK_S) as engine:
            rows = engine.in_time().events(
                since=int(since_wall_s), until=int(time.time()) + 1, decode=True, filters=filters
            )
            return [(row["timeNano"] / 1e9, row["Action"], row["Actor"]["ID"]) for row in rows]


def _performed(engine: _Connection, before: Container, call: str, wanted: Status) -> Performed:
    """What was done, once the engine shows it. Raises Unreachable when it does not."""
    done_wall_s = time.time()
    deadline_s = time.monotonic() + EFFECT_S
    found = engine.container(before)
    while _STATUS.get(found.status, "exited") != wanted and time.monotonic() < deadline_s:
        time.sleep(0.02)
        found = engine.container(before)
    seen = _STATUS.get(found.status, "exited")
    if seen != wanted:
        raise Unreachable(f"{call}: shows no effect, the container is {seen}")
    return Performed(found.name, found.id, seen, done_wall_s, call)


def _named(before: Container) -> str:
    return f"{before.id[:12]} ({before.name})"


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
        status=_STATUS.get(one.status, "exited"),
        started_at=one.attrs.get("State", {}).get("StartedAt", ""),
    )


@contextmanager
def _speaking() -> Iterator[None]:
    """Whatever the engine refuses, and whatever keeps us from asking it, becomes Unreachable."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise Unreachable(f"the Docker engine refused: {error.explanation or without_secrets(str(error))}") from error
    except requests.Timeout as error:
        raise Unreachable("the Docker engine did not answer in time; is it overloaded?") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Unreachable(
            f"the Docker engine cannot be reached: {without_secrets(str(error))}; is it running, and is DOCKER_HOST right?"
        ) from error
    except ChaosError:
        raise
    except Exception as error:  # the SDK takes answers apart unseen, and raises whatever comes of it
        raise Unreachable(
            f"what answers is no Docker engine ({without_secrets(repr(error))}); is DOCKER_HOST right?"
        ) from error
