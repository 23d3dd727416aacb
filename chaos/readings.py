"""One reading of a probe against its bounds: every series of it, each by the probe's own rule for missing data. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from chaos.observation import ProbeReading
from chaos.plans import PlannedProbe

Standing = Literal["met", "unknown", "broken"]
"""How a reading stands to its bounds; the later, the worse for a bound that should hold only where it is `broken`."""


def broken_bound(probe: PlannedProbe, value: float, baseline: float | None) -> str | None:
    """The bound that this value breaks, in words, or None. A NaN breaks every bound."""
    low, high = probe.bound("minimum"), probe.bound("maximum")
    lowest = low.resolve(baseline) if low else None
    highest = high.resolve(baseline) if high else None
    if lowest is not None and not value >= lowest:
        return f"below {low}"
    if highest is not None and not value <= highest:
        return f"above {high}"
    return None


def unresolved(probe: PlannedProbe, baseline: float | None) -> bool:
    """Whether a bound is a multiple of a baseline that nobody read."""
    bounds = (probe.bound("minimum"), probe.bound("maximum"))
    return baseline is None and any(bound is not None and bound.kind == "baseline" for bound in bounds)


def values_of(probe: PlannedProbe, reading: ProbeReading) -> tuple[float, ...]:
    """The reading's values by the probe's own rule for missing data: none, or a zero. NaN (0/0) counts as missing."""
    values = tuple(value for value in reading.values if not math.isnan(value))
    return values or ((0.0,) if probe.when_missing == "zero" else ())


def enough(probe: PlannedProbe, reading: ProbeReading) -> bool:
    """Whether the reading rests on enough events for a finding."""
    return not probe.needs or (reading.count is not None and reading.count >= probe.needs)


@dataclass(frozen=True, slots=True)
class Judged:
    """A reading as its worst series makes it: that one's value (None when nothing is known), and its labels in words."""

    standing: Standing
    value: float | None = None
    series: str = ""
    why: str | None = None
    """Of a broken one: the bound that it breaks, in words."""
    excess: float = -math.inf
    """How far the value lies beyond its bound, in the probe's unit; negative within it."""

    silent: str | None = None
    """The first series that should be there and of which nothing is known, by its labels in words."""

    def told(self) -> str:
        """`0.85 (group="b"), below 88%`."""
        which = f" ({self.series})" if self.series else ""
        return f"{self.value:.4g}{which}, {self.why}" if self.value is not None else "not known"


def judged(probe: PlannedProbe, reading: ProbeReading | None, baseline: ProbeReading | None) -> Judged:
    """Every series of the reading against its bounds; a multiple of the baseline is one of the same series' own baseline.

    One broken series breaks the reading. One that has no value, or that was there in the baseline and is gone, is what the probe's rule
    for missing data makes of it: a zero, or unknown. Does not ask whether the reading rests on enough events: see `enough`.
    """
    if reading is None:
        return Judged("unknown")
    worst = Judged("unknown")
    standings: set[Standing] = set()
    silent: str | None = None
    for labels, value in _series(probe, reading, baseline):
        if value is None:
            standings.add("unknown")
            silent = _named(labels) if silent is None else silent
            continue
        own = own_baseline(labels, baseline)
        one = _one(probe, value, own, _named(labels))
        standings.add(one.standing)
        if worst.value is None or one.excess > worst.excess:
            worst = one
    standing: Standing = (
        "broken" if "broken" in standings else "unknown" if "unknown" in standings or not standings else "met"
    )
    return replace(worst, standing=standing, silent=silent)


def _one(probe: PlannedProbe, value: float, baseline: float | None, series: str) -> Judged:
    low, high = probe.bound("minimum"), probe.bound("maximum")
    lowest = low.resolve(baseline) if low is not None else None
    highest = high.resolve(baseline) if high is not None else None
    beyond = [lowest - value] if lowest is not None else []
    beyond += [value - highest] if highest is not None else []
    why = broken_bound(probe, value, baseline)
    if why is not None:
        return Judged("broken", value, series, why, max(beyond))
    excess = max(beyond, default=-value if probe.minimum is not None else value)
    return Judged("unknown" if unresolved(probe, baseline) else "met", value, series, None, excess)


_Key = tuple[tuple[str, str], ...]


def _key(labels: Mapping[str, str]) -> _Key:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))


def _named(labels: Mapping[str, str]) -> str:
    """`group="b", model="x"`: how people tell one series from the others; empty when it has no labels."""
    return ", ".join(f'{name}="{value}"' for name, value in _key(labels))


def _labelled(reading: ProbeReading) -> Iterator[tuple[Mapping[str, str], float]]:
    known = reading.labels if len(reading.labels) == len(reading.values) else ({},) * len(reading.values)
    yield from zip(known, reading.values, strict=True)


def _series(
    probe: PlannedProbe, reading: ProbeReading, baseline: ProbeReading | None
) -> Iterator[tuple[Mapping[str, str], float | None]]:
    """Every series that the reading has or should have, with its value by the probe's rule; None where that is unknown."""
    missing = 0.0 if probe.when_missing == "zero" else None
    seen: set[_Key] = set()
    for labels, value in _labelled(reading):
        seen.add(_key(labels))
        yield labels, missing if math.isnan(value) else value
    expected = list(_labelled(baseline)) if baseline is not None else []
    # A single series may be called otherwise than before (a restarted container): it is still the probe's only one.
    if len(expected) > 1 or not reading.values:
        for labels, value in expected:
            if _key(labels) not in seen and not math.isnan(value):
                seen.add(_key(labels))
                yield labels, missing
    if not seen and missing is not None:
        yield {}, missing


def own_baseline(labels: Mapping[str, str], baseline: ProbeReading | None) -> float | None:
    """What this very series read in the baseline; None when it was not there. Where there was only one series, that one."""
    if baseline is None:
        return None
    known = [(_key(its), value) for its, value in _labelled(baseline) if not math.isnan(value)]
    if len(known) == 1:
        return known[0][1]
    return next((value for key, value in known if key == _key(labels)), None)
