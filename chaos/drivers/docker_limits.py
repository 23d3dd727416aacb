"""Limits of a container: of processor time, and of memory.

The engine can change a limit that a container was created with, and change it back. One that it was created without the engine
can never take off again (an update to "none" means "as it is"), so there the kernel's control group is written, from the engine's own
host: the engine never learns of it, and a container that is started again is free of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from chaos.drivers.base import Act, Before
from chaos.drivers.beside import own, read_limit, write_limits
from chaos.drivers.docker_engine import Reached
from chaos.drivers.docker_verbs import Done, running
from chaos.errors import NotUndone, Unreachable
from chaos.units import format_size

PERIOD_US = 100_000
PAGE = 4096
"""The kernel rounds limits of memory down to whole pages."""
Kind = Literal["cpu", "memory"]
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "cpu": ("NanoCpus", "CpuQuota", "CpuPeriod"),
    "memory": ("Memory", "MemorySwap"),
}
NO_LIMIT = (
    "it was created without such a limit, which the engine could not take off again: create it with one (`docker run --cpus`, "
    "`--memory`), or run as root on the engine's own host"
)


def limits(at: Reached) -> dict[str, Any]:
    """What an undo has to know of a container's limits."""
    beside = at.beside
    fields = {name: int(at.host_config.get(name) or 0) for names in FIELDS.values() for name in names}
    return {"limits": fields, "groups": beside.limits() if beside is not None else {}}


def engines_own(kind: Kind, fields: Mapping[str, int]) -> bool:
    """Whether the container was created with such a limit, so that the engine can change it and change it back."""
    if kind == "cpu":
        return fields.get("NanoCpus", 0) > 0 or fields.get("CpuQuota", 0) > 0
    return fields.get("Memory", 0) > 0


def now(at: Reached, kind: Kind) -> dict[str, int]:
    """The engine's limits of this kind, as they are."""
    return {name: int(at.host_config.get(name) or 0) for name in FIELDS[kind]}


def cpus_of(fields: Mapping[str, int]) -> float:
    """How many CPUs' worth of time the engine's limits allow."""
    if fields.get("NanoCpus", 0) > 0:
        return fields["NanoCpus"] / 1e9
    return fields.get("CpuQuota", 0) / (fields.get("CpuPeriod", 0) or PERIOD_US)


def changed(kind: Kind, amount: float, fields: Mapping[str, int]) -> dict[str, int]:
    """The engine's limits afterwards: CPUs, or bytes. What is not among them stays."""
    if kind == "memory":
        return {"Memory": _pages(amount), "MemorySwap": _pages(amount)}
    if fields.get("NanoCpus", 0) > 0:
        return {"NanoCpus": round(amount * 1e9)}
    return {"CpuQuota": max(1000, round(amount * (fields.get("CpuPeriod", 0) or PERIOD_US)))}


def groups_changed(kind: Kind, amount: float, groups: Mapping[str, str]) -> dict[str, str]:
    """The control group's files afterwards, in the kernel's old and new way."""
    wanted: dict[str, str] = {}
    for path, before in groups.items():
        match Path(path).name:
            case "cpu.cfs_quota_us" if kind == "cpu":
                period = int(groups.get(str(Path(path).with_name("cpu.cfs_period_us")), PERIOD_US))
                wanted[path] = str(max(1000, round(amount * period)))
            case "cpu.max" if kind == "cpu":
                period = int(before.split()[1])
                wanted[path] = f"{max(1000, round(amount * period))} {period}"
            case "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes" | "memory.max" if kind == "memory":
                wanted[path] = str(_pages(amount))
            case "memory.swap.max" if kind == "memory":
                wanted[path] = "0"
    return wanted


def _pages(size: float) -> int:
    return int(size) // PAGE * PAGE


def _said(before: Before) -> tuple[dict[str, int], dict[str, str]]:
    """The limits of the engine and of the control group in what `inspect` said, perhaps read from a disk."""
    fields, groups = before.get("limits"), before.get("groups")
    return (
        {str(name): int(str(value)) for name, value in fields.items()} if isinstance(fields, Mapping) else {},
        {str(path): str(value) for path, value in groups.items()} if isinstance(groups, Mapping) else {},
    )


def set_limit(kind: Kind, amount: float, at: Reached, before: Before) -> str:
    """The container has the limit; where it is, in words. Raises Unreachable when what it had before is not as it was."""
    fields, groups = _said(before)
    if engines_own(kind, fields):
        kept = {name: fields[name] for name in FIELDS[kind]}
        if now(at, kind) != kept:
            raise Unreachable(f"the limits of {at.container.name} have changed since the plan was made; plan again")
        at.update(changed(kind, amount, fields))
        return "docker update"
    wanted = groups_changed(kind, amount, groups)
    if not wanted:
        raise Unreachable(f"the limit of {at.container.name} cannot be set: {NO_LIMIT}")
    if any(read_limit(path) != groups[path] for path in wanted):
        raise Unreachable(f"the limits of {at.container.name} have changed since the plan was made; plan again")
    write_limits(wanted, at.container.id)
    return ", ".join(Path(path).name for path in wanted)


def take_back(kind: Kind, amount: float, at: Reached, before: Before, by_hand: str) -> str:
    """The limit is what it was before; what was done for that, in words. Raises NotUndone when somebody else has changed it."""
    fields, groups = _said(before)
    if engines_own(kind, fields):
        kept = {name: fields[name] for name in FIELDS[kind]}
        ours = {**kept, **changed(kind, amount, fields)}
        seen = now(at, kind)
        if seen not in (kept, ours):
            raise _someone_else(at, kind, seen, by_hand)
        if seen == ours != kept:
            at.update({name: value for name, value in kept.items() if value})
            return "docker update"
        return ""
    wanted = groups_changed(kind, amount, groups)
    back: dict[str, str] = {}
    for path, ours_there in wanted.items():
        there = read_limit(path) if own(path, at.container.id) else None
        if there is None or there == groups[path]:
            continue
        if there != ours_there:
            raise _someone_else(at, kind, {path: there}, by_hand)
        back[path] = groups[path]
    write_limits(back, at.container.id)
    return ", ".join(Path(path).name for path in back)


def _someone_else(at: Reached, kind: Kind, seen: Mapping[str, object], by_hand: str) -> NotUndone:
    found = ", ".join(f"{name} {value}" for name, value in seen.items())
    message = (
        f"the {kind} limit of {at.container.name} was changed by somebody else during the run ({found}) and was left"
    )
    return NotUndone(message, by_hand)


def limit_by_hand(kind: Kind, amount: float, at: str, docker: str, before: Before) -> str:
    """The command that gives a limit back."""
    fields, groups = _said(before)
    if engines_own(kind, fields):
        flags = {
            "NanoCpus": f"--cpus {fields.get('NanoCpus', 0) / 1e9:g}",
            "CpuQuota": f"--cpu-quota {fields.get('CpuQuota', 0)}",
            "Memory": f"--memory {fields.get('Memory', 0)}",
            "MemorySwap": f"--memory-swap {fields.get('MemorySwap', 0)}",
        }
        named = " ".join(flag for name, flag in flags.items() if name in FIELDS[kind] and fields.get(name))
        return f"{docker} update {named} {at}"
    # Memory and swap together first: the kernel refuses more memory than both may be together.
    paths = sorted(groups_changed(kind, amount, groups), key=lambda path: "memsw" not in path)
    return " && ".join(f"echo {shlex.quote(groups[path])} > {shlex.quote(path)}" for path in paths) or "nothing to do"


def _possible(kind: Kind, at: Reached) -> str | None:
    fields = now(at, kind)
    beside = at.beside
    if engines_own(kind, fields) or (beside is not None and groups_changed(kind, 1e9, beside.limits())):
        return None
    return NO_LIMIT


class CpuLimit:
    """Less processor time."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """It must be less than it has, and such that it can be given back."""
        fields = now(at, "cpu")
        has = cpus_of(fields) if engines_own("cpu", fields) else None
        if has is not None and act.number("cpus") >= has:
            return f"it may use no more than {has:g} CPUs as it is; write less"
        return _possible("cpu", at)

    def apply(self, act: Act, at: Reached, before: Before) -> Done:
        """It may use no more."""
        where = set_limit("cpu", act.number("cpus"), at, before)
        done = Done(f"{act.number('cpus'):g} CPUs for {at.name} by {where}")
        at.refresh()
        return Done(done.call, {"limit": shown("cpu", at), "throttled": _throttled(at)}, done.at_wall_s)

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """It may use what it could before."""
        throttled = _throttled(at)
        where = take_back("cpu", act.number("cpus"), at, before, self._hand(act, at, before))
        done = Done(f"the CPU limit of {at.name} as before by {where}" if where else f"nothing to do {at.name}")
        at.refresh()
        running(at, "limited in its processor time")
        return Done(done.call, {"limit": shown("cpu", at), "throttled": throttled}, done.at_wall_s)

    def _hand(self, act: Act, at: Reached, before: Before) -> str:
        return self.by_hand(act, at.container.id[:12], at.docker, before)

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:
        """The limit of before."""
        return limit_by_hand("cpu", act.number("cpus"), at, docker, before)


class MemoryLimit:
    """Less memory."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """It must be less than it may use and more than it uses, and such that it can be given back."""
        size, has = _pages(act.number("size")), int(at.host_config.get("Memory") or 0)
        if 0 < has <= size:
            return f"it may use no more than {has} bytes as it is; write less"
        if at.removes_itself():
            return "it was started with `--rm`: once the kernel kills it, it could not be started again"
        used = at.used()[1]
        if used >= size:
            return (
                f"it uses {used // 1000_000 + 1}MB now and cannot be squeezed below that; write a larger `size:`, "
                "or `fault: memory_stress` with `oom: true` to have it killed"
            )
        return _possible("memory", at)

    def apply(self, act: Act, at: Reached, before: Before) -> Done:
        """It may use no more."""
        where = set_limit("memory", act.number("size"), at, before)
        done = Done(f"{format_size(int(act.number('size')))} of memory for {at.name} by {where}")
        at.refresh()
        return Done(done.call, {"limit": shown("memory", at), "used": f"{at.used()[1]} bytes"}, done.at_wall_s)

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """It may use what it could before, and runs again if the kernel killed it for the lack of memory."""
        where = take_back("memory", act.number("size"), at, before, self._hand(act, at, before))
        done = Done(f"the memory limit of {at.name} as before by {where}" if where else f"nothing to do {at.name}")
        at.refresh()
        started_again = start_after_oom(at)
        running(at, "limited in its memory")
        call = f"{done.call}; docker start, the kernel had killed it" if started_again else done.call
        return Done(call, {"limit": shown("memory", at)}, done.at_wall_s)

    def _hand(self, act: Act, at: Reached, before: Before) -> str:
        return self.by_hand(act, at.container.id[:12], at.docker, before)

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:
        """The limit of before; started, if it was killed."""
        return f"{limit_by_hand('memory', act.number('size'), at, docker, before)}; {docker} start {at}"


def start_after_oom(at: Reached) -> bool:
    """It runs again, if it was the kernel's out-of-memory killer that ended it; whether it was."""
    if at.found.status == "restarting":
        at.until_status("running", "the engine's own restart")
    if at.status != "exited" or not at.state.get("OOMKilled"):
        return False
    at.found.start()
    at.until_status("running", "docker start")
    return True


def shown(kind: Kind, at: Reached) -> str:
    """The limit as the kernel has it, where that can be read, else as the engine says."""
    beside = at.beside
    groups = beside.limits() if beside is not None else {}
    told = [f"{Path(path).name} {value}" for path, value in groups.items() if Path(path).name.startswith(f"{kind}.")]
    return ", ".join(told) or ", ".join(f"{name} {value}" for name, value in now(at, kind).items())


def _throttled(at: Reached) -> str:
    """How often the kernel has throttled it since it was started."""
    beside = at.beside
    group = beside.group("cpu") if beside is not None else None
    said = read_limit(str(group / "cpu.stat")) if group is not None else None
    for line in (said or "").splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_throttled":
            return f"{value} periods"
    return "unknown"
