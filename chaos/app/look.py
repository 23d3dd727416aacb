"""Looks at telemetry for a run: probes, alerts, Alertmanager, sinks; and collects the series at its end. Wiring.

Every look asks what the plan says and nothing else; what comes back becomes observations, as values.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError
from chaos.events import Collected, PhaseWindow
from chaos.observation import (
    AlertSeen,
    AlertsRead,
    Delivered,
    DeliveriesRead,
    ExternalRead,
    ExternalSeen,
    ProbeReading,
    ProbesRead,
    RoutedAlert,
    RoutedRead,
    RuleClock,
    ScrapeClock,
    SeriesRead,
)
from chaos.plans import Plan, PlannedEffect, PlannedProbe
from chaos.progress.externals import shown


def duration_text(seconds: float) -> str:
    """A PromQL duration, whole seconds, at least one."""
    return f"{max(1, round(seconds))}s"


@dataclass
class Look:
    """The eyes of one run."""

    plan: Plan
    prometheus: PrometheusDriver
    rules: PrometheusDriver
    alertmanager: AlertmanagerDriver | None
    sinks: Mapping[str, SinkClient]
    begun_wall_s: float = field(default_factory=time.time)
    _heard: dict[str, int] = field(default_factory=dict)

    # --- while it runs ------------------------------------------------------------------------------------------------

    def probes(self, phase_s: float | None) -> ProbesRead:
        """Every probe over its usual window, and over the phase when there is one that is long enough to read."""
        return self._of(self.plan.probes, phase_s)

    def guards(self) -> ProbesRead:
        """What the guards read. Asked apart from everything else: a slow probe must not keep a guard from seeing."""
        return self._of([guard.probe for guard in self.plan.guards if guard.probe is not None], None)

    def _of(self, probes: Sequence[PlannedProbe], phase_s: float | None) -> ProbesRead:
        readings: list[ProbeReading] = []
        failed: list[ChaosError] = []
        for probe in probes:
            try:
                readings += self._readings(probe, phase_s)
            except ChaosError as error:  # one that cannot be read must not blind the others
                failed.append(error)
        if failed and not readings:
            raise failed[0]
        return ProbesRead(tuple(readings))

    def _readings(self, probe: PlannedProbe, phase_s: float | None) -> list[ProbeReading]:
        sliding = self._read(probe, "sliding", self.plan.window_s)
        if phase_s is None or not probe.steady:
            return [sliding]
        if not probe.windowed:
            return [sliding, self._read(probe, "phase", self.plan.window_s)]
        shortest_s = max(4 * self.plan.scrape_s, 4.0)
        return [sliding, self._read(probe, "phase", phase_s)] if phase_s >= shortest_s else [sliding]

    def _read(self, probe: PlannedProbe, scope: str, window_s: float, at_wall_s: float | None = None) -> ProbeReading:
        window = duration_text(window_s)
        series = self.prometheus.query(probe.query.replace("$window", window), at_wall_s)
        count: float | None = None
        if probe.count is not None:
            counted = self.prometheus.query(probe.count.replace("$window", window), at_wall_s)
            count = sum(one.samples[-1][1] for one in counted if one.samples) if counted else None
        series = [one for one in series if one.samples]
        values = tuple(one.samples[-1][1] for one in series)
        labels = tuple(one.labels for one in series)
        at = max((one.samples[-1][0] for one in series), default=at_wall_s or time.time())
        return ProbeReading(
            probe.title, "phase" if scope == "phase" else "sliding", window_s, at, values, count, labels
        )

    def external(self, effects: Sequence[PlannedEffect]) -> ExternalRead:
        """What shows of these effects of other tools."""
        seen: list[ExternalSeen] = []
        failed: list[ChaosError] = []
        for effect in effects:
            assert effect.shows is not None
            try:
                seen.append(shown(effect, self._read(effect.shows, "sliding", self.plan.window_s)))
            except ChaosError as error:
                failed.append(error)
        if failed and not seen:
            raise failed[0]
        return ExternalRead(tuple(seen))

    def alerts(self) -> AlertsRead:
        """Every pending and firing alert, and which rules are sick."""
        rules = self.rules.rules()
        seen = tuple(
            AlertSeen(rule.name, alert.labels, alert.state, alert.active_at_wall_s, alert.value)
            for rule in rules
            for alert in rule.alerts
            if alert.state in ("pending", "firing")
        )
        sick = {rule.name: rule.last_error or rule.health for rule in rules if rule.health not in ("ok", "unknown")}
        clocks = {
            rule.name: RuleClock(rule.last_evaluation_wall_s, rule.interval_s)
            for rule in rules
            if rule.name in self._expected()
        }
        return AlertsRead(time.time(), seen, sick, evaluated=clocks)

    def _expected(self) -> set[str]:
        return {alert.alert for alert in self.plan.alerts}

    def routed(self) -> RoutedRead:
        """Every alert that Alertmanager holds; none when the system names no Alertmanager."""
        if self.alertmanager is None:
            return RoutedRead(time.time(), (), asked=False)
        asked = time.time()
        held = self.alertmanager.alerts()
        mine = [alert for alert in held if alert.labels.get("alertname") in self._expected()]
        groups = self.alertmanager.groups() if mine else {}
        quiet = {name for alert in mine for name in alert.silenced_by}
        return RoutedRead(
            asked,
            tuple(
                RoutedAlert(
                    fingerprint=alert.fingerprint,
                    labels=alert.labels,
                    state=alert.state,
                    starts_at_wall_s=alert.starts_at_wall_s,
                    silenced_by=tuple(alert.silenced_by),
                    inhibited_by=tuple(alert.inhibited_by),
                    receivers=tuple(alert.receivers),
                    updated_at_wall_s=alert.updated_at_wall_s,
                    groups=groups.get(alert.fingerprint, ()) if alert in mine else (),
                )
                for alert in held
            ),
            silences=tuple(one for one in self.alertmanager.silences() if one.id in quiet) if quiet else (),
        )

    def deliveries(self) -> DeliveriesRead:
        """What the sinks got since the last look, and since the run began."""
        found: list[Delivered] = []
        failed: dict[str, ChaosError] = {}
        for receiver, sink in self.sinks.items():
            try:
                found += self._heard_by(receiver, sink)
            except ChaosError as error:  # one sink that is gone must not lose what another one has heard
                failed[receiver] = error
        if failed and len(failed) == len(self.sinks):
            raise next(iter(failed.values()))
        return DeliveriesRead(tuple(found), unanswered=tuple(failed))

    def _heard_by(self, receiver: str, sink: SinkClient) -> list[Delivered]:
        found: list[Delivered] = []
        for note in sink.notifications(self._heard.get(receiver, 0)):
            self._heard[receiver] = max(self._heard.get(receiver, 0), note.id)
            if note.received_at_wall_s < self.begun_wall_s:
                continue
            found += [
                Delivered(
                    receiver=receiver,
                    received_at_wall_s=note.received_at_wall_s,
                    status=alert.status,
                    fingerprint=alert.fingerprint,
                    labels=alert.labels,
                    starts_at_wall_s=alert.starts_at_wall_s,
                    ends_at_wall_s=alert.ends_at_wall_s,
                    notified=note.receiver,
                    group=note.group,
                )
                for alert in note.alerts
            ]
        return found

    # --- at the end ---------------------------------------------------------------------------------------------------

    def collect(self, windows: tuple[PhaseWindow, ...]) -> Collected:
        """Series for the report and the stages, and every probe over exactly each phase. Errors are kept, not raised."""
        errors: list[str] = []
        series: list[SeriesRead] = []
        readings: list[tuple[str, ProbeReading]] = []
        end = time.time()
        for window in windows:
            for probe in self.plan.steady():
                try:
                    readings.append((window.phase, self._over(probe, window)))
                except ChaosError as error:
                    errors.append(str(error))
        for role, query in self._curves():
            try:
                series += [
                    SeriesRead(role, query, one.labels, tuple(one.samples))
                    for one in self.prometheus.query_range(query, self.begun_wall_s, end, self._step_s(end))
                ]
            except ChaosError as error:
                errors.append(str(error))
        for alert in (one for one in self.plan.alerts if one.via == "prometheus"):
            for state in ("pending", "firing"):
                selector = f'ALERTS{{alertname="{alert.alert}",alertstate="{state}"}}'
                try:
                    found = self.rules.raw(selector, end - self.begun_wall_s + 1, end)
                    series += [
                        SeriesRead(f"alert:{alert.alert}:{state}", selector, one.labels, tuple(one.samples))
                        for one in found
                    ]
                except ChaosError as error:
                    errors.append(str(error))
        return Collected(tuple(series), tuple(readings), tuple(dict.fromkeys(errors)), scrapes=self._scrapes(errors))

    def _scrapes(self, errors: list[str]) -> tuple[ScrapeClock, ...]:
        """When each target was last scraped; nothing of a server that does not say so, such as one that only keeps rules."""
        try:
            targets = self.prometheus.targets() if self.plan.alerts else []
        except ChaosError as error:
            errors.append(str(error))
            return ()
        return tuple(ScrapeClock(one.job, one.instance, one.last_scrape_wall_s, one.interval_s) for one in targets)

    def _step_s(self, end: float) -> float:
        """Prometheus answers at most 11,000 steps a query; a thousand are enough for a picture."""
        return max(self.plan.evaluation_s, (end - self.begun_wall_s) / 1000, 1.0)

    def _over(self, probe: PlannedProbe, window: PhaseWindow) -> ProbeReading:
        if window.phase == "recovery" or not probe.windowed:
            # Recovery asks whether the usual reading is back, so its own window applies.
            return self._read(probe, "phase", self.plan.window_s, window.end_wall_s)
        length_s = max(window.end_wall_s - window.start_wall_s, 4 * self.plan.scrape_s)
        return self._read(probe, "phase", length_s, window.end_wall_s)

    def _curves(self) -> list[tuple[str, str]]:
        window = duration_text(self.plan.window_s)
        curves = [(f"probe:{probe.title}", probe.query.replace("$window", window)) for probe in self.plan.steady()]
        return curves + [(f"signal:{alert.alert}", alert.left) for alert in self.plan.alerts if alert.left is not None]
