"""`chaos history`: the runs of a folder, sorted, filtered, shown. Wiring."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import typer

from chaos.app.past import NoRun, Past, past
from chaos.drivers.whole_file import write_asked
from chaos.history import RunSummary, histories, to_json
from chaos.units import parse_duration

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; `since` is a text such as 30d."""

    runs: Path
    experiment: str | None = None
    alert: str | None = None
    since: str | None = None
    page: Path | None = None


def command(wish: Wish, console: Console, say: Say, *, as_json: bool, now_wall_s: float | None = None) -> None:
    """Everything that was asked for is shown, and the page stands in its file. Raises NoRun when no run is left."""
    from chaos.report.history import history_view, page

    now_wall_s = time.time() if now_wall_s is None else now_wall_s
    read = past(wish.runs)
    kept = _kept(wish, read, now_wall_s)
    found = histories(kept, wish.alert)
    unreadable = [(one.folder, one.reason) for one in read.unreadable]
    for folder, reason in unreadable:
        say(f"{wish.runs / folder} is left out: {reason}")
    if not found:
        raise NoRun(_nothing(wish, read))
    if as_json:
        print(to_json(found, unreadable))
    else:
        console.print(history_view(found, now_wall_s))
    if wish.page is not None:
        write_asked(wish.page, page(found, unreadable, now_wall_s, way(wish.page, wish.runs)))
        say(f"the page is in {wish.page}")


def way(page: Path, runs: Path) -> str:
    """The way from a page to the folder of runs, as the beginning of relative addresses."""
    steps = os.path.relpath(runs.resolve(), page.resolve().parent)
    return "" if steps == "." else f"{quote(steps)}/"


def _kept(wish: Wish, read: Past, now_wall_s: float) -> list[RunSummary]:
    try:
        oldest = None if wish.since is None else now_wall_s - parse_duration(wish.since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
    return [
        run
        for run in read.runs
        if (wish.experiment is None or run.experiment == wish.experiment)
        and (oldest is None or run.started_wall_s >= oldest)
    ]


def _nothing(wish: Wish, read: Past) -> str:
    """Why there is nothing to show, and what there is."""
    import difflib

    if not read.runs:
        return f"there is no run in {wish.runs}; run an experiment, or say where they are with --runs"
    experiments = sorted({run.experiment for run in read.runs})
    if wish.experiment is not None and wish.experiment not in experiments:
        near = difflib.get_close_matches(wish.experiment, experiments, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(experiments)}"
        return f"no run in {wish.runs} is of {wish.experiment}; {meant}"
    alerts = sorted({one.alert for run in read.runs for one in run.alerts})
    if wish.alert is not None and wish.alert not in alerts:
        near = difflib.get_close_matches(wish.alert, alerts, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(alerts) or 'none'}"
        return f"no run in {wish.runs} expected {wish.alert}; {meant}"
    return f"no run in {wish.runs} is as asked for; the last one is of {read.runs[-1].experiment}; leave a filter out"
