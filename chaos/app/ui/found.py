"""What the folder of experiments holds: experiments to plan and to start, game days to show. Wiring."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.app import files as reading
from chaos.app.fault_facts import facts_of
from chaos.app.ui.confirmed import fingerprint
from chaos.app.ui.views import Listed, Planned, Played
from chaos.errors import InvalidFile
from chaos.faults import catalogue
from chaos.faults.base import Fault

LARGEST_SUMMARY = 4 * 1024 * 1024
MOST_FILES = 1000
SHIPPED = re.compile(r"^tags: \[catalogue\b.*?^  - fault: (\w+)", re.MULTILINE | re.DOTALL)
"""An experiment of the catalogue that ships, with its fault: its tag says so, also where it is wrong (a variable may have no value)."""


@dataclass(frozen=True)
class Experiments:
    """The files below one folder."""

    folder: Path
    state: Path
    variables: Mapping[str, str]
    system: str | None = None
    """Overrides what the files say."""

    def files(self) -> dict[str, Path]:
        """Name below the folder → file. Only what stands here can be asked for; links that lead out of the folder do not."""
        root = self.folder.resolve()
        found = [
            path
            for path in sorted(self.folder.rglob("*.y*ml"))
            if path.is_file() and path.resolve().is_relative_to(root)
        ]
        return {str(path.relative_to(self.folder)): path for path in found[:MOST_FILES]}

    def listed(self) -> list[Listed]:
        """Every experiment, and every file that is none and not of another kind."""
        return [
            one
            for name, path in self.files().items()
            if not _is_day(path) and (one := self._listed(name, path)) is not None
        ]

    def _listed(self, name: str, path: Path) -> Listed | None:
        shipped = _shipped(path)
        family = shipped.family if shipped is not None else ""
        try:
            found = reading.check_alone(path, self.variables)
        except InvalidFile as error:
            wrong = Listed(name, name, "", "", str(error.problems[0]), family)
            return wrong if _is_experiment(path) else None
        description = " ".join(found.description.split()) or (facts_of(shipped).what if shipped is not None else "")
        return Listed(name, found.name, found.system, description, family=family)

    def planned(self, name: str, seed: str | None = None) -> Planned:
        """What would happen now. Asks the system, and touches nothing. Raises ChaosError, and KeyError for no such file."""
        from chaos.app.running import prepare

        path = self.files()[name]
        loaded = reading.load(path, system=self.system, variables=self.variables, state=self.state)
        prepared = prepare(loaded, seed)
        freeze = loaded.system.calendar.frozen_at(datetime.now(UTC))
        return Planned(
            path,
            prepared.plan,
            fingerprint(prepared.plan, loaded.text, reading.read_text(loaded.system_path)),
            loaded.experiment.sweep is not None,
            freeze.sentence(loaded.system.name) if freeze is not None else None,
        )

    def days(self) -> tuple[dict[str, Mapping[str, Any]], list[tuple[str, str]]]:
        """Game days with their next starts, and files of game days that are wrong."""
        from chaos.app.gameday.listing import told_of

        days: dict[str, Mapping[str, Any]] = {}
        wrong: list[tuple[str, str]] = []
        for name, path in self.files().items():
            if _is_day(path):
                try:
                    days |= told_of([path], dict(self.variables), datetime.now(UTC), 5, _served(), self.system)
                except InvalidFile as error:
                    wrong.append((name, str(error.problems[0])))
        return days, wrong


def _served() -> list[Any]:
    """What became of starts, where a server of game days has kept a store."""
    from chaos.drivers.gameday_store import GameDayStore
    from chaos.drivers.state import State

    path = State.of_user().path / "gamedays.sqlite"
    return list(GameDayStore(path).history()) if path.is_file() else []


def _keys(path: Path) -> set[str]:
    """The keys at the left edge of a file: what kind of file it is shows there, also when it is wrong."""
    try:
        text = reading.read_text(path)
    except InvalidFile:
        return set()
    return {line.split(":")[0] for line in text.splitlines() if ":" in line and line[:1].isalpha()}


def _is_day(path: Path) -> bool:
    return {"name", "steps"} <= _keys(path)


def _is_experiment(path: Path) -> bool:
    return bool({"faults", "steady_state"} & _keys(path))


def _shipped(path: Path) -> type[Fault] | None:
    """The fault whose experiment in the shipped catalogue this is; None where it is none."""
    try:
        shipped = SHIPPED.search(reading.read_text(path))
    except InvalidFile:
        return None
    return catalogue().get(shipped[1]) if shipped is not None else None


def played(runs: Path) -> list[Played]:
    """The game days that were played into this folder, the newest first."""
    found = []
    for path in runs.glob("*/summary.json") if runs.is_dir() else ():
        try:
            if path.is_symlink() or path.parent.is_symlink() or path.stat().st_size > LARGEST_SUMMARY:
                continue
            said = json.loads(path.read_text("utf-8"))
            found.append(
                Played(path.parent.name, str(said["name"]), float(said["began_wall_s"]), str(said["sentence"]))
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
    return sorted(found, key=lambda one: -one.began)
