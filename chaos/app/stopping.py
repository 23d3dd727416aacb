"""Ends runs from outside: `chaos stop`, `chaos resume`, `chaos recover`. Wiring.

A stop is a file that the run looks for fifty times a second; its warden acts when the run does not. Nothing here queues behind what it
is to stop, and nothing needs a journal.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.drivers.state import RunState, State
from chaos.drivers.user import who
from chaos.errors import ChaosError, NotUndone
from chaos.undo_list import EXTERNAL_BY_HAND

if TYPE_CHECKING:  # a stop needs no driver, and must not wait for one to be imported
    from chaos.app.recovery import Recovered
    from chaos.drivers.state import UndoLog

STOP_S = 45.0
"""How long a stop is waited for: the run's own undo deadline, and its warden's beginning."""
LOOK_S = 0.02

_OTHERS = "`chaos history` shows runs that are over, and `chaos recover` undoes what dead ones have left"
Say = Callable[[str], None]


class NotBlocked(ChaosError):
    """Everything has been ended, and yet runs may begin."""


class NoRun(ChaosError):
    """There is no such run to stop."""


def _who_stops() -> str:
    """Who says stop, for the journal."""
    return f"chaos stop ({who()})"


def living(state: State) -> list[RunState]:
    """The runs of this user that go on."""
    return [run for run in state.runs() if run.alive()]


def chosen(state: State, name: str | None) -> RunState:
    """The run of this name or folder, of this beginning of a name, or the only one. Raises NoRun, which says what there is."""
    runs = living(state)
    names = ", ".join(run.name for run in runs)
    if not runs:
        asked = "" if name is None else f" that is called {name!r}, nor any other"
        raise NoRun(f"no run goes on{asked}; {_OTHERS}")
    if name is None:
        if len(runs) > 1:
            raise NoRun(f"{len(runs)} runs go on: {names}; name one, or write --all")
        return runs[0]
    folder = Path(name).name
    found = (
        [run for run in runs if run.name == name]
        or [run for run in runs if folder.endswith(f"-{run.name}")]
        or [run for run in runs if run.name.startswith(name)]
    )
    if len(found) > 1:
        raise NoRun(f"{len(found)} runs begin with {name!r}: {', '.join(run.name for run in found)}; write more of it")
    if not found:
        raise NoRun(f"no run that goes on is called {name!r}; these go on: {names}; {_OTHERS}")
    return found[0]


def command(name: str | None, say: Say, *, everything: bool, state: State | None = None) -> None:
    """What `chaos stop` does with a run's name or without one, and `chaos stop --all` does with `everything`.

    The runs are those of `state`, of this user when it is left out.
    Nobody has to listen: a reader that has gone keeps no run from being stopped.
    """

    def tell(text: str) -> None:
        with contextlib.suppress(OSError):
            say(text)

    state = state or State.of_user()
    if not everything:
        stop([chosen(state, name)], tell)
        return
    try:
        state.block(_who_stops())  # first: a run that begins now must not slip through
        said = "no run begins any more; `chaos resume` allows them again"
    except ChaosError as error:  # such as a full disk: those that go on are ended all the same
        said = f"runs may still begin: {error}"
    runs = living(state)
    tell(said)
    stop(runs, tell)
    if not state.blocked():
        raise NotBlocked(said)


def stop(runs: Sequence[RunState], say: Say) -> None:
    """These runs have undone everything, or their wardens have. Raises NotUndone for what is still on after STOP_S.

    What another tool did counts as undone when the run has seen it off. Where the run is over and has not, that is still on.
    """
    begun_s = time.monotonic()
    waiting: dict[RunState, UndoLog] = {}
    left: dict[RunState, list[str]] = {}
    for run in runs:
        try:
            run.ask_to_stop(_who_stops())
            # After that nothing new is done: an effect without a line in the log by now never comes.
            waiting[run] = run.log()
        except (ChaosError, OSError) as error:
            if run.path.exists():  # else it has ended by itself
                left[run] = [f"everything that it does, for it could not be asked to stop ({error})"]
    for run in waiting:
        say(f"{run.name}: asked to stop")
    while waiting:
        in_time = time.monotonic() - begun_s < STOP_S
        for run, log in list(waiting.items()):
            over = not run.path.exists()  # before the log is read: its last line is older
            doing, unseen = log.still_on(), log.left_on()
            if (doing or unseen) and in_time and not (over and not doing):
                continue
            del waiting[run]
            log.close()
            if doing or unseen:
                left[run] = [*doing, *unseen]
            else:
                say(f"{run.name}: everything is undone, after {time.monotonic() - begun_s:.1f}s")
        if waiting:
            time.sleep(LOOK_S)
    if left:
        told = "; ".join(f"{run.name}: {', '.join(effects)}" for run, effects in left.items())
        by_hand = "; ".join(word for run, effects in left.items() for word in _by_hand(run, effects))
        raise NotUndone(
            f"after {time.monotonic() - begun_s:.0f}s this may still be on: {told}",
            by_hand or "end the run's process, then chaos recover",
        )


def _by_hand(run: RunState, effects: Sequence[str]) -> list[str]:
    """How a person undoes these effects, as far as it is known."""
    try:
        undo = run.undo_list()
    except ChaosError:
        undo = None
    if undo is None:  # the run is over, and only what nobody here can undo is left
        return [EXTERNAL_BY_HAND]
    found = [entry.by_hand for entry in undo.entries if entry.effect in effects]
    return [*found, EXTERNAL_BY_HAND] if set(effects) & set(undo.externals) else found


def recover_all(state: State, say: Say, runs: Path | None = None) -> list[Recovered]:
    """What dead runs have left is undone; with `runs`, only what those have left whose folders are in there. Returns what could not be."""
    lost: list[Recovered] = []
    for run in state.runs():
        if runs is not None and not _in(run, runs):
            continue
        if run.alive():
            say(f"{run.name}: goes on; `chaos stop {run.name}` ends it")
            continue
        try:
            lock = run.ward()
        except FileNotFoundError:  # it has ended by itself meanwhile, and nothing of it is left
            continue
        if lock is None:
            say(f"{run.name}: is dead, and its warden is undoing what it left")
            continue
        try:
            lost += _recover(run, say)
        finally:
            lock.release()
    return lost


def undoing(state: State, runs: Path) -> list[str]:
    """The dead runs with folders in `runs` whose wardens are at work."""
    return [run.name for run in state.runs() if _in(run, runs) and not run.alive() and run.warded()]


def _in(run: RunState, runs: Path) -> bool:
    """Whether the run's folder is one of those in `runs`."""
    try:
        undo = run.undo_list()
    except ChaosError:
        return False
    return undo is not None and Path(undo.folder).parent == runs.resolve()


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
