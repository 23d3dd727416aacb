"""What all handlers have in common: what they share, what a request passes before one is asked, and how it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from chaos.app.ui import found, views
from chaos.app.ui.access import LONGEST_FORM, MOST_FIELDS, Access, Asked, Refusal
from chaos.app.ui.drawn import Drawn
from chaos.app.ui.kept import Kept
from chaos.app.ui.starts import Starts
from chaos.app.ui.tails import BEAT_S, Tails
from chaos.errors import ChaosError

T = TypeVar("T")
log = logging.getLogger("chaos.ui")
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


Handler = Callable[[Ui, Request], Awaitable[Response]]
Act = Callable[[Ui, dict[str, str]], Awaitable[Response]]
"""What a form asks for, done; its fields are all that it is told."""


class Refused(Exception):
    """This request gets no page."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


# --- answers -----------------------------------------------------------------------------------------------------------


def page_of(text: str, status: int = 200) -> HTMLResponse:
    """A page of ours, which no frame may hold."""
    return HTMLResponse(text, status, {**HEADERS, "content-security-policy": "frame-ancestors 'none'"})


def redirect(address: str) -> RedirectResponse:
    """The browser asks for that address next."""
    return RedirectResponse(address, 303, HEADERS)


def message(ui: Ui, title: str, *sentences: str, status: int = 200, **more: Any) -> HTMLResponse:
    """A page that says one thing."""
    return page_of(views.said_page(ui.frame(), title, sentences, **more), status)


# --- what every request passes ---------------------------------------------------------------------------------------


def asked_of(request: Request, cookie: str) -> Asked:
    """What the request says of itself."""
    heads = request.headers
    return Asked(
        request.method, heads.get("host"), heads.get("origin"), heads.get("sec-fetch-site"), request.cookies.get(cookie)
    )


def guarded(ui: Ui, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Nobody without the cookie gets through to the handler, and no error of ours to the browser."""

    async def answer(request: Request) -> Response:
        refusal = ui.access.refusal(asked_of(request, ui.access.cookie))
        try:
            if refusal is not None:
                raise Refused(refusal)
            return await handler(ui, request)
        except Refused as error:
            return page_of(views.said_page(None, "Not here", [str(error)]), error.refusal.status)
        except ChaosError as error:
            return message(ui, "That could not be done", *str(error).splitlines(), status=500)
        except Exception:
            log.exception("an error of our own; please report it with the lines below")
            return page_of(
                views.said_page(None, "An error of our own", ["please report it with what `chaos ui` has printed"]), 500
            )

    return answer


def acting(act: Act) -> Handler:
    """Nothing is done for a form of another page, or of another start of this server."""

    async def handler(ui: Ui, request: Request) -> Response:
        form = await _form(request)
        if not ui.access.may_act(form.get("form", "")):
            raise Refused(
                Refusal(403, "this form is of another start of the server, so nothing was done; load its page anew")
            )
        return await act(ui, form)

    return handler


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise Refused(Refusal(413, "that is too long for a form"))
    try:
        said = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused(Refusal(413, "those are too many fields for a form")) from error
    return {name: values[0] for name, values in said.items()}
