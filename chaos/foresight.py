"""What dilution lets a rule see: an aggregate at treatment share x reads (1 - x) · control + x · treatment.

A prediction, printed by the plan and proven by the run. It never refuses: finding blind spots is the purpose.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from chaos.experiment import Experiment, SteadyProbe
from chaos.faults.base import Signal
from chaos.probe import Catalogue
from chaos.promql import Comparison, metric_names
from chaos.system import System
from chaos.telemetry import RuleInfo
from chaos.units import format_share, parse_duration

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Foresight:
    """What the rule's left side reads now, what it would settle at under the fault, and whether that crosses.

    `expected_s` is the time to firing: the lower bound plus the part of the window that must fill with the fault.
    """

    signal: str
    now: float
    reachable: float
    crosses: bool
    expected_s: float | None
    needed_traffic: float | None
    warning: str | None = None


def _signal_of(rule: RuleInfo, experiment: Experiment, probes: Catalogue, system: System) -> Signal | None:
    """The signal of the steady-state probe that reads the same metrics as the rule: first harms, then the others."""
    wanted = metric_names(rule.expr)
    entries = [entry for entry in experiment.steady_state if isinstance(entry, SteadyProbe) and entry.probe in probes]
    entries.sort(key=lambda entry: entry.title not in experiment.expect.harms)
    for entry in entries:
        probe = probes[entry.probe]
        query, _ = probe.render({**system.probe_variables()})
        if probe.signal is not None and metric_names(query) & wanted:
            return probe.signal
    return None


def _window_s(expr: str) -> float:
    windows = re.findall(r"\[([0-9a-z]+)[\]:]", expr)
    return max((parse_duration(window) for window in windows), default=0.0)


def has_value(now: float | None) -> TypeGuard[float]:
    """Whether a rule's left side reads something that can be diluted: no traffic gives nothing, or 0 / 0 = NaN."""
    return now is not None and math.isfinite(now)


def foresee(
    rule: RuleInfo,
    compared: Comparison | None,
    experiment: Experiment,
    system: System,
    probes: Catalogue,
    now: float | None,
    lower_bound_s: float,
) -> Foresight | None:
    """The prediction for one rule; None when nobody can say: no plain threshold, no value now, or an unknown effect."""
    signal = _signal_of(rule, experiment, probes, system)
    if compared is None or compared.threshold is None or not has_value(now) or signal is None:
        return None
    treated = now
    for fault in experiment.faults:
        hurt = fault.treated(signal, treated)
        if hurt is None:
            return None
        treated = hurt
    traffic = experiment.blast_radius.traffic
    compare = _COMPARE.get(compared.operator)
    if compare is None:
        return None
    reachable = (1 - traffic) * now + traffic * treated
    crosses = compare(reachable, compared.threshold)
    needed = (compared.threshold - now) / (treated - now) if treated != now else None
    expected = None
    if crosses and needed is not None and traffic > 0:
        expected = lower_bound_s + _window_s(rule.expr) * max(0.0, min(1.0, needed / traffic))
    return Foresight(
        signal=signal.value,
        now=now,
        reachable=reachable,
        crosses=crosses,
        expected_s=expected,
        needed_traffic=needed if needed is not None and 0 < needed <= 1 else None,
        warning=None if crosses else _missed(rule, compared, traffic, now, reachable, treated),
    )


def _missed(rule: RuleInfo, compared: Comparison, traffic: float, now: float, reachable: float, treated: float) -> str:
    advice = "use a rule per slice"
    enough = _enough_traffic(compared, now, treated)
    if enough is not None:
        advice = f"write traffic: {format_share(enough)}, or use a rule per slice"
    return (
        f"{rule.name} is expected to be missed: at {format_share(traffic)} traffic it reads {reachable:.4g} "
        f"(now {now:.4g}) and asks for {compared.operator} {compared.threshold:g}; {advice}"
    )


def _enough_traffic(compared: Comparison, now: float, treated: float) -> float | None:
    """The least whole percentage of traffic with which the rule's comparison holds, as a share; None when none does."""
    compare, threshold = _COMPARE[compared.operator], compared.threshold
    assert threshold is not None
    shares = (percent / 100 for percent in range(1, 101))
    return next((share for share in shares if compare((1 - share) * now + share * treated, threshold)), None)
