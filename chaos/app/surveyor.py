"""Asks the system once, before the plan: rules, intervals, routes, containers, proxies, sinks. Wiring; changes nothing.

What cannot be asked becomes one clear sentence in `Survey.errors`, so that the plan can refuse with every reason at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.base import Container, ContainerDriver
from chaos.drivers.catalogue import container_driver
from chaos.drivers.http import without_secrets
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.proxy import ProxyFleet
from chaos.drivers.rule_facts import Servers, ask_about
from chaos.drivers.state import State, lock_name
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError
from chaos.experiment import Experiment
from chaos.faults.containers import ContainerFault
from chaos.planning import outcomes, queries
from chaos.planning.alerts import matching_rule
from chaos.probe import Catalogue
from chaos.promql import left_side
from chaos.routes import Route
from chaos.rulecheck.facts import RuleFacts
from chaos.survey import ContainerFound, ProxyFound, Survey
from chaos.system import System
from chaos.telemetry import RuleInfo

RULES_BUDGET_S = 10.0
"""How long the rules of expected alerts are asked about."""


@dataclass
class Drivers:
    """One driver for each thing that the system file names."""

    prometheus: PrometheusDriver
    rules: PrometheusDriver
    alertmanager: AlertmanagerDriver | None
    sinks: dict[str, SinkClient] = field(default_factory=dict)
    fleets: dict[str, ProxyFleet] = field(default_factory=dict)
    containers: dict[str, ContainerDriver] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    beside: Path = Path()
    """The folder of the system file."""


def drivers_of(system: System, beside: Path) -> Drivers:
    """The drivers of a system; `beside` is the folder of its file, which relative paths refer to."""
    headers = {name: value.get_secret_value() for name, value in system.telemetry.headers.items()}
    prometheus = PrometheusDriver(system.telemetry.prometheus, headers)
    rules = PrometheusDriver(system.telemetry.rules, headers) if system.telemetry.rules else prometheus
    alertmanager = AlertmanagerDriver(system.telemetry.alertmanager) if system.telemetry.alertmanager else None
    made = Drivers(prometheus, rules, alertmanager, beside=beside)
    made.sinks = {name: SinkClient(receiver.sink) for name, receiver in system.receivers.items()}
    for name, target in system.targets.items():
        if target.proxies:
            ca = str(beside / target.control_ca) if target.control_ca is not None else None
            made.fleets[name] = ProxyFleet(target.proxies, target.token.get_secret_value(), ca=ca)
        driver = container_driver(target, system.opt_in_label(), beside)
        if driver is not None:
            made.kinds[name], made.containers[name] = driver
    return made


def survey(experiment: Experiment, system: System, probes: Catalogue, drivers: Drivers) -> Survey:
    """What the system is like now, as far as this experiment needs to know. Never raises for what did not answer."""
    errors: list[str] = []

    def ask(question: Callable[[], object]) -> object:
        try:
            return question()
        except ChaosError as error:
            errors.append(str(error))
            return None

    intervals = ask(drivers.prometheus.config)
    scrape_s, evaluation_s = intervals if isinstance(intervals, tuple) else (1.0, 1.0)
    answered = intervals is not None
    rules = ask(drivers.rules.rules) if answered else None
    loaded: tuple[RuleInfo, ...] = tuple(rules) if isinstance(rules, list) else ()
    offset = ask(_offset(drivers.prometheus)) if answered else None
    route, silenced = _alertmanager(drivers, ask)
    wanted = {alert.alert for alert in experiment.expect.alerts}
    values: dict[str, float | None] = {}
    for rule in loaded:
        compared = left_side(rule.expr) if rule.name in wanted else None
        if compared is not None:
            found = ask(lambda left=compared.left: drivers.prometheus.query(left))  # type: ignore[misc]
            samples = found if isinstance(found, list) else []
            values[rule.name] = samples[0].samples[-1][1] if samples and samples[0].samples else None
    if answered:
        errors += _unreadable(queries(experiment, system, probes), drivers.prometheus)
    targets = {fault.target for fault in experiment.faults if fault.target in system.targets}
    hurt = {fault.target for fault in experiment.faults if fault.acts_on == "container"}
    containers = {name: _containers(name, system, drivers, ask) for name in hurt if name in drivers.containers}
    return Survey(
        at_wall_s=time.time(),
        scrape_s=scrape_s,
        evaluation_s=evaluation_s,
        clock_offset_s=offset if isinstance(offset, float) else 0.0,
        rules=loaded,
        rule_values=values,
        rule_facts=_rule_facts(experiment, loaded, drivers) if answered else {},
        outcomes=_outcomes(experiment, outcomes(experiment, system, probes), drivers.prometheus, ask)
        if answered
        else {},
        route=route,
        silenced=silenced,
        containers=containers,
        cannot=_impossible(experiment, containers, drivers, ask),
        driver=dict(drivers.kinds),
        proxies={name: _proxies(drivers.fleets[name]) for name in targets if name in drivers.fleets},
        sinks={name: _sink(drivers.sinks[name]) for name in _receivers(experiment) if name in drivers.sinks},
        errors=tuple(dict.fromkeys(errors)),
    )


def _rule_facts(experiment: Experiment, rules: tuple[RuleInfo, ...], drivers: Drivers) -> dict[int, RuleFacts]:
    """Index of each expected alert's rule → what is known of it. What cannot be asked stays unknown: the plan does without."""
    found = (matching_rule(alert, rules) for alert in experiment.expect.alerts)
    expected = dict.fromkeys(rules.index(rule) for rule in found if rule is not None)
    if not expected:
        return {}
    servers = Servers(drivers.prometheus, drivers.rules, drivers.alertmanager)
    try:
        asked = ask_about([rules[index] for index in expected], servers, budget_s=RULES_BUDGET_S)
    except ChaosError:
        return {}
    return dict(zip(expected, asked.facts, strict=True))


def _unreadable(asked: dict[str, str], prometheus: PrometheusDriver) -> list[str]:
    """Why each probe that Prometheus refuses to read cannot be read; one that returns nothing yet is none of them."""
    found: list[str] = []
    for title, query in asked.items():
        try:
            prometheus.query(query)
        except ChaosError as error:
            found.append(f"the probe {title} cannot be read: {error}")
    return found


def _outcomes(
    experiment: Experiment,
    asked: dict[str, str],
    prometheus: PrometheusDriver,
    ask: Callable[[Callable[[], object]], object],
) -> dict[str, float | None]:
    """What each of these probes usually reads; None unless it is one value.

    Only where a fault aims at it is it an error that it cannot be read: for anything else it is a prediction less.
    """
    aims = {aim.outcome for fault in experiment.faults if (aim := fault.aim()) is not None}
    read: dict[str, float | None] = {}
    for title, query in asked.items():
        found: object = None
        if title in aims:
            found = ask(partial(prometheus.query, query))
        else:
            with suppress(ChaosError):
                found = prometheus.query(query)
        samples = [series.samples for series in found] if isinstance(found, list) else []
        read[title] = samples[0][-1][1] if len(samples) == 1 and samples[0] else None
    return read


def _receivers(experiment: Experiment) -> set[str]:
    return {alert.delivered_to for alert in experiment.expect.alerts if alert.delivered_to is not None}


def _offset(prometheus: PrometheusDriver) -> Callable[[], float]:
    def measure() -> float:
        before = time.time()
        theirs = prometheus.now_wall_s()
        return theirs - (before + time.time()) / 2

    return measure


def _alertmanager(drivers: Drivers, ask: Callable[[Callable[[], object]], object]) -> tuple[Route | None, tuple[()]]:
    if drivers.alertmanager is None:
        return None, ()
    route = ask(drivers.alertmanager.route)
    return (route if isinstance(route, Route) else None), ()


def _containers(
    name: str, system: System, drivers: Drivers, ask: Callable[[Callable[[], object]], object]
) -> tuple[ContainerFound, ...]:
    label, value = system.opt_in_label()
    state, runs_in = State.of_user(), system.targets[name].runs_in()
    kind, settings = runs_in if runs_in is not None else ("", {})
    driver = drivers.containers[name]
    found = ask(driver.find)
    listed: list[ContainerFound] = []
    for one in found if isinstance(found, list) else []:
        opted_in = one.labels.get(label) == value
        before = ask(partial(driver.inspect, one)) if opted_in and one.status == "running" else None
        said = dict(before) if isinstance(before, Mapping) else {}
        holder = state.holder(lock_name(kind, settings, drivers.beside, one.name, one.id))
        labels = dict(one.labels)
        listed.append(ContainerFound(one.name, one.id, one.status, labels, opted_in, one.started_at, said, holder))
    return tuple(listed)


def _impossible(
    experiment: Experiment,
    containers: Mapping[str, tuple[ContainerFound, ...]],
    drivers: Drivers,
    ask: Callable[[Callable[[], object]], object],
) -> dict[int, dict[str, str]]:
    """Index of a fault → id of a running container that may be hurt, but not in this way → why not."""
    impossible: dict[int, dict[str, str]] = {}
    for index, fault in enumerate(experiment.faults):
        if not isinstance(fault, ContainerFault):
            continue
        for found in containers.get(fault.target, ()):
            if not found.opted_in or found.status != "running":
                continue
            container = Container(found.name, found.id, found.labels, "running", found.started_at)
            why = ask(partial(drivers.containers[fault.target].cannot, fault.wanted(), container))
            if isinstance(why, str):
                impossible.setdefault(index, {})[found.id] = why
    return impossible


def _proxies(fleet: ProxyFleet) -> tuple[ProxyFound, ...]:
    found: list[ProxyFound] = []
    for address in fleet.addresses:
        try:
            one = fleet.look(address)
            found.append(ProxyFound(without_secrets(address), one.version, one.holders))
        except ChaosError as error:
            found.append(ProxyFound(without_secrets(address), error=str(error)))
    return tuple(found)


def _sink(sink: SinkClient) -> str | None:
    try:
        sink.ready()
    except ChaosError as error:
        return str(error)
    return None
