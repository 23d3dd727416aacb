"""Of few live runs a curve is made that says how little they say."""

from __future__ import annotations

import pytest

from chaos.live_curve import LiveRun, live_curve
from chaos.units import format_share

SEVERITIES = (0.01, 0.02, 0.05, 0.1, 0.2)


def runs(caught_from: float, after_s: float = 40.0) -> list[LiveRun]:
    return [LiveRun(one, one >= caught_from, after_s if one >= caught_from else None) for one in SEVERITIES]


def test_half_of_such_runs_tell_from_between_what_was_missed_and_what_was_caught() -> None:
    found = live_curve(runs(0.05), format_share)
    assert found is not None
    middle, low, high = found.half
    assert middle is not None
    assert 0.02 < middle < 0.05
    assert low is None or low < 0.02
    assert high is not None
    assert high > 0.05


def test_perfect_separation_claims_neither_certainty_nor_nine_in_ten() -> None:
    found = live_curve(runs(0.05), format_share)
    assert found is not None
    for row in found.rows:
        middle, low, high = row.chance
        assert 0 < low < middle < high < 1
        assert low < 0.9


@pytest.mark.parametrize(("caught_from", "end"), [(0.0, "less than 1%"), (1.0, "more than 20%")])
def test_where_all_or_none_told_nothing_is_said_of_what_nobody_tried(caught_from: float, end: str) -> None:
    found = live_curve(runs(caught_from), format_share)
    assert found is not None
    assert found.half[0] is None
    assert f"tell from {end} on" in found.sentence


def test_what_nobody_tried_is_more_where_the_smaller_number_is_the_more_severe() -> None:
    tried = (0.01, 0.05, 0.2)
    ends = {}
    for told in (True, False):
        found = live_curve(
            [LiveRun(one, told, 40.0 if told else None) for one in tried for _ in range(3)], format_share, rising=False
        )
        assert found is not None
        ends[told] = found.sentence
    assert "tell from more than 20% on" in ends[True]
    assert "tell from less than 1% on" in ends[False]


def test_two_runs_or_one_severity_make_no_curve() -> None:
    assert live_curve(runs(0.05)[:2], format_share) is None
    assert live_curve([LiveRun(0.1, True, 40.0)] * 5, format_share) is None


def test_the_chance_rises_with_severity_also_where_the_smaller_number_is_the_more_severe() -> None:
    falling = [LiveRun(one, one <= 0.05, 30.0) for one in SEVERITIES]
    for found, severer in (
        (live_curve(runs(0.05), format_share), 1),
        (live_curve(falling, format_share, rising=False), -1),
    ):
        assert found is not None
        by_severity = sorted(found.rows, key=lambda row: severer * row.severity)
        chances = [row.chance[0] for row in by_severity]
        assert chances == sorted(chances)
        assert chances[0] < 0.5 < chances[-1]


def test_the_time_is_told_only_between_severities_at_which_a_run_told() -> None:
    faster = [LiveRun(one.severity, one.told, 4.0 / one.severity if one.told else None) for one in runs(0.05)]
    found = live_curve(faster, format_share)
    assert found is not None
    assert all((row.seconds is None) == (row.severity < 0.0499) for row in found.rows)
    last = found.rows[-1].seconds
    assert last is not None
    assert last[1] < 20.0 < last[2]
    assert "of those that tell, typically in " in found.sentence
