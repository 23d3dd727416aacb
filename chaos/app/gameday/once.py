"""One game day from its file to its summary: played here and now, for a person or for a server. Wiring."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from chaos.app import running
from chaos.app.files import Loaded
from chaos.app.freezing import utc_now
from chaos.app.gameday.loading import LoadedDay
from chaos.app.gameday.playing import World, play
from chaos.app.gameday.telling import announce, announce_before
from chaos.app.gameday.view import DayView
from chaos.app.widths import fold
from chaos.drivers.folder import NoFolder, RunFolder
from chaos.drivers.gameday_store import GameDayStore
from chaos.drivers.user import as_user, who
from chaos.errors import ChaosError, Refused
from chaos.gameday import GameDay, Summary
from chaos.gameday.messages import refused
from chaos.report.gameday import page
from chaos.visible import visible

log = logging.getLogger("chaos.gameday")


@dataclass(frozen=True, slots=True)
class Claimed:
    """The start that a server has claimed for this process."""

    store: GameDayStore
    start: datetime
    attempt: int = 1

    def end(self, day: str, why: str, verdict: str) -> None:
        """The store knows how this attempt ended."""
        self.store.end(day, self.start, "ended", why, verdict, utc_now(), self.attempt)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the day is to be played."""

    runs: Path
    seed: str | None = None
    yes: bool = False
    """Nobody is asked, and production is meant."""
    ignore_freeze: str | None = None


def play_once(
    loaded: LoadedDay, wishes: Wishes, errors: Console, ask: Callable[[str], bool], claimed: Claimed | None = None
) -> tuple[Summary, Path]:
    """The day is over, its summary is in its folder. Raises Refused where it does not begin."""
    with _kept(loaded, claimed):
        _refuse_without_people(loaded.day, yes=wishes.yes)
        folder = _folder(wishes.runs, loaded.day.name)
        if claimed is not None:
            claimed.store.plays_in(loaded.day.name, claimed.start, str(folder.path.resolve()))
        view = DayView(errors, loaded)

        def keep(made: Summary) -> None:
            write(folder, made, loaded.day)
            if claimed is not None:
                claimed.end(loaded.day.name, made.sentence, made.verdict)

        world = World(
            run=lambda index, one: _run(one, view, index, wishes, errors),
            wait=view.wait,
            ask=lambda index: wishes.yes or ask(f"run {loaded.names()[index]} now?"),
            announce_before=lambda message: announce_before(loaded, message),
            announce=lambda message: announce(loaded, message),
            now=utc_now,
            keep=keep,
        )
        try:
            made = play(
                loaded, world, view, who=who(),
                stop=f"`{as_user('chaos stop')}` on that machine ends the run and with it the day",
                ignore_freeze=wishes.ignore_freeze, scheduled=claimed.start if claimed is not None else None,
            )  # fmt: skip
        except ChaosError:
            with contextlib.suppress(OSError):
                folder.path.rmdir()  # nothing was begun
            raise
    return made, folder.path


@contextmanager
def _kept(loaded: LoadedDay, claimed: Claimed | None) -> Iterator[None]:
    """A day of a server that is refused is told, and is over for the store."""
    try:
        yield
    except ChaosError as error:
        if claimed is not None:
            reason = " ".join(str(error).split())
            claimed.end(loaded.day.name, f"refused: {reason}", "invalid")
            announce(loaded, refused(loaded.day, reason))
        raise


def _run(one: Loaded, view: DayView, index: int, wishes: Wishes, errors: Console) -> running.Ended:
    prepared = running.prepare(one, wishes.seed)
    for warning in prepared.plan.warnings:
        errors.print(Text(fold(f"! {visible(warning)}", sys.stderr), style="yellow"), soft_wrap=True)
    options = running.RunOptions(
        wishes.runs,
        production=wishes.yes,
        ignore_freeze=wishes.ignore_freeze,
        signals=True,
        alone=True,
        calendars=[view.loaded.own_calendar()],
    )
    with view.watching(index) as watch:
        return running.run(prepared, options, watch)


def _refuse_without_people(day: GameDay, *, yes: bool) -> None:
    asks = [index + 1 for index, step in enumerate(day.steps) if step.confirm]
    if asks and not yes and not sys.stdin.isatty():
        steps = ", ".join(str(step) for step in asks)
        wants = f"step {steps} of {day.name} wants a person's yes (`confirm: true`), and there is no terminal"
        raise Refused([f"{wants}; write --yes where it was given elsewhere"])


def _folder(runs: Path, name: str) -> RunFolder:
    path = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-gameday-{name}-{secrets.token_hex(4)}"
    try:
        path.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise NoFolder(f"the folder {path} cannot be made: {error.strerror}; use --runs") from error
    return RunFolder(path)


def write(folder: RunFolder, made: Summary, day: GameDay) -> None:
    """`summary.json` and `summary.html` are in the folder, as far as they can be written."""
    reports = {
        one.step: f"{os.path.relpath(one.folder, folder.path)}/report.html"
        for one in made.outcomes
        if one.folder is not None
    }
    try:
        folder.write("summary.json", made.to_json() + "\n")
        folder.write("summary.html", page(made, reports, day.calendar.timezone))
    except OSError as error:
        log.error("the summary could not be written: %s", error)
