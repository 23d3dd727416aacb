"""The command line: thin on top of the Python API. Results go to stdout, everything else to stderr.

Imports stay inside the commands, so that `chaos check` answers before a heavy library could have been loaded.
"""

from __future__ import annotations

import typer

from chaos.app.commands import export, files, first, gameday, lab, monitoring, past, runs, servers, ui
from chaos.app.door import through
from chaos.app.log_lines import shown

app = typer.Typer(
    name="chaos",
    help="Make a model worse on purpose, and prove whether anyone would notice.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lab_app = typer.Typer(
    help="The reference system: a real loan model with a real Prometheus and Alertmanager.", no_args_is_help=True
)
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


def main() -> None:
    """Every command, with its options; `chaos.app.door` is what the console script calls."""
    shown()
    through(app)


if __name__ == "__main__":
    main()
