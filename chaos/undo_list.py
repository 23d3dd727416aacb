"""What has to be undone when a run is dead: data only, on disk, readable by whoever comes after. Pure.

    undo.json    written once, before anything is hurt: every effect of containers, and with what it is undone
    undo.log     a line for every step: `issued`, `applied` or `failed`, `left`, `undone`; `issued` is on the disk before the act

An effect is to be undone when it was issued and not undone since. One whose call never ended may still land, so it is looked at
again until it cannot any more. `left` is said of what another tool did: nobody here can undo any more of it, and it is not seen off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # a stop reads this module first of all, and the survey takes pydantic
    from chaos.survey import ContainerFound

Step = Literal["issued", "applied", "failed", "left", "undone"]
EXTERNAL_BY_HAND = "end it with the tool that began it"
"""How a person undoes what another tool did."""


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
    """Everything of one run. `deadline_s` is the longest that it may last, in seconds from its beginning.

    `externals` are the effects of other tools, which nothing here can undo beyond ending the tool's command.
    """

    run: str
    experiment: str
    folder: str
    lease_s: float
    deadline_s: float
    entries: tuple[UndoEntry, ...] = field(default=())
    externals: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """One JSON text that `from_json` reads back to an equal list."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> UndoList:
        """The list of `to_json`. Raises ValueError when it is none."""
        from chaos.survey import ContainerFound

        try:
            row = json.loads(text)
            externals = tuple(row.pop("externals", ()))
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
            return UndoList(**row, entries=entries, externals=externals)
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
            case "left" | "undone":
                issued.pop(effect, None)
    return issued


def left_on(steps: Iterable[tuple[str, str]]) -> list[str]:
    """The effects of other tools that nobody has seen off, although there is nothing more to be undone here."""
    found: dict[str, None] = {}
    for step, effect in steps:
        if step == "left":
            found[effect] = None
        elif step in ("issued", "undone"):
            found.pop(effect, None)
    return list(found)


def open_effects(entries: Iterable[UndoEntry], steps: Iterable[tuple[str, str]]) -> list[Open]:
    """What is still to be undone after these steps, the last issued first."""
    named = {entry.effect: entry for entry in entries}
    on = still_on(steps)
    return [Open(named[effect], may_land) for effect, may_land in reversed(on.items()) if effect in named]
