"""When a game day starts: its cron expression on the clock of its time zone, by cronsim, which does as Debian's cron does.

Where the clock is set, a start at a fixed hour comes once: one that falls into the hour that is left out comes when that hour is over
(02:30 → 03:00), one in the hour that comes twice comes the first time. Starts of every hour (`*` or `*/2`) follow real time: none in the
hour that is left out, two in the hour that comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim

from chaos.gameday.file import Schedule


def starts(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every start after this (aware) moment, in order, in UTC; none without a cron expression. Endless, or for fifty years."""
    if schedule.cron is None:
        return
    latest = after
    for found in CronSim(schedule.cron, after.astimezone(schedule.zone())):
        start = found.astimezone(UTC)
        # In the hour that comes twice cronsim goes on from the clock on the wall, which shows what has been there already.
        if start > latest:
            latest = start
            yield start


def week_of(schedule: Schedule, moment: datetime) -> tuple[int, int]:
    """The ISO year and week of this moment in the schedule's zone: a week over New Year's Eve is one week."""
    year, week, _ = moment.astimezone(schedule.zone()).isocalendar()
    return year, week
