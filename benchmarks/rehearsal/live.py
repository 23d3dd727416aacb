"""Every experiment of the catalogue, live and twice in one lab: what a rehearsal is held against.

experiments/catalogue/NAME.yaml ─▶ run, run ─▶ .chaos/rehearsals/FOLDER (journal, telemetry) ─▶ compared.py

A fault of which two runs are kept is not run again, so an interrupted round goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from benchmarks.catalogue import __main__ as catalogue
from chaos.app import files as loading
from chaos.app.running import RunOptions, prepare, run
from chaos.app.telemetry_kept import NAME as TELEMETRY
from chaos.errors import ChaosError
from chaos.lab import places
from chaos.lab.processes import LabStatus

RUNS = catalogue.STATE / "rehearsals"
LAB = "reh-live"
TIMES = 2
"""Runs of each fault: one to rehearse from, one to hold the rehearsal against."""


def kept_runs(name: str) -> list[Path]:
    """The folders of this experiment's runs that kept their telemetry, the oldest first."""
    experiment = "catalogue-" + name.replace("_", "-")
    found = RUNS.glob(f"*-{experiment}-????????") if RUNS.is_dir() else ()
    return sorted(folder for folder in found if (folder / TELEMETRY).is_file())


def wanted(only: Sequence[str], *, docker: bool, again: bool) -> list[Path]:
    """The experiments that want runs, in the order in which they were asked for; `docker`: those that need real containers,
    and no others. Raises SystemExit when one does not exist.
    """
    paths = {path.stem: path for path in catalogue.experiments((), docker=docker, again=True)}
    unknown = sorted(set(only) - set(paths))
    if unknown:
        raise SystemExit(f"no experiment that runs {'with' if docker else 'without'} Docker for {', '.join(unknown)}")
    return [paths[name] for name in only or paths if again or len(kept_runs(name)) < TIMES]


def live(paths: Sequence[Path], lab_name: str, until_s: float, *, docker: bool, keep: bool = False) -> None:
    """Each of these has run until there are two runs of it, one run at a time; none begins after `until_s` of the monotonic clock."""
    lab = places.up(lab_name, catalogue.STATE, lambda said: print(said, flush=True), docker=docker)
    try:
        values = catalogue.variables(lab, docker=docker)
        for path in paths:
            for _ in range(TIMES - min(TIMES, len(kept_runs(path.stem)))):
                if time.monotonic() > until_s:
                    return
                _once(path, lab, values)
    finally:
        if not keep:
            places.down(lab_name, catalogue.STATE, lambda said: print(said, flush=True))


def _once(path: Path, lab: LabStatus, values: Mapping[str, str]) -> None:
    begun_s = time.monotonic()
    try:
        catalogue.wait_quiet(lab)
        loaded = loading.load(path, system=catalogue.system_of(path, lab.name), variables=values, state=catalogue.STATE)
        ended = run(prepare(loaded), RunOptions(RUNS, command=catalogue.command(path, lab)))
    except (ChaosError, requests.RequestException) as error:
        print(f"{path.stem:24} {error}", flush=True)
        return
    print(
        f"{path.stem:24} {ended.verdict.verdict:12} {time.monotonic() - begun_s:4.0f}s  {ended.folder.name}", flush=True
    )
