"""Requests → values, answers. Every one is asked for its cookie first; every act for its origin and its form's token, too."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from chaos.app import stopping
from chaos.app.past import Unreadable
from chaos.app.ui import found, streams, views
from chaos.app.ui.access import LONGEST_FORM, MOST_FIELDS, Access, Asked, Refusal
from chaos.app.ui.drawn import Drawn
from chaos.app.ui.kept import Kept
from chaos.app.ui.starts import Starts, Wish
from chaos.app.ui.tails import BEAT_S, JournalTail, Tails
from chaos.errors import ChaosError, InvalidFile, NotUndone
from chaos.history import RunSummary

T = TypeVar("T")
MOST_FOLLOWED = 50
"""Live runs of one list; the others are shown when it is loaded anew."""
log = logging.getLogger("chaos.ui")
FOREIGN = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""For what stands in a run's folder, which may come from somebody else: it is of no origin, so it can read and do nothing here."""
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass
class Ui:
    """Everything that the handlers share."""

    access: Access
    kept: Kept
    experiments: found.Experiments
    starts: Starts
    entered: Callable[[], None] = lambda: None
    """Told when a browser was let in: the next one needs another address."""
    reading: Executor = field(default_factory=lambda: ThreadPoolExecutor(4, "ui reads"))
    planning: Executor = field(default_factory=lambda: ThreadPoolExecutor(2, "ui plans"))
    drawn: Drawn = field(default_factory=Drawn)
    beat_s: float = BEAT_S
    tails: Tails = field(init=False)

    def __post_init__(self) -> None:
        self.tails = Tails(lambda run: self.kept.state.run(run).alive(), self.reading, self.beat_s)

    async def read(self, work: Callable[[], T]) -> T:
        """What this reads, read beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.reading, work)

    def frame(self) -> views.Frame:
        """What every page has."""
        return views.Frame(self.access.form_token(), self.kept.state.blocked())


class _Refused(Exception):
    """This request gets no page."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


def _page(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status, {**HEADERS, "content-security-policy": "frame-ancestors 'none'"})


def _onward(address: str) -> RedirectResponse:
    return RedirectResponse(address, 303, HEADERS)


def _said(ui: Ui, title: str, *sentences: str, status: int = 200, **more: Any) -> HTMLResponse:
    return _page(views.said_page(ui.frame(), title, sentences, **more), status)


# --- what everything passes -------------------------------------------------------------------------------------------

Handler = Callable[[Ui, Request], Awaitable[Response]]
Act = Callable[[Ui, dict[str, str]], Awaitable[Response]]


def asked_of(request: Request, cookie: str) -> Asked:
    """What the request says of itself."""
    heads = request.headers
    return Asked(
        request.method, heads.get("host"), heads.get("origin"), heads.get("sec-fetch-site"), request.cookies.get(cookie)
    )


def _guarded(ui: Ui, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        refusal = ui.access.refusal(asked_of(request, ui.access.cookie))
        try:
            if refusal is not None:
                raise _Refused(refusal)
            return await handler(ui, request)
        except _Refused as error:
            return _page(views.said_page(None, "Not here", [str(error)]), error.refusal.status)
        except ChaosError as error:
            return _said(ui, "That could not be done", *str(error).splitlines(), status=500)
        except Exception:
            log.exception("an error of our own; please report it with the lines below")
            return _page(
                views.said_page(None, "An error of our own", ["please report it with what `chaos ui` has printed"]), 500
            )

    return answer


def _acting(act: Act) -> Handler:
    async def handler(ui: Ui, request: Request) -> Response:
        form = await _form(request)
        if not ui.access.may_act(form.get("form", "")):
            raise _Refused(
                Refusal(403, "this form is of another start of the server, so nothing was done; load its page anew")
            )
        return await act(ui, form)

    return handler


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise _Refused(Refusal(413, "that is too long for a form"))
    try:
        said = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise _Refused(Refusal(413, "those are too many fields for a form")) from error
    return {name: values[0] for name, values in said.items()}


# --- reading ----------------------------------------------------------------------------------------------------------


async def _runs(ui: Ui, request: Request) -> Response:
    first = request.query_params.get("from", "0")
    place = int(first) if first.isascii() and first.isdecimal() and len(first) < 8 else 0
    living, over, starting = await ui.read(lambda: (ui.kept.going_on(), ui.kept.over(), ui.starts.waiting()))
    return _page(views.runs_page(ui.frame(), str(ui.kept.runs), living, over, starting, place))


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
        return _page(
            views.run_page(
                ui.frame(), str(ui.kept.runs), name, live=None, read=read, report=report is not None, soon=soon
            )
        )
    now = await ui.read(lambda: _first_look(JournalTail(folder / "journal.jsonl")))
    return _page(views.run_page(ui.frame(), str(ui.kept.runs), name, live=live, read=None, report=False, now=now))


def _first_look(journal: JournalTail) -> str:
    """A live run as it is now, for those whose browser runs no script."""
    try:
        while journal.read():
            pass
    except (OSError, ChaosError, LookupError, TypeError, ValueError) as error:
        return views.now_part(None, 0.0, short=False, over=False, broken=str(error) or type(error).__name__)
    return views.now_part(journal.followed, streams.at_s(journal), short=False, over=False)


def _no_run(ui: Ui) -> Response:
    return _said(ui, "No such run", f"no such run is in {ui.kept.runs}", status=404, onward="/")


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
    return _page(views.experiments_page(ui.frame(), str(ui.experiments.folder), await ui.read(ui.experiments.listed)))


async def _plan(ui: Ui, request: Request) -> Response:
    file = request.query_params.get("file", "")
    try:
        planned = await asyncio.get_running_loop().run_in_executor(ui.planning, ui.experiments.planned, file)
    except KeyError:
        return _said(
            ui, "No such file", f"no such experiment is in {ui.experiments.folder}", status=404, onward="/experiments"
        )
    except InvalidFile as error:
        return _page(views.plan_page(ui.frame(), file, None, [str(one) for one in error.problems]))
    except ChaosError as error:
        return _page(views.plan_page(ui.frame(), file, None, [str(error)]))
    return _page(views.plan_page(ui.frame(), file, planned, []))


async def _coverage(ui: Ui, _request: Request) -> Response:
    def made() -> str:
        from chaos.app.coverage_command import cover
        from chaos.report.coverage import page

        covered = cover(ui.kept.runs, None, {})
        return page(covered.found, str(ui.kept.runs), frame.around("/coverage"))

    frame = ui.frame()
    return _page(await ui.drawn.page("coverage", lambda: (frame, _minute(), ui.kept.seen()), made))


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
    return _page(await ui.drawn.page("history", lambda: (frame, _minute(), ui.kept.seen()), made))


async def _calendar(ui: Ui, _request: Request) -> Response:
    (days, wrong), played = await ui.read(lambda: (ui.experiments.days(), found.played(ui.kept.runs)))
    return _page(views.calendar_page(ui.frame(), str(ui.experiments.folder), days, wrong, played))


async def _start_seen(ui: Ui, request: Request) -> Response:
    """Where a run that was started here is: its page, as soon as it has one."""
    start = ui.starts.of(request.path_params["number"])
    if start is None:
        return _said(ui, "No such start", "this server has not started that", status=404, onward="/")
    folder = await ui.read(start.folder)
    if folder is not None:
        return _onward(f"/runs/{quote(folder)}")
    if start.code() is None:
        return _said(
            ui, "The run is beginning", f"{start.wish.file} asks the system and plans", output=start.said(), refresh=1
        )
    said = f"`chaos run` ended with exit code {start.code()} before anything was hurt"
    return _said(ui, "The run did not begin", said, output=start.said(), onward="/experiments")


# --- acting -----------------------------------------------------------------------------------------------------------


async def _start(ui: Ui, form: dict[str, str]) -> Response:
    file, seed = form.get("file", ""), form.get("seed", "")
    if form.get("agreed") != "yes":
        return _said(
            ui, "Nothing was started", "confirm whom this hurts first", status=400, onward=f"/plan?file={quote(file)}"
        )
    try:
        planned = await asyncio.get_running_loop().run_in_executor(ui.planning, ui.experiments.planned, file, seed)
    except KeyError:
        return _said(ui, "Nothing was started", f"no such experiment is in {ui.experiments.folder}", status=404)
    why = _not_started(planned, form)
    if why is not None:
        return _said(ui, "Nothing was started", why, status=409, onward=f"/plan?file={quote(file)}")
    wish = Wish(
        planned.path,
        planned.plan.seed,
        ui.kept.runs,
        planned.plan.environment == "production",
        ui.experiments.system,
        ui.experiments.variables,
    )
    start = await ui.read(lambda: ui.starts.begin(wish))
    return _onward(f"/starts/{start.number}")


def _not_started(planned: views.Planned, form: dict[str, str]) -> str | None:
    """Why what was confirmed is not what would run; None where it is."""
    if planned.shown != form.get("shown"):
        return "the files, or whom they hurt, have changed since the plan was shown; look at it again"
    if planned.plan.environment == "production" and form.get("system") != planned.plan.system:
        return f"{planned.plan.system} is production; type its name to go on"
    if planned.plan.refusals:
        return "; ".join(planned.plan.refusals)
    return None


async def _stop(ui: Ui, form: dict[str, str]) -> Response:
    return await _stopped(ui, form.get("run"), everything=False)


async def _stop_everything(ui: Ui, _form: dict[str, str]) -> Response:
    return await _stopped(ui, None, everything=True)


async def _stopped(ui: Ui, run: str | None, *, everything: bool) -> Response:
    """What `chaos stop` does and says, for as long as it takes."""
    said: list[str] = []

    def stop() -> None:
        if not everything and run is None:
            raise stopping.NoRun("no run was named")
        stopping.command(run, said.append, everything=everything, state=ui.kept.state)

    # A thread for each: a stop waits neither behind a page that reads nor behind another stop, which may take its 45 seconds.
    own = ThreadPoolExecutor(1, "ui stops")
    try:
        await asyncio.get_running_loop().run_in_executor(own, stop)
    except NotUndone as error:
        return _said(ui, "Not everything is undone", *said, str(error), f"do it by hand: {error.by_hand}", status=500)
    except ChaosError as error:
        return _said(ui, "Nothing was stopped" if not said else "Stopped", *said, str(error), status=409, onward="/")
    finally:
        own.shutdown(wait=False)
    return _said(ui, "Stopped", *said, onward="/")


async def _resume(ui: Ui, _form: dict[str, str]) -> Response:
    await ui.read(ui.kept.state.unblock)
    return _onward("/")


# --- the whole --------------------------------------------------------------------------------------------------------


def app_of(ui: Ui) -> Starlette:
    """The server's pages."""

    async def enter(request: Request) -> Response:
        """The address with the token: it lets a browser in once, and is out of the address bar at once."""
        strange = ui.access.stranger(asked_of(request, ui.access.cookie))
        cookie = ui.access.enter(request.query_params.get("token", "")) if strange is None else None
        if cookie is None:
            refusal = strange or Refusal(
                401, "this address was used before, or is of another start; open the one that was printed last"
            )
            return _page(views.said_page(None, "Not here", [refusal.sentence]), refusal.status)
        ui.entered()
        answer = _onward("/")
        answer.set_cookie(ui.access.cookie, cookie, httponly=True, samesite="strict", path="/")
        return answer

    pages: dict[str, Handler] = {
        "/": _runs, "/events": _all_events, "/runs/{name}": _run, "/runs/{name}/events": _events, "/runs/{name}/report.html": _report,
        "/runs/{name}/summary.html": _summary, "/experiments": _experiments, "/plan": _plan, "/coverage": _coverage,
        "/history": _history, "/calendar": _calendar, "/starts/{number:int}": _start_seen,
    }  # fmt: skip
    acts: dict[str, Act] = {
        "/start": _start, "/stop": _stop, "/stop-everything": _stop_everything, "/resume": _resume,
    }  # fmt: skip
    routes = [Route("/enter", enter, methods=["GET"])]
    routes += [Route(path, _guarded(ui, handler), methods=["GET"]) for path, handler in pages.items()]
    routes += [Route(path, _guarded(ui, _acting(act)), methods=["POST"]) for path, act in acts.items()]
    routes += [Route("/{rest:path}", _guarded(ui, _nowhere))]
    return Starlette(routes=routes)


async def _nowhere(ui: Ui, _request: Request) -> Response:
    return _said(ui, "No such page", "nothing is here", status=404, onward="/")
