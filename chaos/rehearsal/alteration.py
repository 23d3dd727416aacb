"""What a fault does to telemetry, as far as somebody has measured or stated it; and telemetry in which it does so. Pure.

    baseline, fault, after ─▶ Alteration ─▶ scenario(severity, chance) ─▶ Played: changes per slot, as if it had happened

Counters and histograms add up over traffic: of a request that the fault does not reach, the baseline counts; of one that it reaches,
the fault's telemetry. So at a severity x an event of the baseline is kept with probability 1 - x, and one of the fault with x, exactly.
Gauges do not add up; they are mixed in proportion, which is a statement and not a measurement. A fault that fills queues does not
mix at all: such a fault asks for a recording at its own severity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chaos.promql import Selected
from chaos.rehearsal.grid import Grid, Mask, Matrix

Places = npt.NDArray[np.int64]

BLOCK = 10
"""Slots of the baseline that stay together when it is drawn anew: what belongs together in time stays so."""
SHIFT = 2
"""Slots by which the fault's course is moved back and forth between two scenarios."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """Telemetry without and with the fault, over the same series.

    `fault` begins with the first slot that is wholly under the fault, `after` with the first one after its removal. `measured` says
    whether the fault's part was measured or made by a model; `source` says by what, for people. `severity` is the share of traffic
    that is hurt in `fault`.
    """

    baseline: Grid
    fault: Grid
    after: Grid | None
    measured: bool
    source: str
    severity: float = 1.0

    def read_by(self, wanted: Sequence[Selected]) -> Alteration:
        """The same with no other series than those that these selectors match."""
        matched = (row for row, labels in enumerate(self.fault.series) if any(one.matches(labels) for one in wanted))
        rows = self.fault.whole_histograms(matched)
        after = self.after.only(rows) if self.after is not None else None
        return replace(self, baseline=self.baseline.only(rows), fault=self.fault.only(rows), after=after)

    def mixes(self) -> tuple[str, ...]:
        """The gauges that differ under the fault, and are mixed in proportion because nobody can say more."""
        names: set[str] = set()
        for row, labels in enumerate(self.fault.series):
            if self.fault.counter[row] or self.fault.clock[row]:
                continue
            before = self.baseline.change[row][self.baseline.there[row]]
            during = self.fault.change[row][self.fault.there[row]]
            if len(before) and len(during) and not before.min() <= np.median(during) <= before.max():
                names.add(labels.get("__name__", ""))
        return tuple(sorted(names))


@dataclass(frozen=True, slots=True)
class Course:
    """How long each part of a scenario is, in slots. The warm-up fills the rules' windows and is not looked at."""

    warmup: int
    baseline: int
    fault: int
    recovery: int

    @property
    def slots(self) -> int:
        """All of them."""
        return self.warmup + self.baseline + self.fault + self.recovery

    @property
    def effect(self) -> int:
        """The slot in which the fault begins."""
        return self.warmup + self.baseline

    @property
    def removal(self) -> int:
        """The slot in which it ends."""
        return self.effect + self.fault


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario: changes and presence, series × slots. `phase` is the part of the effect's slot that passes before it."""

    severity: float
    change: Matrix
    there: Mask
    phase: float


def play(alteration: Alteration, course: Course, severity: float, chance: np.random.Generator) -> Played:
    """The telemetry of one scenario. `severity` is a share of traffic in [0, 1] of which at most the measured one is known.

    Raises ValueError when it is more than was measured: nobody can say what happens there.
    """
    mixed = severity / alteration.severity
    if not 0 <= mixed <= 1 + 1e-9:
        raise ValueError(f"{severity:.3g} is more than what was measured, {alteration.severity:.3g}")
    phase = float(chance.random())
    base = alteration.baseline
    drawn = _blocks(base.slots, course.slots, chance)
    change, there = base.change[:, drawn].copy(), base.there[:, drawn].copy()
    if mixed > 0:
        at = slice(course.effect, course.removal + 1)
        weights = np.full(course.fault + 1, mixed)
        weights[0] *= 1 - phase
        weights[-1] *= phase
        _mix(
            base,
            change,
            there,
            at,
            alteration.fault,
            _onset(alteration.fault.slots, course.fault + 1, chance),
            weights,
            chance,
        )
        if alteration.after is not None and course.recovery > 1:
            known = min(alteration.after.slots, course.recovery - 1)
            at = slice(course.removal + 1, course.removal + 1 + known)
            _mix(
                base, change, there, at, alteration.after, _shifted(known, known, chance), np.full(known, mixed), chance
            )
    return Played(severity, change, there, phase)


def _blocks(known: int, wanted: int, chance: np.random.Generator) -> Places:
    """Slots of the baseline in blocks that are drawn with replacement: the moving-block bootstrap (Künsch, 1989)."""
    length = min(BLOCK, known)
    starts = chance.integers(0, known - length + 1, size=wanted // length + 1)
    found = (starts[:, None] + np.arange(length)).ravel()[:wanted]
    return found.astype(np.int64)


def _shifted(known: int, wanted: int, chance: np.random.Generator) -> Places:
    """The course in its own order, a little earlier or later in places."""
    moved = np.repeat(chance.integers(-SHIFT, SHIFT + 1, size=wanted // 5 + 1), 5)[:wanted]
    found: Places = np.clip(np.arange(wanted) + moved, 0, known - 1).astype(np.int64)
    return found


def _onset(known: int, wanted: int, chance: np.random.Generator) -> Places:
    """The fault's course from its beginning; after what was recorded, blocks of its later half."""
    found = _shifted(known, min(known, wanted), chance)
    if wanted > known:
        half = known // 2
        found = np.concatenate([found, half + _blocks(known - half, wanted - known, chance)])
    return found


def _mix(
    base: Grid,
    change: Matrix,
    there: Mask,
    at: slice,
    other: Grid,
    drawn: Places,
    weights: Matrix,
    chance: np.random.Generator,
) -> None:
    """In these slots every event of the baseline is kept with 1 - weight, and every one of `other` with weight. In place."""
    mine, theirs = change[:, at], other.change[:, drawn]
    events = base.whole & other.whole
    if events.any():
        kept = chance.binomial(
            np.round(mine[events]).astype(np.int64), np.broadcast_to(1 - weights, mine[events].shape)
        )
        came = chance.binomial(
            np.round(theirs[events]).astype(np.int64), np.broadcast_to(weights, theirs[events].shape)
        )
        mine[events] = kept + came
    rest = ~events
    mine_there, theirs_there = there[:, at], other.there[:, drawn]
    both = mine_there[rest] & theirs_there[rest]
    blend = (1 - weights) * np.nan_to_num(mine[rest]) + weights * np.nan_to_num(theirs[rest])
    mine[rest] = np.where(
        both | base.counter[rest][:, None], blend, np.where(theirs_there[rest], theirs[rest], mine[rest])
    )
    there[:, at] = np.where(weights > 0, theirs_there, mine_there)
