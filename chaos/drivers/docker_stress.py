"""Something that runs beside a container's program, inside of it: busy loops, a leak, a file that fills the disk.

It is started by the engine's `exec`, so it is held by the container's own limits and by nothing else of the host. All of it carries
a mark in its environment, by which an undo from any process finds it, and ends by itself some time after the fault's duration.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping

from chaos.drivers.base import Act, Before
from chaos.drivers.docker_engine import Reached
from chaos.drivers.docker_limits import (
    engines_own,
    limit_by_hand,
    now,
    set_limit,
    start_after_oom,
    take_back,
)
from chaos.drivers.docker_verbs import Done, death, restart_count, running, started
from chaos.errors import Unreachable
from chaos.units import format_size

HOST_SHARE = 0.25
"""The most of its host's memory that is taken in a container which may take all of it."""
MARK = "CHAOS_BESIDE"
BEYOND_S = 60
"""How long after the fault's duration what nobody has undone ends by itself."""
BURN = """
burn() {
  if command -v timeout > /dev/null; then exec timeout -s KILL "$1" sh -c 'while :; do :; done'; fi
  ulimit -t "$1"; while :; do :; done
}
n=0; while [ "$n" -lt "$2" ]; do burn "$1" & n=$((n + 1)); done; wait
"""
HOLD = """
hold() { head -c "$2" /dev/zero; sleep "$1"; }
hold "$1" "$2" | tail > /dev/null
"""
"""`tail` has to keep a line until it ends, and this one never does."""
END = (
    f'exec 2>/dev/null; for p in /proc/[0-9]*; do if tr "\\0" "\\n" < $p/environ | grep -qx "{MARK}=$1"; '
    "then kill -9 ${p#/proc/}; fi; done; true"
)
COUNT = (
    f'exec 2>/dev/null; n=0; for p in /proc/[0-9]*; do if tr "\\0" "\\n" < $p/environ | grep -qx "{MARK}=$1"; then '
    "n=$((n + 1)); fi; done; echo $n"
)
NO_SHELL = "there is no `/bin/sh` in it, by which something could be started beside its program"


def end(at: Reached, mark: str) -> int:
    """Nothing that carries the mark runs in the container; how many processes did."""
    was = int(at.run(COUNT, mark))
    deadline_s = time.monotonic() + 2.0
    left = was
    while left and time.monotonic() < deadline_s:
        at.run(END, mark)  # again, for whatever was just being started
        left = int(at.run(COUNT, mark))
    if left:
        raise Unreachable(f"what was started beside {at.container.name} does not end; is the machine overloaded?")
    return was


def _ends_by_hand(at: str, docker: str, mark: str) -> str:
    return f"{docker} exec -u 0 {at} sh -c {shlex.quote(END)} sh {mark}"


def _seconds(act: Act) -> str:
    return str(int(act.lasts_s) + BEYOND_S)


class CpuStress:
    """Busy loops."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """They are shell scripts, and must leave something to everybody else on the host."""
        if not at.has_shell():
            return NO_SHELL
        workers, processors = int(act.number("workers")), at.host()[0]
        if not engines_own("cpu", now(at, "cpu")) and workers >= processors:
            return (
                f"it has no limit of processor time, so {workers} busy loops would take all {processors} processors of its host: "
                "create it with `--cpus`, or write fewer `workers:`"
            )
        return None

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """They burn."""
        workers = int(act.number("workers"))
        earlier_s, _ = at.used()
        begun_s = time.monotonic()
        at.start_beside(BURN, [_seconds(act), str(workers)], {MARK: act.verb})
        done = Done(f"docker exec {at.name}: {workers} busy loops")
        deadline_s = time.monotonic() + 2.0
        while (running_now := int(at.run(COUNT, act.verb))) < workers and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(0.25)
        spent_s, took_s = at.used()[0] - earlier_s, time.monotonic() - begun_s
        if running_now < workers:
            raise Unreachable(f"{done.call}: they do not run")
        burnt = f"{spent_s / took_s:.2f} CPUs over {took_s:.1f} s"
        return Done(done.call, {"processor time": burnt}, done.at_wall_s)

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """None runs any more."""
        running(at, "under stress", self.by_hand(act, at.container.id[:12], at.docker, before))
        was = end(at, act.verb)
        return Done(f"kill -9 of {was} processes in {at.name}" if was else f"nothing to do {at.name}")

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:  # noqa: ARG002
        """End them."""
        return _ends_by_hand(at, docker, act.verb)


class MemoryStress:
    """A leak: so much and no more, or until the kernel kills the container's main process for it."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """Held memory must fit into the container, and the host must be safe from it."""
        if not at.has_shell():
            return NO_SHELL
        if at.removes_itself():
            return "it was started with `--rm`: once the kernel kills it, it could not be started again"
        size, everything = int(act.number("size")), at.host()[1]
        if not engines_own("memory", now(at, "memory")) and size > everything * HOST_SHARE:
            return (
                f"it has no limit of memory, and {format_size(size)} is more than a quarter of what its host has: "
                "create it with `--memory`, or write a smaller `size:`"
            )
        if not act.parameters.get("oom"):
            return None
        if at.host_config.get("PidMode"):
            return (
                "it shares its processes with others, of whom the kernel might kill another one; leave out `oom: true`"
            )
        if not engines_own("memory", now(at, "memory")) and at.beside is None:
            return (
                "it was created without a limit of memory, so it could only grow until the whole host suffers: create it with "
                "`--memory`, or run as root on the engine's own host"
            )
        return None

    def apply(self, act: Act, at: Reached, before: Before) -> Done:
        """The memory is held, or the container has been killed for it."""
        if act.parameters.get("oom"):
            return self._until_killed(act, at, before)
        size = int(act.number("size"))
        earlier, began, restarts = at.used()[1], started(at), restart_count(at)
        at.start_beside(HOLD, [_seconds(act), str(size)], {MARK: act.verb})
        done = Done(f"docker exec {at.name}: holds {format_size(size)}")
        deadline_s = time.monotonic() + 5.0
        while (grown := at.used()[1] - earlier) < size * 0.9 and time.monotonic() < deadline_s:
            time.sleep(0.05)
            at.refresh()
            if at.status != "running" or started(at) != began:
                return Done(f"{done.call}, and was killed", death(at, began, restarts), done.at_wall_s)
        if grown < size * 0.9:
            raise Unreachable(f"{done.call}: only {grown} bytes more are used after five seconds")
        return Done(done.call, {"memory": f"{earlier} → {earlier + grown} bytes"}, done.at_wall_s)

    def _until_killed(self, act: Act, at: Reached, before: Before) -> Done:
        amount = _allowed(act, before)
        # Of all in the group the kernel picks the one with this; so it is the program and not the leak beside it.
        at.run('echo "$1" > /proc/1/oom_score_adj', "1000")
        where, began, restarts = "its own limit", started(at), restart_count(at)
        if amount is not None:
            where = set_limit("memory", amount, at, before)
        limit = amount if amount is not None else float(at.host_config.get("Memory") or 0)
        since_wall_s = time.time()
        at.start_beside(HOLD, [_seconds(act), str(int(limit) + 64 * 1024 * 1024)], {MARK: act.verb})
        done = Done(f"docker exec {at.name}: leaks until the kernel kills it ({where})")
        at.until(lambda: at.status == "exited" or started(at) != began, done.call)
        evidence = {**death(at, began, restarts), "out of memory": _told(at, since_wall_s)}
        return Done(done.call, evidence, time.time())

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """What leaks is gone, the limit is as before, and the container runs again if the kernel killed it."""
        hand = self.by_hand(act, at.container.id[:12], at.docker, before)
        calls: list[str] = []
        if at.status == "running":
            was = end(at, act.verb)
            calls += [f"kill -9 of {was} processes"] if was else []
        if act.parameters.get("oom"):
            if at.status == "running":
                at.run('echo "$1" > /proc/1/oom_score_adj', str(at.host_config.get("OomScoreAdj") or 0))
            amount = _allowed(act, before)
            calls += [take_back("memory", amount, at, before, hand)] if amount is not None else []
        at.refresh()
        calls += ["docker start"] if start_after_oom(at) else []
        running(at, "under stress")
        said = ", ".join(call for call in calls if call)
        return Done(f"{said}: {at.name}" if said else f"nothing to do {at.name}", {"memory": f"{at.used()[1]} bytes"})

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:
        """End it, give the limit back, start it."""
        ended = _ends_by_hand(at, docker, act.verb)
        if not act.parameters.get("oom"):
            return f"{ended} || {docker} start {at}"
        amount = _allowed(act, before)
        limit = f"{limit_by_hand('memory', amount, at, docker, before)}; " if amount is not None else ""
        return f"{ended}; {limit}{docker} start {at}"


def _allowed(act: Act, before: Before) -> float | None:
    """The limit under which it grows by no more than was asked for; None when its own is as low as that.

    It follows from what was recorded alone, so that an undo knows which limit is ours.
    """
    fields = before.get("limits")
    has = int(str(fields.get("Memory") or 0)) if isinstance(fields, Mapping) else 0
    wanted = int(str(before.get("memory_used") or 0)) + act.number("size")
    return None if 0 < has <= wanted else wanted


def _told(at: Reached, since_wall_s: float) -> str:
    """What the engine's own events say."""
    rows = at.engine.in_time().events(
        since=int(since_wall_s),
        until=int(time.time()) + 1,
        decode=True,
        filters={"container": at.container.id, "event": "oom"},
    )
    seen = [row for row in rows if row.get("timeNano", 0) / 1e9 >= since_wall_s - 0.1]
    return f"{len(seen)} times, as the engine tells" if seen else "not told by the engine"
