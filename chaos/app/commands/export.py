"""What runs have shown, for other tools. Imports stay inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from chaos.app.commands.options import RunsArgument, RunsOption, folder_of_runs
from chaos.app.door import say


def openmetrics(
    context: typer.Context,
    folder: RunsArgument = None,
    runs: RunsOption = Path("runs"),
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="FILE.prom", help="written whole, for a textfile collector; else stdout"),
    ] = None,
    score: Annotated[
        bool, typer.Option("--score/--no-score", help="the detection score, which reads every journal whole")
    ] = True,
) -> None:
    """Verdicts, times and the score, as Prometheus metrics. Times are those to detect, the score is that of detection. Only reads."""
    from chaos.app.export_command import openmetrics as export

    export(folder_of_runs(context, folder, runs), out, say, score=score)


def grafana_dashboard(
    out: Annotated[Optional[Path], typer.Option("--out", metavar="FILE.json", help="else stdout")] = None,  # noqa: UP045
) -> None:
    """A Grafana dashboard over these metrics. It shows the fault proxies' own, too."""
    from chaos.app.export_command import dashboard

    dashboard(out, say)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(openmetrics)
    app.command("grafana-dashboard")(grafana_dashboard)
