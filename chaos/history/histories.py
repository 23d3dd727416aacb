"""Runs sorted into what is repeated: each experiment on each system, and each of its alerts over time. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from chaos.history.summary import AlertSummary, RunSummary
from chaos.history.trend import Middle, Trend, middle, trend


@dataclass(frozen=True, slots=True)
class Point:
    """One run's time to detect of one alert. `after_s` is None when nobody was told."""

    run: str
    folder: str
    at_wall_s: float
    outcome: str
    after_s: float | None
    error_s: float

    @property
    def time_s(self) -> float:
        """The time, infinite for a miss."""
        return math.inf if self.after_s is None else self.after_s


@dataclass(frozen=True, slots=True)
class AlertTimes:
    """One alert of one experiment over its runs. `within_s` is the budget that the last run gave it. `undecided` counts runs that say
    nothing of it: they ended early, or monitoring could not be seen.
    """

    alert: str
    within_s: float | None
    points: tuple[Point, ...]
    undecided: int
    middle: Middle
    trend: Trend

    @property
    def missed(self) -> int:
        """In how many runs nobody was told."""
        return sum(point.after_s is None for point in self.points)

    @property
    def last(self) -> Point | None:
        """The newest run that says something of it."""
        return self.points[-1] if self.points else None


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one experiment on one system has been, the oldest run first."""

    title: str
    experiment: str
    system: str
    runs: tuple[RunSummary, ...]
    alerts: tuple[AlertTimes, ...]

    @property
    def last(self) -> RunSummary:
        """The newest run."""
        return self.runs[-1]


def histories(runs: Iterable[RunSummary], alert: str | None = None) -> list[History]:
    """One for each experiment and system, whose last run is the newest first; of this alert alone where it is named."""
    groups: dict[tuple[str, str], list[RunSummary]] = {}
    for run in sorted(runs, key=lambda one: one.started_wall_s):
        if alert is None or any(one.alert == alert for one in run.alerts):
            groups.setdefault((run.title, run.system), []).append(run)
    made = [_history(title, system, members, alert) for (title, system), members in groups.items()]
    return sorted(made, key=lambda one: -one.last.started_wall_s)


def _history(title: str, system: str, runs: Sequence[RunSummary], alert: str | None) -> History:
    names = dict.fromkeys(one.alert for run in runs for one in run.alerts if alert is None or one.alert == alert)
    return History(title, runs[0].experiment, system, tuple(runs), tuple(_times(name, runs) for name in names))


def _times(alert: str, runs: Sequence[RunSummary]) -> AlertTimes:
    seen = [(run, one) for run in runs for one in run.alerts if one.alert == alert]
    points = [_point(run, one) for run, one in seen if _counts(run, one)]
    times_s = [point.time_s for point in points]
    return AlertTimes(
        alert=alert,
        within_s=seen[-1][1].within_s,
        points=tuple(points),
        undecided=len(seen) - len(points),
        middle=middle(times_s),
        trend=trend(times_s, max((point.error_s for point in points), default=0.0)),
    )


def _counts(run: RunSummary, alert: AlertSummary) -> bool:
    """Whether the run says how long this alert takes. One whose alerts are only projected does not."""
    return run.proves and not run.projected and alert.told is not None


def _point(run: RunSummary, alert: AlertSummary) -> Point:
    return Point(run.run, run.folder, run.started_wall_s, alert.outcome, alert.told_after_s, alert.error_s)


def to_json(found: Sequence[History], unreadable: Sequence[tuple[str, str]]) -> str:
    """One object with stable keys; JSON knows no infinity: a median that misses reach is null, with `median_missed`."""
    return json.dumps(
        {
            "histories": [_row(one) for one in found],
            "unreadable": [{"folder": folder, "reason": reason} for folder, reason in unreadable],
        },
        indent=2,
        allow_nan=False,
    )


def _row(one: History) -> dict[str, object]:
    return {
        "experiment": one.experiment,
        "title": one.title,
        "system": one.system,
        "runs": [asdict(run) for run in one.runs],
        "alerts": [
            {
                "alert": times.alert,
                "within_s": times.within_s,
                "points": [asdict(point) for point in times.points],
                "missed": times.missed,
                "undecided": times.undecided,
                "median_s": finite(times.middle.median_s),
                "median_missed": times.middle.median_s == math.inf,
                "median_interval_s": [finite(end) for end in times.middle.interval_s]
                if times.middle.interval_s
                else None,
                "trend": asdict(times.trend),
            }
            for times in one.alerts
        ],
    }


def finite(value: float | None) -> float | None:
    """The number, None where it is none that JSON can say."""
    return value if value is not None and math.isfinite(value) else None
