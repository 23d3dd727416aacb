"""Local processes as containers: signals instead of an engine's calls. The default of the quickstart.

Only what stands in the system's process table is ever touched, only with the opt-in label, and only the incarnation that was
picked when the plan was made.
"""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Mapping
from dataclasses import replace

import psutil

from chaos.drivers.base import Act, Before, Container, Performed, Status, Verb
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.errors import NotUndone, Refused, Unreachable

UNDO_WAITS_S = 6.0
"""How long an undo waits for another one of the same process."""
SETTLE_S = 3.0
"""How long a signal may take to show in the process's state."""
ALONE = "local processes share {} with everything else on this machine, which would be hurt as well; run the target in Docker"
CANNOT: Mapping[Verb, str] = {
    "cpu_limit": ALONE.format("their processors, without a limit that could be set and taken back,"),
    "memory_limit": ALONE.format("their memory, without a limit that could be set and taken back,"),
    "cpu_stress": ALONE.format("their processors"),
    "memory_stress": ALONE.format("their memory"),
    "disk_fill": ALONE.format("their disks"),
    "network_delay": ALONE.format("their network"),
    "network_loss": ALONE.format("their network"),
    "network_corruption": ALONE.format("their network"),
    "network_bandwidth": ALONE.format("their network"),
    "network_partition": ALONE.format("their network"),
}
WANTED: Mapping[Verb, Status] = {
    "kill": "exited", "crash": "exited", "stop": "exited", "pause": "paused", "restart": "running",
}  # fmt: skip
"""What can be done to a process, and what it is then."""


def identity(entry: ProcessEntry) -> str:
    """`pid:create_time` of the latest incarnation."""
    return f"{entry.pid}:{entry.create_time_s:.2f}"


def status_of(entry: ProcessEntry) -> Status:
    """running, paused or exited, as the kernel says."""
    found = entry.running()
    if found is None:
        return "exited"
    try:
        return "paused" if found.status() == psutil.STATUS_STOPPED else "running"
    except psutil.NoSuchProcess:
        return "exited"


class ProcessDriver:
    """Hurts the processes of one target, and puts them back."""

    def __init__(self, table: ProcessTable, labels: Mapping[str, str], opt_in: tuple[str, str]) -> None:
        self._table = table
        self._labels = dict(labels)
        self._opt_in = opt_in
        self._again: dict[str, str] = {}
        """Identity of a process that an undo of ours found dead → of the one that it started in its place."""

    def _entries(self) -> list[ProcessEntry]:
        found = [entry for entry in self._table.entries() if self._labels.items() <= dict(entry.labels).items()]
        return sorted(found, key=lambda entry: entry.name)

    def _entry(self, name: str) -> ProcessEntry:
        for entry in self._entries():
            if entry.name == name:
                return entry
        raise Unreachable(f"the process {name} is no longer in {self._table.path}; was the system taken down?")

    def find(self) -> list[Container]:
        """Every process of the target, whatever its state."""
        return [
            Container(entry.name, identity(entry), dict(entry.labels), status_of(entry)) for entry in self._entries()
        ]

    def cannot(self, act: Act, container: Container) -> str | None:  # noqa: ARG002
        """Only what ends or freezes a process hurts nobody else, and can be undone exactly."""
        return CANNOT.get(act.verb)

    def inspect(self, container: Container) -> Before:
        """Which incarnation it is, and whether it runs."""
        entry = self._entry(container.name)
        return {"identity": identity(entry), "status": status_of(entry)}

    def apply(self, act: Act, container: Container, before: Before) -> Performed:
        """The process is ended, frozen or started anew, its children too. Nobody starts a crashed one again but the undo."""
        if act.verb in CANNOT:
            raise Unreachable(f"{act.verb} cannot be done to {container.name}: {CANNOT[act.verb]}")
        entry = self._entry(container.name)
        name, value = self._opt_in
        if entry.labels.get(name) != value:
            raise Refused([f"the process {entry.name} does not carry {name}={value} and is never touched"])
        found = entry.running()
        known = container.id
        while known in self._again:
            known = self._again[known]
        if found is None or identity(entry) != known:
            raise Unreachable(
                f"the process {entry.name} is not the one that was picked ({container.id}); it was left alone"
            )
        if act.verb != "pause":
            entry = replace(entry, ended=identity(entry))
            self._table.update(entry)
        call = f"{_hurt(act, found)} {entry.pid} ({entry.name})"
        if act.verb == "restart":
            fresh = self._started(entry, self.by_hand(act, container, before))
            return self._performed(fresh, act.verb, f"{call}, started again as {fresh.pid}", "running")
        return self._performed(entry, act.verb, call, WANTED[act.verb])

    def undo(self, act: Act, container: Container, before: Before) -> Performed:
        """The process runs: continued, or started again when a run has ended it. Idempotent, also when several do so at once."""
        with self._table.reserved(container.name, UNDO_WAITS_S):
            return self._undone(act, container, before)

    def _undone(self, act: Act, container: Container, before: Before) -> Performed:
        entry = self._entry(container.name)
        found = entry.running()
        if found is not None:
            for one in _family(found):
                _send(one, signal.SIGCONT)
            return self._performed(entry, act.verb, f"SIGCONT {entry.pid} ({entry.name})", "running")
        by_hand = self.by_hand(act, container, before)
        if act.verb == "pause":
            raise NotUndone(f"{entry.name} was paused and is gone now; it died for another reason", by_hand)
        if entry.ended != identity(entry):
            raise NotUndone(f"{entry.name} is gone, and no run has ended it; it died for another reason", by_hand)
        fresh = self._started(entry, by_hand)
        return self._performed(fresh, act.verb, f"started {entry.name} again as {fresh.pid}", "running")

    def _started(self, entry: ProcessEntry, by_hand: str) -> ProcessEntry:
        """The entry's program runs anew, and the table says so. Raises NotUndone when it cannot be started."""
        try:
            fresh = spawn(replace(entry, ended=""), self._table.update)
        except OSError as error:
            raise NotUndone(f"{entry.name} cannot be started again: {error}", by_hand) from error
        self._again[identity(entry)] = identity(fresh)
        return fresh

    def by_hand(self, act: Act, container: Container, before: Before) -> str:  # noqa: ARG002
        """The command with which a person undoes it."""
        entry = next((entry for entry in self._entries() if entry.name == container.name), None)
        if entry is None:
            return f"start {container.name} again"
        if act.verb == "pause" and entry.running() is not None:
            return f"kill -s CONT -- -{entry.pid}"  # its whole group: the children were stopped as well
        # Only the names: what is in the environment may be secret, and this command goes into the plan and the report.
        surroundings = f"  # with {', '.join(entry.env)} as in {self._table.path}" if entry.env else ""
        return f"cd {shlex.quote(entry.cwd)} && {shlex.join(entry.argv)}{surroundings}"

    def _performed(self, entry: ProcessEntry, verb: Verb, call: str, wanted: Status) -> Performed:
        """What was done, once the kernel shows it. Raises Unreachable when it does not."""
        done_wall_s = time.time()
        deadline_s = time.monotonic() + SETTLE_S
        seen = status_of(entry)
        while seen != wanted and time.monotonic() < deadline_s:
            time.sleep(0.01)
            seen = status_of(entry)
        if seen != wanted:
            raise Unreachable(f"{call}: {verb} shows no effect, {entry.name} is {seen}")
        return Performed(entry.name, identity(entry), seen, done_wall_s, call)


def _hurt(act: Act, root: psutil.Process) -> str:
    """The process and its children have got what ends or freezes them; what that was."""
    family = _family(root)
    if act.verb not in ("stop", "restart"):
        number = signal.SIGSTOP if act.verb == "pause" else signal.SIGKILL
        for one in family:
            _send(one, number)
        return number.name
    _send(root, signal.SIGTERM)
    _, left = psutil.wait_procs([root], timeout=act.number("grace"))
    _, left = psutil.wait_procs(family, timeout=0.0 if left else 0.2)
    for one in left:
        _send(one, signal.SIGKILL)
    psutil.wait_procs(left, timeout=SETTLE_S)
    return "SIGTERM and SIGKILL" if left else "SIGTERM"


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [root]


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass  # gone is what was wanted, or what the inspection afterwards reports
    except psutil.AccessDenied as error:
        raise Unreachable(
            f"{number.name} {process.pid}: not permitted; run as the user that owns the process"
        ) from error
