"""The arms compared under peeking: an exposure-weighted e-process. Pure; numpy only.

`RiskRatio` is an exposure-weighted e-process. In a window with exposures nT, nC and bad events sT, sC: given a bad
event, under risk ratio r it fell into treatment with probability p(r) = nT·r / (nT·r + nC), whatever the base rate
does over time. For a margin m, the likelihood ratio of an r beyond m against m itself is a non-negative
supermartingale under every ratio on the other side of m, and a mixture of such is one too. By Ville's inequality the
chance that it ever reaches 1/alpha is at most alpha, at whatever moments anybody looks. Only observed exposure
enters, never the nominal split.

Source: Ville (1939); Ramdas, Grünwald, Vovk, Shafer (2023), Game-theoretic statistics and safe anytime-valid inference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Decision = Literal["broken", "held", "undecided"]

_STEPS = 60
_FURTHEST = 3.0
_NEAREST = 0.05


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """One arm's exposure in a window, and how many of it were bad."""

    exposed: int
    bad: int

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.exposed:
            raise ValueError(f"{self.bad} bad of {self.exposed} exposed is impossible")


_DISTANCES: np.ndarray[tuple[int], np.dtype[np.float64]] = np.linspace(_NEAREST, _FURTHEST, _STEPS)
"""In log r from the margin."""
_LOG_WEIGHTS: np.ndarray[tuple[int], np.dtype[np.float64]] = -0.5 * _DISTANCES**2 - np.log(
    np.exp(-0.5 * _DISTANCES**2).sum()
)


def log_weights() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The logarithms of the mixture's weights over its ratios: half-normal with scale 1. The weights sum to one."""
    return _LOG_WEIGHTS


def log_likelihood_ratios(
    margin: float, side: float, treatment: float, control: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """What a bad event in treatment, and one in control, says for each ratio of the mixture against the margin.

    `side` is 1 for the ratios above the margin and -1 for those below; the exposures are those of the window.
    """
    yes, no = _log_share(math.log(margin) + side * _DISTANCES, treatment, control)
    yes_at, no_at = _log_share(np.array([math.log(margin)]), treatment, control)
    return yes - yes_at, no - no_at


def _log_share(
    log_ratio: np.ndarray[tuple[int], np.dtype[np.float64]], treatment: float, control: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The logarithms of p(r) and 1 - p(r): in which arm a bad event falls."""
    odds = log_ratio + math.log(treatment) - math.log(control)
    return -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)


@dataclass(frozen=True, slots=True)
class RiskRatio:
    """The running comparison of treatment with control. A value: `update` gives the next one.

    `broken` when the evidence against "ratio ≤ broken_margin" reaches 1/alpha; `held` when that against "ratio ≥
    held_margin" reaches 1/beta. If both, broken. Once decided, it stays decided.
    """

    alpha: float = 0.05
    beta: float = 0.05
    broken_margin: float = 1.0
    held_margin: float = 1.5
    decision: Decision = "undecided"
    treatment: ArmCounts = ArmCounts(0, 0)
    control: ArmCounts = ArmCounts(0, 0)
    skipped: int = 0
    _above: tuple[float, ...] = field(default=(), repr=False)
    _below: tuple[float, ...] = field(default=(), repr=False)
    _grid: tuple[float, ...] = field(default=(), repr=False)

    def update(self, treatment: ArmCounts, control: ArmCounts) -> RiskRatio:
        """After one more window, whose counts are increments. A window in which one arm saw nobody is skipped."""
        if treatment.exposed == 0 or control.exposed == 0:
            return replace(self, skipped=self.skipped + 1)
        seen = replace(
            self,
            treatment=ArmCounts(self.treatment.exposed + treatment.exposed, self.treatment.bad + treatment.bad),
            control=ArmCounts(self.control.exposed + control.exposed, self.control.bad + control.bad),
        )
        if treatment.bad + control.bad == 0:
            return seen  # evidence comes of bad events alone
        above = self._step(self._above, self.broken_margin, 1.0, treatment, control)
        below = self._step(self._below, self.held_margin, -1.0, treatment, control)
        grid = np.zeros(len(_RATIOS)) if not self._grid else np.array(self._grid)
        yes, no = _log_share(_RATIOS, treatment.exposed, control.exposed)
        grid = grid + treatment.bad * yes + control.bad * no
        following = replace(seen, _above=tuple(above), _below=tuple(below), _grid=tuple(grid))
        return replace(following, decision=following._decide(self.decision))  # noqa: SLF001

    def _step(
        self, so_far: tuple[float, ...], margin: float, side: float, treatment: ArmCounts, control: ArmCounts
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        now = np.zeros(_STEPS) if not so_far else np.array(so_far)
        falls, stays = log_likelihood_ratios(margin, side, treatment.exposed, control.exposed)
        moved: np.ndarray[tuple[int], np.dtype[np.float64]] = now + treatment.bad * falls + control.bad * stays
        return moved

    def _decide(self, before: Decision) -> Decision:
        if before == "broken" or self.e_broken >= 1 / self.alpha:
            return "broken"
        if before == "held" or self.e_held >= 1 / self.beta:
            return "held"
        return "undecided"

    @property
    def e_broken(self) -> float:
        """Evidence against "treatment is no worse than the margin"; 1 is none."""
        return _mixed(self._above)

    @property
    def e_held(self) -> float:
        """Evidence against "treatment is at least held_margin times as bad"; 1 is none."""
        return _mixed(self._below)

    @property
    def ratio(self) -> float:
        """The risk ratio of the grid under which the counts are likeliest; NaN without bad events."""
        if not self._grid or self.treatment.bad + self.control.bad == 0:
            return math.nan
        return float(np.exp(_RATIOS[int(np.argmax(self._grid))]))

    @property
    def interval(self) -> tuple[float, float]:
        """A confidence sequence for the risk ratio: covers it at all times at once with probability 1 - alpha.

        Every ratio whose likelihood, against a mixture over all, has not become 1/alpha times too small.
        """
        if not self._grid or self.treatment.bad + self.control.bad == 0:
            return 0.0, math.inf
        grid = np.array(self._grid)
        mixture = float(np.logaddexp.reduce(grid + _LOG_PRIOR))
        kept = _RATIOS[mixture - grid < math.log(1 / self.alpha)]
        if len(kept) == 0:
            return self.ratio, self.ratio
        low = 0.0 if kept[0] == _RATIOS[0] else float(np.exp(kept[0]))
        high = math.inf if kept[-1] == _RATIOS[-1] else float(np.exp(kept[-1]))
        return low, high


_RATIOS: np.ndarray[tuple[int], np.dtype[np.float64]] = np.linspace(math.log(0.02), math.log(50.0), 401)
_PRIOR = np.exp(-0.5 * (_RATIOS / 1.5) ** 2)
_LOG_PRIOR: np.ndarray[tuple[int], np.dtype[np.float64]] = np.log(_PRIOR / _PRIOR.sum())


def _mixed(logs: tuple[float, ...]) -> float:
    if not logs:
        return 1.0
    return float(np.exp(min(700.0, float(np.logaddexp.reduce(np.array(logs) + _LOG_WEIGHTS)))))
