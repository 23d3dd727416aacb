"""A Docker engine for the time of one question, and one container of it.

Everything that a driver is asked for has one deadline, however many calls of the engine it takes: each call may last as long
as is left. A connection serves one question only, since time-outs belong to the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chaos.drivers.base import Container, Status
from chaos.drivers.beside import Beside
from chaos.drivers.http import without_secrets
from chaos.errors import ChaosError, NotUndone, Unanswered, Unreachable

EFFECT_S = 4.0
"""The longest that an effect takes to show."""
STATUS: Mapping[str, Status] = {"running": "running", "paused": "paused"}


def elsewhere(host: str | None, environment: Mapping[str, str]) -> str | None:
    """The engine's address where it is on another machine, without logins; None where it is on this one."""
    address = host or environment.get("DOCKER_HOST") or "unix://"
    try:
        parts = urlsplit(address)
        here = parts.scheme in ("unix", "npipe", "fd") or (parts.hostname or "") in ("localhost", "127.0.0.1", "::1")
    except ValueError:  # a bracket that is left open
        here = False
    return None if here else without_secrets(address)


class Connection:
    """A connection to the engine, whose every call ends before one moment."""

    def __init__(self, client: Any, ends_s: float) -> None:
        self._client = client
        self._ends_s = ends_s

    def left_s(self) -> float:
        """Seconds until everything must have ended."""
        return self._ends_s - time.monotonic()

    def in_time(self, least_s: float = 0.0) -> Any:
        """The client, whose next call ends in time. Raises Unreachable when no more than `least_s` is left."""
        from urllib3.util import Timeout

        left_s = self.left_s()
        if left_s <= least_s:
            raise Unreachable("the Docker engine answers too slowly, nothing more was asked of it; is it overloaded?")
        # A plain number would count for connecting, and once more for reading.
        self._client.api.timeout = Timeout(total=left_s)
        return self._client


class Reached:
    """One container, reached for one question. What it looks like is asked once, and again by `refresh`."""

    def __init__(self, engine: Connection, container: Container, docker: str, tools: str | None) -> None:
        self.engine = engine
        self.container = container
        self.docker = docker
        self.tools = tools
        self.found = engine.in_time().containers.get(container.id)

    def refresh(self) -> None:
        """It is seen as it is now."""
        self.found = self.engine.in_time().containers.get(self.container.id)

    def command(self, word: str) -> str:
        """A command for a person that does this to it."""
        return f"{self.docker} {word} {self.container.id[:12]}"

    # --- what it looks like ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """How it is called in messages: the beginning of its id, and its name."""
        return named(self.container)

    @property
    def state(self) -> Mapping[str, Any]:
        """What the engine says of its life."""
        return _mapping(self.found.attrs.get("State"))

    @property
    def host_config(self) -> Mapping[str, Any]:
        """How it was created, and what has been updated since."""
        return _mapping(self.found.attrs.get("HostConfig"))

    @property
    def status(self) -> Status:
        """running, paused or exited."""
        return STATUS.get(self.found.status, "exited")

    @property
    def beside(self) -> Beside | None:
        """Its main process, when this program is root on the engine's own host; None when not, or when nothing runs."""
        return Beside.of(int(self.state.get("Pid") or 0), self.container.id)

    def addresses(self) -> list[str]:
        """Its IPv4 addresses."""
        networks = _mapping(_mapping(self.found.attrs.get("NetworkSettings")).get("Networks"))
        return [one["IPAddress"] for one in networks.values() if one and one.get("IPAddress")]

    def restarts_by_itself(self) -> bool:
        """Whether the engine starts it again when its program dies."""
        return _mapping(self.host_config.get("RestartPolicy")).get("Name") in ("always", "on-failure", "unless-stopped")

    def removes_itself(self) -> bool:
        """Whether it was started with `--rm`."""
        return bool(self.host_config.get("AutoRemove"))

    def with_grace(self, grace_s: int) -> Any:
        """The container, whose next call ends in time although the engine waits so long for its program."""
        api = self.engine.in_time(grace_s + 0.5).api
        api.timeout = self.engine.left_s() - grace_s  # the SDK adds the grace by itself, to a plain number alone
        return self.found

    # --- waiting -----------------------------------------------------------------------------------------------------

    def until(self, shown: Callable[[], bool], call: str, within_s: float = EFFECT_S) -> None:
        """`shown` is true of what the engine says now. Raises Unreachable when it does not come true in time."""
        deadline_s = time.monotonic() + within_s
        self.refresh()
        while not shown() and time.monotonic() < deadline_s:
            time.sleep(0.02)
            self.refresh()
        if not shown():
            raise Unreachable(f"{call}: shows no effect, the container is {self.status}")

    def until_status(self, wanted: Status, call: str) -> None:
        """It is as wanted."""
        self.until(lambda: self.status == wanted, call)

    # --- doing something inside of it --------------------------------------------------------------------------------

    def run(self, script: str, *arguments: str) -> str:
        """What a shell script says inside of it, as root. Raises Unreachable with its last words when it fails."""
        api = self.engine.in_time().api
        made = api.exec_create(self.container.id, ["sh", "-c", script, "sh", *arguments], user="0")
        said = self.engine.in_time().api.exec_start(made["Id"]).decode(errors="replace")
        code = self.engine.in_time().api.exec_inspect(made["Id"])["ExitCode"]
        if code != 0:
            words = "; ".join(line.strip() for line in said.splitlines()[-2:]) or f"exit code {code}"
            raise Unreachable(f"in the container {self.container.name}: {words}")
        return str(said)

    def start_beside(self, script: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """A shell script runs inside of it, as root, beside its program."""
        made = self.engine.in_time().api.exec_create(
            self.container.id, ["sh", "-c", script, "sh", *arguments], user="0", environment=dict(environment)
        )
        self.engine.in_time().api.exec_start(made["Id"], detach=True)

    def has_shell(self) -> bool:
        """Whether it has a shell at all; asked of its file system, nothing runs."""
        import docker.errors

        try:
            stream, _ = self.engine.in_time().api.get_archive(self.container.id, "/bin/sh")
        except docker.errors.NotFound:
            return False
        stream.close()
        return True

    def used(self) -> tuple[float, int]:
        """Seconds of processor time that it has used since it was started, and bytes of memory that cannot be taken back."""
        import docker.errors

        try:
            said = self.engine.in_time().api.stats(self.container.id, stream=False, one_shot=True)
        except docker.errors.InvalidVersion:
            said = self.engine.in_time().api.stats(self.container.id, stream=False)
        memory = _mapping(said.get("memory_stats"))
        details = _mapping(memory.get("stats"))
        # Pages of files that nobody has asked for lately are given back as soon as somebody else needs the room.
        spare = details.get("total_inactive_file", details.get("inactive_file", 0))
        seconds = _mapping(_mapping(said.get("cpu_stats")).get("cpu_usage")).get("total_usage", 0) / 1e9
        return float(seconds), max(0, int(memory.get("usage", 0)) - int(spare))

    def host(self) -> tuple[int, int]:
        """How many processors the engine's host has, and how many bytes of memory."""
        said = self.engine.in_time().info()
        return int(said.get("NCPU") or 0), int(said.get("MemTotal") or 0)

    def in_network(self, script: str, capabilities: Sequence[str] = ("NET_ADMIN", "NET_RAW")) -> str:
        """What a shell script says in its network namespace: as this host's root, or in a container of the tools' image.

        Raises Unreachable when there is neither, or with the script's last words.
        """
        beside = self.beside
        if beside is not None:
            return beside.in_network(script, max(0.1, self.engine.left_s()))
        return self.with_tools(script, capabilities, network_mode=f"container:{self.container.id}")

    def with_tools(self, script: str, capabilities: Sequence[str], **how: Any) -> str:
        """What a shell script says in a container of the tools' image that has these capabilities and no others."""
        import docker.errors

        if self.tools is None:
            raise Unreachable(NO_TOOLS)
        try:
            said: bytes = self.engine.in_time().containers.run(
                self.tools, [script], entrypoint=["sh", "-c"], user="0", remove=True, cap_drop=["ALL"],
                cap_add=list(capabilities), security_opt=["no-new-privileges"], labels={"chaos.tools-for": self.container.id},
                **how,
            )  # fmt: skip
        except docker.errors.ContainerError as error:
            told = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-2:]
            raise Unreachable("; ".join(told) or "it failed and did not say why") from error
        except docker.errors.ImageNotFound as error:
            message = f"the engine does not have the image {self.tools} that the system file calls `tools:`; pull it"
            raise Unreachable(message) from error
        return said.decode(errors="replace")

    def update(self, changes: Mapping[str, int]) -> None:
        """The engine has taken these limits. Raises Unreachable in its own words."""
        api = self.engine.in_time().api
        # The SDK's own call does not know NanoCpus, which is what `docker run --cpus` sets.
        answer = api.post(
            f"{api.base_url}/v{api.api_version}/containers/{self.container.id}/update",
            json=dict(changes),
            timeout=api.timeout,
        )
        if answer.status_code != 200:
            raise Unreachable(f"the Docker engine refused: {_said(answer)}")


NO_TOOLS = (
    "it needs root on the engine's own host, or an image with `sh`, `iptables` and `tc`: "
    "write `tools: IMAGE` beside `labels:` in the system file"
)


def died(at: Reached, what: str, by_hand: str) -> NotUndone:
    """What is said of a container that ended by itself while something else was done to it."""
    status = at.found.status
    return NotUndone(
        f"the container {at.container.name} was {what} and is {status} now; it died for another reason", by_hand
    )


def named(container: Container) -> str:
    """How a container is called in messages."""
    return f"{container.id[:12]} ({container.name})"


def _said(answer: Any) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return without_secrets(str(answer.text)[:200])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@contextmanager
def speaking() -> Iterator[None]:
    """Whatever the engine refuses, and whatever keeps us from asking it, becomes Unreachable; without an answer, Unanswered."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise Unreachable(f"the Docker engine refused: {error.explanation or without_secrets(str(error))}") from error
    except requests.Timeout as error:
        raise Unanswered("the Docker engine did not answer in time; is it overloaded?") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Unanswered(
            f"the Docker engine cannot be reached: {without_secrets(str(error))}; is it running, and is DOCKER_HOST right?"
        ) from error
    except ChaosError:
        raise
    except Exception as error:  # the SDK takes answers apart unseen, and raises whatever comes of it
        raise Unreachable(
            f"what answers is no Docker engine ({without_secrets(repr(error))}); is DOCKER_HOST right?"
        ) from error
