"""When a system is frozen: by which window, until when, also where the clock is set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.calendar import Calendar, parse_holiday, parse_window, refuse_frozen
from chaos.errors import Frozen, InvalidFile, Refused
from tests.values import system

BERLIN = ZoneInfo("Europe/Berlin")


def calendar(*freeze: str, holidays: tuple[str, ...] = (), timezone: str = "Europe/Berlin") -> Calendar:
    return Calendar(timezone=timezone, freeze=list(freeze), holidays=list(holidays))


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def until(made: Calendar, text: str) -> str | None:
    freeze = made.frozen_at(berlin(text))
    return f"{freeze.until:%Y-%m-%d %H:%M}" if freeze is not None and freeze.until is not None else None


@pytest.mark.parametrize(
    ("window", "moment", "ends"),
    [
        ("Fri 15:00 - Mon 08:00", "2026-11-27 14:59", None),
        ("Fri 15:00 - Mon 08:00", "2026-11-27 15:00", "2026-11-30 08:00"),
        ("Fri 15:00 - Mon 08:00", "2026-11-30 07:59", "2026-11-30 08:00"),
        ("Fri 15:00 - Mon 08:00", "2026-11-30 08:00", None),
        ("Sat - Sun", "2026-11-29 23:59", "2026-11-30 00:00"),
        ("Sun", "2026-11-29 12:00", "2026-11-30 00:00"),
        ("Fri - Mon", "2026-11-30 23:59", "2026-12-01 00:00"),
        ("22:00 - 06:00", "2026-11-28 05:59", "2026-11-28 06:00"),
        ("22:00 - 06:00", "2026-11-28 22:00", "2026-11-29 06:00"),
        ("22:00 - 06:00", "2026-11-28 12:00", None),
        ("2026-12-20 - 2027-01-04", "2026-12-19 23:59", None),
        ("2026-12-20 - 2027-01-04", "2027-01-04 23:59", "2027-01-05 00:00"),
        ("2026-12-20 18:00 - 2026-12-21 09:00", "2026-12-21 08:00", "2026-12-21 09:00"),
        ("2028-02-29", "2028-02-29 10:00", "2028-03-01 00:00"),
    ],
)
def test_a_window_holds_its_begin_and_not_its_end(window: str, moment: str, ends: str | None) -> None:
    assert until(calendar(window), moment) == ends


def test_a_holiday_is_frozen_as_a_whole_in_its_year_or_in_every_one() -> None:
    made = calendar(holidays=("2026-12-24", "05-01", "02-29"))
    assert until(made, "2026-12-24 00:00") == "2026-12-25 00:00"
    assert until(made, "2027-12-24 12:00") is None
    assert until(made, "2031-05-01 23:59") == "2031-05-02 00:00"
    assert until(made, "2028-02-29 01:00") == "2028-03-01 00:00"
    assert until(made, "2027-03-01 01:00") is None


def test_windows_that_meet_are_one_freeze_until_the_last_of_them_ends() -> None:
    made = calendar("Fri 15:00 - Mon 08:00", "22:00 - 06:00", holidays=("2026-11-30",))
    assert until(made, "2026-11-27 15:00") == "2026-12-01 06:00"


def test_what_is_frozen_for_ever_has_no_end() -> None:
    freeze = calendar("00:00 - 00:00").frozen_at(berlin("2026-11-28 12:00"))
    assert freeze is not None
    assert freeze.until is None
    assert "for more than a year" in freeze.sentence("staging")


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        # 2026-10-25: from 03:00 back to 02:00. A window to 02:30 holds both of them.
        (datetime(2026, 10, 25, 0, 45, tzinfo=UTC), True),  # 02:45, first time
        (datetime(2026, 10, 25, 1, 15, tzinfo=UTC), True),  # 02:15, second time
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), False),  # 02:30, second time
        # 2026-03-29: from 02:00 on to 03:00. 02:30 is not there; the window ends at 03:30 at the latest.
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), False),
    ],
)
def test_where_the_clock_is_set_the_longer_reading_of_a_window_counts(moment: datetime, frozen: bool) -> None:
    assert (calendar("01:00 - 02:30").frozen_at(moment) is not None) is frozen


def test_the_clock_of_the_calendars_zone_counts_wherever_the_moment_was_read() -> None:
    made = calendar("22:00 - 06:00", timezone="America/New_York")
    assert made.frozen_at(berlin("2026-11-28 05:00")) is not None  # 23:00 in New York
    assert made.frozen_at(berlin("2026-11-28 13:00")) is None  # 07:00


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))
WINDOWS = st.sampled_from(
    ["Fri 15:00 - Mon 08:00", "22:00 - 06:00", "Sat - Sun", "2026-03-20 - 2026-04-04", "02:15 - 02:45", "Sun 02:30 - Sun 03:30"]
)  # fmt: skip


@given(moment=MOMENTS, windows=st.lists(WINDOWS, min_size=1, max_size=3), zone=st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]))  # fmt: skip
def test_a_freeze_lasts_to_its_end_and_no_further(moment: datetime, windows: list[str], zone: str) -> None:
    made = calendar(*windows, timezone=zone)
    freeze = made.frozen_at(moment)
    if freeze is None or freeze.until is None:
        return
    assert freeze.until > moment
    assert freeze.window in windows
    assert made.frozen_at(freeze.until) is None
    assert made.frozen_at(freeze.until - timedelta(seconds=1)) is not None
    assert made.frozen_at(moment + (freeze.until - moment) / 2) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Fri 15:00", "do not fit each other; write something like Fri 15:00 - Mon 08:00"),
        ("Fri 15:00 - 2026-12-01", "do not fit each other"),
        ("Fri 15:00-Mon 08:00", "is no window"),
        ("Fri 25:00 - Mon 08:00", "is no date or time that there is"),
        ("2026-02-29", "is no date or time that there is"),
        ("Fry 15:00 - Mon 08:00", "'Fry' is no day; write one of Mon, Tue"),
        ("2027-01-04 - 2026-12-20", "ends before it begins"),
        ("", "is no window"),
        (" - ", "is no window"),
    ],
)
def test_what_is_no_window_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_window(text)


@given(st.text(max_size=40))
def test_whatever_stands_there_is_a_window_or_a_sentence(text: str) -> None:
    for parse in (parse_window, parse_holiday):
        said = "; write"
        try:
            parse(text)
        except ValueError as error:
            said = str(error)
        assert "; write" in said


def test_a_system_file_says_it_and_every_mistake_comes_at_once() -> None:
    made = system(("name: lab", "name: lab\ncalendar: {timezone: Europe/Berlin, freeze: [Fri 15:00 - Mon 08:00]}"))
    assert made.calendar.frozen_at(berlin("2026-11-28 12:00")) is not None
    with pytest.raises(InvalidFile) as refused:
        system(
            (
                "name: lab",
                "name: lab\ncalendar: {timezone: Europe/Berlim, freeze: [Fri], holidays: [13-01], freezes: []}",
            )
        )
    said = str(refused.value)
    assert "there is no time zone 'Europe/Berlim'; did you mean `Europe/Berlin`?" in said
    assert "'13-01' is no date; write something like 2026-12-24, or 12-24 for every year" in said
    assert "unknown key; did you mean `freeze`?" in said


def test_a_run_on_a_frozen_system_is_refused_by_the_window_and_its_end_unless_somebody_says_why() -> None:
    made, moment = calendar("Fri 15:00 - Mon 08:00"), berlin("2026-11-28 16:00")
    with pytest.raises(Frozen) as refused:
        refuse_frozen("staging", made, moment)
    assert str(refused.value) == (
        "staging is frozen until Mon 2026-11-30 08:00 CET by `Fri 15:00 - Mon 08:00` of its calendar; "
        "wait 1d16h, or write --ignore-freeze REASON where it must be now"
    )
    assert isinstance(refused.value, Refused)
    assert refused.value.exit_code == 3
    with pytest.raises(Frozen):
        refuse_frozen("staging", made, moment, "  ")
    assert refuse_frozen("staging", made, moment, "the fix must be proven today") is not None
    assert refuse_frozen("staging", made, berlin("2026-11-30 08:00")) is None


@pytest.mark.parametrize("parse", [parse_window, parse_holiday])
@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01"])
def test_a_year_in_which_nobody_counts_is_one_sentence(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"is out of reach; write one from 1970 to 9000"):
        parse(text)
