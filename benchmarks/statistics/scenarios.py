"""Runs that never were: counts second by second, of arms that are alike or are not. Seeded; every run its own chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Exposure = Callable[[int], float]
Look = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""One second of every run: exposed in treatment and control, bad in treatment and control."""


def flat(value: float) -> Exposure:
    """The same in every second."""
    return lambda second: value


@dataclass(frozen=True, slots=True)
class Scenario:
    """What comes to each arm in a second, how often it turns out bad in control, and how many times as often in treatment.

    `closed`: whoever got a bad answer comes back later, so that exposure depends on what was bad before.
    """

    title: str
    seconds: int
    treatment: Exposure
    control: Exposure
    risk: Exposure
    ratio: float = 1.0
    closed: bool = False

    def play(self, runs: int, seed: int) -> Iterator[Look]:
        """The seconds of `runs` runs, one after another."""
        chance = np.random.default_rng(seed)
        away = [np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=np.int64)]
        for second in range(self.seconds):
            exposed = [
                np.maximum(1, np.full(runs, int(arm(second))) - gone)
                for arm, gone in zip((self.treatment, self.control), away, strict=True)
            ]
            risks = (min(1.0, self.risk(second) * self.ratio), self.risk(second))
            bad = [chance.binomial(arm, risk) for arm, risk in zip(exposed, risks, strict=True)]
            if self.closed:
                away = [2 * count for count in bad]
            yield exposed[0], exposed[1], bad[0], bad[1]


ALIKE = (
    Scenario("5 % bad in both arms, 50/50 of 40/s", 120, flat(20), flat(20), flat(0.05)),
    Scenario("rare: 0.1 % bad, 10/90 of 40/s", 600, flat(4), flat(36), flat(0.001)),
    Scenario("a drift in both arms, from 1 % to 25 %", 120, flat(20), flat(20), lambda second: 0.01 + 0.002 * second),
    Scenario(
        "a storm in both arms, 60 % bad for 30 s", 90, flat(20), flat(20), lambda s: 0.6 if 30 <= s < 60 else 0.01
    ),
    Scenario("treatment ramped up from 10 % to 50 %", 120, lambda s: 4 + s // 8, lambda s: 36 - s // 8, flat(0.05)),
    Scenario(
        "a ramp and a drift at once", 120, lambda s: 4 + s // 8, lambda s: 36 - s // 8, lambda s: 0.02 + 0.002 * s
    ),
    Scenario("closed loop: whoever got a bad answer stays away", 120, flat(20), flat(20), flat(0.1), closed=True),
    Scenario("unequal: 10/90 of 40/s, 7 % bad", 120, flat(4), flat(36), flat(0.07)),
)
"""Arms that are alike, in every way that has fooled somebody."""

AT_THE_MARGIN = Scenario(
    "treatment exactly 1.5 times as bad: never held", 120, flat(20), flat(20), flat(0.05), ratio=1.5
)
BELOW = Scenario("treatment better than control (0.8 times)", 120, flat(20), flat(20), flat(0.08), ratio=0.8)


def guarded(margin: float) -> tuple[Scenario, ...]:
    """Treatment exactly as bad as three guards on arms allow: mistakes, errors and slow requests of one run, one after another."""
    return (
        Scenario(f"mistakes, x{margin:g}", 120, flat(20), flat(20), flat(0.05), margin),
        Scenario(f"errors, x{margin:g}", 120, flat(4), flat(36), flat(0.02), margin),
        Scenario(f"slow, x{margin:g}", 120, flat(20), flat(20), lambda s: 0.01 + 0.002 * s, margin),
    )
