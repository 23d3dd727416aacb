"""What an experiment's faults state of the signals that probes read: `Fault.treated` for each, with the probe's own query. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.experiment import Experiment
from chaos.faults.base import Signal
from chaos.probe import Catalogue, Probe
from chaos.promql import ratio_of
from chaos.rehearsal.grid import Grid
from chaos.rehearsal.models import Statement, value_of
from chaos.system import System


def statements_of(experiment: Experiment, system: System, probes: Catalogue, baseline: Grid) -> tuple[Statement, ...]:
    """What is stated, one statement for each metric: two signals of the same counters move the same events only once."""
    found: list[Statement] = []
    moved: set[str] = set()
    for probe in probes.values():
        query = _rendered(probe, system)
        if query is None or probe.signal is None:
            continue
        said = (
            _latency(experiment, query)
            if probe.signal is Signal.latency
            else _ratio(experiment, probe.signal, query, baseline)
        )
        if said is None:
            continue
        ratio = ratio_of(query)
        metric = ratio[0].name if ratio is not None else query
        if metric not in moved and not (said.later_s and any(one.later_s for one in found)):
            moved.add(metric)
            found.append(said)
    return tuple(found)


def measured_statement(probe: Probe, system: System, treated: float, lag_s: float) -> Statement | None:
    """The same for a value that was measured where the fault hurt; None where the probe is no ratio of counters."""
    query = _rendered(probe, system)
    if query is None or probe.signal is None or ratio_of(query) is None:
        return None
    return Statement(probe.signal, query, treated, lag_s=lag_s)


def lag_of(experiment: Experiment, signal: Signal) -> float:
    """After how long what a fault does shows in a signal: outcomes come back late."""
    feedback = experiment.load.feedback if experiment.load is not None else None
    return feedback.after if feedback is not None and signal is Signal.accuracy else 0.0


def _rendered(probe: Probe, system: System) -> str | None:
    try:
        return probe.render(_variables(system))[0]
    except KeyError:
        return None


def _variables(system: System) -> Mapping[str, str]:
    return system.probe_variables()


def _ratio(experiment: Experiment, signal: Signal, query: str, baseline: Grid) -> Statement | None:
    before = value_of(baseline, query)
    if before is None:
        return None
    treated: float | None = before
    for fault in experiment.faults:
        treated = fault.treated(signal, treated) if treated is not None else None
    if treated is None or treated == before:
        return None
    return Statement(signal, query, treated, lag_s=lag_of(experiment, signal))


def _latency(experiment: Experiment, query: str) -> Statement | None:
    later_s, share = 0.0, 1.0
    for fault in experiment.faults:
        said = fault.treated(Signal.latency, 0.0)
        if said:
            share = fault.share
            later_s += said / share if share else 0.0
    return Statement(Signal.latency, query, later_s=later_s, share=share) if later_s > 0 else None
