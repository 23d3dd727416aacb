"""Real users at a proxy that never were: they come, come back and try again, and what the proxy counts of it. Seeded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.statistics.scenarios import Look


@dataclass(frozen=True, slots=True)
class Users:
    """So many new ones a second, as chance has it; each fails for good with this chance, and comes back `visits` times in all.

    `counted` says how: by their first requests, as the product does; by every request; by every attempt of a first request (whoever
    fails tries three times more, in vain); or twice, as by two proxies that each meet all of them.
    """

    share: float = 0.5
    new_per_s: float = 40.0
    failing: float = 0.05
    ratio: float = 1.0
    seconds: int = 120
    visits: int = 6
    counted: Literal["subjects", "requests", "attempts", "twice"] = "subjects"

    def failures(self, runs: int, seed: int) -> Iterator[Look]:
        """The seconds of `runs` runs, by who failed."""
        chance = np.random.default_rng(seed)
        risks = (min(1.0, self.failing * self.ratio), self.failing)
        for _ in range(self.seconds):
            exposed = [chance.poisson(self.new_per_s * part, runs) for part in (self.share, 1 - self.share)]
            bad = [chance.binomial(arm, risk) for arm, risk in zip(exposed, risks, strict=True)]
            yield self._as_counted(exposed, bad)

    def _as_counted(self, exposed: list[np.ndarray], bad: list[np.ndarray]) -> Look:
        match self.counted:
            case "subjects":
                times, retries = 1, 0
            case "requests":
                times, retries = self.visits, 0
            case "attempts":
                times, retries = 1, 3
            case "twice":
                times, retries = 2, 0
        counted = [times * arm + retries * count for arm, count in zip(exposed, bad, strict=True)]
        return counted[0], counted[1], (times + retries) * bad[0], (times + retries) * bad[1]

    def slow_answers(self, runs: int, seed: int) -> Iterator[Look]:
        """By who was slow: such an answer is counted three seconds after the others that came with it, in a storm three times as often."""
        chance = np.random.default_rng(seed)
        waiting = [[np.zeros(runs, dtype=np.int64)] * 3 for _ in range(2)]
        for second in range(self.seconds):
            risk = self.failing * (3 if 40 <= second < 70 else 1)
            exposed, bad = [], []
            for place, part in enumerate((self.share, 1 - self.share)):
                came = chance.poisson(self.new_per_s * part, runs)
                slow = chance.binomial(came, min(1.0, risk * (self.ratio if place == 0 else 1.0)))
                late = waiting[place].pop(0)
                waiting[place].append(slow)
                exposed.append(came - slow + late)
                bad.append(late)
            yield exposed[0], exposed[1], bad[0], bad[1]
