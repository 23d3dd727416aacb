"""A recording as matrices: for each series what it gained or showed in each slot of one scrape. Pure.

recording ─▶ grid(recording, from, to) ─▶ Grid: increments of counters, values of gauges, and who was there
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from chaos.rehearsal.recording import RecordedSeries, Recording

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Clocks = npt.NDArray[np.int8]

STALE = 0.5
"""Of a scrape interval: when a sample is so much older than the series' samples usually are, its scrape has failed."""
LATE = 0.05
"""Of a scrape interval; a sample may come so late and still belong to its slot."""
NEAR_S = 366 * 86400.0
"""A gauge whose values are this near to the wall clock holds a time."""
FEW = 3
"""Values of a gauge that holds a time and hardly ever another one: when a process was started, not when it was last alive."""


class Clock(IntEnum):
    """Whether a gauge holds a time, and which kind."""

    none = 0
    runs = 1
    """A time that follows the clock, such as the last exposure: kept as its distance from the clock."""
    stands = 2
    """A moment that stays what it is, such as a process' start: kept as its distance from the recording's beginning."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Series × slots. Slot k is the stretch of `slot_s` seconds that ends at `start_wall_s + (k + 1) · slot_s`.

    `change` holds a counter's increment in the slot and a gauge's value at its end (relative, for one that holds a time: see `Clock`);
    `there` says whether the series had a fresh sample then. Buckets of a histogram stand side by side in `change`, each without what
    the smaller ones counted (`below` says which row that is).
    """

    series: tuple[Mapping[str, str], ...]
    counter: Mask
    """Which rows only grow."""
    whole: Mask
    """Which rows count events: all their increments are whole numbers."""
    clock: Clocks
    """Which rows hold a time: a `Clock` each."""
    below: tuple[int, ...]
    """For a bucket, the row of the next smaller one of its histogram; -1 for everything else."""
    copies: tuple[int, ...]
    """For the count of a histogram, the row of its largest bucket, which says the same; -1 for everything else."""
    start_wall_s: float
    slot_s: float
    change: Matrix
    there: Mask
    age: Matrix
    """For each row how long before a slot's end its sample comes, as a part of the slot: targets are scraped one after the other."""

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return int(self.change.shape[1])

    def only(self, rows: Sequence[int]) -> Grid:
        """These rows alone, in their order; the smaller buckets of a bucket that stays must stay, too."""
        places = {row: place for place, row in enumerate(rows)}
        picked = list(rows)
        return Grid(
            tuple(self.series[row] for row in rows), self.counter[picked], self.whole[picked], self.clock[picked],
            tuple(places.get(self.below[row], -1) for row in rows), tuple(places.get(self.copies[row], -1) for row in rows),
            self.start_wall_s, self.slot_s, self.change[picked], self.there[picked], self.age[picked],
        )  # fmt: skip

    def whole_histograms(self, rows: Iterable[int]) -> list[int]:
        """These rows, and every bucket without which one of them could not be put together again."""
        found: set[int] = set()
        for row in rows:
            here: int = row
            while here >= 0 and here not in found:
                found.add(here)
                here = self.copies[here] if self.copies[here] >= 0 else self.below[here]
        return sorted(found)

    def slice(self, first: int, last: int) -> Grid:
        """The slots from `first` up to `last`, without it."""
        return Grid(
            self.series, self.counter, self.whole, self.clock, self.below, self.copies,
            self.start_wall_s + first * self.slot_s, self.slot_s, self.change[:, first:last], self.there[:, first:last], self.age,
        )  # fmt: skip


def grid(recording: Recording) -> Grid:
    """The whole recording in slots of its longest scrape interval."""
    slot_s = slot_of(recording)
    start_wall_s = recording.start_wall_s + _phase(recording, slot_s)
    count = max(1, int((recording.end_wall_s - start_wall_s) / slot_s))
    ends: Matrix = start_wall_s + slot_s * np.arange(count + 1, dtype=np.float64)  # the first one is before every slot
    series = _ordered(recording.series)
    kinds = np.array([one.kind == "counter" for one in series], dtype=bool)
    change, there = np.zeros((len(series), count)), np.zeros((len(series), count), dtype=bool)
    clock, age = np.zeros(len(series), dtype=np.int8), np.zeros(len(series))
    for row, one in enumerate(series):
        age[row] = _age(one, ends, slot_s)
        change[row], there[row], clock[row] = _read(one, ends, slot_s, age[row])
    below, copies = _histograms([one.labels for one in series])
    change = _apart(change, below)
    fractions = np.abs(change - np.round(change)) > 1e-6
    whole = kinds & ~np.any(fractions, axis=1)
    labels = tuple(dict(one.labels) for one in series)
    return Grid(labels, kinds, whole, clock, below, copies, start_wall_s, slot_s, change, there, age)


NICE_S = (1.0, 0.1, 0.01)
"""What intervals that people write are multiples of."""
NEARLY = 0.01


def slot_of(recording: Recording) -> float:
    """The longest scrape interval among the targets: the median distance of samples of the series that a target always shows."""
    shortest: dict[tuple[str | None, str | None], float] = {}
    for one in recording.series:
        if len(one.samples) > 2:
            distance = float(np.median(np.diff([at for at, _ in one.samples])))
            target = _target(one)
            shortest[target] = min(distance, shortest.get(target, math.inf))
    longest = max(shortest.values(), default=recording.scrape_s)
    for unit in NICE_S:  # a scrape comes some milliseconds early or late; the interval is what somebody wrote
        nice = round(longest / unit) * unit
        if abs(longest - nice) < NEARLY * longest:
            return round(nice, 3)
    return max(round(longest, 3), recording.scrape_s / 10)


def _target(one: RecordedSeries) -> tuple[str | None, str | None]:
    return one.labels.get("job"), one.labels.get("instance")


def _phase(recording: Recording, slot_s: float) -> float:
    """How long after the recording's start the scrapes of its largest target come: slots end where its samples are."""
    targets = Counter(_target(one) for one in recording.series if one.samples)
    if not targets:
        return 0.0
    largest = targets.most_common(1)[0][0]
    one = next(one for one in recording.series if one.samples and _target(one) == largest)
    offsets = np.array([(at - recording.start_wall_s) % slot_s for at, _ in one.samples])
    turns = np.exp(2j * np.pi * offsets / slot_s)  # a mean on a circle: .99 and .01 of a slot are neighbours
    middle = float(np.angle(turns.mean())) / (2 * np.pi) * slot_s
    return (middle + LATE * slot_s) % slot_s


def _ordered(series: Sequence[RecordedSeries]) -> list[RecordedSeries]:
    """By name and labels, buckets of one histogram side by side from the smallest bound on."""

    def key(one: RecordedSeries) -> tuple[object, ...]:
        others = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        return others, _bound(one.labels)

    return sorted(series, key=key)


def _bound(labels: Mapping[str, str]) -> float:
    try:
        return float(labels["le"]) if "le" in labels else 0.0
    except ValueError:
        return 0.0


def _age(one: RecordedSeries, ends: Matrix, slot_s: float) -> float:
    """How old the newest sample usually is at the end of a slot, as a part of the slot."""
    if not one.samples:
        return 0.0
    at = np.array([time for time, _ in one.samples])
    last = np.searchsorted(at, ends, side="right") - 1
    found = (ends - at[np.maximum(last, 0)])[last >= 0] / slot_s
    fresh = found[found < 1]
    return float(np.median(fresh)) if len(fresh) else 0.0


def _read(one: RecordedSeries, ends: Matrix, slot_s: float, usual: float) -> tuple[Matrix, Mask, Clock]:
    """The change in each slot, whether the series was there at its end, and whether it holds a time."""
    count = len(ends) - 1
    if not one.samples:
        return np.zeros(count), np.zeros(count, dtype=bool), Clock.none
    at = np.array([time for time, _ in one.samples])
    values = np.array([value for _, value in one.samples])
    last = np.searchsorted(at, ends, side="right") - 1
    age = ends - at[np.maximum(last, 0)]
    known = (last >= 0) & (age <= (usual + STALE) * slot_s)
    shown = values[np.maximum(last, 0)]
    if one.kind == "gauge":
        clock = _clock(at, values)
        found = shown - _zero(clock, at[np.maximum(last, 0)], ends[0])
        return np.where(known[1:], found[1:], np.nan), known[1:], clock
    grown = np.concatenate([[values[0]], np.diff(values)])
    grown = np.where(grown < 0, values, grown)  # a counter that begins anew has gained what it shows
    total = np.cumsum(grown)
    standing = np.where(last >= 0, total[np.maximum(last, 0)], 0.0)
    gained = np.diff(standing)
    if last[0] < 0 <= last[1]:
        gained[0] = 0.0  # where it stood when the recording began is no gain
    return np.where(np.isnan(gained), 0.0, gained), known[1:], Clock.none


def _clock(at: Matrix, values: Matrix) -> Clock:
    if not (np.all(np.abs(values - at) < NEAR_S) and np.all(values > NEAR_S)):
        return Clock.none
    return Clock.stands if len(np.unique(values)) <= min(FEW, len(values) // 2) else Clock.runs


def _zero(clock: Clock, at: Matrix, start_wall_s: float) -> Matrix | float:
    """What a gauge's values are relative to."""
    match clock:
        case Clock.runs:
            return at
        case Clock.stands:
            return start_wall_s
        case _:
            return 0.0


def _histograms(series: Sequence[Mapping[str, str]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For each row the row of the next smaller bucket, and for a count the row of the largest one; -1 where there is none."""
    largest: dict[tuple[tuple[str, str], ...], int] = {}
    below: list[int] = []
    for row, labels in enumerate(series):
        if "le" not in labels:
            below.append(-1)
            continue
        key = tuple(sorted((name, value) for name, value in labels.items() if name != "le"))
        below.append(largest.get(key, -1))
        largest[key] = row
    copies = [-1] * len(series)
    for row, labels in enumerate(series):
        name = labels.get("__name__", "")
        if name.endswith("_count"):
            key = tuple(sorted({**labels, "__name__": name.removesuffix("_count") + "_bucket"}.items()))
            found = largest.get(key, -1)
            copies[row] = found if found >= 0 and series[found].get("le") == "+Inf" else -1
    return tuple(below), tuple(copies)


def _apart(change: Matrix, below: Sequence[int]) -> Matrix:
    """Buckets without what smaller ones have counted."""
    apart = change.copy()
    for row, smaller in enumerate(below):
        if smaller >= 0:
            apart[row] = np.maximum(change[row] - change[smaller], 0.0)
    return apart


def together(change: Matrix, below: Sequence[int], copies: Sequence[int]) -> Matrix:
    """Buckets with what smaller ones have counted, as Prometheus keeps them, and counts that say what the largest bucket says."""
    found = change.copy()
    for row, smaller in enumerate(below):  # smaller buckets come first
        if smaller >= 0:
            found[row] += found[smaller]
    for row, largest in enumerate(copies):
        if largest >= 0:
            found[row] = found[largest]
    return found
