"""Undoes what a run has left, from its undo list alone: what a warden does when its run dies, and what `chaos recover` does. Wiring.

Each effect is undone by a thread of its own, so that one that hangs keeps no other waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from chaos.drivers.base import Container, Performed
from chaos.drivers.catalogue import driver_named
from chaos.drivers.state import RunState
from chaos.errors import ChaosError
from chaos.faults.containers import act_of
from chaos.undo_list import Open, UndoEntry

log = logging.getLogger("chaos.recovery")

AGAIN_S = 0.5
LANDED_S = 12.0
"""By then every call of a dead run has taken hold, or never will: each was to end within ten seconds."""
THAWED_S = 3.0
"""So long after an engine's first answer nothing that it was asked before comes any more."""
LANDS_AT_ONCE = {"process"}
"""Drivers whose calls are the run's own system calls, and end with it."""
GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of one effect: `call` is how it was undone, `error` why it could not be."""

    entry: UndoEntry
    call: str = ""
    error: str | None = None

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.entry.effect}: undone ({self.call})"
        return f"{self.entry.effect}: could not be undone: {self.error}; do it by hand: {self.entry.by_hand}"


def undone(entry: UndoEntry) -> Performed:
    """The effect is off, as a driver made of the entry alone has seen. Raises a ChaosError when it is not."""
    driver = driver_named(entry.driver)(entry.settings, entry.opt_in, Path(entry.beside))
    found = entry.container
    container = Container(found.name, found.id, found.labels, "running", found.started_at)
    return driver.undo(act_of(entry.fault_json), container, found.before)


def recover(
    run: RunState,
    effects: Iterable[Open],
    say: Callable[[Recovered], None],
    *,
    landed_s: float = LANDED_S,
    give_up_s: float = GIVE_UP_S,
) -> list[Recovered]:
    """Every one of these effects is off, or could not be undone in `give_up_s`; what came of each, also told as it comes.

    What may still land is undone again and again until `landed_s` have passed.
    """
    found: list[Recovered] = []
    lock = threading.Lock()

    def one(effect: Open) -> None:
        may_land = effect.may_land and effect.entry.driver not in LANDS_AT_ONCE
        came = _until_off(effect, landed_s if may_land else 0.0, give_up_s, say)
        if came.error is None:
            try:
                run.note("undone", effect.entry.effect)
            except OSError as error:  # the next one to come undoes it once more, which does no harm
                log.warning("%s: %s", run.path, error)
        with lock:
            found.append(came)

    threads = [threading.Thread(target=one, args=(effect,), daemon=True) for effect in effects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _until_off(effect: Open, landed_s: float, give_up_s: float, say: Callable[[Recovered], None]) -> Recovered:
    begun_s = time.monotonic()
    answered_s: float | None = None
    told: str | None = None
    while True:
        error: str | None = None
        try:
            call = undone(effect.entry).call
            answered_s = time.monotonic() if answered_s is None else answered_s
            if call != told:
                say(Recovered(effect.entry, call))
                told = call
        except ChaosError as failure:
            error = str(failure)
        except Exception as failure:  # the driver of others
            error = repr(failure)
        waited_s = time.monotonic() - begun_s
        # An engine that was frozen performs what it was asked before once it answers again: its first answer is not the last word.
        thawed = answered_s is not None and time.monotonic() - answered_s >= min(landed_s, THAWED_S)
        if error is None and waited_s >= landed_s and thawed:
            return Recovered(effect.entry, call)
        if error is not None and waited_s >= give_up_s:
            lost = Recovered(effect.entry, error=error)
            say(lost)
            return lost
        time.sleep(AGAIN_S)
