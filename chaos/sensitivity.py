"""From which severity on each alert tells: one run after the other, and what they say together. Pure.

Swept, trials so far ─▶ next_severity() ─▶ the next run, or None        trials ─▶ sensitivity() ─▶ Sensitivity

A single run at a severity is one throw: between the largest severity that was missed and the smallest that was caught lies the answer,
and no chance of nine in ten is claimed (from live runs alone it would need 29 of 29). A fit to the live runs says how little they say of
what lies between; rehearsal makes the curve that does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from chaos.live_curve import LiveCurve, LiveRun, live_curve
from chaos.rehearsal.outcome import AtSeverity
from chaos.statistics import clopper_pearson
from chaos.units import format_duration
from chaos.verdict import VerdictName

NEAR = 1.15
"""Two severities whose ratio is no more than this are told apart by no single run."""


@dataclass(frozen=True, slots=True)
class Swept:
    """The severities of a sweep, the mildest first: a grid, or two ends to bisect in at most `steps` severities.

    Each is run `repeats` times. `text` gives a severity as people write it.
    """

    severities: tuple[float, ...]
    bisect: bool
    steps: int
    text: Callable[[float], str]
    repeats: int = 1

    @property
    def rising(self) -> bool:
        """Whether the larger number is the more severe."""
        return self.severities[-1] >= self.severities[0]

    def severer(self, one: float) -> float:
        """A key by which severities stand from the mildest to the severest."""
        return one if self.rising else -one


@dataclass(frozen=True, slots=True)
class TrialAlert:
    """One expected alert in one trial: whether it told in time (None: nobody can say), after how many seconds, or which gate failed."""

    alert: str
    told: bool | None
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
    counts: dict[float, int] = {}
    for trial in trials:
        counts[trial.severity] = counts.get(trial.severity, 0) + 1
    begun = next((one for one, count in counts.items() if count < swept.repeats), None)
    if begun is not None:
        return begun
    if not swept.bisect:
        return next((one for one in swept.severities if one not in counts), None)
    return None if len(counts) >= swept.steps else _halfway(swept, trials, set(counts))


def _halfway(swept: Swept, trials: Sequence[Trial], tried: set[float]) -> float | None:
    low, high = swept.severities[0], swept.severities[-1]
    if high not in tried:
        return high
    caught = {one for one in tried if _caught(one, trials)}
    if high not in caught:
        return None  # not even the most severe one is told, or it proved nothing
    if low not in tried:
        return low
    proven = {trial.severity for trial in trials if trial.proves and all(one.told is not None for one in trial.alerts)}
    smallest = min(caught, key=swept.severer)
    missed = [one for one in proven - caught if swept.severer(one) < swept.severer(smallest)]
    if not missed:
        return None
    below = max(missed, key=swept.severer)
    if below * smallest <= 0:
        middle = (below + smallest) / 2
    elif max(smallest / below, below / smallest) <= NEAR:
        return None
    else:
        middle = math.sqrt(below * smallest)
    rounded = float(f"{middle:.3g}")
    return None if rounded in tried else rounded


def _caught(severity: float, trials: Sequence[Trial]) -> bool:
    """Whether every expected alert told in more than half of the runs at this severity that prove anything."""
    here = [trial for trial in trials if trial.severity == severity and trial.proves]
    return sum(trial.caught for trial in here) * 2 > len(here)


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
    live: LiveCurve | None = None
    """What is fitted to the live runs alone; None where they are too few."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What rehearsal says of one alert: see AlertSensitivity."""

    rehearsed: float | None = None
    claimed: bool = False
    rows: tuple[AtSeverity, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a sweep says. `blind` are the severities at which the system left its steady state and no expected alert told in time."""

    experiment: str
    parameter: str
    trials: tuple[Trial, ...]
    alerts: tuple[AlertSensitivity, ...]
    blind: tuple[str, ...]
    rehearsal: str | None = None
    """What the rehearsed part rests on, in words."""
    stopped: str | None = None
    """Why the sweep ended before its answer was in, in words."""

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
    stopped: str | None = None,
) -> Sensitivity:
    """The trials, counted, beside what rehearsal says of each alert."""
    ordered = sorted(trials, key=lambda trial: swept.severer(trial.severity))
    names = dict.fromkeys(one.alert for trial in ordered for one in trial.alerts)
    blind = dict.fromkeys(
        trial.text
        for trial in ordered
        if trial.proves and trial.broken and trial.alerts and all(one.told is False for one in trial.alerts)
    )
    alerts = tuple(_alert(name, swept, ordered, (curves or {}).get(name, Curve())) for name in names)
    return Sensitivity(experiment, parameter, tuple(ordered), alerts, tuple(blind), rehearsal, stopped)


def _alert(name: str, swept: Swept, ordered: Sequence[Trial], curve: Curve) -> AlertSensitivity:
    seen: dict[float, list[TrialAlert]] = {}
    for trial in ordered:
        for one in trial.alerts if trial.proves else ():
            if one.alert == name and one.told is not None:
                seen.setdefault(trial.severity, []).append(one)
    told = {severity: sum(bool(one.told) for one in here) for severity, here in seen.items()}
    caught = [severity for severity, here in seen.items() if told[severity] * 2 > len(here)]
    missed = [severity for severity in seen if severity not in caught]
    smallest = caught[0] if caught else None
    under = [one for one in missed if smallest is None or swept.severer(one) < swept.severer(smallest)]
    below = under[-1] if under else None
    times = (
        sorted(one.after_s for one in seen.get(smallest, ()) if one.told and one.after_s is not None)
        if smallest is not None
        else []
    )
    after_s = times[len(times) // 2] if times else None
    disagree = smallest is not None and any(swept.severer(one) > swept.severer(smallest) for one in missed)
    sentence = _sentence(swept, smallest, below, after_s, disagree=disagree)
    if smallest is not None and swept.repeats > 1:
        k, n = told[smallest], len(seen[smallest])
        least, most = clopper_pearson(k, n)
        sentence += f" ({k} of {n} runs told, [{least:.0%}, {most:.0%}])"
    runs = [LiveRun(severity, bool(one.told), one.after_s) for severity, here in seen.items() for one in here]
    return AlertSensitivity(
        name, smallest, below, after_s, disagree, sentence, curve.rehearsed, curve.claimed, curve.rows,
        live_curve(runs, swept.text, rising=swept.rising),
    )  # fmt: skip


def _sentence(
    swept: Swept, smallest: float | None, below: float | None, after_s: float | None, *, disagree: bool
) -> str:
    if smallest is None:
        most = f", up to {swept.text(below)}" if below is not None else ""
        return f"told in time by no run{most}"
    after = f", in {format_duration(round(after_s))}" if after_s is not None else ""
    chance = "; a larger one was missed, so chance has a say here" if disagree else ""
    if below is None:
        return f"caught from {swept.text(smallest)} on{after}; nothing less was tried{chance}"
    return f"caught from {swept.text(smallest)} on{after}; not told in time at {swept.text(below)}{chance}"


Ending = Literal["caught", "not caught", "nothing proven"]


def ending(found: Sensitivity) -> Ending:
    """How the sweep ended: whether every alert tells at some severity."""
    if not any(trial.proves for trial in found.trials):
        return "nothing proven"
    return "caught" if found.alerts and all(one.smallest is not None for one in found.alerts) else "not caught"
