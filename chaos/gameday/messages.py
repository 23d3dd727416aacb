"""What people are told of a game day: one sentence or a few lines, and the same for machines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chaos.calendar import moment_text
from chaos.gameday.due import Pass
from chaos.gameday.file import GameDay, When
from chaos.gameday.summary import Summary
from chaos.units import format_duration

More = Mapping[str, "str | float | list[str] | None"]
MOST_STARTS = 5
"""So many passed-over starts are named one by one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that people are told. `subject` is one line; `text` is whole sentences, in lines."""

    when: When
    subject: str
    text: str
    more: More = field(default_factory=dict)
    trouble: bool = False
    """Whether those who want to hear of trouble alone are told, too."""

    def is_for(self, wanted: Sequence[When]) -> bool:
        """Whether somebody who wants to hear of these hears of it."""
        return self.when in wanted or (self.trouble and "trouble" in wanted)


def before(
    day: GameDay,
    who: str,
    names: Sequence[str],
    systems: Sequence[str],
    longest_s: float,
    stop: str,
    frozen: str | None = None,
) -> Message:
    """What is about to happen."""
    listed = ", then ".join(names)
    text = (
        f"{who} begins the game day {day.name} on {', '.join(systems)}: {listed}; for at most {format_duration(round(longest_s))}. "
        f"Why: {day.purpose.rstrip('.')}. To end it: {stop}" + (f". {frozen}" if frozen is not None else "")
    )
    more: dict[str, str | float | list[str] | None] = {
        "gameday": day.name, "purpose": day.purpose, "owner": day.owner, "who": who, "experiments": list(names),
        "systems": list(systems), "at_most_s": longest_s, "stop": stop, "frozen": frozen,
    }  # fmt: skip
    return Message("before", f"game day {day.name} begins", text, more)


def after(made: Summary) -> Message:
    """How it ended."""
    lines = [f"The game day {made.name} is over ({made.verdict}): {made.sentence}."]
    lines += [f"- {one.experiment}: {one.verdict or one.status}: {one.sentence}" for one in made.outcomes]
    more: dict[str, str | float | list[str] | None] = {
        "gameday": made.name, "verdict": made.verdict, "exit_code": float(made.exit_code), "sentence": made.sentence,
    }  # fmt: skip
    trouble = made.exit_code >= 3 or any(one.status in ("refused", "frozen") for one in made.outcomes)
    return Message("after", f"game day {made.name}: {made.verdict}", "\n".join(lines), more, trouble)


def passed_over(day: GameDay, passed: Sequence[Pass]) -> Message:
    """Starts that will not be played, and why: one message for all that were found out at once."""
    zone = day.calendar.zone()
    lines = [f"{_start(one.start, zone)}: {one.sentence}." for one in passed[-MOST_STARTS:]]
    if len(passed) > MOST_STARTS:
        lines.insert(0, f"{len(passed)} starts of the game day {day.name} were passed over; the last of them:")
    else:
        lines.insert(0, f"The game day {day.name} was passed over.")
    reasons: list[str] = sorted({one.why for one in passed})
    more: dict[str, str | float | list[str] | None] = {
        "gameday": day.name, "why": reasons, "starts": [one.start.isoformat() for one in passed],
    }  # fmt: skip
    return Message("trouble", f"game day {day.name}: {', '.join(reasons)}", "\n".join(lines), more)


def interrupted(day: GameDay, start: datetime, left: str) -> Message:
    """A game day whose process has died; `left` says what became of what it left."""
    when = _start(start, day.calendar.zone())
    text = f"The game day {day.name} of {when} was interrupted: its process is gone. {left}"
    return Message("trouble", f"game day {day.name}: interrupted", text, {"gameday": day.name, "why": ["interrupted"]})


def refused(day: GameDay, reason: str) -> Message:
    """A game day that could not begin."""
    text = f"The game day {day.name} was not begun: {reason}"
    return Message("trouble", f"game day {day.name}: refused", text, {"gameday": day.name, "why": ["refused"]})


def _start(start: datetime, zone: object) -> str:
    return moment_text(start.astimezone(zone))  # type: ignore[arg-type]
