"""A run of a game day hurts its targets alone: beside no other run, whoever began that."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.safeguard import Safeguard
from chaos.drivers.state import State
from chaos.errors import Refused
from chaos.undo_list import UndoList

MODEL, OTHER = "http://127.0.0.1:8474", "http://127.0.0.1:8475"


def guard(folder: Path, run: str, *targets: str, alone: bool) -> Safeguard:
    undo = UndoList(run, "quick", str(folder), 10.0, 60.0, ())
    return Safeguard(State(folder / "state"), undo, (), targets, alone)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(False, False, True), (True, False, False), (False, True, False), (True, True, False)],
)
def test_two_runs_hurt_one_target_at_once_only_where_neither_is_alone(
    tmp_path: Path, first: bool, second: bool, both: bool
) -> None:
    one, other = guard(tmp_path, "one", MODEL, alone=first), guard(tmp_path, "other", OTHER, MODEL, alone=second)
    one.begin()
    try:
        if both:
            other.begin()
        else:
            with pytest.raises(Refused, match=f"{MODEL} is being hurt by one, and .* `chaos stop one`"):
                other.begin()
    finally:
        other.end(clean=True)
        one.end(clean=True)


def test_a_run_that_is_over_leaves_its_targets_and_one_that_was_refused_holds_none(tmp_path: Path) -> None:
    one, other = guard(tmp_path, "one", MODEL, alone=True), guard(tmp_path, "other", OTHER, MODEL, alone=True)
    one.begin()
    with pytest.raises(Refused):
        other.begin()
    third = guard(tmp_path, "third", OTHER, alone=True)
    third.begin()
    third.end(clean=True)
    one.end(clean=True)
    again = guard(tmp_path, "again", MODEL, OTHER, alone=True)
    again.begin()
    again.end(clean=True)
