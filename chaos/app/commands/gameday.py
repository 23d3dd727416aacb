"""Game days: played, served and listed. Imports stay inside the commands."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from chaos.app.commands.options import (
    STATE,
    FreezeOption,
    JsonOption,
    SeedOption,
    SystemOption,
    VarOption,
    console,
    variables_of,
)
from chaos.app.door import say, say_folded
from chaos.errors import Refused
from chaos.visible import visible

if TYPE_CHECKING:
    from chaos.app.gameday.loading import LoadedDay

Days = Annotated[list[Path], typer.Argument(metavar="FILE…", help="game day files")]
RunsOption = Annotated[Path, typer.Option("--runs", help="where run folders and summaries go")]
StoreOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--store", help="the SQLite file that servers share; one of this user's when left out"),
]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a game day file")],
    system: SystemOption = None,
    var: VarOption = None,
    seed: SeedOption = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="ask nobody, and run against production")] = False,
    ignore_freeze: FreezeOption = None,
    store: Annotated[Optional[Path], typer.Option("--store", hidden=True)] = None,  # noqa: UP045
    start: Annotated[Optional[str], typer.Option("--start", hidden=True)] = None,  # noqa: UP045
) -> None:
    """Plays a game day now. Announces it, runs its experiments, sums up. The exit code is the worst of its runs'."""
    from chaos.app.gameday.loading import load_day
    from chaos.app.gameday.once import Claimed, Wishes, play_once
    from chaos.drivers.gameday_store import GameDayStore

    loaded = load_day(file, system=system, variables=variables_of(var), state=STATE)
    claimed = None
    if store and start:
        shared, moment = GameDayStore(store), datetime.fromisoformat(start)
        claimed = Claimed(shared, moment, shared.attempt(loaded.day.name, moment))
    wishes = Wishes(runs, seed, yes, ignore_freeze)
    made, folder = play_once(loaded, wishes, console(stderr=True), _asked, claimed)
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the summary stands in the folder
        if as_json:
            print(made.to_json())
        else:
            from chaos.report.gameday import gameday_view

            console().print(gameday_view(made, str(folder)))
    raise typer.Exit(made.exit_code)


def _asked(question: str) -> bool:
    """A person's answer; nothing typed is a no. Raises KeyboardInterrupt on Ctrl-C."""
    try:
        return typer.confirm(visible(question), default=False, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def serve(
    files: Days,
    var: VarOption = None,
    runs: RunsOption = Path("runs"),
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="ask nobody, and run against production")] = False,
) -> None:
    """Plays game days at the starts of their calendars.

    SIGTERM or Ctrl-C ends it, and undoes everything first.
    """
    from chaos.app.freezing import utc_now
    from chaos.app.gameday.loading import load_days
    from chaos.app.gameday.server import Server, beginning, recovered
    from chaos.app.gameday.serving import serve as until_ended
    from chaos.app.gameday.telling import announce
    from chaos.drivers.gameday_store import GameDayStore
    from chaos.drivers.state import State

    variables = variables_of(var)
    days = load_days(files, variables=variables, state=STATE)
    _refuse_unservable(days, yes=yes)
    shared = GameDayStore(_store(store))
    say(f"the store is {shared.path}")
    server = Server(
        days, shared, beginning(runs, shared, variables, yes=yes), announce, _log, utc_now,
        lambda: recovered(State.of_user(), runs),
    )  # fmt: skip
    until_ended(server)


def _log(text: str) -> None:
    from chaos.app.freezing import utc_now

    say(f"{utc_now():%Y-%m-%d %H:%M:%SZ} {text}")


def _refuse_unservable(days: list[LoadedDay], *, yes: bool) -> None:
    """Raises Refused for what could never be played without a person."""
    reasons: list[str] = []
    for one in days:
        asks = any(step.confirm for step in one.day.steps)
        production = any(each.system.environment == "production" for each in one.loaded)
        if one.day.calendar.cron is None:
            reasons.append(f"{one.path}: a server needs starts; write `calendar: {{cron: …}}`")
        if asks and not yes:
            reasons.append(
                f"{one.path}: `confirm: true` needs a person, and a server has none; leave it out, or write --yes"
            )
        if production and not yes:
            reasons.append(f"{one.path}: a system of it is production; write --yes when that is what you want")
    if reasons:
        raise Refused(reasons)


def _store(said: Path | None) -> Path:
    from chaos.drivers.gameday_store import NoStore
    from chaos.drivers.state import State

    path = said if said is not None else State.of_user().path / "gamedays.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        wrong = f"the folder of the store {path} cannot be made ({error.strerror})"
        raise NoStore(f"{wrong}; name another one with --store") from error
    return path


def list_(
    files: Days,
    var: VarOption = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="how many starts of each")] = 5,
    store: StoreOption = None,
    history: Annotated[bool, typer.Option("--history", help="also what became of earlier starts")] = False,
    as_json: JsonOption = False,
) -> None:
    """Lists the next starts, each with the freeze that it falls into."""
    from chaos.app.freezing import utc_now
    from chaos.app.gameday.listing import told_of
    from chaos.drivers.gameday_store import GameDayStore

    shared = GameDayStore(_store(store)) if history else None
    kept = shared.history() if shared is not None else []
    told = told_of(files, variables_of(var), utc_now(), count, kept)
    for name, day in told.items():
        if day["left_out"] is not None:
            say_folded(
                f"! {name}: its systems' calendars are left out, so no freeze of theirs shows: {day['left_out']}"
            )
    if as_json:
        print(json.dumps(told, indent=2))
        return
    from chaos.report.gameday import list_view

    console().print(list_view(told, str(shared.path) if shared is not None else None))


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(run)
    app.command()(serve)
    app.command("list")(list_)
