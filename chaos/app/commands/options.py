"""Options that several commands have, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from chaos.app import completions

if TYPE_CHECKING:
    from rich.console import Console

STATE = Path(".chaos")
WRITTEN = "chaos-experiments"
"""Where `chaos init` writes; not `chaos`, which is this package in a clone, and hides it from Python elsewhere."""

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="experiment files", autocompletion=completions.yaml_files),
]
SystemOption = Annotated[
    str | None,
    typer.Option(
        "--system",
        help="a system file, or a lab that is up; overrides the file's own",
        autocompletion=completions.systems,
    ),
]
VarOption = Annotated[Optional[list[str]], typer.Option("--var", metavar="NAME=VALUE", help="a value for ${NAME}")]  # noqa: UP045
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="an experiment file", autocompletion=completions.yaml_files)
]
FolderArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="a run's folder, its id or the beginning of it, or `last`",
        autocompletion=completions.run_folders,
    ),
]
SeedOption = Annotated[Optional[str], typer.Option("--seed", help="repeat a run's choices: arms, rows, containers")]  # noqa: UP045
RunArgument = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(
        help="a run's id, or its beginning; the only one when left out", autocompletion=completions.living_runs
    ),
]
FreezeOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--ignore-freeze", metavar="REASON", help="run in spite of the system's calendar; the reason is kept and told"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="for machines")]
RunsOption = Annotated[Path, typer.Option("--runs", metavar="FOLDER", help="where run folders are")]
RunsArgument = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Argument(metavar="FOLDER", help="the same as --runs FOLDER", show_default=False),
]


def folder_of_runs(context: typer.Context, place: Path | None, runs: Path) -> Path:
    """The folder that was named by its place or by `--runs`. Raises BadParameter when each names another one."""
    if place is None:
        return runs
    named = context.get_parameter_source("runs")
    if named is not None and named.name != "DEFAULT" and place != runs:
        raise typer.BadParameter(f"{place} and {runs} are two folders; write --runs FOLDER once", param_hint="--runs")
    return place


def variables_of(given: list[str] | None) -> dict[str, str]:
    """What `--var` gave. Raises BadParameter for what is no variable."""
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is no variable; write NAME=VALUE", param_hint="--var")
        found[name] = value
    return found


def console(*, stderr: bool = False) -> Console:
    """Where a command prints: folded, and silent once nobody reads."""
    from rich.console import Console

    class Steady(Console):
        """A reader that has gone silences this stream and nothing else; Rich's own answer closes stdout and exits 1."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    return Steady(stderr=stderr, highlight=False, soft_wrap=False)
