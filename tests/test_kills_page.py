"""Kills are counted as they were noted, and the page says what the stored round says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kills.__main__ import PAGE
from benchmarks.kills.page import page
from benchmarks.kills.results import Kill, Round, counted, newest, note, noted, store

KILLS = [
    Kill("processes", "pause", "run", "inject", 0.5),
    Kill("processes", "pause", "run", "inject", 0.7),
    Kill("processes", "pause", "run", "undo", None),
    Kill("processes", "pause", "warden", "inject", 3.0),
    Kill("Docker", "pause", "run", "inject", 12.5, late=True),
]
ROUND = Round("2026-11-28", 1.0, passed=True, rows=counted(KILLS))


def test_kills_are_noted_and_read_back(tmp_path: Path) -> None:
    for kill in KILLS:
        note(kill, tmp_path / "kills.jsonl")
    assert noted(tmp_path / "kills.jsonl") == KILLS
    assert noted(tmp_path / "none.jsonl") == []


def test_kills_are_counted_by_lab_effect_and_who_was_killed() -> None:
    docker, run, warden = counted(KILLS)
    assert (docker.lab, docker.kills, docker.late) == ("Docker", 1, 1)
    assert (run.killed, run.kills, run.left, run.states) == ("run", 3, 1, {"inject": 2, "undo": 1})
    assert (warden.killed, warden.kills, warden.left) == ("warden", 1, 0)


def test_times_are_of_the_kills_that_left_nothing() -> None:
    rows = counted(KILLS)
    assert (rows[1].median_s, rows[1].longest_s) == (0.6, 0.7)
    [lost] = counted([Kill("Docker", "stop", "run", "undo", None)])
    assert (lost.median_s, lost.longest_s, lost.left) == (None, None, 1)


def test_the_newest_round_is_the_one_that_was_stored_last(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    store(Round("2026-11-27", 1.0, passed=True, rows=()), tmp_path)
    store(ROUND, tmp_path)
    assert newest(tmp_path) == ROUND


def test_the_page_says_how_many_kills_left_something() -> None:
    text = page(ROUND)
    assert "5 kills, on 2026-11-28, in runs with a lease of 1 s" in text
    assert "1 of them left something" in text
    assert "1 of them with an act that landed after its undo" in text
    assert "| processes | pause | run | 3 | **1** | 0 | 0.6 s | 0.7 s | inject 2, undo 1 |" in text


def test_a_round_of_which_a_test_failed_says_so() -> None:
    assert "not every test" not in page(ROUND)
    assert "not every test of the round passed" in page(Round("2026-11-28", 1.0, passed=False, rows=()))


def test_the_committed_page_is_what_the_stored_round_says() -> None:
    assert PAGE.read_text() == page(newest()), "`python -m benchmarks.kills --page` writes it"
