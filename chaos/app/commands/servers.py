"""Servers of their own: the fault proxy and the sink. Imports stay inside the commands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    pass


def proxy(context: typer.Context) -> None:
    """Serves the fault proxy, which stands in front of a model."""
    # A process of its own in place of this one: what the command line has loaded would stay with the proxy for months.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "chaos.proxy", *context.args])  # noqa: S606


def sink(context: typer.Context) -> None:
    """Serves the sink, which remembers what a receiver was told."""
    from chaos.sink import main as sink_main

    sink_main(context.args)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(
        proxy
    )
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(
        sink
    )
