"""What every verb of the Docker driver offers, and the verbs of a container's life: kill, crash, stop, pause, restart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from chaos.drivers.base import Act, Before
from chaos.drivers.docker_engine import NO_TOOLS, Reached, died
from chaos.errors import NotUndone, Unreachable

KILLED = 137
"""The exit code of a process that got a SIGKILL."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a verb did: the call in words, when it had returned, and what was seen from outside."""

    call: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    at_wall_s: float = field(default_factory=time.time)


class DockerVerb(Protocol):
    """One thing that is done to a container, and undone."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """Why it cannot be done to this one, or not be undone exactly; None when it can. Changes nothing."""
        ...

    def apply(self, act: Act, at: Reached, before: Before) -> Done:
        """It is done, and seen."""
        ...

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """It is as before, whatever apply got round to; idempotent."""
        ...

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:
        """The command with which a person undoes it; `docker` is the program with its `-H`, `at` the container's short id."""
        ...


def running(at: Reached, what: str, by_hand: str | None = None) -> None:
    """The container runs. Raises NotUndone when it died, or when somebody else has paused it; `by_hand` is for after that."""
    after = f" && {by_hand}" if by_hand else ""
    if at.status == "exited":
        raise died(at, what, at.command("start") + after)
    if at.status == "paused":
        message = f"the container {at.container.name} was {what} and is paused now; somebody else did that"
        raise NotUndone(message, at.command("unpause") + after)


def started(at: Reached) -> str:
    """When it was started last, as the engine says."""
    return str(at.state.get("StartedAt", ""))


class _Ending:
    """Verbs that end the container's program; the undo starts it again."""

    verb: str
    codes: tuple[int, ...] | None = None
    """With which exit codes the program can have ended by this verb; None: with any."""

    def cannot(self, act: Act, at: Reached) -> str | None:  # noqa: ARG002
        """One that removes itself when it ends can never be started again."""
        if at.removes_itself():
            return "it was started with `--rm`, so that it would be gone for good; start it without"
        return None

    def undo(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It runs."""
        again = at.command("start")
        if at.found.status == "restarting":
            at.until_status("running", "the engine's own restart")
        if at.status == "paused":
            message = f"the container {at.container.name} was to be ended by {self.verb} and is paused now; somebody else did that"
            raise NotUndone(message, at.command("unpause"))
        if at.status == "running":
            return Done(f"nothing to do {at.name}", {"started": started(at)})
        code = int(at.state.get("ExitCode") or 0)
        if at.state.get("OOMKilled") or (self.codes is not None and code not in self.codes):
            raise died(at, f"to be ended by {self.verb}", again)
        at.engine.in_time()
        at.found.start()
        done = Done(f"docker start {at.name}")
        at.until_status("running", done.call)
        return Done(done.call, {"started": started(at)}, done.at_wall_s)

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:  # noqa: ARG002
        """Start it."""
        return f"{docker} start {at}"


class Kill(_Ending):
    """SIGKILL through the engine, which takes that for somebody's wish: no restart policy heals it."""

    verb = "kill"
    codes = (KILLED,)

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It is dead."""
        at.found.kill()
        done = Done(f"docker kill {at.name}")
        at.until_status("exited", done.call)
        return Done(done.call, {"exit code": str(at.state.get("ExitCode"))}, done.at_wall_s)


class Stop(_Ending):
    """SIGTERM, and SIGKILL after the grace."""

    verb = "stop"

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It has ended."""
        begun_s = time.monotonic()
        grace_s = round(act.number("grace"))
        at.with_grace(grace_s).stop(timeout=grace_s)
        took_s = time.monotonic() - begun_s
        done = Done(f"docker stop {at.name}")
        at.until_status("exited", done.call)
        evidence = {"exit code": str(at.state.get("ExitCode")), "took": f"{took_s:.2f} s"}
        return Done(done.call, evidence, done.at_wall_s)


class Restart(_Ending):
    """A stop, and a start at once."""

    verb = "restart"

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It runs again, and was started anew."""
        grace_s, earlier = round(act.number("grace")), started(at)
        at.with_grace(grace_s).restart(timeout=grace_s)
        done = Done(f"docker restart {at.name}")
        at.until(lambda: at.status == "running" and started(at) != earlier, done.call)
        evidence = {"started before": earlier, "started": started(at)}
        return Done(done.call, evidence, done.at_wall_s)


class Crash(_Ending):
    """SIGKILL to the main process from its host: for the engine the program has died by itself."""

    verb = "crash"
    codes = (KILLED,)

    def cannot(self, act: Act, at: Reached) -> str | None:
        """Only the host can kill the first process of a namespace."""
        why = super().cannot(act, at)
        if why is None and at.beside is None and at.tools is None:
            return f"the main process can only be killed from outside of the container: {NO_TOOLS}"
        return why

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """Its main process is dead; perhaps the engine has started another one."""
        pid = int(at.state.get("Pid") or 0)
        if pid <= 0:
            raise Unreachable(f"the container {at.container.name} does not run; it was left alone")
        earlier, restarts = started(at), restart_count(at)
        beside = at.beside
        if beside is not None:
            beside.kill()
        else:
            script = f"grep -q {at.container.id} /proc/{pid}/cgroup && kill -9 {pid}"
            at.with_tools(script, ("KILL",), pid_mode="host", network_mode="none")
        done = Done(f"kill -9 {pid}, the main process of {at.name}")
        at.until(lambda: at.status == "exited" or started(at) != earlier, done.call)
        if at.restarts_by_itself():
            at.until_status("running", f"{done.call}: the engine's own restart")
        return Done(done.call, death(at, earlier, restarts), done.at_wall_s)


def death(at: Reached, earlier: str, restarts: int) -> dict[str, str]:
    """What the engine shows of a death: the end, or the start after it."""
    if at.status == "exited":
        oom = str(bool(at.state.get("OOMKilled"))).lower()
        return {"exit code": str(at.state.get("ExitCode")), "OOMKilled": oom}
    return {"started before": earlier, "started": started(at), "restarts": f"{restarts} → {restart_count(at)}"}


def restart_count(at: Reached) -> int:
    """How often the engine has started it again by itself."""
    return int(at.found.attrs.get("RestartCount") or 0)


class Pause:
    """Every process of the container is frozen."""

    def cannot(self, act: Act, at: Reached) -> str | None:  # noqa: ARG002
        """Every engine can do it."""
        return None

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It is frozen."""
        at.found.pause()
        done = Done(f"docker pause {at.name}")
        at.until_status("paused", done.call)
        return done

    def undo(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It goes on."""
        if at.status == "exited":
            raise died(at, "paused", at.command("start"))
        if at.status == "running":
            return Done(f"nothing to do {at.name}")
        at.found.unpause()
        done = Done(f"docker unpause {at.name}")
        at.until_status("running", done.call)
        return done

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:  # noqa: ARG002
        """Unpause it."""
        return f"{docker} unpause {at}"


def life(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What an undo has to know of a container's life."""
    state, host = attrs.get("State") or {}, attrs.get("HostConfig") or {}
    return {
        "status": state.get("Status"),
        "started_at": state.get("StartedAt"),
        "restarts": attrs.get("RestartCount", 0),
        "restart_policy": (host.get("RestartPolicy") or {}).get("Name", ""),
    }
