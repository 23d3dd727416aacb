"""What runs leave for each other: locks go with their holders, a stop is heard, and nothing of a run that is over stays."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos.drivers.state import NoState, State, lock_name
from chaos.undo_list import UndoList
from tests.drivers.loopback import eventually

UNDO = UndoList("run-1", "quick", "/runs/1", 10.0, 300.0)
HOLDS = """\
import sys, time
from pathlib import Path
from chaos.drivers.state import State
lock = State(Path(sys.argv[1])).lock("a container", "other-run")
print("held" if lock else "free", flush=True)
time.sleep(600)
"""


def test_a_container_is_one_runs_and_free_again_when_that_lets_go(tmp_path: Path) -> None:
    state = State(tmp_path)
    first = state.lock("a container", "run-1")
    assert first is not None
    assert state.lock("a container", "run-2") is None
    assert state.holder("a container") == "run-1"
    assert state.holder("another container") is None
    first.release()
    assert state.holder("a container") is None
    assert state.lock("a container", "run-2") is not None


def test_a_lock_goes_with_the_process_that_held_it_however_that_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert State(tmp_path).holder("a container") == "other-run"
        other.kill()
    eventually(lambda: State(tmp_path).holder("a container") is None, 5, "the lock is free")


def test_a_run_lives_while_it_holds_its_lock_and_leaves_nothing_once_forgotten(tmp_path: Path) -> None:
    run = State(tmp_path).run("run-1")
    alive = run.begin(UNDO)
    assert run.alive()
    assert not run.warded()
    assert run.undo_list() == UNDO
    assert [one.name for one in State(tmp_path).runs()] == ["run-1"]
    alive.release()
    assert not run.alive()
    run.forget()
    assert list(State(tmp_path).runs()) == []


def test_a_stop_is_heard_with_who_said_it(tmp_path: Path) -> None:
    run = State(tmp_path).run("run-1")
    run.begin(UNDO)
    assert run.stop_asked() is None
    run.ask_to_stop("somebody")
    assert run.stop_asked() == "somebody"


def test_several_threads_ask_one_run_to_stop_at_once_and_each_is_heard(tmp_path: Path) -> None:
    """As from a page whose button is pressed again and again."""
    run = State(tmp_path).run("run-1")
    lock = run.begin(UNDO)
    together = threading.Barrier(8)

    def ask(_: int) -> None:
        together.wait(10)
        for _again in range(50):
            run.ask_to_stop("somebody")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [None] * 8
    assert run.stop_asked() == "somebody"
    assert not [one.name for one in run.path.iterdir() if one.name.startswith(".stop")]
    lock.release()


def test_runs_are_forbidden_until_they_are_allowed(tmp_path: Path) -> None:
    state = State(tmp_path / "new")
    assert state.blocked() is None
    state.block("somebody")
    assert state.blocked() == "somebody"
    state.unblock()
    state.unblock()
    assert state.blocked() is None


def test_a_state_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for ask in (
        lambda state: state.block("me"),
        lambda state: state.run("r").begin(UNDO),
        lambda state: state.lock("c", "r"),
    ):
        with pytest.raises(NoState, match="CHAOS_STATE"):
            ask(State(tmp_path / "file"))


def test_a_process_is_known_by_its_place_in_its_table_and_a_container_by_its_engines_id(tmp_path: Path) -> None:
    settings = {"table": "t.json"}
    again = [lock_name("process", settings, tmp_path, "replica-1", identity) for identity in ("1:1", "2:2")]
    assert again[0] == again[1]
    assert lock_name("process", settings, tmp_path / "elsewhere", "replica-1", "1:1") != again[0]
    assert lock_name("docker", {}, tmp_path, "a", "3f2a") == lock_name("docker", {}, "elsewhere", "b", "3f2a")
