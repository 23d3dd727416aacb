"""The time until somebody was told, taken apart: which wait took how long. Pure.

    effect ─▶ scrape ─▶ evaluation ─▶ threshold crossed ─▶ `for` over ─▶ at Alertmanager ─▶ told

The offsets of scrapes and of evaluations are constants of a configuration: one of each is known by its own time, and so are all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from chaos.detection.gates import Gate, Stage
from chaos.detection.history import AlertHistory, Times, evaluation_s
from chaos.observation import RuleClock, ScrapeClock
from chaos.plans import PlannedAlert

SLACK_S = 0.05
"""By how much a scrape or an evaluation may come beside its time."""


def parts(alert: PlannedAlert, history: AlertHistory, times: Times, stages: Mapping[Gate, Stage]) -> dict[str, float]:
    """What was waited for, in seconds, in order; without what is not known. Together they are the time of the last gate passed."""
    found: dict[str, float] = {}
    pending = stages[Gate.pending].at_wall_s
    if pending is None:
        return found
    scrape = scrape_of(history)
    step = evaluation_s(alert, history, times)
    scraped = _next(times.effect, scrape.last_wall_s, scrape.interval_s) if scrape is not None else math.inf
    if scraped <= pending + SLACK_S:
        scraped = min(scraped, pending)
        evaluated = pending - math.floor((pending - scraped) / step) * step
        found["scrape wait, s"] = scraped - times.effect
        found["evaluation wait, s"] = evaluated - scraped
        found["window and threshold, s"] = pending - evaluated
    else:
        found["until pending, s"] = pending - times.effect
    before = pending
    for gate, wait in ((Gate.firing, "for, s"), (Gate.active, "sending, s"), (Gate.delivered, "group wait, s")):
        at = stages[gate].at_wall_s
        if at is None:
            break
        found[wait] = at - before
        before = at
    return found


def offsets(alert: PlannedAlert, history: AlertHistory, times: Times) -> dict[str, float]:
    """Where within their intervals the target is scraped and the rule is evaluated, in seconds since the interval began."""
    found: dict[str, float] = {}
    scrape, clock = scrape_of(history), _clock_of(alert, history)
    if scrape is not None:
        found["scrape offset, s"] = scrape.last_wall_s % scrape.interval_s
    if clock is not None:
        found["evaluation offset, s"] = clock.last_wall_s % evaluation_s(alert, history, times)
    return found


def scrape_of(history: AlertHistory) -> ScrapeClock | None:
    """The clock of the one target that the rule reads; None when it reads several, or nobody knows."""
    named = {
        (series.labels["job"], series.labels["instance"])
        for series in history.signal if {"job", "instance"} <= set(series.labels)
    }  # fmt: skip
    mine = [one for one in history.scrapes if (one.job, one.instance) in named] if named else list(history.scrapes)
    return mine[0] if len(mine) == 1 and mine[0].interval_s > 0 and mine[0].last_wall_s > 0 else None


def _clock_of(alert: PlannedAlert, history: AlertHistory) -> RuleClock | None:
    for seen in history.polled:
        if seen.evaluated and alert.alert in seen.evaluated and seen.evaluated[alert.alert].last_wall_s > 0:
            return seen.evaluated[alert.alert]
    return None


def _next(since: float, one: float, interval_s: float) -> float:
    """The first time since then of what happens at `one` and at every interval before and after it."""
    return since + (one - since) % interval_s
