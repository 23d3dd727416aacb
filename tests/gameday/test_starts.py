"""When a game day starts, also where clocks are set, on leap days and over the year's end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.gameday import Schedule, starts
from chaos.gameday.starts import week_of
from tests.gameday.values import at


def schedule(cron: str, timezone: str = "Europe/Berlin") -> Schedule:
    return Schedule(cron=cron, timezone=timezone)


def first(cron: str, after: str, count: int, zone: str = "Europe/Berlin") -> list[str]:
    """The first starts after this moment of the wall clock, in UTC."""
    return [f"{one:%m-%d %H:%M}" for one in islice(starts(schedule(cron, zone), at(after, zone)), count)]


def test_a_start_keeps_its_hour_on_the_clock_over_both_changes_of_the_year() -> None:
    assert first("0 10 * * Sun", "2026-03-21 12:00", 2) == ["03-22 09:00", "03-29 08:00"]
    assert first("0 10 * * Sun", "2026-10-17 12:00", 2) == ["10-18 08:00", "10-25 09:00"]
    assert first("0 10 * * Sun", "2026-02-28 12:00", 2, "America/New_York") == ["03-01 15:00", "03-08 14:00"]
    assert first("0 10 * * Sun", "2026-10-25 12:00", 1, "America/New_York") == ["11-01 15:00"]


def test_an_hour_that_is_left_out_moves_the_start_to_its_end() -> None:
    assert first("30 2 * * *", "2026-03-28 12:00", 2) == ["03-29 01:00", "03-30 00:30"]  # 03:00, then 02:30
    assert first("30 2 * * *", "2026-03-07 12:00", 2, "America/New_York") == ["03-08 07:00", "03-09 06:30"]


def test_two_starts_in_the_hour_that_is_left_out_are_one() -> None:
    assert first("15,45 2 * * *", "2026-03-28 12:00", 2) == ["03-29 01:00", "03-30 00:15"]


def test_in_an_hour_that_comes_twice_the_start_comes_the_first_time_alone() -> None:
    assert first("30 2 * * *", "2026-10-24 12:00", 2) == ["10-25 00:30", "10-26 01:30"]
    assert first("30 1 * * *", "2026-10-31 12:00", 2, "America/New_York") == ["11-01 05:30", "11-02 06:30"]


def test_two_starts_in_the_hour_that_comes_twice_come_once_each() -> None:
    assert first("15,45 2 * * *", "2026-10-24 12:00", 3) == ["10-25 00:15", "10-25 00:45", "10-26 01:15"]


def test_asked_in_the_second_of_two_equal_hours_no_start_lies_in_the_past() -> None:
    second = at("2026-10-25 02:10", fold=1)
    assert next(starts(schedule("30 2 * * *"), second)) == at("2026-10-26 02:30")


def test_starts_of_every_hour_follow_real_time() -> None:
    assert first("0 * * * *", "2026-03-29 00:30", 3) == ["03-29 00:00", "03-29 01:00", "03-29 02:00"]
    assert first("0 * * * *", "2026-10-25 01:30", 3) == ["10-25 00:00", "10-25 01:00", "10-25 02:00"]


def test_the_29th_of_february_comes_every_four_years() -> None:
    found = islice(starts(schedule("0 10 29 2 *", "UTC"), datetime(2026, 1, 1, tzinfo=UTC)), 2)
    assert [one.date().isoformat() for one in found] == ["2028-02-29", "2032-02-29"]


def test_a_week_over_new_years_eve_is_one_week_in_the_schedules_zone() -> None:
    made = schedule("0 10 * * *")
    assert week_of(made, at("2026-12-31 12:00")) == week_of(made, at("2027-01-03 12:00")) == (2026, 53)
    assert week_of(made, at("2027-01-04 00:30")) == (2027, 1)  # Sunday, 23:30 in UTC


def test_without_a_cron_expression_there_is_no_start() -> None:
    assert list(starts(Schedule(), datetime(2026, 1, 1, tzinfo=UTC))) == []


CRONS = st.sampled_from(
    ["30 2 * * *", "0 * * * *", "*/20 1-3 * * *", "15 1,2,3 * * Sun", "0 10 29 2 *", "59 23 31 12 *"]
)


@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC)), cron=CRONS,
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)  # fmt: skip
def test_starts_are_in_order_and_asking_anew_from_each_of_them_gives_the_same(
    moment: datetime, cron: str, zone: str
) -> None:
    made = schedule(cron, zone)
    found = list(islice(starts(made, moment), 6))
    assert found == sorted(set(found))
    assert all(one > moment for one in found)
    for one, following in pairwise(found):
        assert next(starts(made, one)) == following


@pytest.mark.parametrize(("zone", "year"), [("Europe/Berlin", 2026), ("America/New_York", 2026)])
def test_a_daily_start_comes_once_a_day_the_whole_year(zone: str, year: int) -> None:
    for cron in ("30 1 * * *", "30 2 * * *"):
        made = schedule(cron, zone)
        begin = at(f"{year}-01-01 00:00", zone)
        found = list(takewhile(lambda one: one < at(f"{year + 1}-01-01 00:00", zone), starts(made, begin)))
        days = [one.astimezone(made.zone()).date() for one in found]
        assert len(days) == len(set(days)) == 365
        assert max(b - a for a, b in pairwise(found)) <= timedelta(hours=25, minutes=30)
