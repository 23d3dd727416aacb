"""The folder of a run that a person names, for commands that read one."""

from __future__ import annotations

from pathlib import Path

from chaos.app.past import NoRun, find
from chaos.drivers.folder import RunFolder

RUNS = Path("runs")
"""Where `chaos run` puts folders unless it is told otherwise."""


def run_folder(said: Path) -> RunFolder:
    """This folder, or the run of `runs` that is meant by an id, its beginning, or `last`. Raises NoRun, naming what was said."""
    if (said / "journal.jsonl").exists():
        return RunFolder(said)
    if not any(RUNS.glob("*/journal.jsonl")):
        raise NoRun(
            f"{said} is no folder of a run, for no journal.jsonl is in it, and there is no run in {RUNS} either"
        )
    try:
        return find(RUNS, str(said))
    except NoRun as error:
        raise NoRun(f"{said} is no folder of a run: {error}") from error
