"""Many scenarios one after the other in one virtual stretch of time, so that one server answers for all of them at once. Pure.

Between two scenarios lies more than any rule looks back over: none knows of the one before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chaos.rehearsal.alteration import Alteration, Course, Played
from chaos.rehearsal.grid import Clock, Mask, Matrix, together

WEEK_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where each scenario stands. `start_wall_s` is the beginning of the first one's first slot; each takes `length_s`."""

    start_wall_s: float
    slot_s: float
    course: Course
    length_s: float
    count: int
    evaluation_s: float
    evaluation_phase_s: float
    """An evaluation happens at every multiple of `evaluation_s` after this moment of the wall clock."""
    weeks: int = 0
    """How many weeks before the recording all of it stands."""

    def evaluated(self, interval_s: float, evaluated_wall_s: float) -> Timeline:
        """The same, for rules that are evaluated so often, and were at this moment; 0 for either: as the others."""
        return replace(
            self,
            evaluation_s=interval_s or self.evaluation_s,
            evaluation_phase_s=evaluated_wall_s - self.weeks * WEEK_S if evaluated_wall_s else self.evaluation_phase_s,
        )

    def begin(self, place: int) -> float:
        """When the scenario at this place begins."""
        return self.start_wall_s + place * self.length_s

    def end(self, place: int) -> float:
        """When its last slot is over."""
        return self.begin(place) + self.course.slots * self.slot_s

    def effect(self, place: int, played: Played) -> float:
        """When its fault begins."""
        return self.begin(place) + (self.course.effect + played.phase) * self.slot_s

    def removal(self, place: int, played: Played) -> float:
        """When its fault ends."""
        return self.begin(place) + (self.course.removal + played.phase) * self.slot_s

    def watched(self, place: int) -> float:
        """From when on its alerts are looked at: the windows are full."""
        return self.begin(place) + self.course.warmup * self.slot_s

    def evaluations(self, place: int) -> list[float]:
        """Every evaluation within the scenario, on the wall clock."""
        first = math.ceil((self.begin(place) - self.evaluation_phase_s) / self.evaluation_s - 1e-6)
        last = math.floor((self.end(place) - self.evaluation_phase_s) / self.evaluation_s + 1e-6)
        return [self.evaluation_phase_s + number * self.evaluation_s for number in range(first, last + 1)]


def timeline(
    alteration: Alteration,
    course: Course,
    count: int,
    *,
    window_s: float,
    evaluation_s: float,
    evaluated_wall_s: float,
    intervals_s: Sequence[float] = (),
) -> Timeline:
    """The scenarios of this course, whole weeks before the recording, with its phases of scrape and evaluation.

    `window_s` is the longest that any rule looks back over, `evaluated_wall_s` a moment at which the rules were evaluated;
    `intervals_s` are those of rules that are evaluated more or less often.
    """
    slot_s = alteration.baseline.slot_s
    lasts_s = course.slots * slot_s + window_s + 3 * slot_s
    # Every scenario begins at the same phase of scrapes and of evaluations.
    step_s = _common((slot_s, evaluation_s, *intervals_s), most=lasts_s)
    length_s = math.ceil(lasts_s / step_s) * step_s
    weeks = math.ceil((count * length_s + WEEK_S) / WEEK_S)
    start = round(alteration.baseline.start_wall_s, 3) - weeks * WEEK_S
    return Timeline(start, slot_s, course, length_s, count, evaluation_s, evaluated_wall_s - weeks * WEEK_S, weeks)


def _common(intervals_s: Sequence[float], *, most: float) -> float:
    """The least common multiple of intervals, to a millisecond; of the first one alone, where that is more than `most`."""
    found_s = math.lcm(*(max(1, round(one * 1000)) for one in intervals_s)) / 1000
    return found_s if found_s <= most else max(0.001, round(intervals_s[0], 3))


def openmetrics(alteration: Alteration, line: Timeline, played: Sequence[Played]) -> Iterator[str]:
    """The text of every sample of all scenarios, in the format that `promtool tsdb create-blocks-from openmetrics` reads."""
    base = alteration.baseline
    names = [series_text(labels) for labels in base.series]
    # In one scenario after the other; a gauge that holds a time holds one of that scenario.
    for place, one in enumerate(played):
        at: Matrix = line.begin(place) + line.slot_s * np.arange(1, line.course.slots + 1, dtype=np.float64)
        # Samples of one target have one age, and so the same times.
        times = {age: [stamp(time) for time in (at - age * line.slot_s).tolist()] for age in set(base.age.tolist())}
        change = together(one.change, base.below, base.copies)
        for row, name in enumerate(names):
            sampled = at - base.age[row] * line.slot_s
            values, there = _values(alteration, row, change[row], one.there[row], sampled, line.begin(place))
            if there.any():
                yield "".join(
                    f"{name} {value} {time}\n"
                    for value, time, here in zip(values, times[base.age[row]], there.tolist(), strict=True)
                    if here
                )
    yield "# EOF\n"


def _values(
    alteration: Alteration,
    row: int,
    change: Matrix,
    there: Mask,
    at: Matrix,
    begin_wall_s: float,
) -> tuple[list[float], Mask]:
    base = alteration.baseline
    if base.counter[row]:
        values = np.cumsum(change)
        if not base.there[row, 0]:
            # Not seen from the beginning on: born with its first event, and not gone again.
            return np.round(values, 9).tolist(), (values > 0) & (np.cumsum(there) > 0)
        return np.round(values, 9).tolist(), there
    match base.clock[row]:
        case Clock.runs:
            change = change + at
        case Clock.stands:
            change = change + begin_wall_s
    return change.tolist(), there  # NaN is a value that a series may have


def stamp(wall_s: float) -> str:
    """A moment as it is written. The tool cuts what it reads to milliseconds, so a little more stands there than is meant."""
    return f"{round(wall_s, 3) + 0.0002:.4f}"


def series_text(labels: Mapping[str, str]) -> str:
    """A series as it is written: `name{label="value"}`."""
    others = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{others}}}" if others else labels.get("__name__", "")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
