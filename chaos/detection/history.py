"""Everything that was seen of one alert, and the moments in it: when each gate was first passed. Pure.

Times are those of the servers: `activeAt`, sample times and `startsAt` of Prometheus, `updatedAt` of Alertmanager, the sink's clock.
When we looked only bounds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from chaos.observation import AlertsRead, Delivered, RoutedAlert, RoutedRead, ScrapeClock, SeriesRead
from chaos.plans import PlannedAlert
from chaos.statistics import quantile_band, window_deviation
from chaos.telemetry import carries

BAND = 5.0
"""A signal has left its baseline when it is this many standard deviations away. By chance, with a deviation estimated from twenty
seconds, that happens in less than one run in a hundred (tests/test_window_deviation.py); the baseline's own spread would be left in
three of four."""
BLIND_S = 15.0
"""An alert may come and go unseen in a longer time without a look."""

LOOK_S = 1.5
"""A look is made every second: so much of the end may still be missing from the last one."""

Samples = Sequence[tuple[float, float]]
Moment = tuple[float, float, str]
"""When, in wall-clock seconds; by how much it may have been earlier; and who says so."""


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """Everything that was seen of one alert. Samples are (wall_s, value).

    `signal` is the left side of its rule; each of `firing` and `pending` holds the samples of ALERTS in that state.
    """

    signal: tuple[SeriesRead, ...] = ()
    pending: tuple[Samples, ...] = ()
    firing: tuple[Samples, ...] = ()
    polled: Sequence[AlertsRead] = field(default=())
    routed: Sequence[RoutedRead] = field(default=())
    deliveries: Sequence[Delivered] = field(default=())
    unhealthy: str | None = None
    looked: bool = True
    """Whether Prometheus answered at all while the fault was on."""
    sink_asked_wall_s: float = math.inf
    """When the wanted receiver's sink last answered; minus infinity: never."""
    sink_looks: tuple[float, ...] | None = None
    """Every moment at which it answered; None where that was not kept, and it counts as asked all the time."""
    scrapes: tuple[ScrapeClock, ...] = ()
    expected: frozenset[str] = frozenset()
    """Every alert that the experiment expects."""
    breaks: frozenset[str] = frozenset()
    """What of monitoring the fault is meant to break: that it is silent is then no excuse for anything."""
    match: Mapping[str, str] = field(default_factory=dict)
    """What labels an alert of this system has, by which others than the expected ones are told."""


@dataclass(frozen=True, slots=True)
class Times:
    """The moments that detection is measured against, in wall-clock seconds."""

    baseline: float
    effect: float
    removal: float | None
    end: float
    scrape_s: float
    evaluation_s: float

    @property
    def until(self) -> float:
        """When the fault was gone, or nobody looked any more."""
        return self.end if self.removal is None else self.removal

    @property
    def blind_s(self) -> float:
        """Without a look for longer than this, something may have come and gone unseen."""
        return max(BLIND_S, 3 * self.evaluation_s)


def evaluation_s(alert: PlannedAlert, history: AlertHistory, times: Times) -> float:
    """How often its rule is evaluated, in seconds: its group's own interval where Prometheus said so."""
    said = [
        seen.evaluated[alert.alert].interval_s
        for seen in history.polled if seen.evaluated and alert.alert in seen.evaluated
    ]  # fmt: skip
    return max(said[-1], 0.001) if said and said[-1] > 0 else times.evaluation_s


def longest_gap(moments: Sequence[float], since: float, until: float) -> tuple[float, float]:
    """The longest time without any of these moments between the two, in seconds, and when it began."""
    ordered = [since, *sorted(at for at in moments if since <= at <= until), until]
    return max((later - earlier, earlier) for earlier, later in pairwise(ordered))


# --- Prometheus -------------------------------------------------------------------------------------------------------


def first_sample(series: Sequence[Samples], since: float) -> float | None:
    """The first of these samples since then."""
    return min((at for samples in series for at, _ in samples if at >= since), default=None)


def active_since(alert: PlannedAlert, seen: AlertsRead, *states: str) -> list[float]:
    """`activeAt` of each instance of the alert that was in one of these states."""
    return [
        one.active_at_wall_s
        for one in seen.alerts
        if one.name == alert.alert and one.state in states and carries(one.labels, alert.labels)
    ]


def first_pending(alert: PlannedAlert, history: AlertHistory, times: Times) -> Moment | None:
    """`activeAt` of the first episode after the effect; the evaluation that made the expression true."""
    step = evaluation_s(alert, history, times)
    polled = [
        at for seen in history.polled for at in active_since(alert, seen, "pending", "firing")
        if at >= times.effect - step
    ]  # fmt: skip
    sampled = [first_sample(history.pending, times.effect), first_sample(history.firing, times.effect)]
    at = min([*polled, *(one for one in sampled if one is not None)], default=None)
    return None if at is None else (at, step, "activeAt")


def first_firing(alert: PlannedAlert, history: AlertHistory, times: Times) -> Moment | None:
    """The first evaluation at which it fired: its sample, else its `startsAt`, else `activeAt` and `for`."""
    step = evaluation_s(alert, history, times)
    sampled = first_sample(history.firing, times.effect)
    if sampled is not None:
        return sampled, step, 'ALERTS{alertstate="firing"}'
    begun = [one.starts_at_wall_s for seen in history.routed for one in routed_of(alert, seen)]
    begun += [one.starts_at_wall_s for one in deliveries_of(alert, history, times)]
    begun = [at for at in begun if at >= times.effect]
    if begun:
        return min(begun), step, "startsAt"
    for seen in sorted(history.polled, key=lambda seen: seen.at_wall_s):
        active = active_since(alert, seen, "firing") if seen.at_wall_s >= times.effect else []
        if active:
            return min(seen.at_wall_s, min(active) + alert.for_s + step), step, "activeAt and `for`"
    return None


def already_active(alert: PlannedAlert, history: AlertHistory, times: Times) -> str | None:
    """Why this alert cannot be attributed to the fault: it was on before anything was hurt. None when it was not."""
    before = times.effect - evaluation_s(alert, history, times)
    begun = [
        at for seen in history.polled if seen.at_wall_s >= times.effect
        for at in active_since(alert, seen, "pending", "firing") if at < before
    ]  # fmt: skip
    begun += [at for samples in history.firing for at, _ in samples if times.baseline <= at < before]
    if not begun:
        return None
    early_s = times.effect - min(begun)
    return f"it was already active {early_s:.1f}s before the first effect, so it says nothing about the fault"


def baseline_band(quiet: Samples, window_s: float) -> tuple[float, float] | None:
    """What a series read in its baseline, with what it may do by chance: outside of this it has moved. None with under three values."""
    seen = [one for one in quiet if not math.isnan(one[1])]
    if len(seen) < 3:
        return None
    low, high = quantile_band([value for _, value in seen])
    middle = median(value for _, value in seen)
    around = BAND * window_deviation(seen, window_s)
    return min(low, middle - around), max(high, middle + around)


def signal_left(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """The first sample after the effect outside the baseline's band, on the side of the threshold."""
    left: list[float] = []
    downwards, upwards = alert.operator in ("<", "<="), alert.operator in (">", ">=")
    end = times.until + times.scrape_s + times.evaluation_s
    for series in history.signal:
        quiet = [one for one in series.samples if times.baseline <= one[0] <= times.effect]
        band = baseline_band(quiet, alert.window_s)
        if band is None:
            continue
        low, high = band
        for at, value in series.samples:
            outside = (value < low and not upwards) or (value > high and not downwards)
            if times.effect <= at <= end and outside:
                left.append(at)
                break
    return min(left, default=None)


# --- Alertmanager and the receiver ------------------------------------------------------------------------------------


def routed_of(alert: PlannedAlert, seen: RoutedRead) -> list[RoutedAlert]:
    """The instances of this alert that Alertmanager held."""
    return [
        one for one in seen.alerts
        if one.labels.get("alertname") == alert.alert and carries(one.labels, alert.labels)
    ]  # fmt: skip


def first_active(alert: PlannedAlert, history: AlertHistory, times: Times) -> Moment | None:
    """When Alertmanager first had it unsuppressed: its `updatedAt` in the first look that shows it.

    Prometheus sends an alert that goes on only once in its resend delay, so `updatedAt` is when it arrived; it cannot have arrived before
    it fired, nor before the last look that did not show it. One that was suppressed before became active at some time between two looks.
    """
    before, quiet = -math.inf, False
    for seen in sorted(history.routed, key=lambda seen: seen.at_wall_s):
        mine = [one for one in routed_of(alert, seen) if one.starts_at_wall_s >= times.effect - times.evaluation_s]
        active = [one for one in mine if one.state == "active"]
        if not active:
            before, quiet = seen.at_wall_s, bool(mine)
            continue
        one = min(active, key=lambda one: one.starts_at_wall_s)
        earliest = max(one.starts_at_wall_s, before)
        if one.updated_at_wall_s is not None and not quiet:
            at = max(one.updated_at_wall_s, one.starts_at_wall_s)
            return at, max(0.0, at - earliest), "Alertmanager's updatedAt"
        return seen.at_wall_s, max(1.0, seen.at_wall_s - earliest), "Alertmanager, looked at every second"
    return None


def deliveries_of(alert: PlannedAlert, history: AlertHistory, times: Times) -> list[Delivered]:
    """What the wanted receiver was told of this alert since the effect, in order of time."""
    mine = [
        one
        for one in history.deliveries
        if one.labels.get("alertname") == alert.alert
        and carries(one.labels, alert.labels)
        and one.received_at_wall_s >= times.effect
        and alert.delivered_to in (None, one.receiver)
    ]
    return sorted(mine, key=lambda one: one.received_at_wall_s)


def first_delivery(alert: PlannedAlert, history: AlertHistory, times: Times) -> Moment | None:
    """When the receiver was first told that it fires, and that it had begun after the effect."""
    told = (
        one.received_at_wall_s
        for one in deliveries_of(alert, history, times)
        if one.status == "firing" and one.starts_at_wall_s >= times.effect - times.evaluation_s
    )
    at = next(told, None)
    return None if at is None else (at, 0.1, "the sink's clock")


def last_resolve(alert: PlannedAlert, history: AlertHistory, times: Times) -> float | None:
    """When the receiver knew that every instance it had been told of was resolved, or None when it does not know."""
    mine = deliveries_of(alert, history, times)
    fired = {one.fingerprint for one in mine if one.status == "firing"}
    last = {one.fingerprint: one for one in mine if one.fingerprint in fired}
    if not last or any(one.status != "resolved" for one in last.values()):
        return None
    return max(one.received_at_wall_s for one in last.values())
