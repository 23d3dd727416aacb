"""What is next of game days, and what became of earlier starts: for `chaos gameday list` and for the page. Wiring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos.app.files import STATE, Variables, read_text
from chaos.errors import InvalidFile

if TYPE_CHECKING:
    from chaos.calendar import Calendar
    from chaos.drivers.gameday_store import Kept
    from chaos.gameday import GameDay


def told_of(
    files: Iterable[Path],
    variables: dict[str, str],
    now: datetime,
    count: int,
    kept: Sequence[Kept] = (),
    system: str | None = None,
) -> Mapping[str, Mapping[str, Any]]:
    """Each day's name → its purpose, its next starts with the freezes that they fall into, and what became of earlier ones.

    `left_out` says why the calendars of its systems could not be read, so that no freeze of theirs shows. `system` overrides what the files
    say.
    """
    days = [_day_of(path, variables, system) for path in files]
    return {
        day.name: {
            "purpose": day.purpose,
            "timezone": day.calendar.timezone,
            "left_out": left_out,
            "next": _next(day, calendars, now, count),
            "history": [_past(one) for one in kept if one.day == day.name],
        }
        for day, calendars, left_out in days
    }


def _day_of(
    path: Path, variables: dict[str, str], system: str | None
) -> tuple[GameDay, list[tuple[str, Calendar]], str | None]:
    """The day, the calendars of its systems, and why those are left out, if they are."""
    from chaos.app.gameday.loading import load_day
    from chaos.gameday import parse_gameday

    day, _ = parse_gameday(read_text(path), str(path), Variables(variables, path.parent))
    try:
        return day, load_day(path, system=system, variables=variables, state=STATE).calendars(), None
    except InvalidFile as error:
        return day, [], str(error.problems[0])


def _next(
    day: GameDay, calendars: list[tuple[str, Calendar]], now: datetime, count: int
) -> list[dict[str, str | None]]:
    from chaos.calendar import moment_text
    from chaos.gameday import starts
    from chaos.gameday.due import frozen

    found = []
    for start in islice(starts(day.calendar, now), count):
        freeze = frozen(day, calendars, start)
        found.append(
            {
                "start": start.isoformat(),
                "shown": moment_text(start.astimezone(day.calendar.zone())),
                "frozen": freeze[1].sentence(freeze[0]) if freeze is not None else None,
            }
        )
    return found


def _past(kept: Kept) -> dict[str, Any]:
    return {
        "start": kept.record.start.isoformat(),
        "status": kept.record.status,
        "why": kept.record.why,
        "verdict": kept.verdict,
        "attempt": kept.record.attempt,
        "folder": kept.folder,
    }
