"""The warden of a run: a small process beside it, in a session of its own, that undoes everything when the run cannot.

    run ── stdin: what to undo, then a beat now and then, `done` ──▶ warden ── stdout: `ready` ──▶ run

It acts when the pipe ends (the run is dead, however it died), when no beat has come for a lease (it hangs, or was stopped), when the
deadline has come, and when somebody has asked for a stop and the run did not answer. All its times are of the monotonic clock. What
it does stands in `warden.log` of the run's folder. What is not undone when it gives up stays in the undo list, for `chaos recover`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from chaos.app.recovery import Recovered, recover
from chaos.drivers.process_table import ProcessEntry
from chaos.drivers.state import RunState
from chaos.undo_list import Open, UndoList

LOOK_S = 0.1
STOP_GRACE_S = 1.5
"""How long a run may take to answer a stop before the warden does it."""
LEASH_S = 8.0
"""By then a command that was asked to end has ended, or was killed."""
DYING_S = 1.0
"""By then a process whose pipe has ended is dead altogether, or lives."""
LATE_S = 1.5
"""A run is late when nothing was heard from it for its lease; a machine that is busy gets so much more."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The fault proxies of one target that the run holds."""

    addresses: tuple[str, ...]
    token: str
    ca: str | None


class Warden:
    """One run's warden. `watch` returns when the run is over, or when everything that it left is undone."""

    def __init__(self, run: RunState, undo: UndoList, proxies: Sequence[Proxies]) -> None:
        self._run = run
        self._undo = undo
        self._proxies = proxies
        self._asked_to_end = False
        self._stop_seen_s: float | None = None

    def watch(self, pipe: int) -> int:
        """The exit code: 0 when nothing is left, 5 when something is."""
        why = self._until_wanted(pipe)
        if why is None:
            self._forget()  # if the run has died since it said so; else it has done that itself
            return 0
        self._say(f"{why}; undoing everything of {self._undo.run}")
        ending = threading.Thread(target=self._end_command, daemon=True)
        ending.start()
        disarming = threading.Thread(target=self._disarm, args=(ending,), daemon=True)
        disarming.start()
        left = [one for one in recover(self._run, self._open(), self._tell) if one.error is not None]
        disarming.join()
        self._say("some effects are left; `chaos recover` tries again" if left else "everything is undone")
        if not left:
            self._forget()
        return 5 if left else 0

    def _forget(self) -> None:
        """Nothing of the run stays in the state, unless it lives. The pipe of one that dies ends a little before its locks do."""
        until_s = time.monotonic() + DYING_S
        while not self._run.forget() and time.monotonic() < until_s:
            time.sleep(0.02)

    def _until_wanted(self, pipe: int) -> str | None:
        """Waits; why everything must be undone now, or None when the run has ended well."""
        begun_s = heard_s = time.monotonic()
        done = False
        while True:
            readable, _, _ = select.select([pipe], [], [], LOOK_S)
            now_s = time.monotonic()
            if readable:
                said = os.read(pipe, 65536)
                if not said:
                    return None if done else "the run's process is gone"
                if b"done" in said.split():
                    done = True
                    continue
                heard_s = now_s
            if self._asked_to_end:
                return "the warden was asked to end"
            if now_s - heard_s > self._undo.lease_s + LATE_S:
                return f"nothing was heard from the run for {now_s - heard_s:.1f}s"
            if now_s - begun_s > self._undo.deadline_s:
                return "the run's deadline has come"
            if self._unanswered():
                return "somebody asked for a stop, and the run did not answer"

    def _open(self) -> list[Open]:
        """What is to be undone; everything that the run might have done, when nobody can read what it did."""
        try:
            return self._run.to_undo(self._undo)
        except OSError as error:
            self._say(f"the undo list's log cannot be read: {error}")
            return [Open(entry, may_land=True) for entry in self._undo.entries]

    def _unanswered(self) -> bool:
        """Whether a stop was seen so long ago, by this process's own clock: the wall clock may have jumped since it was said."""
        if self._run.stop_asked() is None:
            return False
        now_s = time.monotonic()
        self._stop_seen_s = now_s if self._stop_seen_s is None else self._stop_seen_s
        if now_s - self._stop_seen_s < STOP_GRACE_S:
            return False
        try:
            return bool(self._run.still_on())
        except OSError:  # not known now; the run's own beats, or their end, tell more
            return False

    def end(self, *_: object) -> None:
        """SIGTERM: the machine goes down, perhaps. Nothing may be left behind."""
        self._asked_to_end = True

    def _end_command(self) -> None:
        """The command of an external fault has ended, and everything that it began. What it did, only its own tool can undo."""
        found = self._run.leash()
        if found is None:
            return
        pid, create_time_s = found
        leash = ProcessEntry("leash", (), "", "", pid=pid, create_time_s=create_time_s).running()
        if leash is None:
            return
        try:
            leash.terminate()
            leash.wait(LEASH_S)
            self._say("the command of the external fault has ended; what it did must be ended by its own tool")
        except psutil.NoSuchProcess:
            return
        except psutil.Error as error:
            self._say(f"the command of the external fault could not be ended: {error}")

    def _disarm(self, ending: threading.Thread) -> None:
        """The proxies have let go of the run: now, or when its lease has ended, which nobody renews any more."""
        begun_s = time.monotonic()
        threads = [threading.Thread(target=self._let_go, args=(held,), daemon=True) for held in self._proxies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._run.alive():  # it hangs, and its load goes on until the load's own lease ends
            time.sleep(max(0.0, begun_s + self._undo.lease_s + LATE_S - time.monotonic()))
        ending.join()
        containers = {entry.effect for entry in self._undo.entries}
        for effect in self._run.still_on():
            if effect not in containers:
                # Another tool's effect may outlive its command: whoever says stop must not hear that it is off.
                with contextlib.suppress(OSError):
                    self._run.note("left" if effect in self._undo.externals else "undone", effect, sync=False)

    def _let_go(self, held: Proxies) -> None:
        """The proxies of one target have let go of the run, or their lease has ended."""
        from chaos.drivers.proxy import ProxyFleet

        begun_s = time.monotonic()
        try:
            ProxyFleet(held.addresses, held.token, ca=held.ca).disarm(self._undo.run)
            self._say("the fault proxies have let go of the run")
        except Exception as error:  # whatever it is: nothing is off there before the lease is
            self._say(f"{error or type(error).__name__}; the lease there ends by itself")
            time.sleep(max(0.0, begun_s + self._undo.lease_s + LATE_S - time.monotonic()))

    def _tell(self, came: Recovered) -> None:
        self._say(str(came))

    def _say(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n"
        for folder in (Path(self._undo.folder), self._run.path):
            try:
                with (folder / "warden.log").open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError:
                continue
            return


def first_line(pipe: int) -> bytes:
    """What the run says first, up to the end of its line; the rest stays unread."""
    said = bytearray()
    while not said.endswith(b"\n"):
        piece = os.read(pipe, 1)
        if not piece:
            break
        said += piece
    return bytes(said)


def main() -> int:
    """The process. Its only argument is the run's folder in the state."""
    run = RunState(Path(sys.argv[1]))
    try:
        told: Mapping[str, Any] = json.loads(first_line(0))
        undo = UndoList.from_json(json.dumps(told["undo"]))
        proxies = [Proxies(tuple(one["addresses"]), one["token"], one["ca"]) for one in told["proxies"]]
    except (LookupError, TypeError, ValueError) as error:
        print(f"the run told its warden nothing that it understands: {error}", flush=True)
        return 3
    warden = Warden(run, undo, proxies)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, warden.end)
    lock = run.ward()
    if lock is None:
        print("another warden looks after this run", flush=True)
        return 3
    with contextlib.suppress(OSError):  # a run that is dead already reads nothing, and needs its warden all the same
        os.write(1, b"ready\n")
    return warden.watch(0)


if __name__ == "__main__":
    sys.exit(main())
