"""What a game day's calendar wants now, given what has happened. A value of time and history; whoever asks, asks in one transaction.

scheduled start ─▶ known already?  ─▶ nothing
                   too late        ─▶ Pass(missed)    a later start that has come makes an earlier one too late, too
                   frozen now      ─▶ Wait, or Pass(frozen) where the freeze outlasts what may be made up for
                   one goes on     ─▶ Pass(busy)
                   enough this week ─▶ Pass(limit)
                   else            ─▶ Play
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from chaos.calendar import Calendar, Freeze, moment_text
from chaos.gameday.file import GameDay, Schedule
from chaos.gameday.starts import starts, week_of
from chaos.units import format_duration

PUNCTUAL = timedelta(minutes=1)
"""A start that is seen so late was not missed."""
LOOK_BACK = timedelta(days=62)
"""Starts that are longer ago are not told as missed one by one; nobody makes up for them either."""
MOST_ATTEMPTS = 2
"""A game day that was interrupted twice is not begun a third time."""

Status = Literal["playing", "ended", "interrupted", "passed over"]
Why = Literal["missed", "frozen", "limit", "busy"]


@dataclass(frozen=True, slots=True)
class Record:
    """One scheduled start, and what became of it. Moments are aware; `begun` is None where it was passed over."""

    start: datetime
    status: Status
    why: str = ""
    begun: datetime | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """The day is to be played now. `again`: it was begun before, and interrupted."""

    start: datetime
    late: timedelta
    again: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """This start is never played; `sentence` says why."""

    start: datetime
    why: Why
    sentence: str


@dataclass(frozen=True, slots=True)
class Wait:
    """This start waits until a freeze is over."""

    start: datetime
    until: datetime
    sentence: str


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now, and the moment up to which every start is decided."""

    decisions: tuple[Play | Pass | Wait, ...]
    decided: datetime


def due(
    day: GameDay, calendars: Sequence[tuple[str, Calendar]], since: datetime, known: Sequence[Record], now: datetime
) -> Due:
    """Every start after `since` and up to `now` is decided, but for one that waits.

    `calendars`: whose calendars forbid starts besides the day's own, by name. All moments are aware.
    """
    schedule = day.calendar
    behind = {record.start for record in known}
    come = takewhile(lambda one: one <= now, starts(schedule, max(since, now - LOOK_BACK)))
    pending = [start for start in come if start not in behind]
    freeze = frozen(day, calendars, now)
    again = _again(schedule, known, now) if freeze is None else None
    decisions: list[Play | Pass | Wait] = [_missed(schedule, start, pending[-1]) for start in pending[:-1]]
    if again is not None:
        decisions.append(again)
    if pending:
        last = pending[-1]
        decisions.append(
            Pass(last, "busy", "the start before it is begun again")
            if again is not None
            else _decide(day, last, known, freeze, now)
        )
    waits = [decision.start for decision in decisions if isinstance(decision, Wait)]
    return Due(tuple(decisions), waits[0] - timedelta(microseconds=1) if waits else max(since, now))


def frozen(day: GameDay, calendars: Sequence[tuple[str, Calendar]], now: datetime) -> tuple[str, Freeze] | None:
    """Whose calendar forbids it now, and until when: of several, the one that does so for longest."""
    found: list[tuple[bool, float, str, Freeze]] = []
    for name, calendar in (("the game day", day.calendar), *calendars):
        freeze = calendar.frozen_at(now)
        if freeze is not None:
            end_s = freeze.until.timestamp() if freeze.until is not None else 0.0
            found.append((freeze.until is None, end_s, name, freeze))
    if not found:
        return None
    _, _, name, freeze = max(found, key=lambda one: one[:3])
    return name, freeze


def _decide(
    day: GameDay, start: datetime, known: Sequence[Record], freeze: tuple[str, Freeze] | None, now: datetime
) -> Play | Pass | Wait:
    schedule = day.calendar
    latest = start + _allowed(schedule)
    if now > latest:
        return _missed(schedule, start)
    if freeze is not None:
        name, one = freeze
        if one.until is not None and one.until <= latest:
            return Wait(start, one.until, f"{one.sentence(name)}; the start waits for that")
        return Pass(start, "frozen", one.sentence(name))
    if any(record.status == "playing" for record in known):
        return Pass(start, "busy", "the start before it still goes on")
    most = day.limits.most_per_week
    if most is not None and played_in_week_of(schedule, known, now) >= most:
        return Pass(start, "limit", f"{most} a week is the most, and this week has had them")
    return Play(start, now - start)


def played_in_week_of(schedule: Schedule, known: Sequence[Record], moment: datetime) -> int:
    """How many starts of this moment's week were played, to whatever end."""
    week = week_of(schedule, moment)
    return sum(record.begun is not None and week_of(schedule, record.begun) == week for record in known)


def _allowed(schedule: Schedule) -> timedelta:
    """How late a start may be."""
    return max(PUNCTUAL, timedelta(seconds=schedule.catch_up_s() or 0.0))


def _missed(schedule: Schedule, start: datetime, later: datetime | None = None) -> Pass:
    """`later`: a start that has come since."""
    within = schedule.catch_up_s()
    if within is None:
        advice = "missed starts are skipped"
    elif later is not None:
        advice = "a later start has come since"
    else:
        advice = f"only what is at most {format_duration(within)} late is made up for"
    when = moment_text(start.astimezone(schedule.zone()))
    return Pass(start, "missed", f"nobody was there at {when}, and {advice}")


def _again(schedule: Schedule, known: Sequence[Record], now: datetime) -> Play | None:
    """The interrupted start that the calendar wants to be begun again."""
    within_s = schedule.again_s()
    if within_s is None or any(record.status == "playing" for record in known):
        return None
    for record in known:
        late = now - record.start
        if record.status == "interrupted" and record.attempt < MOST_ATTEMPTS and late.total_seconds() <= within_s:
            return Play(record.start, late, again=True)
    return None
