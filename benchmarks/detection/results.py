"""What the rounds showed, stage by stage, as a value and as a file; and the page that says so."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Protocol

from pydantic import TypeAdapter

FOLDER = Path(__file__).parent / "results"
HEAD = """\
# Are the measured times true?

Made by `make detection-times`: gauges cross the thresholds of real alert rules at moments that are known, each at its own, and come back;
a real Prometheus, Alertmanager and sink are watched as a run watches them. The truth comes from elsewhere: from the page that was scraped,
and from the receiver, which notes when it was told. An evaluation is known to one interval: it is the first one after the scrape
that read the new value, so *measured less truth* lies between 0 and one interval when the time is right.
"""
NOTES = """\
*Outside* counts times that cannot be true, by more than 0.15 s of scrape and of clocks. *Stated error* is what the finding itself says
it may be off by, the largest of all. `active` is Alertmanager's own `updatedAt`, held against when the alert fired. `reset` is when the
receiver was told of the end; `end of ALERTS` is what is measured where no receiver is named. The receiver passes each notification on to
the sink, whose clock is what is measured, so `delivered` and `reset` lie between when it came and when the sink had answered. *By the
notification* is the evaluation that the notification itself names (`startsAt`, `endsAt`), to the millisecond.
"""
CLOCKS_S = 0.15


class Measurement(Protocol):
    """One stage of one detection, beside its truth: `tests.detection.truth.Measured` is one."""

    @property
    def stage(self) -> str: ...
    @property
    def error_s(self) -> float: ...
    @property
    def late_s(self) -> float: ...
    @property
    def off_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Spread:
    """Measured less truth, of one stage, in seconds. `outside`: how many of them cannot be true; unmeasured ones are among them."""

    stage: str
    count: int
    least_s: float
    median_s: float
    p95_s: float
    most_s: float
    outside: int
    stated_s: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """All rounds of one day."""

    date: str
    command: str
    rounds: int
    detections: int
    interval_s: float
    processors: int
    rows: tuple[Spread, ...]

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str) -> Rounds:
        """What `to_json` wrote."""
        return TypeAdapter(Rounds).validate_json(text)


def spread(measured: Iterable[Measurement]) -> tuple[Spread, ...]:
    """The stages in the order in which they come first."""
    by_stage: dict[str, list[Measurement]] = {}
    for one in measured:
        by_stage.setdefault(one.stage, []).append(one)
    return tuple(_spread(stage, rows) for stage, rows in by_stage.items())


def _spread(stage: str, rows: Sequence[Measurement]) -> Spread:
    late = sorted(row.late_s for row in rows if math.isfinite(row.late_s))
    p95 = quantiles(late, n=20)[-1] if len(late) > 1 else late[0]
    return Spread(
        stage,
        len(rows),
        round(late[0], 4),
        round(median(late), 4),
        round(p95, 4),
        round(late[-1], 4),
        sum(row.off_s > CLOCKS_S for row in rows),
        round(max(row.error_s for row in rows), 4),
    )


def page(made: Rounds) -> str:
    """The whole page."""
    said = [
        f"- {made.detections} detections in {made.rounds} rounds, on {made.date}, with `{made.command}`",
        f"- scraped and evaluated every {made.interval_s:g} s, `for` of 0 to 3 s, on a machine with {made.processors} processors",
        f"- {sum(row.outside for row in made.rows)} of {sum(row.count for row in made.rows)} times cannot be true",
    ]
    table = [
        "| stage | times | measured less truth: least | median | 95 % | most | outside | stated error, at most |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row.stage} | {row.count} | {row.least_s:.3f} s | {row.median_s:.3f} s | {row.p95_s:.3f} s | {row.most_s:.3f} s "
            f"| {row.outside} | {row.stated_s:.2f} s |"
            for row in made.rows
        ),
    ]
    return "\n".join([HEAD, *said, "", *table, "", NOTES])


def newest(folder: Path = FOLDER) -> Rounds | None:
    """The stored result of the last day, or None when there is none."""
    stored = sorted(folder.glob("*.json"))
    return Rounds.from_json(stored[-1].read_text()) if stored else None
