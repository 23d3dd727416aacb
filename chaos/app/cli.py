"""The command line: thin on top of the Python API. Results go to stdout, everything else to stderr.

Imports stay inside the commands, so that `chaos check` answers before a heavy library could have been loaded.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chaos.app.commands import export, files, first, gameday, lab, monitoring, past, runs, servers, ui
from chaos.app.door import through
from chaos.app.log_lines import shown
from chaos.app.missing_arguments import Commands
from chaos.version import VERSION

app = typer.Typer(
    name="chaos",
    cls=Commands,
    help="Make a model worse on purpose, and prove whether anyone would notice.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lab_app = typer.Typer(help="The reference system: a loan model that is monitored for real.", no_args_is_help=True)
app.add_typer(lab_app, name="lab")
gameday_app = typer.Typer(help="Sequences of experiments on a calendar.", no_args_is_help=True)
app.add_typer(gameday_app, name="gameday")
export_app = typer.Typer(help="What runs have shown, for other tools.", no_args_is_help=True)
app.add_typer(export_app, name="export")
for family in (first, files, runs, past, monitoring, servers, ui):
    family.add(app)
lab.add(lab_app)
gameday.add(gameday_app)
export.add(export_app)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"chaos-ml {VERSION}, Python {'.'.join(map(str, sys.version_info[:3]))}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of `chaos` itself, before any command."""


def main() -> None:
    """Every command, with its options; `chaos.app.door` is what the console script calls."""
    shown()
    through(app)


if __name__ == "__main__":
    main()
