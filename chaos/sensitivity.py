"""From which severity on each alert tells: one run after the other, and what they say together. Pure.

Swept, trials so far ─▶ next_severity() ─▶ the next run, or None        trials ─▶ sensitivity() ─▶ Sensitivity

A single run at a severity is one throw: between the largest severity that was missed and the smallest that was caught lies the answer,
and no chance is claimed (0.9 from live runs alone would need 29 of 29). Rehearsal makes the curve between them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from chaos.experiment.sweeping import Swept
from chaos.rehearsal.outcome import AtSeverity
from chaos.units import format_duration
from chaos.verdict import VerdictName

NEAR = 1.15
"""Two severities whose ratio is no more than this are told apart by no single run."""


@dataclass(frozen=True, slots=True)
class TrialAlert:
    """One expected alert in one trial: whether it told in time, after how many seconds, or which gate failed."""

    alert: str
    told: bool
    after_s: float | None
    gate: str | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep. `proves` is False for one that says nothing, `broken` whether the system left its steady state."""

    severity: float
    text: str
    verdict: VerdictName
    proves: bool
    broken: bool | None
    alerts: tuple[TrialAlert, ...]
    folder: str = ""

    @property
    def caught(self) -> bool:
        """Whether every expected alert told."""
        return bool(self.alerts) and all(one.told for one in self.alerts)


def next_severity(swept: Swept, trials: Sequence[Trial]) -> float | None:
    """The severity of the next run; None when the answer is in, or the runs are used up."""
    tried = {trial.severity for trial in trials}
    if not swept.bisect:
        return next((one for one in swept.severities if one not in tried), None)
    low, high = swept.severities[0], swept.severities[-1]
    if len(trials) >= swept.steps:
        return None
    if high not in tried:
        return high
    known = [trial for trial in trials if trial.proves]
    caught = [trial.severity for trial in known if trial.caught]
    missed = [trial.severity for trial in known if not trial.caught]
    if not caught or high in missed:
        return None  # not even the most severe one is told, or it proved nothing
    if low not in tried:
        return low
    smallest = min(caught)
    below = max((one for one in missed if one < smallest), default=None)
    if below is None or (below > 0 and smallest / below <= NEAR):
        return None
    middle = math.sqrt(below * smallest) if below > 0 else (below + smallest) / 2
    rounded = float(f"{middle:.3g}")
    return None if rounded in tried else rounded


@dataclass(frozen=True, slots=True)
class AlertSensitivity:
    """One alert over a sweep. `smallest` is the least severity that was caught, `below` the largest under it that was missed.

    `disagree`: a smaller severity was caught than one that was missed, so that chance has a say at these severities.
    """

    alert: str
    smallest: float | None
    below: float | None
    after_s: float | None
    disagree: bool
    sentence: str
    rehearsed: float | None = None
    """From which severity on rehearsal catches it with a chance of nine in ten; None where it was not rehearsed."""
    rehearsed_claimed: bool = False
    curve: tuple[AtSeverity, ...] = ()
    """The rehearsed severities between, with their intervals."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What rehearsal says of one alert: see AlertSensitivity."""

    rehearsed: float | None = None
    claimed: bool = False
    rows: tuple[AtSeverity, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a sweep says. `blind` are the severities at which the system left its steady state and nobody was told."""

    experiment: str
    parameter: str
    trials: tuple[Trial, ...]
    alerts: tuple[AlertSensitivity, ...]
    blind: tuple[str, ...]
    rehearsal: str | None = None
    """What the rehearsed part rests on, in words."""

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps(asdict(self), indent=2)


def sensitivity(
    experiment: str,
    parameter: str,
    swept: Swept,
    trials: Sequence[Trial],
    curves: Mapping[str, Curve] | None = None,
    rehearsal: str | None = None,
) -> Sensitivity:
    """The trials, counted, beside what rehearsal says of each alert."""
    ordered = sorted(trials, key=lambda trial: trial.severity)
    names = dict.fromkeys(one.alert for trial in ordered for one in trial.alerts)
    blind = [
        trial.text for trial in ordered if trial.proves and trial.broken and not any(one.told for one in trial.alerts)
    ]
    alerts = tuple(_alert(name, swept, ordered, (curves or {}).get(name, Curve())) for name in names)
    return Sensitivity(experiment, parameter, tuple(ordered), alerts, tuple(blind), rehearsal)


def _alert(name: str, swept: Swept, ordered: Sequence[Trial], curve: Curve) -> AlertSensitivity:
    seen = [(trial.severity, one) for trial in ordered if trial.proves for one in trial.alerts if one.alert == name]
    caught = [(severity, one) for severity, one in seen if one.told]
    missed = [severity for severity, one in seen if not one.told]
    smallest = caught[0][0] if caught else None
    below = max((one for one in missed if smallest is None or one < smallest), default=None)
    after_s = caught[0][1].after_s if caught else None
    disagree = smallest is not None and any(one > smallest for one in missed)
    sentence = _sentence(swept, smallest, below, after_s, disagree=disagree)
    return AlertSensitivity(
        name, smallest, below, after_s, disagree, sentence, curve.rehearsed, curve.claimed, curve.rows
    )  # fmt: skip


def _sentence(
    swept: Swept, smallest: float | None, below: float | None, after_s: float | None, *, disagree: bool
) -> str:
    if smallest is None:
        most = f", up to {swept.text(below)}" if below is not None else ""
        return f"nobody is told{most}"
    after = f", in {format_duration(round(after_s))}" if after_s is not None else ""
    chance = "; a larger one was missed, so chance has a say here" if disagree else ""
    if below is None:
        return f"caught from {swept.text(smallest)} on{after}; nothing less was tried{chance}"
    return f"caught from {swept.text(smallest)} on{after}; at {swept.text(below)} nobody is told{chance}"


Ending = Literal["caught", "not caught", "nothing proven"]


def ending(found: Sensitivity) -> Ending:
    """How the sweep ended: whether every alert tells at some severity."""
    if not any(trial.proves for trial in found.trials):
        return "nothing proven"
    return "caught" if found.alerts and all(one.smallest is not None for one in found.alerts) else "not caught"
