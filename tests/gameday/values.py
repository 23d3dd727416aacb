"""Game days for tests: small, without a mistake, and made anew."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from chaos.gameday import GameDay, Outcome, parse_gameday
from chaos.verdict import MEANING, VerdictName

DAY = """\
name: drill
purpose: The on-call finds a bad model without help.
calendar:
  cron: "0 10 * * Tue"
  timezone: Europe/Berlin
steps:
  - experiment: first.yaml
  - experiment: second.yaml
    only_if: passed
  - experiment: third.yaml
    only_if: failed
"""


def day(*edits: tuple[str, str]) -> GameDay:
    """The game day DAY with these texts in place of others."""
    text = DAY
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return parse_gameday(text, "gameday.yaml", {})[0]


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> datetime:
    """The moment at which the clock of this zone shows this."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def outcome(step: int, verdict: VerdictName | None) -> Outcome:
    """A step that ended so; None: it was skipped."""
    names = ("first", "second", "third")
    if verdict is None:
        return Outcome(step, names[step], "skipped", None, "why")
    return Outcome(step, names[step], "ran", verdict, MEANING[verdict], "runs/r", 1.0, 2.0)
