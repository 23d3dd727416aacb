"""Writes a run's journal beside its loop: the loop, its guards and its undos never wait for a disk. Wiring.

Only an Apply waits, in a thread of its own, until the line that says so is on the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from chaos.drivers.folder import JournalWriter
from chaos.errors import ChaosError
from chaos.events import Record

SYNC_S = 1.0
"""Lines for which nobody waits are on the disk after so long."""
CLOSE_S = 10.0


class NotWritten(ChaosError):
    """A line of the journal is not on the disk."""


class Scribe:
    """One journal's writer and its thread, once begun. `failed` hears of a disk that refuses, each time that it does."""

    def __init__(self, writer: JournalWriter, failed: Callable[[OSError], None]) -> None:
        self.writer = writer
        self._failed = failed
        self._change = threading.Condition()
        self._wanted = self._synced = self._added = 0
        self._error: OSError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._write, daemon=True, name="journal")

    def begin(self) -> None:
        """What is added goes to the disk from now on. Once."""
        self._thread.start()

    def add(self, record: Record, at_s: float, wall_s: float, *, soon: bool = False) -> int:
        """The record is the journal's last line, whose number this is; with `soon`, it goes to the disk now."""
        number = self.writer.add(record, at_s, wall_s)
        with self._change:
            self._added = number
            if soon:
                self._wanted = number
                self._error = None
                self._change.notify_all()
        return number

    def await_disk(self, number: int, within_s: float) -> None:
        """The line of this number is on the disk. Raises NotWritten when it could not be written, or not in time."""
        with self._change:
            self._change.wait_for(lambda: self._synced >= number or self._error is not None, within_s)
            if self._synced >= number:
                return
            raise NotWritten(str(self._error) if self._error is not None else f"the disk took more than {within_s:g}s")

    def leave(self) -> None:
        """The thread ends as soon as the disk lets it; what it has not written is lost. Waits for nothing."""
        with self._change:
            self._closing = True
            self._error = None
            self._change.notify_all()

    def close(self) -> None:
        """Everything is on the disk. Raises NotWritten when it is not."""
        self.leave()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            raise NotWritten(f"the disk took more than {CLOSE_S:g}s")
        try:
            self.writer.close()
        except OSError as error:
            raise NotWritten(str(error)) from error

    def _write(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closing or self._wanted > self._synced, SYNC_S)
                closing, due = self._closing, self._added > self._synced
            if closing:
                return
            if due:
                self._sync()

    def _sync(self) -> None:
        try:
            number = self.writer.sync()
        except OSError as error:
            with self._change:
                self._error = error
                self._wanted = self._synced  # it is tried again in a second, or when somebody asks
                self._change.notify_all()
            self._failed(error)
        else:
            with self._change:
                self._synced = number
                self._change.notify_all()
