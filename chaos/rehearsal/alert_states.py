"""Where a rule's expression held → when its alert was pending, firing and over: Prometheus' own state machine. Pure.

At every evaluation an alert whose expression holds becomes active; it fires once it has been active for `for`, and is over at the
first evaluation at which the expression does not hold, or `keep_firing_for` after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NEAR_S = 1e-3
"""Two times that are so near are the same evaluation."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One time an alert was active. Seconds on the clock of the evaluations.

    `fired_s` is None when it was over before `for` had passed, `over_s` when it went on to the end.
    """

    labels: Mapping[str, str]
    active_s: float
    fired_s: float | None
    over_s: float | None


def episodes(
    labels: Mapping[str, str],
    held_s: Sequence[float],
    evaluations_s: Sequence[float],
    for_s: float,
    keep_firing_s: float = 0.0,
) -> list[Episode]:
    """The episodes of one alert instance. `held_s` are the evaluations at which its expression returned it, in order of time."""
    found: list[Episode] = []
    held = set(_milliseconds(held_s))
    active: float | None = None
    fired: float | None = None
    absent: float | None = None
    for at in evaluations_s:
        if round(at * 1000) in held:
            active = at if active is None else active
            absent = None
            if fired is None and at - active >= for_s - NEAR_S:
                fired = at
        elif active is not None:
            absent = at if absent is None else absent
            if fired is None or at - absent >= keep_firing_s - NEAR_S:
                found.append(Episode(labels, active, fired, at))
                active = fired = absent = None
    if active is not None:
        found.append(Episode(labels, active, fired, None))
    return found


def _milliseconds(seconds: Iterable[float]) -> Iterable[int]:
    return (round(at * 1000) for at in seconds)
