"""Who must notice: the expected alerts with their rules, their routes and what is foreseen of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.document import did_you_mean
from chaos.experiment import ExpectedAlert, Experiment
from chaos.foresight import foresee
from chaos.plans import (
    PlannedAlert,
    PlannedLoad,
)
from chaos.probe import Catalogue
from chaos.promql import left_side, longest_window_s
from chaos.routes import Route
from chaos.survey import Survey
from chaos.system import System
from chaos.telemetry import RuleInfo


def matching_rule(alert: ExpectedAlert, rules: tuple[RuleInfo, ...]) -> RuleInfo | None:
    """The loaded rule of this name whose own labels do not contradict the expected ones."""
    for rule in rules:
        agrees = all(rule.labels.get(name, value) == value for name, value in alert.labels.items())
        if rule.name == alert.alert and agrees:
            return rule
    return None


def _route(route: Route | None, rule: RuleInfo) -> list[Route]:
    return route.routes_for({**rule.labels, "alertname": rule.name}) if route is not None else []


def alerts_of(
    experiment: Experiment, system: System, probes: Catalogue, survey: Survey, load: PlannedLoad | None
) -> tuple[tuple[PlannedAlert, ...], list[str]]:
    planned: list[PlannedAlert] = []
    refused: list[str] = []
    for alert in experiment.expect.alerts:
        if alert.via != "prometheus":
            planned.append(_heard_of(alert))
            continue
        rule = matching_rule(alert, survey.rules)
        if rule is None:
            if not any("Prometheus" in error for error in survey.errors):
                refused.append(not_loaded(alert, survey.rules))
            continue
        planned.append(_planned_alert(alert, rule, experiment, system, probes, survey, load))
    return tuple(planned), refused


def _heard_of(alert: ExpectedAlert) -> PlannedAlert:
    """One that Prometheus does not know: nothing is foreseen of a rule that nobody can read."""
    return PlannedAlert(
        alert=alert.alert,
        labels=dict(alert.labels),
        within_s=alert.within,
        delivered_to=alert.delivered_to,
        resolved_within_s=alert.resolved_within,
        severity=alert.labels.get("severity", ""),
        expr="",
        left=None,
        operator=None,
        threshold=None,
        for_s=0.0,
        group_wait_s=0.0,
        group_interval_s=0.0,
        lower_bound_s=0.0,
        routed_to=(),
        via=alert.via,
        silent_for_s=alert.silent_for,
    )


def not_loaded(alert: ExpectedAlert, rules: tuple[RuleInfo, ...]) -> str:
    """Why no rule of these is that of the expected alert, and what may have been meant."""
    namesakes = [rule for rule in rules if rule.name == alert.alert]
    if namesakes:
        asked, has = (_labels(labels) for labels in (alert.labels, namesakes[0].labels))
        return (
            f"the alert {alert.alert} is loaded in Prometheus, but not with {asked}; its rule has {has or 'no labels'}"
        )
    hint = did_you_mean(alert.alert, {rule.name for rule in rules})
    return f"the alert {alert.alert} is not loaded in Prometheus; {hint}"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _planned_alert(
    alert: ExpectedAlert,
    rule: RuleInfo,
    experiment: Experiment,
    system: System,
    probes: Catalogue,
    survey: Survey,
    load: PlannedLoad | None,
) -> PlannedAlert:
    compared = left_side(rule.expr)
    # What the shadow's consumer reads is the treatment arm alone: nothing is known of how its rules are diluted.
    shadowed = experiment.blast_radius.mode == "shadow"
    routes = _route(survey.route, rule)
    named = [route for route in routes if alert.delivered_to in (None, route.receiver)] or routes
    wait = min((route.group_wait_s for route in named), default=0.0)
    interval = min((route.group_interval_s for route in named), default=0.0)
    lower = survey.scrape_s + survey.evaluation_s + rule.for_s + (wait if alert.delivered_to else 0.0)
    if load is not None and load.feedback_after_s is not None and "feedback" in rule.expr:
        lower += load.feedback_after_s
    return PlannedAlert(
        alert=alert.alert,
        labels=dict(alert.labels),
        within_s=alert.within,
        delivered_to=alert.delivered_to,
        resolved_within_s=alert.resolved_within,
        severity=rule.labels.get("severity", ""),
        expr=rule.expr,
        left=compared.left if compared else None,
        operator=compared.operator if compared else None,
        threshold=compared.threshold if compared else None,
        for_s=rule.for_s,
        group_wait_s=wait,
        group_interval_s=interval,
        lower_bound_s=lower,
        routed_to=tuple(dict.fromkeys(route.receiver for route in routes)),
        foresight=None
        if shadowed
        else foresee(rule, compared, experiment, system, probes, survey.rule_values.get(rule.name), lower),
        window_s=longest_window_s(compared.left) if compared else 0.0,
    )
