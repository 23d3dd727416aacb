"""The picture of times over weeks: its axis is as long as what stands on it."""

from __future__ import annotations

import re

import pytest

from chaos.history import AlertTimes, Point
from chaos.history.trend import middle, trend
from chaos.report.weeks import LEFT, RIGHT, WIDE, draw_weeks

BEGAN_S = 1.79e9
HOUR_S, DAY_S = 3600.0, 86400.0


def drawn(every_s: float, count: int) -> tuple[list[float], list[str]]:
    """Where the points stand along the axis, and what its dates say."""
    points = tuple(
        Point(f"r-{place}", f"f-{place}", BEGAN_S + place * every_s, "detected", 10.0 + place, 1.0)
        for place in range(count)
    )
    times = [10.0 + place for place in range(count)]
    picture = draw_weeks(
        AlertTimes("A", 60.0, points, 0, middle(times), trend(times, 1.0)), name="n", link=lambda folder: folder
    )
    dates = re.findall(r'text-anchor="(?:middle|end)">(\d\d [^<]+)</text>', picture)
    return [float(at) for at in re.findall(r'<circle[^>]* cx="([\d.]+)"', picture)], dates


@pytest.mark.parametrize(("every_s", "form"), [
    (5 * 60.0, r"\d\d \w{3} \d\d:\d\d"), (2 * HOUR_S, r"\d\d \w{3} \d\d:\d\d"), (DAY_S, r"\d\d \w{3}"), (60 * DAY_S, r"\d\d \w{3} \d{4}"),
])  # fmt: skip
def test_runs_of_an_hour_and_of_years_fill_the_axis_with_dates_that_tell_them_apart(every_s: float, form: str) -> None:
    across, dates = drawn(every_s, 13)
    assert across[-1] - across[0] > 0.8 * (WIDE - LEFT - RIGHT)
    assert 3 <= len(dates) <= 13
    assert len(set(dates)) == len(dates)
    assert all(re.fullmatch(form, date) for date in dates), dates


def test_one_run_stands_in_the_middle_of_an_hour() -> None:
    across, dates = drawn(0.0, 1)
    assert across == [pytest.approx((WIDE + LEFT - RIGHT) / 2, abs=1)]
    assert len(dates) >= 3
