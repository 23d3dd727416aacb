"""What rules would have done in each scenario, and what that says: from which severity on, and how fast. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.rehearsal.alert_states import Episode
from chaos.statistics import clopper_pearson
from chaos.telemetry import carries

CLAIM = 0.9
"""The chance of being told from which on a severity counts as caught."""
CLAIM_FROM = 200
"""Scenarios from which on that chance is claimed."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one alert did in one scenario. Seconds after the effect (over: after the removal); None when it did not.

    `early` says that it had fired before anything was hurt.
    """

    alert: str
    severity: float
    pending_s: float | None
    fired_s: float | None
    over_s: float | None
    early: bool = False


def rehearsed(
    alert: str,
    labels: Mapping[str, str],
    severity: float,
    found: Sequence[Episode],
    watched_s: float,
    effect_s: float,
    removal_s: float,
) -> Rehearsed:
    """The first episodes of an alert that has these labels, after the effect and before the removal."""
    mine = [one for one in found if carries(one.labels, labels)]
    early = [one for one in mine if one.fired_s is not None and watched_s <= one.fired_s < effect_s]
    later = [one for one in mine if one.active_s >= effect_s or one in early]
    pending = min((max(one.active_s, effect_s) for one in later), default=None)
    told = [one for one in later if one.fired_s is not None and effect_s <= one.fired_s]
    fired = min((one.fired_s for one in told if one.fired_s is not None), default=None)
    over = [one.over_s for one in told]
    last = max((at for at in over if at is not None), default=None) if None not in over else None
    return Rehearsed(
        alert,
        severity,
        None if pending is None else pending - effect_s,
        None if fired is None else fired - effect_s,
        None if last is None else last - removal_s,
        bool(early),
    )


@dataclass(frozen=True, slots=True)
class AtSeverity:
    """One alert at one severity over all its scenarios. Times are of those in which it was told in time; None without any."""

    alert: str
    severity: float
    scenarios: int
    caught: int
    share: float
    interval: tuple[float, float]
    median_s: float | None
    earliest_s: float | None
    latest_s: float | None
    """The 5th and the 95th hundredth of the times."""
    early: int
    """Scenarios in which it had fired before the fault."""


def by_severity(found: Sequence[Rehearsed], within_s: float | None) -> tuple[AtSeverity, ...]:
    """The scenarios of one alert, counted by severity from the smallest on. `within_s` is in which time it must tell."""
    rows: list[AtSeverity] = []
    for severity in sorted({one.severity for one in found}):
        here = [one for one in found if one.severity == severity]
        times = sorted(
            one.fired_s
            for one in here
            if one.fired_s is not None and not one.early and (within_s is None or one.fired_s <= within_s)
        )
        rows.append(
            AtSeverity(
                alert=here[0].alert,
                severity=severity,
                scenarios=len(here),
                caught=len(times),
                share=len(times) / len(here),
                interval=clopper_pearson(len(times), len(here)),
                median_s=quantile(times, 0.5),
                earliest_s=quantile(times, 0.05),
                latest_s=quantile(times, 0.95),
                early=sum(one.early for one in here),
            )
        )
    return tuple(rows)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the values that is at least as large as this share of them; None of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which severity on an alert tells. None where it never does so within what was rehearsed.

    `claimed` says that there were enough scenarios to claim a chance of 90 %; without, it is only what was seen.
    """

    alert: str
    smallest: float | None
    below: float | None
    """The largest severity that was tried and is not caught."""
    median_s: float | None
    claimed: bool


def threshold(rows: Sequence[AtSeverity]) -> Threshold:
    """The smallest severity from which on every one that was tried is caught with a chance of at least CLAIM."""
    smallest: AtSeverity | None = None
    for row in sorted(rows, key=lambda one: -one.severity):
        if row.severity <= 0 or row.share < CLAIM:
            break
        smallest = row
    missed = [
        row.severity for row in rows if row.severity > 0 and (smallest is None or row.severity < smallest.severity)
    ]
    return Threshold(
        rows[0].alert if rows else "",
        smallest.severity if smallest else None,
        max(missed, default=None),
        smallest.median_s if smallest else None,
        smallest is not None and smallest.scenarios >= CLAIM_FROM,
    )
