"""What runs were: over weeks, and one beside another. Imports stay inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from chaos.app.commands.options import JsonOption, RunsArgument, RunsOption, console, folder_of_runs
from chaos.app.door import say


def history(
    context: typer.Context,
    folder: RunsArgument = None,
    runs: RunsOption = Path("runs"),
    experiment: Annotated[Optional[str], typer.Option("--experiment", metavar="NAME", help="this one alone")] = None,  # noqa: UP045
    alert: Annotated[Optional[str], typer.Option("--alert", metavar="NAME", help="this one alone")] = None,  # noqa: UP045
    since: Annotated[Optional[str], typer.Option("--since", metavar="TIME", help="no older runs, such as 30d")] = None,  # noqa: UP045
    page: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--page", metavar="FILE.html", help="times over weeks as one page"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Says how experiments went, and which alerts became slower. Only reads."""
    from chaos.app.history_command import Wish, command

    wish = Wish(folder_of_runs(context, folder, runs), experiment, alert, since, page)
    command(wish, console(), say, as_json=as_json)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="a run: its folder, id or beginning, `last`, `last~1`")],
    second: Annotated[str, typer.Argument(metavar="B", help="the run that is held against it")],
    runs: RunsOption = Path("runs"),
    page: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--page", metavar="FILE.html", help="both timelines over one axis, as one page"),
    ] = None,
    fail_if_slower: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--fail-if-slower", metavar="TIME", help="exit 1 when B told later by more than this, such as 10s"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Says what differs between two runs. Only reads.

    Differences that are larger than the errors are told from those that are not.
    """
    from chaos.app.compare_command import Wish, command
    from chaos.units import parse_duration

    try:
        limit_s = None if fail_if_slower is None else parse_duration(fail_if_slower)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-if-slower") from error
    command(Wish(runs, first, second, page, limit_s), console(), say, as_json=as_json)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(history)
    app.command()(compare)
