"""The pages, and the streams that keep them up to date: nothing here does anything to a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from chaos.app.past import Unreadable
from chaos.app.ui import found, streams, views
from chaos.app.ui.handlers import HEADERS, Handler, Ui, message, page_of, redirect
from chaos.app.ui.tails import JournalTail
from chaos.errors import ChaosError, InvalidFile
from chaos.history import RunSummary

MOST_FOLLOWED = 50
"""Live runs of one list; the others are shown when it is loaded anew."""
FOREIGN = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""For what stands in a run's folder, which may come from somebody else: it is of no origin, so it can read and do nothing here."""


async def _runs(ui: Ui, request: Request) -> Response:
    first = request.query_params.get("from", "0")
    place = int(first) if first.isascii() and first.isdecimal() and len(first) < 8 else 0
    living, over, starting = await ui.read(lambda: (ui.kept.going_on(), ui.kept.over(), ui.starts.waiting()))
    return page_of(views.runs_page(ui.frame(), str(ui.kept.runs), living, over, starting, place))


async def _run(ui: Ui, request: Request) -> Response:
    name = request.path_params["name"]
    folder = ui.kept.folder(name)
    if folder is None:
        return _no_run(ui)
    going_on = await ui.read(ui.kept.going_on)
    live = next((run for run, where in going_on.items() if where == name), None)
    if live is None:
        read = await ui.read(lambda: ui.kept.read(name))
        report = await ui.read(lambda: ui.kept.report(name))
        soon = report is None and ui.kept.being_written(name, time.time())
        return page_of(
            views.run_page(
                ui.frame(), str(ui.kept.runs), name, live=None, read=read, report=report is not None, soon=soon
            )
        )
    now = await ui.read(lambda: _first_look(JournalTail(folder / "journal.jsonl")))
    return page_of(views.run_page(ui.frame(), str(ui.kept.runs), name, live=live, read=None, report=False, now=now))


def _first_look(journal: JournalTail) -> str:
    """A live run as it is now, for those whose browser runs no script."""
    try:
        while journal.read():
            pass
    except (OSError, ChaosError, LookupError, TypeError, ValueError) as error:
        return views.now_part(None, 0.0, short=False, over=False, broken=str(error) or type(error).__name__)
    return views.now_part(journal.followed, streams.at_s(journal), short=False, over=False)


def _no_run(ui: Ui) -> Response:
    return message(ui, "No such run", f"no such run is in {ui.kept.runs}", status=404, onward="/")


async def _events(ui: Ui, request: Request) -> Response:
    folder = ui.kept.folder(request.path_params["name"])
    if folder is None:
        return _no_run(ui)
    said = request.headers.get("last-event-id", "")
    last = int(said) if said.isascii() and said.isdecimal() and len(said) < 18 else 0
    return _streamed(streams.of_one(ui.tails.follow(folder / "journal.jsonl"), last))


async def _all_events(ui: Ui, request: Request) -> Response:
    """Several runs in one stream: those that the list of runs names."""
    folders = {name: ui.kept.folder(name) for name in request.query_params.getlist("run")[:MOST_FOLLOWED]}
    tails = {name: ui.tails.follow(path / "journal.jsonl") for name, path in folders.items() if path is not None}
    return _streamed(streams.of_several(tails)) if tails else _no_run(ui)


def _streamed(stream: AsyncIterator[str]) -> Response:
    return StreamingResponse(stream, headers=HEADERS, media_type="text/event-stream")


async def _report(ui: Ui, request: Request) -> Response:
    name = request.path_params["name"]
    text = await ui.read(lambda: ui.kept.report(name))
    return _no_run(ui) if text is None else _foreign(text)


async def _summary(ui: Ui, request: Request) -> Response:
    name = request.path_params["name"]
    text = await ui.read(lambda: ui.kept.report(name, "summary.html"))
    return _no_run(ui) if text is None else _foreign(text)


def _foreign(text: str) -> Response:
    return HTMLResponse(text, headers={**HEADERS, "content-security-policy": FOREIGN})


async def _experiments(ui: Ui, _request: Request) -> Response:
    return page_of(views.experiments_page(ui.frame(), str(ui.experiments.folder), await ui.read(ui.experiments.listed)))


async def _plan(ui: Ui, request: Request) -> Response:
    file = request.query_params.get("file", "")
    try:
        planned = await asyncio.get_running_loop().run_in_executor(ui.planning, ui.experiments.planned, file)
    except KeyError:
        return message(
            ui, "No such file", f"no such experiment is in {ui.experiments.folder}", status=404, onward="/experiments"
        )
    except InvalidFile as error:
        return page_of(views.plan_page(ui.frame(), file, None, [str(one) for one in error.problems]))
    except ChaosError as error:
        return page_of(views.plan_page(ui.frame(), file, None, [str(error)]))
    return page_of(views.plan_page(ui.frame(), file, planned, []))


async def _coverage(ui: Ui, _request: Request) -> Response:
    def made() -> str:
        from chaos.app.coverage_command import cover
        from chaos.report.coverage import page

        covered = cover(ui.kept.runs, None, {})
        return page(covered.found, str(ui.kept.runs), frame.around("/coverage"))

    frame = ui.frame()
    return page_of(await ui.drawn.page("coverage", lambda: (frame, _minute(), ui.kept.seen()), made))


def _minute() -> int:
    """Pages say how long ago things were, and a run that died is taken for one that goes on for a minute."""
    return int(time.time() // 60)


async def _history(ui: Ui, _request: Request) -> Response:
    def made() -> str:
        from chaos.history import histories
        from chaos.report.history import page

        over = ui.kept.over()
        runs = sorted((one for one in over if isinstance(one, RunSummary)), key=lambda one: one.started_wall_s)
        unreadable = [(one.folder, one.reason) for one in over if isinstance(one, Unreadable)]
        return page(histories(runs), unreadable, time.time(), "/runs/", frame.around("/history"))

    frame = ui.frame()
    return page_of(await ui.drawn.page("history", lambda: (frame, _minute(), ui.kept.seen()), made))


async def _calendar(ui: Ui, _request: Request) -> Response:
    (days, wrong), played = await ui.read(lambda: (ui.experiments.days(), found.played(ui.kept.runs)))
    return page_of(views.calendar_page(ui.frame(), str(ui.experiments.folder), days, wrong, played))


async def _start_seen(ui: Ui, request: Request) -> Response:
    """Where a run that was started here is: its page, as soon as it has one."""
    start = ui.starts.of(request.path_params["number"])
    if start is None:
        return message(ui, "No such start", "this server has not started that", status=404, onward="/")
    folder = await ui.read(start.folder)
    if folder is not None:
        return redirect(f"/runs/{quote(folder)}")
    if start.code() is None:
        return message(
            ui, "The run is beginning", f"{start.wish.file} asks the system and plans", output=start.said(), refresh=1
        )
    said = f"`chaos run` ended with exit code {start.code()} before anything was hurt"
    return message(ui, "The run did not begin", said, output=start.said(), onward="/experiments")


PAGES: dict[str, Handler] = {
    "/": _runs, "/events": _all_events, "/runs/{name}": _run, "/runs/{name}/events": _events, "/runs/{name}/report.html": _report,
    "/runs/{name}/summary.html": _summary, "/experiments": _experiments, "/plan": _plan, "/coverage": _coverage,
    "/history": _history, "/calendar": _calendar, "/starts/{number:int}": _start_seen,
}  # fmt: skip
