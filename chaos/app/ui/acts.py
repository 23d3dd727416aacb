"""What a form of the page does: a run is started or stopped, everything is stopped, runs are allowed again."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from starlette.responses import Response

from chaos.app import stopping
from chaos.app.ui import views
from chaos.app.ui.handlers import Act, Ui, message, redirect
from chaos.app.ui.starts import Wish
from chaos.errors import ChaosError, NotUndone


async def _start(ui: Ui, form: dict[str, str]) -> Response:
    file, seed = form.get("file", ""), form.get("seed", "")
    if form.get("agreed") != "yes":
        return message(
            ui, "Nothing was started", "confirm whom this hurts first", status=400, onward=f"/plan?file={quote(file)}"
        )
    try:
        planned = await asyncio.get_running_loop().run_in_executor(ui.planning, ui.experiments.planned, file, seed)
    except KeyError:
        return message(ui, "Nothing was started", f"no such experiment is in {ui.experiments.folder}", status=404)
    why = _not_started(planned, form)
    if why is not None:
        return message(ui, "Nothing was started", why, status=409, onward=f"/plan?file={quote(file)}")
    wish = Wish(
        planned.path,
        planned.plan.seed,
        ui.kept.runs,
        planned.plan.environment == "production",
        ui.experiments.system,
        ui.experiments.variables,
    )
    start = await ui.read(lambda: ui.starts.begin(wish))
    return redirect(f"/starts/{start.number}")


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
        return message(ui, "Not everything is undone", *said, str(error), f"do it by hand: {error.by_hand}", status=500)
    except ChaosError as error:
        return message(ui, "Nothing was stopped" if not said else "Stopped", *said, str(error), status=409, onward="/")
    finally:
        own.shutdown(wait=False)
    return message(ui, "Stopped", *said, onward="/")


async def _resume(ui: Ui, _form: dict[str, str]) -> Response:
    await ui.read(ui.kept.state.unblock)
    return redirect("/")


ACTS: dict[str, Act] = {"/start": _start, "/stop": _stop, "/stop-everything": _stop_everything, "/resume": _resume}
