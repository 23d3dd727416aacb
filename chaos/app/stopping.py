"""Ends runs from outside: `chaos stop`, `chaos resume`, `chaos recover`. Wiring.

A stop is a file that the run looks for ten times a second; its warden acts when the run does not. Nothing here queues behind what it
is to stop, and nothing needs a journal.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chaos.drivers.state import RunState, State
from chaos.errors import ChaosError, NotUndone
from chaos.undo_list import UndoList

if TYPE_CHECKING:  # a stop needs no driver, and must not wait for one to be imported
    from chaos.app.recovery import Recovered

STOP_S = 45.0
"""How long a stop is waited for: the run's own undo deadline, and its warden's beginning."""
LOOK_S = 0.05

Say = Callable[[str], None]


class NoRun(ChaosError):
    """There is no such run to stop."""


def who() -> str:
    """Who says stop, for the journal."""
    return f"chaos stop ({getpass.getuser()}@{socket.gethostname()})"


def living(state: State) -> list[RunState]:
    """The runs of this user that go on."""
    return [run for run in state.runs() if run.alive()]


def chosen(state: State, name: str | None) -> RunState:
    """The run of this name, of this beginning of a name, or the only one. Raises NoRun."""
    runs = living(state)
    names = ", ".join(run.name for run in runs)
    if not runs:
        raise NoRun("no run goes on; nothing is to be stopped (`chaos recover` looks for what dead ones have left)")
    if name is None:
        if len(runs) > 1:
            raise NoRun(f"{len(runs)} runs go on: {names}; name one, or write --all")
        return runs[0]
    found = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if len(found) != 1:
        raise NoRun(f"{'several runs are' if found else 'no run is'} called {name!r}; these go on: {names}")
    return found[0]


def stop(runs: Sequence[RunState], say: Say) -> None:
    """These runs have undone everything, or their wardens have. Raises NotUndone for what is still on after STOP_S."""
    begun_s = time.monotonic()
    waiting: dict[RunState, UndoList | None] = {}
    for run in runs:
        try:
            waiting[run] = run.undo_list()
            run.ask_to_stop(who())
        except (ChaosError, OSError):
            continue  # it has ended by itself
        say(f"{run.name}: asked to stop")
    while waiting and time.monotonic() - begun_s < STOP_S:
        for run in [run for run in waiting if not run.still_on()]:
            del waiting[run]
            say(f"{run.name}: everything is undone, after {time.monotonic() - begun_s:.1f}s")
        time.sleep(LOOK_S)
    left = {run: run.still_on() for run in waiting}
    if left:
        by_hand = [
            entry.by_hand
            for run, undo in waiting.items()
            for entry in (undo.entries if undo is not None else ())
            if entry.effect in left[run]
        ]
        told = "; ".join(f"{run.name}: {', '.join(effects)}" for run, effects in left.items())
        raise NotUndone(f"after {STOP_S:g}s this may still be on: {told}", "; ".join(by_hand) or "chaos recover")


def recover_all(state: State, say: Say) -> list[Recovered]:
    """What dead runs have left is undone. Returns what could not be."""
    lost: list[Recovered] = []
    for run in state.runs():
        if run.alive():
            say(f"{run.name}: goes on; `chaos stop {run.name}` ends it")
            continue
        lock = run.ward()
        if lock is None:
            say(f"{run.name}: is dead, and its warden is undoing what it left")
            continue
        try:
            lost += _recover(run, say)
        finally:
            lock.release()
    return lost


def _recover(run: RunState, say: Say) -> list[Recovered]:
    from chaos.app.recovery import recover

    undo = run.undo_list()
    effects = run.to_undo(undo) if undo is not None else []
    if effects:
        say(f"{run.name}: is dead and has left {len(effects)} effects")
    came = recover(run, effects, lambda one: say(f"  {one}"))
    lost = [one for one in came if one.error is not None]
    if not lost:
        run.forget()
        say(f"{run.name}: nothing of it is left")
    return lost
