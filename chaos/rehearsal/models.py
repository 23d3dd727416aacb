"""A fault's telemetry made of the baseline's, where nobody has measured it: events are moved from good to bad, or later. Pure.

The statement is `Fault.treated`: what a signal reads where the fault hurts, or what a run has read in its treatment arm. The probe of the
signal says of which series it is made: `sum(increase(good)) / sum(increase(all))`. So many of the events that are good become events of
a sibling that is not, as the signal must fall; a histogram's events move by the delay. Everything else stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chaos.faults.base import Signal
from chaos.promql import Selected, metric_names, ratio_of
from chaos.rehearsal.grid import Clock, Grid, Matrix

GUESSES = ("500", "503", "error", "wrong", "incorrect", "false", "200", "ok", "correct", "true", "0", "1", "other")
"""Values that a label may have, for a series that does not exist before the first event of its kind."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One signal under the fault: of which series it is made, and what becomes of it.

    `treated` is what the ratio reads where every request is hurt, for a signal that is a ratio of counters; `later_s` by how many
    seconds answers come later, and `share` which part of them, for one that is a histogram. `lag_s` is after how long it shows.
    """

    signal: Signal
    query: str
    treated: float | None = None
    later_s: float = 0.0
    share: float = 1.0
    lag_s: float = 0.0


class NoModel(ValueError):
    """What the rules read cannot be made from the statement; the message says why, in one sentence."""


def altered(baseline: Grid, statements: Sequence[Statement]) -> Grid:
    """The baseline as it would be with all of the traffic hurt. Raises NoModel when no statement reaches its series."""
    found = baseline
    for one in statements:
        found = _later(found, one) if one.later_s > 0 else _moved(found, one)
    return found


def value_of(baseline: Grid, query: str) -> float | None:
    """What a ratio of counters reads over the whole grid; None when the query is no such ratio, or nothing was counted."""
    ratio = ratio_of(query)
    if ratio is None:
        return None
    part, whole = (_rows(baseline, selected) for selected in ratio)
    total = float(baseline.change[whole].sum())
    return float(baseline.change[part].sum()) / total if total > 0 else None


def _rows(grid: Grid, selected: Selected) -> list[int]:
    return [row for row, labels in enumerate(grid.series) if selected.matches(labels)]


def _moved(grid: Grid, said: Statement) -> Grid:
    ratio = ratio_of(said.query)
    before = value_of(grid, said.query)
    if ratio is None or before is None or said.treated is None:
        raise NoModel(
            f"`{said.query.strip()}` is no ratio of counters that were seen, so what the fault makes of it cannot be stated"
        )
    part, whole = ratio
    if said.treated < before:
        chance, sources, wanted = (before - said.treated) / before, _rows(grid, part), False
    else:
        sources = [row for row in _rows(grid, whole) if not part.matches(grid.series[row])]
        chance, wanted = ((said.treated - before) / (1 - before) if before < 1 else 0.0), True
    lag = round(said.lag_s / grid.slot_s)
    chance_draw = np.random.default_rng(0)
    for row in sources:
        events = np.round(grid.change[row, lag:]).astype(np.int64)
        leaving = chance_draw.binomial(events, min(1.0, max(0.0, chance)))
        grid, to = _sibling(grid, row, part, whole, wanted=wanted)
        change = grid.change.copy()
        change[row, lag:] -= leaving
        change[to, lag:] += leaving
        there = grid.there.copy()
        there[to, lag:] |= grid.there[row, lag:]
        grid = replace(grid, change=change, there=there)
    return grid


def _sibling(grid: Grid, row: int, part: Selected, whole: Selected, *, wanted: bool) -> tuple[Grid, int]:
    """The row whose events are of the other kind and otherwise alike; made where there is none yet."""
    telling = {name for name, _, _ in part.conditions} - {name for name, _, _ in whole.conditions}
    telling |= {name for name, sign, value in part.conditions if (name, sign, value) not in whole.conditions}
    labels = grid.series[row]
    alike = {name: value for name, value in labels.items() if name not in telling}
    for other, seen in enumerate(grid.series):
        same = {name: value for name, value in seen.items() if name not in telling} == alike
        if other != row and same and whole.matches(seen) and part.matches(seen) is wanted:
            return grid, other
    made = _other_kind(grid.series, labels, telling, part, whole, wanted=wanted)
    if made is None:
        raise NoModel(f"no series is known to which events of {dict(labels)} could go")
    blank = np.zeros((1, grid.slots))
    return (
        replace(
            grid,
            series=(*grid.series, made),
            counter=np.append(grid.counter, True),
            whole=np.append(grid.whole, True),
            clock=np.append(grid.clock, np.int8(Clock.none)),
            below=(*grid.below, -1),
            copies=(*grid.copies, -1),
            change=np.vstack([grid.change, blank]),
            there=np.vstack([grid.there, blank.astype(bool)]),
            age=np.append(grid.age, grid.age[row]),
        ),
        len(grid.series),
    )


def _other_kind(
    series: Sequence[Mapping[str, str]],
    labels: Mapping[str, str],
    telling: set[str],
    part: Selected,
    whole: Selected,
    *,
    wanted: bool,
) -> dict[str, str] | None:
    """These labels with values that say the other kind: one that another series has, the condition's own, or a usual one."""
    for name in sorted(telling):
        seen = [one[name] for one in series if name in one and whole.matches(one)]
        named = [value for label, sign, value in part.conditions if label == name and sign in ("=", "!=")]
        plain = [word for label, _, value in part.conditions if label == name for word in re.findall(r"\w+", value)]
        for value in dict.fromkeys([*seen, *named, *plain, *GUESSES]):
            made = {**labels, name: value}
            if whole.matches(made) and part.matches(made) is wanted:
                return made
    return None


def _later(grid: Grid, said: Statement) -> Grid:
    """Events of the histograms that the query reads are `later_s` later: each bucket's are spread over where they fall then."""
    names = {name for name in metric_names(said.query) if name.endswith("_bucket")}
    buckets = [row for row, labels in enumerate(grid.series) if labels.get("__name__") in names and "le" in labels]
    if not buckets:
        raise NoModel(
            f"`{said.query.strip()}` reads no histogram that was seen, so what a delay makes of it cannot be stated"
        )
    change = grid.change.copy()
    for ladder in _ladders(grid, buckets):
        change[ladder] = _spread(grid.change[ladder], [float(grid.series[row]["le"]) for row in ladder], said)
    for row, labels in enumerate(grid.series):
        name = labels.get("__name__", "")
        counted = grid.copies[row]
        if name.endswith("_count") and counted in buckets:
            total = {**labels, "__name__": name.removesuffix("_count") + "_sum"}
            for other, seen in enumerate(grid.series):
                if seen == total:
                    change[other] += said.share * said.later_s * grid.change[row]
    whole = grid.whole.copy()
    whole[buckets] = False  # spread over buckets: expected numbers, no whole ones
    return replace(grid, change=change, whole=whole)


def _ladders(grid: Grid, buckets: Sequence[int]) -> list[list[int]]:
    """The buckets of each histogram, from the smallest on."""
    ladders: dict[int, list[int]] = {}
    for row in buckets:
        below = grid.below[row]
        ladder = ladders.get(below, [])
        ladder.append(row)
        ladders[row] = ladder
    return list({id(one): one for one in ladders.values()}.values())


def _spread(change: Matrix, bounds: Sequence[float], said: Statement) -> Matrix:
    """Events of each bucket, evenly within it, moved by the delay, and counted where they fall."""
    lows = [0.0, *bounds[:-1]]
    moved = np.zeros_like(change)
    for place, (low, high) in enumerate(zip(lows, bounds, strict=True)):
        moved[place] += (1 - said.share) * change[place]
        if np.isinf(high) or high <= low:  # without an upper end, or twice the same in two spellings
            moved[place] += said.share * change[place]
            continue
        for other, (begin, end) in enumerate(zip(lows, bounds, strict=True)):
            overlap = max(0.0, min(high + said.later_s, end) - max(low + said.later_s, begin))
            moved[other] += said.share * change[place] * overlap / (high - low)
    return moved
