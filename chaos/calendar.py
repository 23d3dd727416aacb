"""When a system may not be hurt: its time zone, its freeze windows, its holidays. Pure: the moment is an argument.

    timezone: Europe/Berlin
    freeze: ["Fri 15:00 - Mon 08:00", "22:00 - 06:00", "2026-12-20 - 2027-01-04"]
    holidays: [2026-12-24, 05-01]

A window is a stretch of the clock on the wall: it holds its begin and not its end, and a day at its end is the whole day. Where a clock
is set back or forward, a bound may stand for two moments, or for none: then the window is the longer of what it could be, at most by
the hour that is shifted. Windows that meet are one freeze.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from chaos.errors import Frozen
from chaos.strict import Strict
from chaos.units import format_duration

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_FREEZE = timedelta(days=366)
"""A freeze that goes on for longer than that is said to have no end."""
WEEK = timedelta(days=7)
DAY = timedelta(days=1)

_SIDE = re.compile(r"(?:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})|(?P<day>[A-Za-z]{3,9}))?\s*(?P<time>[0-9]{1,2}:[0-9]{2})?")
_EXAMPLES = "write something like Fri 15:00 - Mon 08:00, 22:00 - 06:00 or 2026-12-20 - 2027-01-04"

Kind = Literal["dates", "weekly", "daily"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the wall clock: from `begin` to before `end`, once, every week or every day; both naive, in the calendar's zone.

    What recurs is written as of the week of Monday, 2024-01-01.
    """

    text: str
    kind: Kind
    begin: datetime
    end: datetime

    def near(self, wall: datetime) -> list[tuple[datetime, datetime]]:
        """Every occurrence that can hold a moment whose wall clock shows about `wall`."""
        if self.kind == "dates":
            return [(self.begin, self.end)]
        step = WEEK if self.kind == "weekly" else DAY
        since = step * ((wall - self.begin) // step)
        return [(self.begin + since + step * by, self.end + since + step * by) for by in (-1, 0, 1)]


@dataclass(frozen=True, slots=True)
class _Side:
    day: date | int | None
    at: time | None


YEARS = range(1970, 9001)
"""The years that calendars know; after the last one that Python knows, no window could end."""


def _in_years(day: date) -> None:
    """Raises ValueError for a year in which nobody counts."""
    if day.year not in YEARS:
        raise ValueError(f"the year of {day} is out of reach; write one from {YEARS[0]} to {YEARS[-1]}")


def _side(text: str, whole: str) -> _Side:
    """One end of a window: a date or a weekday (Monday is 0), and a time. Raises ValueError."""
    match = _SIDE.fullmatch(text.strip())
    if match is None or not text.strip():
        raise ValueError(f"{whole!r} is no window; {_EXAMPLES}")
    try:
        day: date | int | None = date.fromisoformat(match["date"]) if match["date"] else None
        at = time.fromisoformat(match["time"].zfill(5)) if match["time"] else None
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no date or time that there is; {_EXAMPLES}") from None
    if isinstance(day, date):
        _in_years(day)
    if match["day"]:
        short = match["day"][:3].capitalize()
        if short not in DAYS:
            raise ValueError(f"{match['day']!r} is no day; write one of {', '.join(DAYS)}")
        day = DAYS.index(short)
    return _Side(day, at)


@lru_cache(maxsize=512)
def parse_window(text: str) -> Window:
    """The window of `Fri 15:00 - Mon 08:00`, `Sat - Sun`, `22:00 - 06:00`, or between two dates. Raises ValueError."""
    first, dash, last = text.partition(" - ")
    begin = _side(first, text)
    end = _side(last, text) if dash else begin
    if type(begin.day) is not type(end.day) or (not dash and begin.at is not None):
        raise ValueError(f"the two ends of {text!r} do not fit each other; {_EXAMPLES}")
    midnight = time()
    if isinstance(begin.day, date) and isinstance(end.day, date):
        return _ordered(
            Window(text, "dates", datetime.combine(begin.day, begin.at or midnight), _until(end.day, end.at))
        )
    monday = date(2024, 1, 1)
    if isinstance(begin.day, int) and isinstance(end.day, int):
        from_ = datetime.combine(monday + DAY * begin.day, begin.at or midnight)
        until = _until(monday + DAY * end.day, end.at)
        return Window(text, "weekly", from_, until if until > from_ else until + WEEK)
    from_ = datetime.combine(monday, begin.at or midnight)
    until = datetime.combine(monday, end.at or midnight)
    return Window(text, "daily", from_, until if until > from_ else until + DAY)


def _until(day: date, at: time | None) -> datetime:
    """The end on this day: at that time, or when the day is over."""
    return datetime.combine(day, at) if at is not None else datetime.combine(day, time()) + DAY


def _ordered(window: Window) -> Window:
    if window.end <= window.begin:
        raise ValueError(f"{window.text!r} ends before it begins; write the earlier date first")
    return window


@lru_cache(maxsize=2048)
def parse_holiday(text: str) -> tuple[int | None, int, int]:
    """Year, month and day of `2026-12-24`; of `05-01`, which is every year, the year is None. Raises ValueError."""
    match = re.fullmatch(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})", text)
    try:
        assert match is not None
        year, month, day = int(match[1]) if match[1] else None, int(match[2]), int(match[3])
        found = date(2024 if year is None else year, month, day)
    except (AssertionError, ValueError):
        raise ValueError(f"{text!r} is no date; write something like 2026-12-24, or 12-24 for every year") from None
    _in_years(found)
    return year, month, day


def _window(text: str) -> str:
    parse_window(text)
    return text


def _holiday(text: str) -> str:
    parse_holiday(text)
    return text


def _zone(name: str) -> str:
    from zoneinfo import available_timezones

    from chaos.document import did_you_mean

    known = available_timezones()
    if name not in known:
        near = did_you_mean(name, known) if len(name) > 2 else "known: …"
        hint = near if near.startswith("did") else "write one of the tz database, such as Europe/Berlin or UTC"
        raise ValueError(f"there is no time zone {name!r}; {hint}")
    return name


Zone = Annotated[str, AfterValidator(_zone)]
WindowText = Annotated[str, AfterValidator(_window)]
HolidayText = Annotated[str, AfterValidator(_holiday)]


@dataclass(frozen=True, slots=True)
class Freeze:
    """A system is frozen: by `window`, as it was written, until `until` (aware; None: for more than a year)."""

    window: str
    until: datetime | None

    def sentence(self, system: str) -> str:
        """Who is frozen, until when, and by what."""
        if self.until is None:
            return f"{system} is frozen for more than a year by `{self.window}` of its calendar"
        return f"{system} is frozen until {moment_text(self.until)} by `{self.window}` of its calendar"


def moment_text(moment: datetime) -> str:
    """`Mon 2026-11-30 08:00 CET`: the moment as the clock of its zone shows it."""
    return f"{DAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M} {moment.tzname()}"


class Calendar(Strict):
    """When a system may not be hurt."""

    timezone: Zone = Field("UTC", description="the time zone of windows and holidays, by its name in the tz database")
    freeze: list[WindowText] = Field(
        default_factory=list,
        description="no run begins in these windows; what goes on when one begins is ended by nobody",
        examples=["[Fri 15:00 - Mon 08:00]"],
    )
    holidays: list[HolidayText] = Field(
        default_factory=list, description="dates that are frozen as a whole; without a year, every year"
    )

    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    def frozen_at(self, moment: datetime) -> Freeze | None:
        """The freeze that this (aware) moment is in, to the end of all windows that meet; None when there is none."""
        found = self._window_at(moment)
        if found is None:
            return None
        window, until = found
        while (more := self._window_at(until)) is not None and more[1] > until:
            until = more[1]
            if until - moment > LONGEST_FREEZE:
                return Freeze(window, None)
        return Freeze(window, until.astimezone(self.zone()))

    def _window_at(self, moment: datetime) -> tuple[str, datetime] | None:
        """The window that holds this moment for longest, and its end, in UTC."""
        wall = moment.astimezone(self.zone()).replace(tzinfo=None, fold=0)
        found: list[tuple[datetime, str]] = []
        for window in self._windows(wall):
            for begin, end in window.near(wall):
                earliest, latest = self._instants(begin)[0], self._instants(end)[-1]
                if earliest <= moment < latest:
                    found.append((latest, window.text))
        if not found:
            return None
        until, text = max(found)
        return text, until

    def _windows(self, wall: datetime) -> list[Window]:
        """The freeze windows, and the holidays about this wall clock."""
        found = [parse_window(text) for text in self.freeze]
        for day in (wall.date() - DAY, wall.date(), wall.date() + DAY):
            for text in self.holidays:
                year, month, of_month = parse_holiday(text)
                if (month, of_month) == (day.month, day.day) and year in (None, day.year):
                    one = parse_window(day.isoformat())
                    found.append(replace(one, text=f"holiday {text}"))
        return found

    def _instants(self, wall: datetime) -> list[datetime]:
        """The moments, in UTC and in order, for which this wall clock may stand."""
        zone = self.zone()
        return sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def refuse_frozen(system: str, calendar: Calendar, moment: datetime, ignoring: str | None = None) -> Freeze | None:
    """The freeze that is ignored for that reason; None when there is none. Raises Frozen when nobody gave a reason."""
    freeze = calendar.frozen_at(moment)
    if freeze is not None and not (ignoring and ignoring.strip()):
        advice = "wait" if freeze.until is None else f"wait {format_duration(_whole(freeze.until - moment))}"
        raise Frozen(
            [f"{freeze.sentence(system)}; {advice}, or write --ignore-freeze REASON where it must be now"], freeze.until
        )
    return freeze


def _whole(length: timedelta) -> float:
    """Seconds, rounded up to minutes."""
    return float(-(-length.total_seconds() // 60) * 60)
