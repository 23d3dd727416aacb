"""What has to be undone when a run is dead: data only, on disk, readable by whoever comes after. Pure.

    undo.json    written once, before anything is hurt: every effect of containers, and with what it is undone
    undo.log     a line for every step: `issued`, `applied` or `failed`, `undone`; `issued` is on the disk before the act

An effect is to be undone when it was issued and not undone since. One whose call never ended may still land, so it is looked at
again until it cannot any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chaos.survey import ContainerFound

Step = Literal["issued", "applied", "failed", "undone"]


@dataclass(frozen=True, slots=True)
class UndoEntry:
    """One effect on one container. `settings` is what the system file tells the driver, `beside` the folder of that file.

    `fault_json` is the fault as it was armed, `by_hand` the command with which a person undoes it.
    """

    effect: str
    driver: str
    settings: Mapping[str, Any]
    opt_in: tuple[str, str]
    beside: str
    fault_json: str
    container: ContainerFound
    by_hand: str


@dataclass(frozen=True, slots=True)
class UndoList:
    """Everything of one run. `deadline_s` is the longest that it may last, in seconds from its beginning."""

    run: str
    experiment: str
    folder: str
    lease_s: float
    deadline_s: float
    entries: tuple[UndoEntry, ...] = field(default=())

    def to_json(self) -> str:
        """One JSON text that `from_json` reads back to an equal list."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> UndoList:
        """The list of `to_json`. Raises ValueError when it is none."""
        try:
            row = json.loads(text)
            entries = tuple(
                UndoEntry(
                    **{
                        **one,
                        "opt_in": tuple(one["opt_in"]),
                        "container": ContainerFound(**one["container"]),
                    }
                )
                for one in row.pop("entries")
            )
            return UndoList(**row, entries=entries)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no list of effects: {error}") from error


@dataclass(frozen=True, slots=True)
class Open:
    """An effect that is to be undone. `may_land`: its call had not ended, so it may take hold even after an undo."""

    entry: UndoEntry
    may_land: bool


def step_line(step: Step, effect: str) -> str:
    """One line of the log. It begins with a line's end, too: what another writer left half written spoils no other line."""
    return "\n" + json.dumps([step, effect]) + "\n"


def steps_of(text: str) -> list[tuple[str, str]]:
    """The log's steps in order. A line that a crash or a full disk cut is left out: nothing was done on it."""
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        try:
            step, effect = json.loads(line)
        except (ValueError, TypeError):
            continue
        found.append((str(step), str(effect)))
    return found


def still_on(steps: Iterable[tuple[str, str]]) -> dict[str, bool]:
    """Every effect that is on, or may be, in the order of their last issue → whether its call goes on, so that it may still land."""
    issued: dict[str, bool] = {}
    for step, effect in steps:
        match step:
            case "issued":
                issued.pop(effect, None)
                issued[effect] = True
            case "applied" | "failed" if effect in issued:
                issued[effect] = False
            case "undone":
                issued.pop(effect, None)
    return issued


def open_effects(entries: Iterable[UndoEntry], steps: Iterable[tuple[str, str]]) -> list[Open]:
    """What is still to be undone after these steps, the last issued first."""
    named = {entry.effect: entry for entry in entries}
    on = still_on(steps)
    return [Open(named[effect], may_land) for effect, may_land in reversed(on.items()) if effect in named]
