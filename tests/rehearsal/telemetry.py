"""Telemetry that was never scraped: series with a value for each second, as a recording."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from chaos.rehearsal.recording import Kind, RecordedSeries, Recording
from chaos.telemetry import RuleInfo

START_S = 1_700_000_000.0


def series(
    name: str,
    values: Iterable[float | None],
    kind: Kind = "counter",
    *,
    offset_s: float = 0.0,
    every_s: float = 1.0,
    **labels: str,
) -> RecordedSeries:
    """A series with one value for each scrape; None where the scrape failed."""
    samples = tuple(
        (START_S + offset_s + place * every_s, float(value)) for place, value in enumerate(values) if value is not None
    )
    return RecordedSeries({"__name__": name, "job": "app", "instance": "a", **labels}, kind, samples)


def grown(increments: Iterable[float], start: float = 0.0) -> list[float]:
    """What a counter shows that gains these."""
    return list(itertools.accumulate(increments, initial=start))


def recording(
    found: Sequence[RecordedSeries],
    seconds: float,
    *,
    effect_s: float | None = None,
    removal_s: float | None = None,
    severity: float = 1.0,
    rules: Sequence[RuleInfo] = (),
) -> Recording:
    """A recording of so many seconds; the fault was on from `effect_s` to `removal_s` after its start."""
    return Recording(
        about="run test",
        start_wall_s=START_S,
        end_wall_s=START_S + seconds,
        scrape_s=1.0,
        evaluation_s=1.0,
        series=tuple(found),
        rules=tuple(rules),
        baseline_wall_s=START_S,
        effect_wall_s=None if effect_s is None else START_S + effect_s,
        removal_wall_s=None if removal_s is None else START_S + removal_s,
        severity=severity,
    )
