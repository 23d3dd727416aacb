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
TOGETHER = 5
"""Slots of the fault's course that stay together when it is moved in time."""
SHIFT = 2
"""Slots by which they are moved back and forth."""
AROUND = 3
"""Slots on either side over which the course is smoothed; what is left then is chance."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """Telemetry without and with the fault, over the same series.

    `fault` begins with the slot in which the fault began, `after` with the one in which it was removed. `measured` says whether the
    fault's part was measured or made by a model, slot by slot of the baseline; `source` says by what, for people. `severity` is the
    share of traffic that is hurt in `fault`.
    """

    baseline: Grid
    fault: Grid
    after: Grid | None
    measured: bool
    source: str
    severity: float = 1.0
    begun: float = 0.0
    """The part of `fault`'s first slot that had passed when the fault began."""
    head: int = 0
    """Of a model: the slots at the beginning of `fault` in which not all of it shows yet."""

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
    mixed, phase = min(mixed, 1.0), float(chance.random())
    base = alteration.baseline
    drawn = _anew(base.slots, course.slots, chance)
    change, there = base.change[:, drawn].copy(), base.there[:, drawn].copy()
    played = Played(severity, change, there, phase)
    if mixed > 0:
        _hurt(alteration, course, played, drawn, mixed, chance)
        _recover(alteration, course, played, drawn, mixed, chance)
    return played


def _hurt(
    alteration: Alteration, course: Course, played: Played, drawn: Places, mixed: float, chance: np.random.Generator
) -> None:
    """From the effect's slot up to the removal's, without it, the fault takes its share. In place."""
    at = slice(course.effect, course.removal)
    fault, base = alteration.fault, alteration.baseline
    places = _onset(alteration, drawn[at], chance)
    theirs = (_noisy(fault, chance) if alteration.measured else fault.change)[:, places]
    # The fault began in another moment of its slot than it does here: every slot gets a part of its neighbour.
    late = played.phase - alteration.begun
    before, following = np.hstack([base.change[:, drawn[at][:1]], theirs]), np.hstack([theirs[:, 1:], theirs[:, -1:]])
    neighbours = before[:, :-1] if late >= 0 else following
    moved = (1 - abs(late)) * theirs + abs(late) * neighbours
    moved[fault.whole] = _wholly(moved[fault.whole], chance.random())
    # Of what a scrape shows of that moment, a sample of the same slot may have known then and not here, or here and not then.
    knows = (played.phase < 1 - fault.age).astype(np.int64) - (alteration.begun < 1 - fault.age).astype(np.int64)
    there = fault.there[:, places]
    earlier = np.hstack([played.there[:, at][:, :1], there[:, :-1]]), before[:, :-1]
    later = np.hstack([there[:, 1:], there[:, -1:]]), following
    shown = [
        np.select([knows[:, None] < 0, knows[:, None] > 0], pair, now)
        for *pair, now in zip(earlier, later, (there, theirs), strict=True)
    ]
    gauges = ~fault.counter
    moved[gauges] = shown[1][gauges]
    _mix(alteration, played, at, moved, shown[0].astype(bool), np.full(len(places), mixed), chance)


def _recover(
    alteration: Alteration, course: Course, played: Played, drawn: Places, mixed: float, chance: np.random.Generator
) -> None:
    """The removal's slot and those after it, as far as somebody has seen them. In place."""
    after = alteration.after
    if after is not None:
        at = slice(course.removal, course.removal + min(after.slots, course.recovery))
        count = at.stop - at.start
        weights = np.full(count, mixed)
        _mix(alteration, played, at, after.change[:, :count], after.there[:, :count], weights, chance)
        return
    at = slice(course.removal, course.removal + 1)
    places = _onset(alteration, drawn[at], chance)
    gauges = ~alteration.fault.counter
    theirs, there = alteration.fault.change[:, places], alteration.fault.there[:, places]
    theirs[gauges], there[gauges] = played.change[gauges, at], played.there[gauges, at]
    _mix(alteration, played, at, theirs, there, np.array([mixed * played.phase]), chance)


def _anew(known: int, wanted: int, chance: np.random.Generator) -> Places:
    """Slots of the baseline in blocks that are drawn with replacement: the moving-block bootstrap (Künsch, 1989).

    Twice: what was recorded was drawn by the world once, and what will happen is drawn once more.
    """
    recorded = _blocks(known, known, chance)
    return recorded[_blocks(known, wanted, chance)]


def _blocks(known: int, wanted: int, chance: np.random.Generator) -> Places:
    length = max(1, min(BLOCK, known // 4))
    starts = chance.integers(0, known - length + 1, size=wanted // length + 1)
    found = (starts[:, None] + np.arange(length)).ravel()[:wanted]
    return found.astype(np.int64)


def _shifted(known: int, wanted: int, chance: np.random.Generator) -> Places:
    """The course in its own order, block by block a little earlier or later; its beginning stays what it is."""
    begins = np.arange(0, wanted, TOGETHER)
    most = np.minimum(begins, SHIFT)
    moved = np.repeat(chance.integers(-most, most + 1), TOGETHER)[:wanted]
    found: Places = np.clip(np.arange(wanted) + moved, 0, known - 1).astype(np.int64)
    return found


def _onset(alteration: Alteration, drawn: Places, chance: np.random.Generator) -> Places:
    """Slots of the fault: its course from its beginning, and after what was recorded, blocks of its later half.

    A model has no course of its own: what it makes of a slot of the baseline stands in for that slot, once all of it shows.
    """
    known, wanted = alteration.fault.slots, len(drawn)
    if not alteration.measured:
        shows = np.minimum(np.arange(wanted), alteration.head)
        return np.where(shows < alteration.head, shows, np.maximum(drawn, min(alteration.head, known - 1)))
    found = _shifted(known, min(known, wanted), chance)
    if wanted > known:
        half = known // 2
        found = np.concatenate([found, half + _blocks(known - half, wanted - known, chance)])
    return found


def _noisy(grid: Grid, chance: np.random.Generator) -> Matrix:
    """The course with other chance in it: what is left of each slot after smoothing comes with either sign, for all counters together.

    The wild bootstrap (Wu, 1986): the order in time stays, and so does what counters have in common. By the root of two more than what
    is left, since what was recorded was drawn by the world once, and what will happen is drawn once more.
    """
    found = grid.change.copy()
    rows = np.flatnonzero(grid.counter & grid.change.any(axis=1))
    course = grid.change[rows, 1:]  # the slot in which the fault begins is like no other
    count, around = course.shape[1], np.ones(2 * AROUND + 1)
    if not len(rows) or not count:
        return found
    near = np.convolve(np.ones(count), around)[AROUND : AROUND + count]
    signs = chance.choice(np.array([-1.0, 1.0]), count) * np.sqrt(2 * near / np.maximum(near - 1, 1))
    mean = np.array([np.convolve(row, around)[AROUND : AROUND + count] for row in course]) / near
    total = np.maximum.accumulate(np.maximum(0.0, np.cumsum(mean + signs * (course - mean), axis=1)), axis=1)
    found[rows, 1:] = np.diff(total, axis=1, prepend=0.0)
    return found


def _wholly(change: Matrix, start: float) -> Matrix:
    """Whole events, in every series from the same start: over all slots less than one is lost or made."""
    return np.diff(np.floor(np.cumsum(change, axis=1) + start + 1e-9), axis=1, prepend=0.0)


def _blended(
    grid: Grid, mine: Matrix, theirs: Matrix, weights: npt.NDArray[np.float64], chance: np.random.Generator
) -> Matrix:
    """Of every event of `mine` so many stay as 1 - weight says, and of `theirs` so many come as weight says; the rest in proportion."""
    found = (1 - weights) * mine + weights * theirs
    found = np.where(weights >= 1, theirs, np.where(weights <= 0, mine, found))  # nothing times a gap is nothing
    if grid.whole.any():
        kept = chance.binomial(_events(mine[grid.whole]), np.broadcast_to(1 - weights, mine[grid.whole].shape))
        came = chance.binomial(_events(theirs[grid.whole]), np.broadcast_to(weights, theirs[grid.whole].shape))
        found[grid.whole] = kept + came
    return found


def _events(change: Matrix) -> Places:
    return np.round(change).astype(np.int64)


def _mix(
    alteration: Alteration,
    played: Played,
    at: slice,
    theirs: Matrix,
    theirs_there: Mask,
    weights: npt.NDArray[np.float64],
    chance: np.random.Generator,
) -> None:
    """In these slots of the scenario every event is kept with 1 - weight, and every one of the fault's comes with weight. In place."""
    base = alteration.baseline
    grid = replace(base, whole=base.whole & alteration.fault.whole)
    mine, mine_there = played.change[:, at], played.there[:, at]
    found = _blended(grid, mine, theirs, weights, chance)
    gauges = ~base.counter[:, None]
    found = np.where(gauges & ~mine_there, theirs, found)
    played.change[:, at] = np.where(gauges & ~theirs_there & mine_there, mine, found)
    played.there[:, at] = np.where(weights > 0, theirs_there, mine_there)
