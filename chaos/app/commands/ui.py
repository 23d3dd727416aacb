"""The page. Imports stay inside the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chaos.app.commands.options import STATE, WRITTEN, SystemOption, VarOption, variables_of
from chaos.app.door import say


def ui(
    runs: Annotated[Path, typer.Option("--runs", help="where run folders are and go")] = Path("runs"),
    experiments: Annotated[
        Path | None,
        typer.Option("--experiments", help=f"where experiment files are: {WRITTEN} if it is there, else experiments"),
    ] = None,
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
    """Serves a page with everything, and the off-switch.

    Runs as they go, experiments to start, coverage, history and game days.
    """
    from chaos.app.ui.server import Wish, command

    command(
        Wish(
            runs,
            experiments or experiments_in(Path()),
            STATE,
            listen,
            port,
            system,
            variables_of(var),
            browser,
            sys.stderr.isatty(),
        ),
        say,
        lambda address: print(address, flush=True),
    )


def experiments_in(folder: Path) -> Path:
    """Where experiments are when nobody says it: what `chaos init` has written, else `experiments`."""
    return folder / WRITTEN if (folder / WRITTEN).is_dir() else folder / "experiments"


def add(app: typer.Typer) -> None:
    """This command is among those of `app`."""
    app.command()(ui)
