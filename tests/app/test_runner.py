"""The loop around the state machine: whatever happens to the loop itself, effects are undone and somebody hears of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chaos.app.runner import APPLY_WAITS_S, Runner
from chaos.app.safeguard import READY_S
from chaos.drivers.docker import APPLY_S, UNDO_S
from chaos.drivers.external import BEGINS_S
from chaos.drivers.folder import JournalWriter
from chaos.engine import APPLY_DEAD_S, Run
from chaos.events import (
    Applied,
    Apply,
    Collect,
    Collected,
    Command,
    Event,
    LoadStarted,
    LoadStopped,
    Observed,
    Query,
    RunStarted,
    StartLoad,
    State,
    StopLoad,
    Undo,
    Undone,
)  # fmt: skip
from chaos.journal import read
from chaos.judging import judge
from chaos.observation import ProbeReading, ProbesRead
from chaos.plans import UNDO_DEADLINE_S
from tests.drivers.loopback import eventually
from tests.worlds import KILL, PLAN

WALL = 1_700_000_000.0
BRIEF = replace(
    PLAN,
    effects=(replace(KILL, start_s=0.0, duration_s=25.0),),
    load=None,
    baseline_s=0.2,
    recovery_s=0.3,
    max_duration_s=30.0,
    alerts=(),
    harms=(),
)
STARTED = RunStarted("run", "0", "", BRIEF.to_json())


@dataclass
class Hands:
    """Performs every command at once; `on` is what is hurt now. `odd` names something the world says in a label."""

    on: set[str] = field(default_factory=set)
    odd: str = ""
    hurt: threading.Event = field(default_factory=threading.Event)

    def perform(self, command: Command) -> Event | None:
        match command:
            case Apply(effect=name):
                self.on.add(name)
                self.hurt.set()
                return Applied(name, WALL, self.odd)
            case Undo(effect=name, attempt=attempt):
                self.on.discard(name)
                return Undone(name, attempt, WALL)
            case StartLoad():
                return LoadStarted()
            case StopLoad():
                return LoadStopped()
            case Collect():
                return Collected()
            case Query(question="probes"):
                return Observed(
                    ProbesRead(
                        tuple(
                            ProbeReading("accuracy", scope, 30.0, WALL, (0.95,), 500) for scope in ("sliding", "phase")
                        )
                    )
                )
            case _:
                return None


def runner(tmp_path: Path, hands: Hands, watch: Any = None) -> Runner:
    return Runner(Run(BRIEF), hands, JournalWriter(tmp_path / "journal.jsonl"), watch)


def verdict(tmp_path: Path) -> str:
    return judge(read((tmp_path / "journal.jsonl").read_text())).verdict


@pytest.mark.parametrize(
    "error", [BrokenPipeError("the reader is gone"), SystemExit(1), ValueError("a bug in the view")]
)
def test_a_view_that_fails_is_given_up_and_the_run_goes_on(tmp_path: Path, error: BaseException) -> None:
    hands, seen = Hands(), []

    def watch(run: Run, _at_s: float) -> None:
        seen.append(run.state)
        raise error

    played = runner(tmp_path, hands, watch)
    threading.Thread(target=lambda: (hands.hurt.wait(10), played.stop("the test")), daemon=True).start()
    played.play(STARTED)
    assert hands.hurt.is_set()
    assert hands.on == set()
    assert seen == [State.preflight] or len(seen) == 1
    assert verdict(tmp_path) == "interrupted"


@pytest.mark.parametrize(
    ("error", "judged"), [(KeyboardInterrupt(), "interrupted"), (MemoryError("no more"), "invalid")]
)
def test_an_exception_in_the_loop_undoes_everything_first_and_is_raised_then(
    tmp_path: Path, error: BaseException, judged: str
) -> None:
    hands = Hands()
    played = runner(tmp_path, hands)
    ordinary, thrown = played._next, threading.Event()

    def interrupted() -> Event:
        if hands.hurt.is_set() and not thrown.is_set():
            thrown.set()
            raise error
        return ordinary()

    played._next = interrupted  # type: ignore[method-assign] - where Ctrl-C lands when nobody handles signals
    with pytest.raises(type(error)):
        played.play(STARTED)
    assert thrown.is_set()
    assert hands.on == set()
    assert verdict(tmp_path) == judged


def test_a_text_without_an_encoding_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    hands = Hands(odd="\udcff")
    played = runner(tmp_path, hands)
    threading.Thread(target=lambda: (hands.hurt.wait(10), played.stop("the test")), daemon=True).start()
    played.play(STARTED)
    assert hands.on == set()


def test_a_full_disk_before_anything_was_hurt_hurts_nothing() -> None:
    hands = Hands()
    with pytest.raises(Exception, match="nothing was hurt"):
        Runner(Run(BRIEF), hands, JournalWriter(Path("/dev/full"))).play(STARTED)
    assert not hands.hurt.is_set()


@dataclass
class Asking:
    """A safety that nobody is missing from; it tells of a stop once somebody has said one."""

    said: str | None = None

    def beat(self) -> None:
        """The run goes on."""

    def gone(self) -> str | None:
        """Nobody is gone."""
        return None

    def stop_asked(self) -> str | None:
        """Who has said stop."""
        return self.said


def test_a_stop_is_heard_between_two_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.app.runner.TICK_S", 5.0)
    hands, asking = Hands(), Asking()
    played = Runner(Run(replace(BRIEF, baseline_s=0.0)), hands, JournalWriter(tmp_path / "journal.jsonl"), None, asking)
    threading.Thread(target=lambda: (hands.hurt.wait(20), setattr(asking, "said", "somebody")), daemon=True).start()
    ended = threading.Thread(target=played.play, args=(STARTED,), daemon=True)
    ended.start()
    assert hands.hurt.wait(20)
    begun_s = played.at_s()
    while hands.on and played.at_s() - begun_s < 4.0:
        ended.join(0.01)
    assert hands.on == set()
    assert played.at_s() - begun_s < 4.0
    ended.join(20)


def journal_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "journal"}


def test_a_run_that_is_refused_or_cannot_begin_leaves_no_thread(tmp_path: Path) -> None:
    """In a notebook the process goes on, and with it every thread that was left."""
    before = journal_threads()
    never_played = runner(tmp_path, Hands())
    assert journal_threads() <= before
    with pytest.raises(Exception, match="nothing was hurt"):
        Runner(Run(BRIEF), Hands(), JournalWriter(Path("/dev/full"))).play(STARTED)
    eventually(lambda: journal_threads() <= before, 10, "the thread of the run that could not begin has ended")
    del never_played


def test_an_apply_has_ended_before_the_engine_takes_it_for_dead() -> None:
    """It waits for the disk, for the warden, and then for a driver's call, one after the other; and an undo may still follow in time."""
    assert APPLY_WAITS_S + READY_S + max(APPLY_S, BEGINS_S) < APPLY_DEAD_S
    assert APPLY_DEAD_S + UNDO_S <= UNDO_DEADLINE_S
