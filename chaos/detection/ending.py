"""When an alert ended, and whether that was a recovery: "resolved" is not "recovered". Pure.

An alert also ends when what its rule reads is gone, since nothing is compared then; and Alertmanager says "resolved" by itself when
Prometheus has been silent for long enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chaos.detection.history import AlertHistory, Times, active_since, evaluation_s, last_resolve
from chaos.observation import AlertsRead, SeriesRead
from chaos.plans import PlannedAlert
from chaos.telemetry import carries


@dataclass(frozen=True, slots=True)
class Ending:
    """When the alert was over for whoever was told of it; `at_wall_s` is None when it was not, or nobody can say.

    `note` says why "resolved" is not "recovered", or when it came. `unproven`: it was said to be over, and nothing proves that it was.
    """

    at_wall_s: float | None = None
    note: str = ""
    unproven: bool = False
    source: str = ""
    error_s: float = 0.0


def ending(alert: PlannedAlert, history: AlertHistory, times: Times) -> Ending:
    """The end of this alert, which fired; never before the removal."""
    if times.removal is None:
        return Ending()
    step = evaluation_s(alert, history, times)
    said, source = _said(alert, history, times, step)
    if said is None:
        return Ending(source=source, error_s=step)
    last = _last_active(alert, history)
    seen = _first_gone(alert, history, last)
    if seen is None:
        told = "its end was told, and no look at Prometheus shows that it had ended"
        return Ending(None, f"{told}: Alertmanager says so by itself when Prometheus is silent", True, source, step)
    at, note = said, ""
    if last > said:
        note = f"its end was told {last - said:.0f}s before it ended in Prometheus"
        at, source = last + step, "end of ALERTS"
    elif said < seen.at_wall_s and seen.at_wall_s - last > times.blind_s:
        silent_s = seen.at_wall_s - max(said, last)
        note = f"its end was told {silent_s:.0f}s before Prometheus, which was silent, could know it"
        at, source, step = seen.at_wall_s, "the first look at Prometheus that shows it", seen.at_wall_s - last
    back = _back(alert, history, times, last, step)
    if back is not None and math.isinf(back):
        told = "it ended because what its rule reads was gone, not because it was good again"
        return Ending(None, f"{told}: a target that stops answering looks like this", True, source, step)
    if back is not None:
        note = "it ended because what its rule reads was gone; that came back later"
        at, source = max(at, back), "the first sample of what its rule reads"
    elif at < times.removal:
        note = f"it had ended {times.removal - at:.0f}s before the fault was gone"
    return Ending(max(at, times.removal), note, False, source, step)


def _said(alert: PlannedAlert, history: AlertHistory, times: Times, step: float) -> tuple[float | None, str]:
    """When the resolve reached the receiver, or (nobody asked for delivery) when ALERTS ended."""
    if alert.delivered_to is not None:
        return last_resolve(alert, history, times), "the sink's clock"
    last = max((at for samples in history.firing for at, _ in samples), default=None)
    ended = last is not None and times.end - last >= 2 * step
    return (last + step if ended and last is not None else None), "end of ALERTS"


def _last_active(alert: PlannedAlert, history: AlertHistory) -> float:
    """The last moment at which Prometheus had it firing, by its samples or by a look, which shows what the last evaluation left."""
    moments = [at for samples in history.firing for at, _ in samples]
    moments += [_shown(alert, seen) for seen in history.polled if active_since(alert, seen, "firing")]
    return max(moments, default=-math.inf)


def _shown(alert: PlannedAlert, seen: AlertsRead) -> float:
    """Of when the state is that a look shows: a look while the next evaluation is under way knows nothing of that one."""
    clock = seen.evaluated.get(alert.alert) if seen.evaluated is not None else None
    return min(seen.at_wall_s, clock.last_wall_s) if clock is not None and clock.last_wall_s > 0 else seen.at_wall_s


def _first_gone(alert: PlannedAlert, history: AlertHistory, after: float) -> AlertsRead | None:
    """The first look at which Prometheus had evaluated the rule again and had no such alert."""
    for seen in sorted(history.polled, key=lambda seen: seen.at_wall_s):
        if seen.at_wall_s <= after or active_since(alert, seen, "pending", "firing"):
            continue
        # A Prometheus that has just been started again has no alerts because it has not evaluated anything.
        known = seen.evaluated is None or (
            (clock := seen.evaluated.get(alert.alert)) is not None and clock.last_wall_s > after - 0.5
        )
        if known:
            return seen
    return None


def _back(alert: PlannedAlert, history: AlertHistory, times: Times, last: float, step: float) -> float | None:
    """When what the rule reads had come back that was gone when the alert ended: infinity is never, None that it was not gone."""
    mine = [one for one in _of_instances(alert, history) if any(times.effect <= at <= last for at in _read(one))]
    ended = last + step
    patience = times.scrape_s + max(2 * step, 2.0)
    # What is never there in a healthy system, such as `absent(…)`, is gone because the system is healthy again.
    usual = any(times.baseline <= at < times.effect for one in mine for at in _read(one))
    if not usual or times.end < ended + patience:
        return None
    if any(ended < at <= ended + patience for one in mine for at in _read(one)):
        return None
    # What is started again may have another name; a neighbour that was there all the time says nothing.
    fresh = [one for one in history.signal if one in mine or min(_read(one), default=0.0) > last]
    later = [at for one in fresh for at in _read(one) if at > ended and at >= (times.removal or 0.0)]
    return min(later, default=math.inf)


def _of_instances(alert: PlannedAlert, history: AlertHistory) -> list[SeriesRead]:
    """The series that the alert's instances were made of, where labels tell; else all of them."""
    instances = [
        one.labels for seen in history.polled for one in seen.alerts
        if one.name == alert.alert and carries(one.labels, alert.labels)
    ]  # fmt: skip

    def made(series: SeriesRead) -> bool:
        own = {name: value for name, value in series.labels.items() if name != "__name__"}
        return any(carries(labels, own) for labels in instances)

    return [one for one in history.signal if made(one)] or list(history.signal)


def _read(series: SeriesRead) -> list[float]:
    """The moments at which the series had a number."""
    return [at for at, value in series.samples if not math.isnan(value)]
