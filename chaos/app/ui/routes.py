"""The addresses of the page, each with what answers it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaos.app.ui import views
from chaos.app.ui.access import Refusal
from chaos.app.ui.acts import ACTS
from chaos.app.ui.handlers import Ui, acting, asked_of, guarded, message, page_of, redirect
from chaos.app.ui.pages import PAGES


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
            return page_of(views.said_page(None, "Not here", [refusal.sentence]), refusal.status)
        ui.entered()
        answer = redirect("/")
        answer.set_cookie(ui.access.cookie, cookie, httponly=True, samesite="strict", path="/")
        return answer

    routes = [Route("/enter", enter, methods=["GET"])]
    routes += [Route(path, guarded(ui, handler), methods=["GET"]) for path, handler in PAGES.items()]
    routes += [Route(path, guarded(ui, acting(act)), methods=["POST"]) for path, act in ACTS.items()]
    routes += [Route("/{rest:path}", guarded(ui, _nowhere))]
    return Starlette(routes=routes)


async def _nowhere(ui: Ui, _request: Request) -> Response:
    return message(ui, "No such page", "nothing is here", status=404, onward="/")
