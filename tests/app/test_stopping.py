"""A stop says that everything is undone when it is, and never before."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chaos.app.stopping import NoRun, NotBlocked, chosen, command, recover_all, stop
from chaos.drivers.state import Lock, RunState, State
from chaos.errors import NotUndone
from chaos.undo_list import EXTERNAL_BY_HAND, Step, UndoList

EFFECT = "external@model"


def begun(tmp_path: Path, *steps: Step) -> tuple[RunState, Lock]:
    """A run that lives, with these steps of one effect of another tool in its log."""
    run = State(tmp_path / "state").run("run-1a")
    alive = run.begin(UndoList(run.name, "test", str(tmp_path), 1.0, 1.0, externals=(EFFECT,)))
    for step in steps:
        run.note(step, EFFECT, sync=False)
    return run, alive


def over(run: RunState, alive: Lock) -> None:
    """The run ends, and leaves no trace in the state."""
    alive.release()
    assert run.forget()


def test_what_another_tool_did_is_undone_when_it_was_seen_off(tmp_path: Path) -> None:
    run, alive = begun(tmp_path, "issued", "applied", "left")
    said: list[str] = []
    asked = threading.Event()
    stopping = threading.Thread(target=stop, args=([run], lambda text: (said.append(text), asked.set())))
    stopping.start()
    assert asked.wait(10)
    stopping.join(0.3)
    assert said == ["run-1a: asked to stop"]
    run.note("undone", EFFECT)
    stopping.join(10)
    assert "everything is undone" in said[-1]
    over(run, alive)


@pytest.mark.parametrize(
    "name", ["run-1a", "run-1", "runs/20260101-000000-an-experiment-run-1a", "20260101-000000-e-run-1a/"]
)
def test_a_run_is_named_by_its_id_its_beginning_or_its_folder(name: str, tmp_path: Path) -> None:
    run, alive = begun(tmp_path)
    assert chosen(State(tmp_path / "state"), name) == run
    over(run, alive)


def test_a_run_that_is_not_there_is_named_with_those_that_are_and_how_to_find_others(tmp_path: Path) -> None:
    with pytest.raises(NoRun, match=r"no run goes on that is called 'nosuch', .*`chaos history` shows"):
        chosen(State(tmp_path / "state"), "nosuch")
    run, alive = begun(tmp_path)
    with pytest.raises(NoRun, match=r"'nosuch'; these go on: run-1a; `chaos history` shows"):
        chosen(State(tmp_path / "state"), "nosuch")
    other = State(tmp_path / "state").run("run-1b")
    second = other.begin(UndoList(other.name, "test", str(tmp_path), 1.0, 1.0))
    with pytest.raises(NoRun, match=r"2 runs begin with 'run-1': run-1a, run-1b; write more of it"):
        chosen(State(tmp_path / "state"), "run-1")
    second.release()
    over(run, alive)


def test_a_run_that_is_forgotten_with_its_last_word_has_undone_everything(tmp_path: Path) -> None:
    run, alive = begun(tmp_path, "issued", "applied", "left")
    said: list[str] = []

    def say(text: str) -> None:
        if not said:
            run.note("undone", EFFECT)
            over(run, alive)
        said.append(text)

    stop([run], say)
    assert "everything is undone" in said[-1]


def test_what_another_tool_did_and_nobody_saw_off_is_still_on_when_its_run_is_over(tmp_path: Path) -> None:
    run, alive = begun(tmp_path, "issued", "applied", "left")
    said: list[str] = []
    with pytest.raises(NotUndone, match=EFFECT) as raised:
        stop([run], lambda text: (said.append(text), over(run, alive)))
    assert raised.value.by_hand == EXTERNAL_BY_HAND
    assert said == ["run-1a: asked to stop"]


def test_a_run_that_cannot_be_asked_and_goes_on_is_not_taken_for_ended(tmp_path: Path) -> None:
    run, alive = begun(tmp_path, "issued", "applied")
    (run.path / "stop").mkdir()  # as on a full disk: no file can take this place
    with pytest.raises(NotUndone, match="could not be asked to stop"):
        stop([run], lambda _: None)
    (run.path / "stop").rmdir()
    run.note("undone", EFFECT)
    over(run, alive)


def test_all_runs_are_asked_to_stop_also_when_new_ones_cannot_be_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, alive = begun(tmp_path, "issued", "applied", "undone")
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    (tmp_path / "state" / "stopped").mkdir()
    said: list[str] = []
    with pytest.raises(NotBlocked, match="runs may still begin"):
        command(None, said.append, everything=True)
    assert run.stop_asked() is not None
    assert "everything is undone" in said[-1]
    over(run, alive)


def test_a_reader_that_has_gone_keeps_no_run_from_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, alive = begun(tmp_path, "issued", "applied", "undone")
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))

    def gone(_: str) -> None:
        raise BrokenPipeError

    command(None, gone, everything=True)
    assert run.stop_asked() is not None
    assert State(tmp_path / "state").blocked() is not None
    over(run, alive)


def dead(tmp_path: Path, name: str, runs: Path) -> RunState:
    """A run that has died, whose folder is in `runs`."""
    run = State(tmp_path / "state").run(name)
    run.begin(UndoList(name, "test", str((runs / name).resolve()), 1.0, 1.0)).release()
    return run


def test_only_what_the_dead_runs_of_one_folder_have_left_is_undone_where_one_is_named(tmp_path: Path) -> None:
    ours, others = dead(tmp_path, "a", tmp_path / "runs"), dead(tmp_path, "b", tmp_path / "elsewhere")
    said: list[str] = []
    assert recover_all(State(tmp_path / "state"), said.append, tmp_path / "runs") == []
    assert said == ["a: nothing of it is left"]
    assert (ours.path.exists(), others.path.exists()) == (False, True)


def test_a_run_that_ends_by_itself_while_dead_ones_are_looked_for_is_no_error(tmp_path: Path) -> None:
    dead(tmp_path, "a", tmp_path)
    ends = dead(tmp_path, "b", tmp_path)
    dead(tmp_path, "c", tmp_path)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        ends.forget()

    assert recover_all(State(tmp_path / "state"), say) == []
    assert said == ["a: nothing of it is left", "c: nothing of it is left"]
