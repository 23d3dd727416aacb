"""Local processes as containers: SIGKILL and SIGSTOP instead of an engine's calls. The default of the quickstart.

Only what stands in the system's process table is ever touched, only with the opt-in label, and only the incarnation that was
picked when the plan was made.
"""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Mapping

import psutil

from chaos.drivers.base import Container, Performed, Status, Verb
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.errors import NotUndone, Refused, Unreachable

SETTLE_S = 3.0
"""How long a signal may take to show in the process's state."""


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

    def apply(self, verb: Verb, before: Container) -> Performed:
        """The process is killed (its children too) or stopped."""
        entry = self._entry(before.name)
        name, value = self._opt_in
        if entry.labels.get(name) != value:
            raise Refused([f"the process {entry.name} does not carry {name}={value} and is never touched"])
        found = entry.running()
        known = before.id
        while known in self._again:
            known = self._again[known]
        if found is None or identity(entry) != known:
            raise Unreachable(
                f"the process {entry.name} is not the one that was picked ({before.id}); it was left alone"
            )
        number = signal.SIGKILL if verb == "kill" else signal.SIGSTOP
        for one in _family(found):
            _send(one, number)
        return self._performed(
            entry, verb, f"{number.name} {entry.pid} ({entry.name})", "exited" if verb == "kill" else "paused"
        )

    def undo(self, verb: Verb, before: Container) -> Performed:
        """The process runs: continued, or started again when it is gone. Idempotent."""
        entry = self._entry(before.name)
        found = entry.running()
        if found is not None:
            for one in _family(found):
                _send(one, signal.SIGCONT)
            return self._performed(entry, verb, f"SIGCONT {entry.pid} ({entry.name})", "running")
        if verb != "kill":
            raise NotUndone(
                f"{entry.name} was paused and is gone now; it died for another reason", self.by_hand(verb, before)
            )
        try:
            fresh = spawn(entry)
        except OSError as error:
            raise NotUndone(f"{entry.name} cannot be started again: {error}", self.by_hand(verb, before)) from error
        self._table.update(fresh)
        self._again[identity(entry)] = identity(fresh)
        return self._performed(fresh, verb, f"started {entry.name} again as {fresh.pid}", "running")

    def by_hand(self, verb: Verb, before: Container) -> str:
        """The command with which a person undoes it."""
        entry = next((entry for entry in self._entries() if entry.name == before.name), None)
        if entry is None:
            return f"start {before.name} again"
        if verb == "pause" and entry.running() is not None:
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
