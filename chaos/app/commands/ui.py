"""The page. Imports stay inside the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chaos.app.commands.options import STATE, SystemOption, VarOption, variables_of
from chaos.app.door import say


def ui(
    runs: Annotated[Path, typer.Option("--runs", help="where run folders are and go")] = Path("runs"),
    experiments: Annotated[Path, typer.Option("--experiments", help="where experiment files are")] = Path(
        "experiments"
    ),
    system: SystemOption = None,
    var: VarOption = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free")] = 0,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="ADDRESS", help="another address than this machine's own; it says what that means"
        ),
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open it")] = True,
) -> None:
    """Serves a page: runs as they go, experiments to start, coverage, history, game days, and the off-switch."""
    from chaos.app.ui.server import Wish, command

    command(
        Wish(runs, experiments, STATE, listen, port, system, variables_of(var), browser, sys.stderr.isatty()),
        say,
        lambda address: print(address, flush=True),
    )


def add(app: typer.Typer) -> None:
    """This command is among those of `app`."""
    app.command()(ui)
