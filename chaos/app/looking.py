"""Looks at what runs here, for `chaos init`: Prometheus, Alertmanager, fault proxies, a Docker engine, a sink. Wiring; only reads."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.http import ask, json_of, session, understood, without_secrets
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError, Unreachable
from chaos.first_steps.found import ContainersFound, Found, Metric, ProxySeen
from chaos.first_steps.servers import recognised
from chaos.first_steps.system_text import PROXY, SINK
from chaos.promql import left_side
from chaos.routes import Route
from chaos.telemetry import RuleInfo

PROMETHEUS = "http://127.0.0.1:9090"
ALERTMANAGER = "http://127.0.0.1:9093"
VALUES_BUDGET_S = 8.0
"""How long rules are asked what they read now."""
SAME_LABELS = (
    "app",
    "app.kubernetes.io/name",
    "com.docker.compose.service",
    "com.docker.swarm.service.name",
    "service",
)
"""Labels by which containers of one service are told."""
_ROUTE = re.compile(r'^chaos_proxy_requests_total\{[^}]*route="([^"]+)"', re.MULTILINE)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to look. What is None or empty is looked for."""

    prometheus: str | None = None
    alertmanager: str | None = None
    proxies: tuple[str, ...] = ()
    monitoring_proxies: tuple[str, ...] = ()
    sinks: Mapping[str, str] = field(default_factory=dict)
    docker: bool | None = None
    """None: where an engine answers; True: one must; False: none is asked."""


class _Looker:
    """Asks, and keeps one sentence of everything that was asked."""

    def __init__(self, where: Addresses) -> None:
        self.where = where
        self.looked: list[str] = []

    def asked(self, what: str, question: Callable[[], Answer]) -> Answer | None:
        """The answer; None, and a sentence that says why, when there is none."""
        try:
            return question()
        except ChaosError as error:
            self.looked.append(f"{what}: {error}")
            return None

    def alertmanager(self, prometheus: PrometheusDriver) -> str | None:
        """The address that was named, or that Prometheus tells, or the usual one if it answers there."""
        if self.where.alertmanager is not None:
            AlertmanagerDriver(self.where.alertmanager).ready()
            return self.where.alertmanager
        told = self.asked("Prometheus' Alertmanagers", prometheus.alertmanagers) or []
        for address in [*told, ALERTMANAGER]:
            try:
                AlertmanagerDriver(address).ready()
            except ChaosError:
                continue
            return address
        said = (
            f"Prometheus tells {', '.join(map(without_secrets, told))}, which does not answer here"
            if told
            else "Prometheus tells none"
        )
        self.looked.append(f"Alertmanager: {said}; name it with --alertmanager URL")
        return None

    def proxies(self, prometheus: PrometheusDriver) -> tuple[ProxySeen, ...]:
        """Those that were named, which must answer; else those that Prometheus scrapes, and the usual one."""
        named = [*map(_proxy, self.where.proxies)]
        watching = [_proxy(address, in_monitoring=True) for address in self.where.monitoring_proxies]
        if named:
            return (*named, *watching)
        scraped = self.asked("scraped fault proxies", lambda: prometheus.query("chaos_proxy_armed")) or []
        around = [f"http://{one.labels['instance']}" for one in scraped if "instance" in one.labels]
        beside = set(self.where.monitoring_proxies)
        found: list[ProxySeen] = []
        for address in dict.fromkeys([*around, PROXY]):
            if address in beside:
                continue
            try:
                found.append(_proxy(address))
            except ChaosError as error:
                if address in around:
                    self.looked.append(f"a fault proxy is scraped at {address} and does not answer here: {error}")
        return (*found, *watching)

    def containers(self) -> tuple[ContainersFound, ...]:
        """Running containers by what they share."""
        from chaos.drivers.docker_listing import running

        if self.where.docker is False:
            return ()
        try:
            listed = running()
        except Unreachable as error:
            if self.where.docker:
                raise
            self.looked.append(f"Docker: {error}")
            return ()
        grouped: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
        for one in listed:
            label = next((name for name in SAME_LABELS if name in one.labels), None)
            if label is not None:
                grouped[label, one.labels[label]].append((one.name, one.labels.get("chaos.enabled") == "true"))
        found = [
            ContainersFound(label, tuple(sorted(name for name, _ in rows)), sum(opted for _, opted in rows))
            for label, rows in grouped.items()
        ]
        self.looked.append(
            f"Docker: {len(listed)} containers run, {sum(one.opted_in for one in found)} of them carry chaos.enabled=true"
        )
        return tuple(one for one in sorted(found, key=lambda one: one.label) if one.opted_in or one.serves)

    def sinks(self, route: Route | None) -> dict[str, str]:
        """Those that were named, or the one at the usual address, for the receiver of Alertmanager's root."""
        if self.where.sinks or route is None:
            return dict(self.where.sinks)
        try:
            SinkClient(SINK).ready()
        except ChaosError:
            return {}
        return {route.receiver: SINK}


def _proxy(address: str, *, in_monitoring: bool = False) -> ProxySeen:
    """What a proxy says to everybody, without a token."""
    asking = session()
    try:
        answer = ask(asking, "GET", f"{address}/version", what="the fault proxy", timeout_s=2.0)
        with understood("the fault proxy", address):
            version = str(json_of(answer, "the fault proxy")["version"])
            said = ask(asking, "GET", f"{address}/metrics", what="the fault proxy", timeout_s=2.0).text
    finally:
        asking.close()
    return ProxySeen(address, version, tuple(dict.fromkeys(_ROUTE.findall(said))), in_monitoring)


def look(where: Addresses) -> Found:
    """Everything that was found. Raises Unreachable when there is no Prometheus, or when something that was named does not answer."""
    looker = _Looker(where)
    address = where.prometheus or PROMETHEUS
    prometheus = PrometheusDriver(address)
    try:
        prometheus.ready()
    except ChaosError as error:
        if where.prometheus is not None:
            raise
        raise Unreachable(
            f"no Prometheus was named, and none answers at {PROMETHEUS}; write --prometheus URL"
        ) from error
    rules = tuple(prometheus.rules())
    described = looker.asked("what metrics mean", prometheus.described) or {}
    targets = looker.asked("scrape targets", prometheus.targets) or []
    scrape_s, evaluation_s = looker.asked("intervals", prometheus.config) or (15.0, 15.0)
    alertmanager = looker.alertmanager(prometheus)
    driver = AlertmanagerDriver(alertmanager) if alertmanager is not None else None
    route = looker.asked("Alertmanager's routes", driver.route) if driver is not None else None
    integrations = looker.asked("Alertmanager's receivers", driver.integrations) if driver is not None else None
    jobs: dict[str, int] = defaultdict(int)
    for target in targets:
        jobs[target.job] += 1
    proxies = looker.proxies(prometheus)
    found = Found(
        prometheus=address,
        alertmanager=alertmanager,
        scrape_s=min((one.interval_s for one in targets), default=scrape_s),
        evaluation_s=evaluation_s,
        rules=rules,
        values=_values(rules, prometheus),
        metrics={name: Metric(*said) for name, said in described.items()},
        jobs=dict(jobs),
        route=route,
        integrations=integrations or {},
        proxies=proxies,
        containers=looker.containers(),
        sinks=looker.sinks(route),
    )
    return _with_sentences(found, looker.looked)


def _values(rules: Sequence[RuleInfo], prometheus: PrometheusDriver) -> dict[int, float]:
    """What each rule's left side reads now, where it is one number and there was time to ask."""
    until_s = time.monotonic() + VALUES_BUDGET_S

    def read(index: int) -> tuple[int, float] | None:
        compared = left_side(rules[index].expr)
        if compared is None or time.monotonic() > until_s:
            return None
        try:
            series = prometheus.query(compared.left)
        except ChaosError:
            return None
        value = series[0].samples[-1][1] if len(series) == 1 and series[0].samples else math.nan
        return (index, value) if math.isfinite(value) else None

    with ThreadPoolExecutor(4) as pool:
        return dict(one for one in pool.map(read, range(len(rules))) if one is not None)


def _with_sentences(found: Found, looked: Sequence[str]) -> Found:
    from dataclasses import replace

    server = recognised(found.metrics)
    said = [
        f"Prometheus at {without_secrets(found.prometheus)}: {len(found.rules)} alert rules, {len(found.jobs)} jobs"
    ]
    said += [f"a model server: {server.name}, by its metrics"] if server is not None else []
    if found.alertmanager is not None:
        tells = [name for name, integrated in found.integrations.items() if integrated]
        can = f"{len(tells)} receiver{'' if len(tells) == 1 else 's'} that can tell ({', '.join(tells[:4])})"
        said.append(f"Alertmanager at {without_secrets(found.alertmanager)}: {can}")
    said += [
        f"a fault proxy{' in monitoring' if one.in_monitoring else ''} at {without_secrets(one.address)}, version {one.version}"
        for one in found.proxies
    ]
    if not any(not one.in_monitoring for one in found.proxies):
        said.append(f"fault proxy: none was named, none is scraped, and none answers at {PROXY}")
    said += [f"a sink of `{name}` at {without_secrets(sink)}" for name, sink in found.sinks.items()]
    return replace(found, looked=(*said, *looked))
