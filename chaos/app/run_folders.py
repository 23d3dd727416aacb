"""The folder of a run that a person names, for commands that read one."""

from __future__ import annotations

from pathlib import Path

from chaos.app.past import NoRun, find
from chaos.drivers.folder import RunFolder


def run_folder(said: Path, runs: Path) -> RunFolder:
    """This folder, or the one in `runs` that is meant by an id, its beginning, or `last`. Raises NoRun, naming what was said."""
    try:
        return find(runs, str(said))
    except NoRun as error:
        raise NoRun(f"{said} is no folder of a run: {error}") from error
