"""What a rehearsal says: its sentences, its ladder of severities, and its exit code."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.rehearsal.outcome import Rehearsed, Threshold
from chaos.rehearsal.report import RehearsalReport, RehearsedAlert, alert_report, between, severities


def scenarios(told: dict[float, int], *, early: int = 0, count: int = 10) -> list[Rehearsed]:
    return [
        Rehearsed("Low", severity, 1.0, 20.0 if place < caught else None, None, early=place < early)
        for severity, caught in told.items()
        for place in range(count)
    ]


def said(told: dict[float, int], *, own: float = 0.5, early: int = 0) -> RehearsedAlert:
    return alert_report(scenarios(told, early=early), "Low", 60.0, own)


def test_a_curve_is_one_sentence() -> None:
    assert (
        said({0: 0, 0.1: 3, 0.5: 10}).sentence
        == "caught from 50% of traffic on, after 20s; at 10% nobody can rely on it"
    )
    assert said({0: 0, 0.5: 10}).sentence == "caught from 50% of traffic on, after 20s; nothing less was tried"
    assert said({0: 0, 0.5: 3}).sentence == "nobody is told, up to 50% of traffic (told in 3 of 10 there)"
    assert said({0: 0, 0.5: 0}).sentence == "nobody is told, up to 50% of traffic"
    assert "without any fault" in said({0: 0, 0.5: 10}, early=1).sentence


def report(*alerts: RehearsedAlert) -> RehearsalReport:
    return RehearsalReport("name", "lab", "a run", True, 0.5, 10, 1.0, alerts)


@pytest.mark.parametrize(
    ("alerts", "code"),
    [
        ([said({0: 0, 0.5: 10})], 0),
        ([said({0: 0, 0.5: 10}), said({0: 0, 0.5: 8})], 1),
        ([said({0: 0, 0.4: 10})], 3),
        ([said({0: 0, 0.4: 10}), said({0: 0, 0.5: 0})], 1),
        ([], 3),
    ],
)
def test_the_exit_code_is_that_of_a_run(alerts: list[RehearsedAlert], code: int) -> None:
    assert report(*alerts).exit_code == code
    assert json.loads(report(*alerts).to_json())["exit_code"] == code


@given(st.floats(0.001, 1), st.floats(0.01, 1))
def test_the_ladder_has_nothing_above_what_is_known_but_the_experiments_own(most: float, part: float) -> None:
    ladder = severities(most, most * part)
    assert list(ladder) == sorted(set(ladder))
    assert ladder[0] == 0.0
    assert most in ladder
    assert most * part in ladder
    assert max(ladder) <= most


@given(st.floats(0.01, 1), st.floats(0.05, 0.99))
def test_one_looks_closer_strictly_between_missed_and_caught(smallest: float, part: float) -> None:
    found = between({"Low": Threshold("Low", smallest, smallest * part, 1.0, False)})
    assert all(smallest * part - 1e-4 <= one <= smallest + 1e-4 for one in found)
    assert bool(found) == (1 / part > 1.1)


def test_where_nothing_is_caught_there_is_nothing_to_look_closer_at() -> None:
    assert between({"Low": Threshold("Low", None, 1.0, None, False)}) == ()
