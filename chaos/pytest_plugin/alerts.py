"""Waits for an alert: what `alerts` gives to ordinary tests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from chaos.app.one_fault import seconds_of
from chaos.app.surveyor import Drivers, drivers_of
from chaos.detection import FAILURE, Gate
from chaos.errors import Unreachable
from chaos.system import System
from chaos.telemetry import carries

LOOK_S = 0.2
Reached = Literal["nothing", "pending", "firing", "active", "delivered"]
_ORDER: tuple[Reached, ...] = ("nothing", "pending", "firing", "active", "delivered")
_NEXT: dict[Reached, Gate] = {
    "nothing": Gate.pending,
    "pending": Gate.firing,
    "firing": Gate.active,
    "active": Gate.delivered,
}


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that came as far as was asked for. `after_s` counts from the beginning of the wait."""

    alert: str
    labels: Mapping[str, str]
    reached: Reached
    after_s: float


@dataclass
class Alerts:
    """The alerts of one system."""

    _drivers: Drivers
    _match: Mapping[str, str]

    @staticmethod
    def of(system: System, beside: Path) -> Alerts:
        """Those of this system, whose file lies in `beside`."""
        return Alerts(drivers_of(system, beside), dict(system.alerts.match))

    def wait_for(
        self,
        alert: str,
        *,
        within: str | float,
        labels: Mapping[str, str] | None = None,
        delivered_to: str | None = None,
    ) -> Told:
        """The alert fires, or with `delivered_to` its receiver has been told since the wait began. Fails the test when that is not
        so in time, and says how far it came.
        """
        wanted = {**self._match, **(labels or {}), "alertname": alert}
        goal: Reached = "delivered" if delivered_to is not None else "firing"
        if delivered_to is not None and delivered_to not in self._drivers.sinks:
            raise pytest.UsageError(
                f"the system has no receiver `{delivered_to}`; it has {', '.join(self._drivers.sinks) or 'none'}"
            )
        begun_s, within_s, begun_wall_s = time.monotonic(), seconds_of(within), time.time()
        furthest: Reached = "nothing"
        last = ""
        while True:
            try:
                found = self._furthest(wanted, delivered_to, begun_wall_s)
                if found is not None:
                    furthest = max(furthest, found[0], key=_ORDER.index)
                    if _ORDER.index(found[0]) >= _ORDER.index(goal):
                        return Told(alert, found[1], found[0], time.monotonic() - begun_s)
            except Unreachable as error:
                last = f" (at last: {error})"
            if time.monotonic() - begun_s > within_s:
                pytest.fail(self._failed(alert, furthest, within_s) + last, pytrace=False)
            time.sleep(LOOK_S)

    def _failed(self, alert: str, furthest: Reached, within_s: float) -> str:
        rules = [rule.name for rule in self._drivers.rules.rules()]
        if furthest == "nothing" and alert not in rules:
            return f"{alert} did not fire within {within_s:g}s: Prometheus has no rule of this name; it has {', '.join(rules) or 'none'}"
        came = "it was not even pending" if furthest == "nothing" else f"it came as far as {furthest}"
        gate = _NEXT[furthest]
        return f"{alert} did not tell within {within_s:g}s: {came}; at the gate {gate.value}: {FAILURE[gate]}"

    def _furthest(
        self, wanted: Mapping[str, str], receiver: str | None, since_wall_s: float
    ) -> tuple[Reached, Mapping[str, str]] | None:
        """How far the alert is now, by whoever knows most."""
        if receiver is not None:
            for told in self._drivers.sinks[receiver].notifications():
                for one in told.alerts if told.received_at_wall_s >= since_wall_s else ():
                    if one.status == "firing" and carries(one.labels, wanted):
                        return "delivered", one.labels
        if self._drivers.alertmanager is not None:
            for instance in self._drivers.alertmanager.alerts():
                if instance.state == "active" and carries(instance.labels, wanted):
                    return "active", instance.labels
        return self._in_prometheus(wanted)

    def _in_prometheus(self, wanted: Mapping[str, str]) -> tuple[Reached, Mapping[str, str]] | None:
        best: tuple[Reached, Mapping[str, str]] | None = None
        for rule in self._drivers.rules.rules():
            for seen in rule.alerts:
                labels = {**seen.labels, "alertname": rule.name}
                if seen.state != "inactive" and carries(labels, wanted) and (best is None or seen.state == "firing"):
                    best = (seen.state, labels)
        return best
