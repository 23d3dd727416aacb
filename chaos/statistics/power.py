"""How long a comparison of the arms takes, and what it can tell in a given time: computed from the e-process itself. Pure; numpy only.

Bad events come one after another, and under a ratio r each falls into treatment with the same chance. What `RiskRatio` then says depends
only on how many there were and how many of them fell into treatment, so for every number of events there is one count of treatment events
from which on it has decided. The chance that a walk has reached that count is carried forward event by event, and mixed over how many
events there are by then (Poisson). What is approximated: a look a second is one after every so many events as come in a second on
average, the base rate is flat, and bad events are rare. Against simulation (tests/statistics/test_power.py) chances are right to 0.05, and
seconds to a fifth or two seconds. Beyond MOST_EVENTS a single look at the end is counted, by the normal approximation: a little too
pessimistic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np

from chaos.statistics.risk_ratio import log_likelihood_ratios, log_weights

Answer = Literal["broken", "held"]

MOST_EVENTS = 3_000
"""Bad events in both arms up to which the walk is computed exactly."""
LARGEST_RATIO = 50.0
"""No larger change is looked for: it is the end of what `RiskRatio` estimates."""
LONGEST_S = 7 * 86_400.0
"""Seconds; what takes longer is said to be never told."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a comparison will see: subjects a second in both arms, treatment's share of them, and control's share of bad ones."""

    rate_per_s: float
    share: float
    base_rate: float

    def __post_init__(self) -> None:
        if not (self.rate_per_s > 0 and 0 < self.share < 1 and 0 < self.base_rate <= 1):
            raise ValueError(f"{self} has no two arms in which bad events happen")

    def bad_per_s(self, ratio: float) -> float:
        """Bad events a second in both arms together."""
        treated = min(1.0, self.base_rate * ratio)
        return self.rate_per_s * (self.share * treated + (1 - self.share) * self.base_rate)

    def falls(self, ratio: float) -> float:
        """The chance that a bad event is one of treatment."""
        treated = min(1.0, self.base_rate * ratio)
        return self.share * treated / (self.share * treated + (1 - self.share) * self.base_rate)


def chance_to_tell(
    traffic: Traffic, ratio: float, seconds: float, alpha: float = 0.05, margin: float = 1.0, answer: Answer = "broken"
) -> float:
    """The chance that a treatment `ratio` times as bad as control gets this answer within so many seconds."""
    expected = traffic.bad_per_s(ratio) * seconds
    falls = traffic.falls(ratio)
    if expected > MOST_EVENTS - 6 * math.sqrt(MOST_EVENTS):
        return _at_one_look(round(expected), falls, traffic.share, alpha, margin, answer)
    if expected < 1e-9:
        return 0.0
    most = min(MOST_EVENTS, math.ceil(expected + 8 * math.sqrt(expected) + 10))
    every = max(1, round(traffic.bad_per_s(ratio)))
    told = _told_by(round(traffic.share, 9), round(falls, 9), alpha, margin, answer, _rounded(most), every)[: most + 1]
    events = np.arange(most + 1)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    weights = np.exp(events * math.log(expected) - expected - factorial)
    return float(min(1.0, (weights * told).sum()))


def seconds_to_tell(
    traffic: Traffic,
    ratio: float,
    chance: float = 0.5,
    alpha: float = 0.05,
    margin: float = 1.0,
    answer: Answer = "broken",
) -> float | None:
    """The seconds within which this chance of the answer is reached; None where that is more than a week.

    The default chance gives the median: half of all runs have their answer by then.
    """

    def enough(seconds: float) -> bool:
        return chance_to_tell(traffic, ratio, seconds, alpha, margin, answer) >= chance

    longest = 1.0
    while not enough(longest):
        longest *= 2
        if longest > LONGEST_S:
            return None
    return _least(enough, longest / 2 if longest > 1 else 0.0, longest)


def smallest_ratio(traffic: Traffic, seconds: float, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The minimum detectable effect: the smallest ratio that is called broken within `seconds` with this power.

    None where not even the largest possible one is.
    """
    largest = min(LARGEST_RATIO, 1 / traffic.base_rate)

    def enough(log_ratio: float) -> bool:
        return chance_to_tell(traffic, math.exp(log_ratio), seconds, alpha) >= power

    if largest <= 1 or not enough(math.log(largest)):
        return None
    return math.exp(_least(enough, 0.0, math.log(largest)))


def events_to_tell(
    ratio: float, share: float, chance: float = 0.5, alpha: float = 0.05, margin: float = 1.0, answer: Answer = "broken"
) -> int | None:
    """Bad events in both arms after which this chance of the answer is reached; None where MOST_EVENTS are not enough."""
    falls = share * ratio / (share * ratio + 1 - share)
    told = _told_by(round(share, 9), round(falls, 9), alpha, margin, answer, MOST_EVENTS)
    reached = np.flatnonzero(told >= chance)
    return int(reached[0]) if len(reached) else None


def _least(enough: Callable[[float], bool], low: float, high: float) -> float:
    """The least value that is enough, to a half per cent; `high` is."""
    for _ in range(20):
        if high - low <= 0.005 * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _rounded(events: int) -> int:
    """The next of a few sizes, so that neighbouring questions share one walk."""
    return next((size for size in (50, 200, 600, 1_500) if size >= events), MOST_EVENTS)


@lru_cache(maxsize=256)
def _told_by(
    share: float, falls: float, alpha: float, margin: float, answer: Answer, events: int, every: int = 1
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """After 0, 1, … events: the chance that the answer has been given by then, with a look after `every` so many."""
    boundary = _boundary(share, alpha, margin, answer, events)
    here = np.zeros(events + 2)
    here[0] = 1.0
    told = np.zeros(events + 1)
    lost = 0.0
    for count in range(1, events + 1):
        here[1 : count + 1] = here[1 : count + 1] * (1 - falls) + here[:count] * falls
        here[0] *= 1 - falls
        if count % every == 0:
            decided = slice(boundary[count], count + 1) if answer == "broken" else slice(0, boundary[count] + 1)
            lost += float(here[decided].sum())
            here[decided] = 0.0
        told[count] = lost
    told.setflags(write=False)
    return told


@lru_cache(maxsize=32)
def _boundary(share: float, alpha: float, margin: float, answer: Answer, events: int) -> tuple[int, ...]:
    """For 0, 1, … events: from how many treatment events on (broken), or up to how many (held, -1: none), the answer is given."""
    found: list[int] = []
    at = 0 if answer == "broken" else -1
    for count in range(events + 1):
        if answer == "broken":
            while at <= count and not _decides(at, count, share, alpha, margin, answer):
                at += 1
        else:
            while _decides(at + 1, count, share, alpha, margin, answer):
                at += 1
        found.append(at)
    return tuple(found)


def _decides(treated: int, count: int, share: float, alpha: float, margin: float, answer: Answer) -> bool:
    """Whether so many events, so many of them treatment's, give the answer."""
    if not 0 <= treated <= count:
        return False
    falls, stays = log_likelihood_ratios(margin, 1.0 if answer == "broken" else -1.0, share, 1 - share)
    logs = treated * falls + (count - treated) * stays + log_weights()
    return float(np.logaddexp.reduce(logs)) >= math.log(1 / alpha)


def _at_one_look(count: int, falls: float, share: float, alpha: float, margin: float, answer: Answer) -> float:
    """The chance that a single look after so many events gives the answer."""
    low, high = 0, count
    while low < high:  # the evidence grows with treatment's events (broken) or falls with them (held)
        middle = (low + high) // 2
        given = _decides(middle, count, share, alpha, margin, answer)
        low, high = (low, middle) if given == (answer == "broken") else (middle + 1, high)
    spread = math.sqrt(count * falls * (1 - falls))
    below = NormalDist().cdf((low - 0.5 - count * falls) / spread) if spread > 0 else float(low > count * falls)
    return 1 - below if answer == "broken" else below
