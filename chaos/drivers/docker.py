"""Containers of a Docker engine, through the docker SDK."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chaos.drivers.base import Container, Performed, Status, Verb
from chaos.errors import ChaosError, NotUndone, Refused, Unreachable

TIMEOUT_S = 8
"""Of every call; shorter than the engine waits for an Apply, so that a call has always ended by then."""

_STATUS: dict[str, Status] = {"running": "running", "paused": "paused"}


class DockerDriver:
    """Hurts the containers of one target, and puts them back."""

    def __init__(self, labels: Mapping[str, str], opt_in: tuple[str, str], host: str | None = None) -> None:
        self._labels = dict(labels)
        self._opt_in = opt_in
        self._host = host
        self._connected: Any = None

    def _engine(self) -> Any:
        if self._connected is None:
            import docker

            with _speaking():
                self._connected = (
                    docker.DockerClient(base_url=self._host, timeout=TIMEOUT_S)
                    if self._host
                    else docker.from_env(timeout=TIMEOUT_S)
                )
        return self._connected

    def find(self) -> list[Container]:
        """Every container of the target, stopped ones included."""
        filters = {"label": [f"{name}={value}" for name, value in self._labels.items()]}
        with _speaking():
            found = [
                _container(one)
                for one in self._engine().containers.list(all=True, filters=filters, ignore_removed=True)
            ]
        return sorted(found, key=lambda one: one.name)

    def apply(self, verb: Verb, before: Container) -> Performed:
        """The container is killed or paused."""
        with _speaking():
            found = self._get(before)
            name, value = self._opt_in
            if found.labels.get(name) != value:
                raise Refused([f"the container {before.name} does not carry {name}={value} and is never touched"])
            if verb == "kill":
                found.kill()
            else:
                found.pause()
            return self._performed(
                found, f"docker {verb} {before.id[:12]} ({before.name})", "exited" if verb == "kill" else "paused"
            )

    def undo(self, verb: Verb, before: Container) -> Performed:
        """The container runs. Idempotent; one that somebody removed is reported and not made anew."""
        import docker.errors

        with _speaking():
            try:
                found = self._get(before)
            except docker.errors.NotFound as error:
                message = f"the container {before.name} was removed by somebody else during the run"
                raise NotUndone(message, self.by_hand(verb, before)) from error
            call = "nothing to do"
            if found.status == "paused":
                found.unpause()
                call = "docker unpause"
            elif found.status != "running":
                found.start()
                call = "docker start"
            return self._performed(found, f"{call} {before.id[:12]} ({before.name})", "running")

    def by_hand(self, verb: Verb, before: Container) -> str:
        """The command with which a person undoes it."""
        return f"docker {'start' if verb == 'kill' else 'unpause'} {before.id[:12]}"

    def events_since(self, since_wall_s: float) -> list[tuple[float, str, str]]:
        """What the engine itself saw of the target's containers: (wall_s, action, container id), in order."""
        filters = {"type": "container", "label": [f"{name}={value}" for name, value in self._labels.items()]}
        with _speaking():
            rows = self._engine().events(
                since=int(since_wall_s), until=int(time.time()) + 1, decode=True, filters=filters
            )
            return [(row["timeNano"] / 1e9, row["Action"], row["Actor"]["ID"]) for row in rows]

    def _get(self, before: Container) -> Any:
        return self._engine().containers.get(before.id)

    def _performed(self, found: Any, call: str, wanted: Status) -> Performed:
        done_wall_s = time.time()
        deadline_s = time.monotonic() + TIMEOUT_S / 2
        found.reload()
        while _STATUS.get(found.status, "exited") != wanted and time.monotonic() < deadline_s:
            time.sleep(0.02)
            found.reload()
        seen = _STATUS.get(found.status, "exited")
        if seen != wanted:
            raise Unreachable(f"{call}: shows no effect, the container is {seen}")
        return Performed(found.name, found.id, seen, done_wall_s, call)


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
        raise Unreachable(f"the Docker engine refused: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Unreachable(
            f"the Docker engine cannot be reached: {error}; is it running, and is DOCKER_HOST right?"
        ) from error
    except ChaosError:
        raise
    except Exception as error:  # the SDK takes answers apart unseen, and raises whatever comes of it
        raise Unreachable(f"what answers is no Docker engine ({error!r}); is DOCKER_HOST right?") from error
