"""Runs a server of game days until somebody ends it: APScheduler wakes it, SIGTERM and Ctrl-C end it. Wiring."""

from __future__ import annotations

import logging
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from chaos.app.gameday.server import Server
from chaos.gameday import Schedule, starts

LOOK_EVERY_S = 5.0
"""Between two starts: for days that have ended, freezes that are over, clocks that were set, and the claims of dead processes."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartsOf(BaseTrigger):  # type: ignore[misc]
    """Fires at every start of a game day, as `chaos.gameday.starts` has them."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next start after both."""
        after = max(previous_fire_time, now - timedelta(seconds=1)) if previous_fire_time is not None else now
        return next(starts(self._schedule, after), None)


def serve(server: Server) -> None:
    """Game days are played at their starts until a signal comes; then everything is undone. Raises NotUndone when not in time."""
    logging.getLogger("apscheduler").setLevel(
        logging.ERROR
    )  # that a look takes longer than until the next one is nothing to say
    over = threading.Event()
    before = {number: signal.signal(number, lambda _number, _frame: over.set()) for number in SIGNALS}
    scheduler = BackgroundScheduler(timezone=UTC)
    options: dict[str, Any] = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    for loaded in server.days:
        scheduler.add_job(server.look, StartsOf(loaded.day.calendar), id=loaded.day.name, **options)
    scheduler.add_job(
        server.look, "interval", seconds=LOOK_EVERY_S, id=" look", next_run_time=datetime.now(UTC), **options
    )
    scheduler.start()
    try:
        while not over.wait(0.5):  # a wait without an end would hear no signal on some systems
            pass
        server.say("ending: nothing new begins")
        server.stop()
    finally:
        scheduler.shutdown(wait=False)
        for number, handler in before.items():
            signal.signal(number, handler)
