"""The journey of an experiment for programs and notebooks: load, plan, run, judge. The CLI is thin on top of it.

import chaos

loaded = chaos.load("experiments/quickstart.yaml")
print(chaos.plan(loaded).refusals)
ended = chaos.run(loaded)
assert ended.verdict.exit_code == 0, ended.verdict.sentence
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.app.files import Loaded
    from chaos.app.past import Past
    from chaos.app.running import Ended
    from chaos.plans import Plan
    from chaos.verdict import Verdict


def load(path: str | Path, *, system: str | None = None, variables: Mapping[str, str] | None = None) -> Loaded:
    """An experiment with its system and probes. Raises InvalidFile with every problem of all the files."""
    from chaos.app import files

    return files.load(Path(path), system=system, variables=variables)


def plan(loaded: Loaded, *, seed: str | None = None) -> Plan:
    """What would happen now, to whom, and who is told; touches nothing. `refusals` says why it must not run, if so."""
    from chaos.app.running import prepare

    return prepare(loaded, seed).plan


def run(
    loaded: Loaded,
    *,
    seed: str | None = None,
    runs: str | Path = "runs",
    production: bool = False,
    command: Sequence[str] = (),
    ignore_freeze: str | None = None,
    metrics_file: str | Path | None = None,
) -> Ended:
    """The experiment has been run, undone and judged.

    `command` begins the experiment's external fault, where somebody does not begin it by hand. `metrics_file` says at every moment
    which faults are on, for a textfile collector.

    Raises Refused when the plan forbids it, or the system is production and `production` is not said; Frozen (a Refused) when the
    system's calendar forbids it now and `ignore_freeze` gives no reason; KeyboardInterrupt, when that came, after everything is undone.
    """
    from chaos.app import running

    file = Path(metrics_file) if metrics_file is not None else None
    options = running.RunOptions(
        Path(runs), production=production, ignore_freeze=ignore_freeze, command=command, metrics_file=file
    )
    return running.run(running.prepare(loaded, seed), options)


def judge(folder: str | Path) -> Verdict:
    """The verdict of an old run, from its journal alone."""
    from chaos.drivers.folder import RunFolder
    from chaos.judging import judge as judged

    return judged(RunFolder(Path(folder)).lines())


def past(runs: str | Path = "runs") -> Past:
    """Every run in this folder, the oldest first, each in short; and the folders that could not be read, with the reason.

    `chaos.history.histories(chaos.past().runs)` sorts them by experiment, with each alert's times to detect and their trend.
    """
    from chaos.app.past import past as read

    return read(Path(runs))
