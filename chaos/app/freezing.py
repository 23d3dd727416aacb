"""Whether a run may begin now, as far as calendars go. Wiring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from chaos.app.files import Loaded
from chaos.calendar import Calendar, refuse_frozen


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


def frozen_now(
    loaded: Loaded, now: datetime, ignore_freeze: str | None, calendars: Sequence[tuple[str, Calendar]] = ()
) -> str | None:
    """What is frozen now and ignored, with the reason; None where nothing is. Raises Frozen where nobody gave a reason.

    The calendar of the run's system counts, and these besides it, by their names.
    """
    return ignored([(loaded.system.name, loaded.system.calendar), *calendars], now, ignore_freeze)


def ignored(calendars: Sequence[tuple[str, Calendar]], now: datetime, ignore_freeze: str | None) -> str | None:
    """The same for these calendars alone."""
    found = [(name, refuse_frozen(name, calendar, now, ignore_freeze)) for name, calendar in calendars]
    said = [freeze.sentence(name) for name, freeze in found if freeze is not None]
    return f"{'; '.join(said)}; ignored: {' '.join((ignore_freeze or '').split())}" if said else None
