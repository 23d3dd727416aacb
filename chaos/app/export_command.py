"""`chaos export`: what runs have shown, for other tools. Wiring."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chaos.app.coverage import possible_faults, tried_in
from chaos.app.past import past
from chaos.coverage import matrix
from chaos.drivers.whole_file import write_asked
from chaos.history import histories
from chaos.history.exposition import text
from chaos.history.openmetrics import Score, families

Say = Callable[[str], None]


def openmetrics(runs: Path, out: Path | None, say: Say, *, score: bool = True) -> None:
    """The metrics are in the file, or on stdout. Raises ChaosError when the file cannot be written."""
    read = past(runs)
    for one in () if score else read.unreadable:  # what reads whole journals says it by itself
        say(f"{runs / one.folder} is left out: {one.reason}")
    told = text(families(histories(read.runs), scores_of(runs) if score else {}))
    if out is None:
        sys.stdout.write(told)
        return
    write_asked(out, told)
    say(f"the metrics of {len(read.runs)} runs are in {out}")


def scores_of(runs: Path) -> Mapping[str, Score]:
    """The score of every system that these runs are of. It takes whole journals to work out: a fifth of a second for each run."""
    tried = list(tried_in(runs))
    found = {}
    for system in sorted({one.system for one in tried}):
        made = matrix([one for one in tried if one.system == system], possible_faults(None), [], time.time(), None)
        found[system] = Score(made.killed, made.survived)
    return found


def dashboard(out: Path | None, say: Say) -> None:
    """The dashboard is in the file, or on stdout. Raises ChaosError when the file cannot be written."""
    from chaos.report.grafana import dashboard as made

    if out is None:
        sys.stdout.write(made())
        return
    write_asked(out, made())
    say(f"the dashboard is in {out}; import it in Grafana")
