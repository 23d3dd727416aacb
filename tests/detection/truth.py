"""Detections whose truth is known: gauges cross their thresholds at moments that we choose, and we see every scrape and notification.

    flip ─▶ scrape (seen by the page) ─▶ evaluation ─▶ `for` ─▶ notification (seen by the receiver)      flip back ─▶ …

What is true of an evaluation is known to within one interval: it is the first after the scrape that read the new value.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.detection import Gate, Stage
from chaos.lab.monitoring import Tools
from chaos.plans import PlannedAlert
from tests.detection.stand import RECEIVER, Settings, Stand, Told, Watcher, at_once, standing
from tests.drivers.loopback import eventually, now_wall_s
from tests.worlds import ALERT

FOR_S = (0, 1, 2, 3)
"""`for` of the rules, in turn, in seconds."""
GROUP_WAIT_S = 0.2
GROUP_INTERVAL_S = 1.0
ALERTMANAGER = f"""
route: {{receiver: oncall, group_by: [alertname], group_wait: {GROUP_WAIT_S * 1000:.0f}ms, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: oncall, webhook_configs: [{{url: RECEIVER, send_resolved: true}}]}}]
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage of one detection, in wall-clock seconds: what was measured, with its stated error, and between what the truth lies."""

    alert: str
    for_s: float
    stage: str
    at: float | None
    error_s: float
    low: float
    high: float

    @property
    def off_s(self) -> float:
        """How far the measured time lies outside of what can be true; 0 inside, infinity when it was not measured."""
        return float("inf") if self.at is None else max(0.0, self.low - self.at, self.at - self.high)

    @property
    def late_s(self) -> float:
        """The measured time less the earliest that can be true."""
        return float("inf") if self.at is None else self.at - self.low


def alert_of(place: int) -> PlannedAlert:
    """The expected alert on the gauge of this number."""
    return replace(
        ALERT, alert=f"Gauge{place}", labels={"severity": "page"}, within_s=None, delivered_to=RECEIVER,
        resolved_within_s=None, left=f"gauge{place}", operator=">", threshold=0.5, for_s=float(FOR_S[place % len(FOR_S)]),
        group_wait_s=GROUP_WAIT_S, group_interval_s=GROUP_INTERVAL_S, lower_bound_s=0.0,
    )  # fmt: skip


def _rules(count: int) -> str:
    rows = [
        f"  - {{alert: Gauge{place}, expr: gauge{place} > 0.5, for: {FOR_S[place % len(FOR_S)]}s, labels: {{severity: page}}}}"
        for place in range(count)
    ]
    return "groups:\n- name: gauges\n  rules:\n" + "\n".join(rows) + "\n"


@contextmanager
def watched(folder: Path, tools: Tools, count: int, interval_s: float) -> Iterator[Stand]:
    """A stand with so many gauges and a rule on each."""
    settings = Settings(_rules(count), ALERTMANAGER, interval_s, "60s")
    with standing(folder, tools, settings, {f"gauge{place}": 0.0 for place in range(count)}) as stand:
        yield stand


def measure(stand: Stand, count: int, seed: int, interval_s: float, spread_s: float = 4.0) -> list[Measured]:
    """Every gauge has crossed its threshold once and come back, each at its own moment; every stage of each, beside its truth."""
    chance = random.Random(seed)
    alerts = [alert_of(place) for place in range(count)]
    stand.receiver.told.clear()
    watcher = Watcher(stand, alerts, interval_s)
    _pass(4.5)  # a baseline of a few samples
    up = _flip(stand, count, 1.0, [chance.uniform(0.0, spread_s) for _ in range(count)])
    watcher.hurt(min(up))
    names = {alert.alert for alert in alerts}
    eventually(lambda: _told(stand, "firing") >= names, 30, "every gauge's alert is told")
    _pass(chance.uniform(0.0, 1.0))
    down = _flip(stand, count, 0.0, [chance.uniform(0.0, spread_s) for _ in range(count)])
    watcher.healed(max(down))
    eventually(lambda: _told(stand, "resolved") >= names, 30, "every gauge's alert is told to be over")
    _pass(2 * interval_s + 1.5)  # a look at Prometheus after the end
    seen = watcher.end()
    rows: list[Measured] = []
    for place, alert in enumerate(alerts):
        told, _, _ = at_once(seen, alert, up[place], down[place])
        unasked, _, _ = at_once(seen, replace(alert, delivered_to=None), up[place], down[place])
        stages = {gate: told.stage(gate) for gate in Gate if gate is not Gate.alive}
        scraped, back = (_scraped(stand, at) for at in (up[place], down[place]))
        came, gone = (_came(stand, alert.alert, status) for status in ("firing", "resolved"))
        over = unasked.stage(Gate.reset)
        fired = stages[Gate.firing]
        truth: dict[str, tuple[Stage, float, float]] = {
            "pending": (stages[Gate.pending], scraped, scraped + interval_s),
            "firing": (fired, scraped + alert.for_s, scraped + alert.for_s + interval_s),
            "firing, by the notification": (fired, came.starts, came.starts),
            # The group is a new one, so it was told group_wait after Alertmanager had the alert, or later.
            "active": (stages[Gate.active], came.starts, came.came - GROUP_WAIT_S),
            "delivered": (stages[Gate.delivered], came.came, came.passed),
            "reset": (stages[Gate.reset], gone.came, gone.passed),
            "end of ALERTS": (over, back, back + interval_s),
            "end of ALERTS, by the notification": (over, gone.ends, gone.ends),
        }
        rows += [
            Measured(alert.alert, alert.for_s, name, stage.at_wall_s, stage.error_s, low, high)
            for name, (stage, low, high) in truth.items()
        ]
    return rows


def _pass(seconds: float) -> None:
    """So much time has passed: what is measured here is time itself."""
    time.sleep(seconds)


def _flip(stand: Stand, count: int, value: float, after_s: Sequence[float]) -> list[float]:
    """Every gauge has this value, each set after its own time; when each was set."""
    begun, set_at = now_wall_s(), [0.0] * count
    for place in sorted(range(count), key=lambda place: after_s[place]):
        _pass(max(0.0, begun + after_s[place] - now_wall_s()))
        set_at[place] = stand.gauges.set(f"gauge{place}", value)
    return set_at


def _told(stand: Stand, status: str) -> set[str]:
    return {one.alert for one in list(stand.receiver.told) if one.status == status}


def _came(stand: Stand, alert: str, status: str) -> Told:
    mine = [one for one in stand.receiver.told if (one.alert, one.status) == (alert, status)]
    return min(mine, key=lambda one: one.came)


def _scraped(stand: Stand, since: float) -> float:
    return min(at for at in stand.gauges.scraped if at >= since)
