"""What a rehearsal said, as a value: for people and for machines. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from chaos.rehearsal.outcome import CLAIM, AtSeverity, Rehearsed, Threshold, by_severity, threshold
from chaos.units import format_duration, format_share


@dataclass(frozen=True, slots=True)
class RehearsedAlert:
    """One alert: at every severity, from which one on it is caught, and what that means in one sentence."""

    alert: str
    within_s: float | None
    rows: tuple[AtSeverity, ...]
    threshold: Threshold
    told: bool | None
    """Whether it is told at the experiment's own severity with a chance of at least 90 %; None where that was not rehearsed."""
    sentence: str


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """Everything. `measured` says whether the fault's part was measured or stated; `source` by what; `notes` are its limits."""

    experiment: str
    system: str
    source: str
    measured: bool
    severity: float
    scenarios: int
    virtual_hours: float
    alerts: tuple[RehearsedAlert, ...]
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when every alert is told at the experiment's own severity, 1 when one is not, 3 when nobody can say."""
        said = [alert.told for alert in self.alerts]
        return 1 if False in said else 3 if None in said or not said else 0

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps({**asdict(self), "exit_code": self.exit_code}, indent=2)


def alert_report(found: Sequence[Rehearsed], alert: str, within_s: float | None, severity: float) -> RehearsedAlert:
    """One alert's scenarios, counted and said."""
    mine = [one for one in found if one.alert == alert]
    rows = by_severity(mine, within_s)
    own = next((row for row in rows if math.isclose(row.severity, severity)), None)
    caught = threshold(rows)
    told = None if own is None else own.share >= CLAIM
    return RehearsedAlert(alert, within_s, rows, caught, told, sentence_of(rows, caught))


def sentence_of(rows: Sequence[AtSeverity], caught: Threshold) -> str:
    """What the curve says, in one sentence."""
    if any(row.early for row in rows if row.severity == 0) or any(row.early > row.scenarios / 2 for row in rows):
        share = max(row.early / row.scenarios for row in rows)
        return f"fires without any fault in {share:.0%} of the scenarios, so it says nothing about one"
    if caught.smallest is None:
        largest = max((row.severity for row in rows), default=0.0)
        best = max((row for row in rows), key=lambda row: row.severity, default=None)
        seen = f" (told in {best.caught} of {best.scenarios} there)" if best is not None and best.caught else ""
        return f"nobody is told, up to {format_share(largest)} of traffic{seen}"
    after = f", after {format_duration(round(caught.median_s))}" if caught.median_s is not None else ""
    below = (
        f"; at {format_share(caught.below)} nobody can rely on it"
        if caught.below is not None
        else "; nothing less was tried"
    )
    return f"caught from {format_share(caught.smallest)} of traffic on{after}{below}"


def severities(most: float, own: float, count: int = 5) -> tuple[float, ...]:
    """None at all, a geometric ladder up to the most that is known, and the experiment's own."""
    ladder = [float(f"{most * 0.05 ** (1 - step / (count - 1)):.2g}") for step in range(count)]
    ladder[-1] = most
    return tuple(sorted({0.0, own, *ladder}))


def between(rows: Mapping[str, Threshold], most: int = 4) -> tuple[float, ...]:
    """Severities between the largest one that is missed and the smallest one that is caught, of all alerts: where to look closer."""
    found: set[float] = set()
    for one in rows.values():
        if one.smallest is None:
            continue
        low = one.below or one.smallest / 3
        if one.smallest / low > 1.1:
            ratio = (one.smallest / low) ** (1 / (most + 1))
            found |= {float(f"{low * ratio**step:.3g}") for step in range(1, most + 1)}
    return tuple(sorted(found))
