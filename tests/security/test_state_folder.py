"""The state of a user's runs says what `chaos recover` executes: one that somebody else could have written is not believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.drivers.state import NoState, State
from chaos.undo_list import UndoList

NOBODY = 65534
UNDO = UndoList("run-1", "quick", "/runs/1", 10.0, 300.0)


def linked(path: Path) -> None:
    """A link in its place leads to a folder that is as it should be."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def a_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.touch()


def writable(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


def somebody_elses(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    os.chown(path, NOBODY, -1)


def planted(tmp_path: Path) -> State:
    """The state of a run that died, as its owner left it."""
    state = State(tmp_path / "state")
    state.run("run-1").begin(UNDO).release()
    state.lock("container", "run-1").release()  # type: ignore[union-attr] - nobody else holds it
    assert [run.name for run in state.runs()] == ["run-1"]
    return state


@pytest.mark.parametrize("level", ["", "runs"])
@pytest.mark.parametrize(
    "spoil",
    [linked, a_file, writable(0o720), writable(0o702), somebody_elses],
    ids=["a link", "a file", "its group writes", "everybody writes", "somebody else's"],
)
def test_a_state_that_somebody_else_could_have_written_is_neither_read_nor_used(
    spoil: Callable[[Path], None], level: str, tmp_path: Path
) -> None:
    state = planted(tmp_path)
    spoil(state.path / level)
    if spoil is not a_file:
        with pytest.raises(NoState, match="nothing in it is believed; name a folder of yours with CHAOS_STATE"):
            list(state.runs())
    with pytest.raises(NoState, match="CHAOS_STATE"):
        state.run("run-2").begin(UNDO)


@pytest.mark.parametrize("spoil", [linked, writable(0o702)], ids=["a link", "everybody writes"])
@pytest.mark.parametrize("level", ["", "locks"])
def test_no_lock_is_taken_where_somebody_else_could_have_taken_it_away(
    spoil: Callable[[Path], None], level: str, tmp_path: Path
) -> None:
    state = planted(tmp_path)
    spoil(state.path / level)
    with pytest.raises(NoState, match="CHAOS_STATE"):
        state.lock("container", "run-2")


def test_nobody_is_stopped_in_a_folder_that_is_not_ones_own(tmp_path: Path) -> None:
    state = planted(tmp_path)
    linked(state.path)
    with pytest.raises(NoState, match="CHAOS_STATE"):
        state.block("me")
    assert state.blocked() is None


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_is_made_is_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        state = planted(tmp_path)
    finally:
        os.umask(before)
    assert [state.path.joinpath(*level).stat().st_mode & 0o777 for level in ([], ["runs"], ["locks"])] == [0o700] * 3
