"""The same fault several times: how often its alert was told, and when, with what so few repeats can say. Pure.

    trials ─▶ Rate: k of n, and its exact interval        ─▶ Waiting: median time, where a miss only says "not before"

Quality is told in the terms of the SRE Workbook (chapter 5, "Alerting on SLOs"): precision, recall, detection time, reset time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from chaos.detection.gates import Detection, Gate
from chaos.statistics import clopper_pearson
from chaos.units import format_duration

CONFIDENCE = 0.95
TOLD = ("detected", "late", "unresolved")
"""Outcomes of which somebody was told."""
MISSED = ("undetected", "wrong_alert", "undelivered")
"""Outcomes of which nobody was; every other one says nothing about the alert, and is left out."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`k` of `n`, each on its own. A rate is never told as 100 % or as 0 %: that many repeats nobody makes."""

    k: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.n:
            raise ValueError(f"{self.k} of {self.n} is no rate; count at most as many as there were")

    @property
    def interval(self) -> tuple[float, float]:
        """What the true rate may be: Clopper and Pearson's exact interval at 95 %; all of [0, 1] for nothing of nothing."""
        return clopper_pearson(self.k, self.n, CONFIDENCE) if self.n else (0.0, 1.0)

    def __str__(self) -> str:
        """`3 of 3 (at least 29%)`, `0 of 4 (at most 60%)`, `2 of 3 (9% to 99%)`."""
        low, high = self.interval
        if self.n == 0:
            return "0 of 0"
        if self.k == self.n:
            return f"{self.k} of {self.n} (at least {_percent(low)})"
        if self.k == 0:
            return f"{self.k} of {self.n} (at most {_percent(high)})"
        return f"{self.k} of {self.n} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    """In whole percents, and never all or nothing."""
    return f"{min(99, max(1, round(100 * share)))}%"


@dataclass(frozen=True, slots=True)
class Waited:
    """One wait, in seconds: until it happened, or for as long as somebody watched in vain (`happened` is false)."""

    seconds: float
    happened: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Waits of which some ended in vain: those say that it takes longer than was watched, and no more."""

    waits: tuple[Waited, ...]

    @property
    def survival(self) -> tuple[tuple[float, float], ...]:
        """Kaplan and Meier's estimate: after so many seconds, this share still waits. One row for each time at which it happened."""
        left, share = len(self.waits), 1.0
        rows: list[tuple[float, float]] = []
        # Of a wait that ended in vain at the very moment of another's end it is only known that it took longer.
        for seconds, same in groupby(sorted(self.waits, key=lambda one: one.seconds), key=lambda one: one.seconds):
            together = list(same)
            happened = sum(one.happened for one in together)
            if happened:
                share *= 1 - happened / left
                rows.append((seconds, share))
            left -= len(together)
        return tuple(rows)

    @property
    def median_s(self) -> float | None:
        """After how long half of them had happened; None when fewer than half are known to have."""
        return next((seconds for seconds, share in self.survival if share <= 0.5 + 1e-12), None)

    @property
    def interval_s(self) -> tuple[float, float | None]:
        """Where the true median lies at 95 %, by order statistics: exact, whatever the distribution is.

        A wait in vain counts as just over for the lower end and as endless for the upper one, so the interval holds
        whatever would have come. (0, None), which is everything, for fewer than six waits.
        """
        place = _order_place(len(self.waits))
        if place == 0:
            return 0.0, None
        soonest = sorted(one.seconds for one in self.waits)
        latest = sorted(one.seconds if one.happened else math.inf for one in self.waits)
        high = latest[len(latest) - place]
        return soonest[place - 1], high if math.isfinite(high) else None

    def __str__(self) -> str:
        """`median 12s (9s to 20s)`; `over` where half of them never happened."""
        low, high = self.interval_s
        if not self.waits:
            return "never waited for"
        longest = max(one.seconds for one in self.waits)
        middle = f"median {_duration(self.median_s)}" if self.median_s is not None else f"over {_duration(longest)}"
        if (low, high) == (0.0, None):
            return f"{middle} (too few to say more)"
        return f"{middle} ({_duration(low)} {f'to {_duration(high)}' if high is not None else 'or more'})"


def _duration(seconds: float) -> str:
    return format_duration(round(seconds, 1))


def _order_place(n: int) -> int:
    """The greatest j for which the j-th smallest and the j-th greatest of n hold the median between them at 95 %; 0: there is none."""
    place, tail = 0, 0.0
    while True:
        tail += math.comb(n, place) / 2**n
        if tail > (1 - CONFIDENCE) / 2:
            return place
        place += 1


@dataclass(frozen=True, slots=True)
class Repeats:
    """The same fault several times, for one alert.

    `told` is who was told in time, of all repeats that say something; `left_out` counts those that do not.
    """

    told: Rate
    detection: Waiting
    reset: Waiting
    left_out: int = 0

    @staticmethod
    def of(trials: Iterable[tuple[Detection, float, float]]) -> Repeats:
        """From each repeat's detection, for how long its fault was on, and for how long its end was watched, both in seconds."""
        counted = list(trials)
        kept = [trial for trial in counted if trial[0].outcome in (*TOLD, *MISSED)]
        in_time = sum(found.outcome in ("detected", "unresolved") for found, _, _ in kept)
        return Repeats(
            Rate(in_time, len(kept)),
            Waiting(tuple(_waited(found.told_after_s, on_s) for found, on_s, _ in kept)),
            Waiting(
                tuple(
                    _waited(found.resolved_after_s, watched_s)
                    for found, _, watched_s in kept
                    if found.stage(Gate.firing).at_wall_s is not None
                )
            ),
            len(counted) - len(kept),
        )

    def __str__(self) -> str:
        """`told in time 3 of 3 (at least 29%), after median 12s (…)`."""
        aside = f"; {self.left_out} more say nothing" if self.left_out else ""
        return f"told in time {self.told}, after {self.detection}{aside}"


def _waited(after_s: float | None, watched_s: float) -> Waited:
    return Waited(watched_s, happened=False) if after_s is None else Waited(after_s, happened=True)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good an alert is: faults that it told, faults that it missed, and how often it fired without one."""

    told: int
    missed: int
    false_alarms: int

    @property
    def precision(self) -> Rate:
        """Of the times that it fired, how often something was really wrong."""
        return Rate(self.told, self.told + self.false_alarms)

    @property
    def recall(self) -> Rate:
        """Of the times that something was wrong, how often it fired."""
        return Rate(self.told, self.told + self.missed)


def quality(repeats: Sequence[Repeats], false_alarms: int) -> Quality:
    """Of one alert over all faults that it should tell."""
    told = sum(one.told.k for one in repeats)
    return Quality(told, sum(one.told.n for one in repeats) - told, false_alarms)


__all__ = ["Quality", "Rate", "Repeats", "Waited", "Waiting", "quality"]
