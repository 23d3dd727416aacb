"""Keeps a run's telemetry beside its journal, and finds it again: what alerting rules read, from before the baseline to the end. Wiring."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from chaos.drivers.folder import NoFolder, RunFolder
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.recorder import record
from chaos.errors import ChaosError
from chaos.events import State
from chaos.journal import Line
from chaos.judging.trace import Trace, trace
from chaos.plans import PlannedProbe
from chaos.promql import looks_back_s
from chaos.rehearsal.recording import Recording
from chaos.telemetry import RuleInfo
from chaos.verdict import PROVES_NOTHING

NAME: Final = "telemetry.jsonl.gz"

LARGEST_FILE = 16 * 1024 * 1024
"""Bytes of a verdict or a plan that are read."""
MOST_SAMPLES = 3_000_000
"""That a run keeps: some ten megabytes."""
KEEPING_S = 30.0
"""How long the server is asked for them."""
REACH_S = 2 * 3600.0
"""Rules that look back further are not kept: every series that they read would be asked for days."""

log = logging.getLogger(__name__)


def keep(folder: RunFolder, lines: Sequence[Line], prometheus: PrometheusDriver, rules: PrometheusDriver) -> None:
    """The run's telemetry stands in its folder, as far as it can be asked for: a run without it is a run all the same."""
    seen = trace(lines)
    baseline, effect = seen.span(State.baseline), seen.first_effect()
    if baseline is None or effect is None:
        return
    try:
        known = rules.rules()
        names = wanted_names(seen, known)
        loaded = [rule for rule in known if rule.name in names and looks_back_s(rule.expr) <= REACH_S]
        made = record(
            prometheus,
            loaded,
            baseline[0],
            seen.last_wall_s,
            about=f"run {seen.started.run}",
            recording_rules=rules.recording_rules(),
            most=MOST_SAMPLES,
            within_s=KEEPING_S,
            queries=[query_of(probe, seen.plan.window_s) for probe in seen.plan.steady()],
        )
        made = replace(made, effect_wall_s=effect, removal_wall_s=seen.removal(), severity=severity_of(seen))
        folder.write_packed(NAME, made.lines())
    except (ChaosError, OSError, ValueError) as error:
        log.info("the run's telemetry was not kept, so it cannot be rehearsed: %s", error)


def query_of(probe: PlannedProbe, window_s: float) -> str:
    """What the probe asks over the usual window."""
    return probe.query.replace("$window", f"{round(window_s * 1000)}ms" if window_s % 1 else f"{round(window_s)}s")


def wanted_names(seen: Trace, rules: Sequence[RuleInfo]) -> set[str]:
    """The alerts that the run was about, and those of the same system: rules whose labels do not contradict the system's."""
    expected = {alert.alert for alert in seen.plan.alerts}
    match = seen.plan.match
    mine = {
        rule.name for rule in rules if match and all(rule.labels.get(name) == value for name, value in match.items())
    }
    return expected | mine


def severity_of(seen: Trace) -> float:
    """The share of traffic that the run's faults hurt; all of it where there are no arms."""
    arms = any(effect.kind in ("proxy", "load") and not effect.whole for effect in seen.plan.faults())
    return seen.plan.traffic if arms else 1.0


def kept(folder: Path) -> Recording:
    """The telemetry of a run. Raises NoFolder when there is none, or it cannot be read."""
    try:
        return Recording.read(RunFolder(folder).packed(NAME))
    except ValueError as error:
        raise NoFolder(f"{folder / NAME} cannot be read: {error}") from error


def newest_run(runs: Path, experiment: str) -> Path | None:
    """The newest run of this experiment that has kept its telemetry, and whose fault happened: of a sweep the most severe one."""
    swept: list[tuple[float, Path]] = []
    for folder in sorted(runs.glob(f"*-{experiment}-*"), reverse=True) if runs.is_dir() else ():
        rank = _rank(folder, experiment) if (folder / NAME).is_file() else None
        if rank is None:
            continue
        if not isinstance(rank, float):
            return folder if not swept else max(swept)[1]
        swept.append((rank, folder))
    return max(swept)[1] if swept else None


def _rank(folder: Path, experiment: str) -> float | Literal["alone"] | None:
    """Where a run stands in its sweep; `alone` for a run of none, None for one of another experiment, or that proves nothing."""
    try:
        verdict, plan = (json.loads(_short(folder / name)) for name in ("verdict.json", "plan.json"))
        if verdict["experiment"] != experiment or verdict["verdict"] in PROVES_NOTHING:
            return None
        return float(plan["swept_rank"]) if plan.get("swept") is not None else "alone"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _short(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE)
