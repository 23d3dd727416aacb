"""Outcomes that wait: each comes once, in its time or when nothing holds it any more, and never in a flood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.drivers.load import waiting
from chaos.drivers.load.waiting import Waiting


def test_what_waits_comes_in_its_time_and_once() -> None:
    kept: Waiting[str] = Waiting()
    kept.put("late", [(0, 30.0)], 0.0)
    kept.put("soon", [(0, 5.0)], 1.0)
    assert kept.due(5.9, 10) == []
    assert kept.due(6.0, 10) == ["soon"]
    assert kept.due(29.9, 10) == []
    assert kept.due(30.0, 10) == ["late"]
    assert len(kept) == 0


def test_what_a_fault_held_comes_when_it_is_taken_off_and_no_more_at_once_than_asked() -> None:
    kept: Waiting[int] = Waiting()
    for number in range(10):
        kept.put(number, [(0, 600.0)], float(number))
    assert kept.due(20.0, 4) == []
    kept.release([0])
    assert [kept.due(20.0, 4) for _ in range(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]


def test_what_two_faults_hold_waits_for_both() -> None:
    kept: Waiting[str] = Waiting()
    kept.put("both", [(0, 600.0), (1, 30.0)], 0.0)
    kept.release([0])
    assert kept.due(29.0, 9) == []
    assert kept.due(30.0, 9) == ["both"]


def test_what_is_let_go_overtakes_what_is_still_held() -> None:
    kept: Waiting[str] = Waiting()
    kept.put("held", [(0, 10.0)], 0.0)
    kept.put("let go", [(1, 600.0)], 1.0)
    kept.release([1])
    assert kept.due(2.0, 9) == ["let go"]


def test_one_more_than_there_is_room_for_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    kept: Waiting[int] = Waiting()
    assert [kept.put(number, [(0, 1.0)], 0.0) for number in range(3)] == [True, True, False]
    assert kept.due(9.0, 9) == [0, 1]


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 2), min_size=1), st.floats(0, 100), st.floats(0, 100)), max_size=40),
    st.sets(st.integers(0, 2)),
    st.integers(1, 5),
)
def test_everything_that_waits_comes_exactly_once(puts: list, gone: set[int], most: int) -> None:
    kept: Waiting[int] = Waiting()
    for number, (faults, at_s, wait_s) in enumerate(puts):
        kept.put(number, [(index, wait_s) for index in faults], at_s)
    kept.release(gone)
    came: list[int] = []
    while batch := kept.due(1e6, most):
        assert len(batch) <= most
        came += batch
    assert sorted(came) == list(range(len(puts)))
