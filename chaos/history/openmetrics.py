"""What runs have shown, as metrics: the last verdict of every experiment, times to detect, and how many faults somebody is told of. Pure.

Runs of a sweep are left out: they look for the least that is noticed, and miss on purpose.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.history.exposition import Family, Labels
from chaos.history.histories import AlertTimes, History
from chaos.verdict import MEANING

Samples = list[tuple[Labels, float]]


@dataclass(frozen=True, slots=True)
class Score:
    """The monitoring mutation score of one system: how many faults that broke it told somebody in time."""

    killed: int
    survived: int


def families(found: Sequence[History], scores: Mapping[str, Score]) -> list[Family]:
    """Every metric of these histories, with the score of each system that has one."""
    kept = [one for one in found if one.last.swept is None]
    return [*_of_runs(kept), *_of_alerts(kept), *_of_scores(scores)]


def _of_runs(found: Sequence[History]) -> list[Family]:
    verdicts: Samples = [
        ({**_whose(one), "verdict": name}, float(one.last.verdict == name)) for one in found for name in MEANING
    ]
    counts: Samples = []
    for one in found:
        counted = Counter(run.verdict for run in one.runs)
        counts += [({**_whose(one), "verdict": name}, float(counted[name])) for name in MEANING]
    info: Samples = [
        (
            {
                **_whose(one), "environment": one.last.environment, "owner": one.last.owner, "run": one.last.run,
                "verdict": one.last.verdict, "version": one.last.version,
            },
            1.0,
        )
        for one in found
    ]  # fmt: skip
    ended: Samples = [(_whose(one), one.last.ended_wall_s) for one in found]
    took: Samples = [(_whose(one), max(0.0, one.last.ended_wall_s - one.last.started_wall_s)) for one in found]
    return [
        Family("chaos_last_run_verdict", "1 for the verdict of the last run of this experiment, 0 for all others.", verdicts),
        Family("chaos_last_run_info", "What the last run of this experiment was; always 1.", info),
        Family("chaos_last_run_timestamp_seconds", "When the last run of this experiment ended.", ended, "seconds"),
        Family("chaos_last_run_duration_seconds", "How long the last run of this experiment took.", took, "seconds"),
        Family("chaos_kept_runs", "Runs of this experiment whose folders are kept, by verdict.", counts),
    ]  # fmt: skip


def _of_alerts(found: Sequence[History]) -> list[Family]:
    last: Samples = []
    told: Samples = []
    median: Samples = []
    budget: Samples = []
    missed: Samples = []
    slower: Samples = []
    for labels, times in _alerts(found):
        newest = times.last
        if newest is not None:
            in_time = newest.after_s is not None and newest.outcome != "late"
            told.append((labels, float(in_time)))
            if newest.after_s is not None:
                last.append((labels, newest.after_s))
            missed.append((labels, float(times.missed)))
        if times.middle.median_s is not None and math.isfinite(times.middle.median_s):
            median.append((labels, times.middle.median_s))
        if times.within_s is not None:
            budget.append((labels, times.within_s))
        if times.trend.p is not None:
            slower.append((labels, float(times.trend.direction == "slower")))
    return [
        Family(
            "chaos_alert_time_to_detect_seconds",
            "From the first effect until somebody was told, in the last run that says anything of it; absent when nobody was.",
            last,
            "seconds",
        ),
        Family(
            "chaos_alert_time_to_detect_median_seconds",
            "The median of all kept runs, a miss counting as later than every time; absent when misses reach it.",
            median,
            "seconds",
        ),
        Family("chaos_alert_time_to_detect_budget_seconds", "What the experiment allows.", budget, "seconds"),
        Family("chaos_alert_detected", "1 when the last run that says anything of it told somebody in time, else 0.", told),
        Family("chaos_alert_missed_runs", "Kept runs in which nobody was told.", missed),
        Family("chaos_alert_slower", "1 when the last five runs are later than those before, by a test of ranks.", slower),
    ]  # fmt: skip


def _of_scores(scores: Mapping[str, Score]) -> list[Family]:
    tried = {system: score for system, score in scores.items() if score.killed + score.survived}
    share: Samples = [
        ({"system": system}, score.killed / (score.killed + score.survived)) for system, score in tried.items()
    ]
    survived: Samples = [({"system": system}, float(score.survived)) for system, score in tried.items()]
    return [
        Family(
            "chaos_detection_score_ratio",
            "Of the faults that broke the system, the share that told somebody in time (chaos coverage).",
            share,
            "ratio",
        ),
        Family("chaos_undetected_faults", "Faults that broke the system and told nobody in time.", survived),
    ]


def _whose(one: History) -> dict[str, str]:
    return {"experiment": one.experiment, "system": one.system}


def _alerts(found: Sequence[History]) -> Iterator[tuple[Labels, AlertTimes]]:
    """Those that the last run expects: what an experiment expects no longer is no metric any more, and no reason for an alert."""
    for one in found:
        expected = {alert.alert for alert in one.last.alerts}
        for times in (times for times in one.alerts if times.alert in expected):
            yield {**_whose(one), "alert": times.alert}, times
