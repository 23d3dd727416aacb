"""The monitoring mutation score: what counts, what is left out, and that more or newer evidence only counts as what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.coverage import Cell, Column, Told, Tried, matrix
from chaos.verdict import EXIT_CODE

DAY_S = 86400.0
NOW_S = 1_800_000_000.0
TOLD = Told("AccuracyLow", "detected", None, 31.0, 60.0)
MISSED = Told("AccuracyLow", "undetected", "pending", None, 60.0)
CAUGHT = Tried("r-1", "e", "lab", "delay", "300 ms later", NOW_S - DAY_S, "confirmed", "broken", 0.1, (TOLD,), {})


def changed(**changes: object) -> Tried:
    return replace(CAUGHT, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "quadrant", "counted"),
    [
        (CAUGHT, "killed", (1, 0)),
        (changed(told=(MISSED,), verdict="undetected"), "survived", (0, 1)),
        (changed(told=(), fired={}), "survived", (0, 1)),
        (changed(told=(replace(TOLD, outcome="late"),), verdict="late"), "survived", (0, 1)),
        (changed(state="held"), "early warning", (0, 0)),
        (changed(state="held", told=(), fired={"Other": 3.0}), "false page", (0, 0)),
        (changed(state="held", told=(MISSED,), verdict="undetected"), "rightly silent", (0, 0)),
        (changed(state="unknown"), "left out", (0, 0)),
        (changed(told=(replace(TOLD, outcome="unresolved"),), verdict="unresolved"), "killed", (1, 0)),
        (changed(told=(replace(TOLD, outcome="not_observed"),), verdict="inconclusive"), "left out", (0, 0)),
        (changed(told=(replace(TOLD, outcome="undecided"), MISSED), verdict="undetected"), "left out", (0, 0)),
        (changed(told=(replace(TOLD, outcome="projected"),), projected=True), "left out", (0, 0)),
        (changed(verdict="invalid"), "left out", (0, 0)),
    ],
)
def test_a_run_belongs_where_system_and_monitoring_put_it(run: Tried, quadrant: str, counted: tuple[int, int]) -> None:
    found = matrix([run], {"delay": "time"}, [], NOW_S)
    assert found.rows[0].quadrant == quadrant
    assert (found.killed, found.survived) == counted


def test_a_fault_that_nobody_tried_is_listed_and_counts_nothing() -> None:
    found = matrix([], {"delay": "time", "kill": "containers"}, [], NOW_S)
    assert [row.quadrant for row in found.rows] == ["never tried", "never tried"]
    assert found.score is None


def test_the_newest_run_that_proves_something_decides() -> None:
    older = changed(run="r-0", at_wall_s=NOW_S - 2 * DAY_S, told=(MISSED,), verdict="undetected")
    proves_nothing = changed(run="r-2", at_wall_s=NOW_S, verdict="aborted")
    assert matrix([proves_nothing, CAUGHT, older], {}, [], NOW_S).rows[0].run == "r-1"


def test_a_run_that_is_too_old_counts_as_none() -> None:
    assert matrix([CAUGHT], {"delay": "time"}, [], NOW_S, max_age_s=DAY_S / 2).rows[0].quadrant == "never tried"
    assert matrix([CAUGHT], {"delay": "time"}, [], NOW_S, max_age_s=2 * DAY_S).rows[0].quadrant == "killed"


def test_a_cell_says_the_smallest_share_of_traffic_at_which_any_run_has_proven_it() -> None:
    smaller = changed(run="r-0", at_wall_s=NOW_S - 2 * DAY_S, severity=0.04)
    found = matrix([CAUGHT, smaller], {}, [], NOW_S)
    assert found.rows[0].cells["AccuracyLow"] == Cell("proven", 31.0, None, 0.04)


def test_an_alert_that_fired_beside_the_expected_one_proves_that_it_can() -> None:
    found = matrix(
        [changed(fired={"Other": 3.0})], {}, [Column("Other", "never fired"), Column("Dead", "cannot fire")], NOW_S
    )
    proven = {column.alert: column.proven_by for column in found.columns}
    assert proven == {"Other": 1, "Dead": 0, "AccuracyLow": 1}


def test_of_a_sweep_the_most_severe_run_decides_and_the_least_that_was_noticed_is_told() -> None:
    most = changed(run="r-0", at_wall_s=NOW_S - 2 * DAY_S, severity=0.15, swept=True, swept_rank=0.15)
    least = changed(run="r-1", at_wall_s=NOW_S - DAY_S, severity=0.09, swept=True, swept_rank=0.09)
    missed = changed(
        run="r-2", at_wall_s=NOW_S, severity=0.07, swept=True, swept_rank=0.07, told=(MISSED,), verdict="undetected"
    )
    found = matrix([most, least, missed], {}, [], NOW_S)
    assert (found.rows[0].run, found.rows[0].quadrant) == ("r-0", "killed")
    assert found.rows[0].cells["AccuracyLow"].severity == 0.09


RUNS = st.builds(
    changed,
    fault=st.sampled_from(["delay", "kill", "hang"]),
    at_wall_s=st.floats(NOW_S - 9 * DAY_S, NOW_S),
    verdict=st.sampled_from(sorted(EXIT_CODE)),
    state=st.sampled_from(["broken", "held", "unknown"]),
    told=st.sampled_from([(), (TOLD,), (MISSED,)]),
)


@given(st.lists(RUNS, max_size=8))
def test_the_score_is_killed_of_broken_whatever_was_run_and_in_whatever_order_it_is_read(runs: list[Tried]) -> None:
    found = matrix(runs, {}, [], NOW_S)
    broken = [row for row in found.rows if row.quadrant in ("killed", "survived")]
    assert found.killed + found.survived == len(broken)
    assert (found.score is None) == (not broken)
    if found.score is not None and found.interval is not None:
        assert found.interval[0] <= found.score <= found.interval[1]
    at_other_times = {run.at_wall_s for run in runs}
    if len(at_other_times) == len(runs):  # of two at the same moment neither is the newest
        assert matrix(list(reversed(runs)), {}, [], NOW_S) == found


def test_what_proves_nothing_proves_no_alert_either() -> None:
    found = matrix([changed(verdict="aborted", fired={"Other": 3.0})], {}, [], NOW_S)
    assert [column.proven_by for column in found.columns] == [0, 0]


def test_of_two_faults_at_once_nobody_is_told_of_one_alone() -> None:
    found = matrix([changed(beside=("kill",))], {}, [], NOW_S)
    assert found.rows[0].why == "together with kill"


def test_a_projection_takes_the_place_of_no_run_that_has_proven_something() -> None:
    later = changed(run="r-2", at_wall_s=NOW_S, projected=True, told=(replace(TOLD, outcome="projected"),))
    assert matrix([CAUGHT, later], {}, [], NOW_S).rows[0].run == "r-1"
    told_live = changed(run="r-3", at_wall_s=NOW_S, projected=True)
    assert matrix([CAUGHT, told_live], {}, [], NOW_S).rows[0].run == "r-3"


def test_an_alert_that_an_older_run_expected_in_vain_is_a_column_that_nothing_has_proven() -> None:
    other = changed(
        run="r-0", at_wall_s=NOW_S - 2 * DAY_S, told=(replace(MISSED, alert="Other"),), verdict="undetected"
    )
    found = matrix([CAUGHT, other], {}, [], NOW_S)
    assert {column.alert: column.proven_by for column in found.columns} == {"AccuracyLow": 1, "Other": 0}
