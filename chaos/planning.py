"""Makes the plan: what would happen, to whom, who is told, and whether it may and can be detected at all. Pure.

experiment + system + probes + survey + seed ─▶ plan() ─▶ Plan     (Plan.refusals says why it must not run)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chaos.arms import unit_interval
from chaos.bounds import Bound
from chaos.document import did_you_mean
from chaos.experiment import AlertMatch, ExpectedAlert, Experiment, GuardProbe, SteadyInline, SteadyProbe
from chaos.faults.aims import OutOfReach, about
from chaos.faults.base import Fault
from chaos.faults.containers import ContainerFault
from chaos.faults.external import External
from chaos.faults.inputs import InputFault
from chaos.foresight import foresee, has_value
from chaos.plans import (
    Plan,
    PlannedAlert,
    PlannedEffect,
    PlannedGuard,
    PlannedLoad,
    PlannedProbe,
)
from chaos.probe import Catalogue
from chaos.protocols import catalogue as protocols
from chaos.slices import Slice, conflict
from chaos.survey import ContainerFound, Holder, Survey
from chaos.system import System
from chaos.telemetry import Route, RuleInfo, left_side, longest_window_s
from chaos.units import format_duration, format_share, parse_duration


def plan(experiment: Experiment, system: System, probes: Catalogue, survey: Survey, seed: str) -> Plan:
    """What this experiment would do to this system now. Decides everything that chance decides, from `seed`."""
    variables = system.probe_variables()
    load = _load(experiment)
    written, (experiment, beyond) = experiment, _aimed(experiment, system, survey)
    effects, refused = _effects(experiment, system, survey, seed)
    alerts, missing = _alerts(experiment, system, probes, survey, load)
    drawn = Plan(
        experiment=experiment.name,
        description=" ".join(experiment.description.split()),
        system=system.name,
        environment=system.environment,
        seed=seed,
        subjects=experiment.blast_radius.subjects,
        subject_by=experiment.subject_header(system),
        traffic=experiment.blast_radius.traffic,
        where=experiment.blast_radius.where,
        baseline_s=experiment.baseline,
        max_duration_s=experiment.blast_radius.max_duration,
        recovery_s=experiment.recovery,
        window_s=parse_duration(variables["window"]),
        scrape_s=survey.scrape_s,
        evaluation_s=survey.evaluation_s,
        load=load,
        probes=_probes(experiment, probes, variables),
        guards=_guards(experiment, probes, variables),
        effects=_towards(effects, written, survey),
        alerts=alerts,
        match=dict(system.alerts.match),
        harms=tuple(experiment.expect.harms),
        holds=tuple(experiment.holding()),
        quiet=experiment.expect.quiet is True,
        silent=tuple(experiment.expect.quiet) if isinstance(experiment.expect.quiet, list) else (),
        control=experiment.expect.control == "unharmed",
        arms_held=experiment.expect.arms == "held",
        mode=experiment.blast_radius.mode,
        lease_s=experiment.blast_radius.lease,
        most=experiment.blast_radius.most,
        allowed=_allowed(experiment, system),
        warnings=_warnings(experiment, system, alerts),
        notes=_notes(experiment, alerts, survey),
    )
    refusals = (*survey.errors, *beyond, *refused, *missing, *_refusals(experiment, system, survey, drawn))
    return replace(drawn, refusals=refusals)


# --- aims: outcomes instead of shares ---------------------------------------------------------------------------------

REMEMBERED = "1h"
"""How old a reading may be from which a share is found: without traffic there is none now, but earlier ones are as good."""


def outcomes(experiment: Experiment, system: System, probes: Catalogue) -> dict[str, str]:
    """Title of each steady-state probe that a fault aims at → PromQL of what it usually reads in the steady state.

    That is the median over the last hour of the readings that had enough behind them and met the probe's own bound: one reading may be
    chance, one of a few outcomes mostly is, one without any is NaN, and one beyond its bound may be an earlier run's fault.
    """
    aims = {aim.outcome for fault in experiment.faults if (aim := fault.aim()) is not None}
    variables = system.probe_variables()
    asked: dict[str, str] = {}
    for probe in _probes(experiment, probes, variables):
        if probe.title not in aims:
            continue
        least = probe.bound("minimum")
        floor = least.value if least is not None and least.kind != "baseline" else 0.0
        reading = f"(({probe.query}) >= {floor:g})"
        if probe.count is not None:
            reading += f" and on() (({probe.count}) >= {probe.needs:g})"
        asked[probe.title] = f"quantile_over_time(0.5, ({reading})[{REMEMBERED}:])".replace(
            "$window", variables["window"]
        )
    return asked


def _aimed(experiment: Experiment, system: System, survey: Survey) -> tuple[Experiment, list[str]]:
    """The experiment with a share wherever an outcome was written, and why that cannot be."""
    found: list[Fault] = []
    refused: list[str] = []
    for fault in experiment.faults:
        try:
            found.append(_share_found(fault, experiment, system, survey))
        except OutOfReach as why:
            found.append(fault)
            refused.append(f"{fault.fault}: {why}")
    return experiment.model_copy(update={"faults": found}), refused


def _share_found(fault: Fault, experiment: Experiment, system: System, survey: Survey) -> Fault:
    aim = fault.aim()
    if aim is None:
        return fault
    beside = [other for other in experiment.faults if other is not fault and other.semantic and _at_once(fault, other)]
    if beside:
        told = f"{beside[0].fault} changes answers of {fault.target} at the same time, so nobody can say what {aim.outcome} becomes"
        raise OutOfReach(f"{told}; let them follow each other with `start:`, or write `share`")
    now = survey.outcomes.get(aim.outcome)
    if now is None or not 0 <= now <= 1:
        told = f"the probe {aim.outcome} has had no reading within its bounds, with enough outcomes behind it, in the last hour"
        raise OutOfReach(f"{told}, so no share can be found; let traffic with feedback pass first, or write `share`")
    target = system.targets.get(fault.target)
    said = target.output if target is not None else None
    known = len(said.classes) or (2 if said.positive is not None else None) if said is not None else None
    return fault.aimed(now, known)


def _at_once(fault: Fault, other: Fault) -> bool:
    """Whether both hurt one target for some time."""
    return (
        fault.target == other.target
        and fault.start < other.start + (other.duration or 0.0)
        and other.start < fault.start + (fault.duration or 0.0)
    )


def _towards(effects: tuple[PlannedEffect, ...], written: Experiment, survey: Survey) -> tuple[PlannedEffect, ...]:
    """The effects, those whose share was found with what it was found for."""
    told: list[PlannedEffect] = []
    for effect in effects:
        aim = written.faults[effect.fault_index].aim() if effect.fault_index is not None else None
        now = survey.outcomes.get(aim.outcome) if aim is not None else None
        if aim is None or now is None:
            told.append(effect)
            continue
        why = f", so that {aim.outcome} falls from {about(now)} to {format_share(aim.to)}"
        told.append(replace(effect, explain=effect.explain + why, aim=aim))
    return tuple(told)


def _load(experiment: Experiment) -> PlannedLoad | None:
    load = experiment.load
    if load is None:
        return None
    return PlannedLoad(
        rate_per_s=load.rate,
        warmup_s=load.warmup,
        data=load.data,
        feedback_after_s=load.feedback.after if load.feedback else None,
        feedback_share=load.feedback.share if load.feedback else 0.0,
        returning=load.returning,
        limit=load.limit,
    )


# --- probes and guards ------------------------------------------------------------------------------------------------


def _probe(
    title: str,
    entry: SteadyProbe | SteadyInline | GuardProbe,
    probes: Catalogue,
    variables: Mapping[str, str],
    *,
    steady: bool,
) -> PlannedProbe:
    kept = {**variables, "window": "$window"}
    minimum, maximum = (None if bound is None else _text(bound) for bound in (entry.min, entry.max))
    if isinstance(entry, SteadyInline):
        return PlannedProbe(
            title, entry.promql.strip(), None, entry.unit, entry.better, entry.when_missing, 0, "none", False, None,
            minimum, maximum, steady,
        )  # fmt: skip
    found = probes[entry.probe]
    query, count = found.render(kept)
    signal = found.signal.value if found.signal else None
    return PlannedProbe(
        title, query, count, found.unit, found.better, found.when_missing, found.needs, found.arms, found.windowed(),
        signal, minimum, maximum, steady,
    )  # fmt: skip


def _text(bound: Bound) -> str:
    return f"{bound.value!r}" if bound.kind == "number" else str(bound)


def _probes(experiment: Experiment, probes: Catalogue, variables: Mapping[str, str]) -> tuple[PlannedProbe, ...]:
    return tuple(_probe(entry.title, entry, probes, variables, steady=True) for entry in experiment.steady_state)


def queries(experiment: Experiment, system: System, probes: Catalogue) -> dict[str, str]:
    """Title of each steady-state probe, guard and effect of another tool → the PromQL that the run will ask, over the usual window."""
    variables = system.probe_variables()
    guards = [guard.probe for guard in _guards(experiment, probes, variables) if guard.probe is not None]
    shown = [
        _shows(fault, f"effect of {fault.fault} at {fault.target}")
        for fault in experiment.faults
        if isinstance(fault, External)
    ]
    asked = [*_probes(experiment, probes, variables), *guards, *shown]
    return {probe.title: probe.query.replace("$window", variables["window"]) for probe in asked}


def _guards(experiment: Experiment, probes: Catalogue, variables: Mapping[str, str]) -> tuple[PlannedGuard, ...]:
    guards: list[PlannedGuard] = []
    for guard in experiment.blast_radius.abort:
        match guard:
            case GuardProbe():
                probe = _probe(f"guard:{guard.probe}", guard, probes, variables, steady=False)
                bounds = " and ".join(
                    f"{word} {bound}" for word, bound in (("min", guard.min), ("max", guard.max)) if bound is not None
                )
                guards.append(PlannedGuard(f"{guard.probe} ({bounds})", probe, guard.for_))
            case AlertMatch():
                labels = ", ".join(f"{name}={value}" for name, value in guard.alert.items())
                guards.append(PlannedGuard(f"any unexpected alert with {labels}", alert=dict(guard.alert)))
    return tuple(guards)


# --- effects ----------------------------------------------------------------------------------------------------------


def _effects(
    experiment: Experiment, system: System, survey: Survey, seed: str
) -> tuple[tuple[PlannedEffect, ...], list[str]]:
    effects: list[PlannedEffect] = []
    refused: list[str] = []
    held: set[str] = set()
    for fault in experiment.faults:
        target = system.targets.get(fault.target)
        divides = (
            fault.acts_on not in ("container", "outside") and not fault.whole_target and experiment.load is not None
        )
        if divides and target is not None and target.proxies and fault.target not in held:
            held.add(fault.target)
            told = f"holds the fault proxies of {fault.target} and counts its arms; changes nothing"
            effects.append(PlannedEffect(f"hold@{fault.target}", fault.target, "hold", told))
    for index, fault in enumerate(experiment.faults):
        if fault.acts_on == "container":
            busy = {one.container.id for one in effects if one.container is not None and _overlaps(one, fault)}
            picked, why = _pick(system, survey, fault, index, busy, seed)
            refused += why
            effects += picked
        elif fault.acts_on == "load":
            effects.append(_effect(fault, index, "load", f"fault-{index}@load"))
        elif isinstance(fault, External):
            named = f"fault-{index}@{fault.target}"
            effects.append(replace(_effect(fault, index, "external", named), shows=_shows(fault, named)))
        else:
            effects.append(_effect(fault, index, "proxy", f"fault-{index}@{fault.target}"))
    hurt = _most_at_once(effects)
    if hurt > experiment.blast_radius.containers:
        refused.append(
            f"{hurt} containers would be hurt and the blast radius allows {experiment.blast_radius.containers}; "
            f"write `containers: {hurt}` under blast_radius, or hurt fewer"
        )
    return tuple(effects), refused


def _shows(fault: External, name: str) -> PlannedProbe:
    said = fault.effect
    minimum, maximum = (None if bound is None else _text(bound) for bound in (said.min, said.max))
    return PlannedProbe(
        name, said.promql.strip(), None, said.unit, "neither", said.when_missing, 0, "none", False, None, minimum, maximum,
        steady=False,
    )  # fmt: skip


def _overlaps(effect: PlannedEffect, fault: Fault) -> bool:
    ends_s = fault.start + (fault.duration or 0.0)
    return effect.start_s < ends_s and fault.start < effect.start_s + effect.duration_s


def _most_at_once(effects: list[PlannedEffect]) -> int:
    """The largest number of containers that are hurt at the same time; that is always so at the start of some effect."""
    on = [effect for effect in effects if effect.container is not None]
    return max(
        (
            len(
                {
                    other.container.id
                    for other in on
                    if other.container is not None and other.start_s <= at_s < other.start_s + other.duration_s
                }
            )
            for at_s in {effect.start_s for effect in on}
        ),
        default=0,
    )


def _effect(
    fault: Fault, index: int, kind: str, name: str, container: ContainerFound | None = None, driver: str | None = None
) -> PlannedEffect:
    return PlannedEffect(
        id=name,
        target=fault.target,
        kind=kind,
        explain=fault.explain(),
        start_s=fault.start,
        duration_s=fault.duration or 0.0,
        fault_index=index,
        fault=fault.fault,
        fault_json=fault.model_dump_json(),
        until=fault.until,
        container=container,
        driver=driver,
        whole=fault.whole_target,
    )


def _pick(
    system: System, survey: Survey, fault: Fault, index: int, busy: set[str], seed: str
) -> tuple[list[PlannedEffect], list[str]]:
    """Containers are picked here, once, from the seed: the run hurts these and no others.

    Faults that follow each other hurt the same ones; those that overlap hurt different ones (`busy` are taken).
    """
    if not isinstance(fault, ContainerFault):
        return [], [f"{fault.fault} acts on containers and says no verb; make its class a ContainerFault"]
    found = survey.containers.get(fault.target, ())
    running = [container for container in found if container.status == "running"]
    eligible = [container for container in running if container.opted_in]
    wanted = fault.containers
    holders = sorted({container.held_by for container in found if container.held_by is not None})
    unheld = [container for container in eligible if container.held_by is None]
    if holders and len(unheld) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted and {len(unheld)} are free; others may be hurt by "
                f"{', '.join(holders)}: wait, or `chaos stop {holders[0]}`"
            )
        ]
    if not running:
        return [], [f"{fault.fault}: the target `{fault.target}` has no running container; is the system up?"]
    if len(eligible) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted and {len(eligible)} of {len(running)} running ones "
                f"carry the opt-in label {system.opt_in}; label those that may be hurt"
            )
        ]
    eligible = unheld
    free = [container for container in eligible if container.id not in busy]
    if len(free) < wanted:
        return [], [
            (
                f"{fault.fault}: {wanted} containers of `{fault.target}` are wanted while another fault hurts "
                f"{len(eligible) - len(free)} of its {len(eligible)}; let the faults follow each other with `start:`, or hurt fewer"
            )
        ]
    possible = [container for container in free if container.id not in survey.cannot.get(index, {})]
    if len(possible) < wanted:
        return [], _impossible(fault, free, survey.cannot.get(index, {}))
    order = sorted(possible, key=lambda container: unit_interval(seed, "container", fault.target, container.name))
    return [
        _effect(
            fault, index, "container", f"fault-{index}@{container.name}", container, survey.driver.get(fault.target)
        )
        for container in order[:wanted]
    ], []


def _impossible(fault: Fault, asked: list[ContainerFound], cannot: Mapping[str, str]) -> list[str]:
    """Why the fault cannot be done to these containers: each reason once, with all whom it is about."""
    reasons: dict[str, list[str]] = {}
    for container in asked:
        if container.id in cannot:
            reasons.setdefault(cannot[container.id], []).append(container.name)
    return [f"{fault.fault} cannot be done to {', '.join(names)}: {why}" for why, names in reasons.items()]


# --- alerts -----------------------------------------------------------------------------------------------------------


def matching_rule(alert: ExpectedAlert, rules: tuple[RuleInfo, ...]) -> RuleInfo | None:
    """The loaded rule of this name whose own labels do not contradict the expected ones."""
    for rule in rules:
        agrees = all(rule.labels.get(name, value) == value for name, value in alert.labels.items())
        if rule.name == alert.alert and agrees:
            return rule
    return None


def _route(route: Route | None, rule: RuleInfo) -> list[Route]:
    return route.routes_for({**rule.labels, "alertname": rule.name}) if route is not None else []


def _alerts(
    experiment: Experiment, system: System, probes: Catalogue, survey: Survey, load: PlannedLoad | None
) -> tuple[tuple[PlannedAlert, ...], list[str]]:
    planned: list[PlannedAlert] = []
    refused: list[str] = []
    for alert in experiment.expect.alerts:
        rule = matching_rule(alert, survey.rules)
        if rule is None:
            if not any("Prometheus" in error for error in survey.errors):
                refused.append(_not_loaded(alert, survey))
            continue
        planned.append(_planned_alert(alert, rule, experiment, system, probes, survey, load))
    return tuple(planned), refused


def _not_loaded(alert: ExpectedAlert, survey: Survey) -> str:
    from chaos.document import did_you_mean

    namesakes = [rule for rule in survey.rules if rule.name == alert.alert]
    if namesakes:
        asked, has = (_labels(labels) for labels in (alert.labels, namesakes[0].labels))
        return (
            f"the alert {alert.alert} is loaded in Prometheus, but not with {asked}; its rule has {has or 'no labels'}"
        )
    hint = did_you_mean(alert.alert, {rule.name for rule in survey.rules})
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


# --- what forbids, what only warns ------------------------------------------------------------------------------------


def _refusals(experiment: Experiment, system: System, survey: Survey, drawn: Plan) -> list[str]:
    return [
        *_law_9(experiment, system),
        *_cannot_exist(experiment, system),
        *_unknown_features(experiment, system),
        *_proxy_refusals(drawn, survey),
        *_alert_refusals(drawn, survey),
        *_radius_refusals(drawn),
        *_cap_refusals(drawn, survey),
    ]


def _wrong_for_real_people(experiment: Experiment, system: System) -> list[str]:
    """The faults that would change answers which real people receive."""
    radius = experiment.blast_radius
    real = radius.subjects == "users" and radius.mode == "live" and system.environment != "lab"
    return [fault.fault for fault in experiment.faults if fault.semantic] if real else []


def _allowed(experiment: Experiment, system: System) -> str | None:
    said = system.real_users
    if said is None or not _wrong_for_real_people(experiment, system):
        return None
    return f"{said.allowed_by}: {said.reason}"


def _law_9(experiment: Experiment, system: System) -> list[str]:
    semantic = _wrong_for_real_people(experiment, system)
    if semantic and system.real_users is None:
        return [
            (
                f"{semantic[0]} would change answers that real people receive and nobody has allowed it; write "
                "`subjects: synthetic`, or `real_users: {allowed_by: NAME, reason: TEXT}` in the system file"
            )
        ]
    return []


def _cannot_exist(experiment: Experiment, system: System) -> list[str]:
    """Faults of language models on targets that give predictions, and the other way round; groups in bodies that are no JSON.

    What `auto` means is found out later.
    """
    refused: list[str] = []
    for fault in experiment.faults:
        target = system.targets.get(fault.target)
        protocol = protocols().get(target.protocol) if target is not None else None
        if protocol is not None and protocol.name == "oip_grpc" and fault.needs_body():
            refused.append(
                f"{fault.fault} cannot find its group in requests to {fault.target}: it reads bodies as JSON, and those of gRPC are none; "
                "write `by: header:NAME`"
            )
        if (
            protocol is not None
            and protocol.name == "oip_grpc"
            and experiment.subject_header(system).startswith("json:")
        ):
            refused.append(
                f"requests to {fault.target} are gRPC and no JSON, so they say no subject; write `by: header:NAME` under blast_radius"
            )
        if protocol is None or fault.works_on == "any":
            continue
        speaks = "text" if getattr(protocol, "free_text", False) else "predictions"
        if speaks != fault.works_on:
            kinds = {"text": "a language model", "predictions": "a model that gives predictions"}
            refused.append(
                f"{fault.fault} cannot exist on {fault.target}: its protocol {protocol.name} is that of {kinds[speaks]}, and the fault is "
                f"one of {kinds[fault.works_on]}; `chaos faults` lists those that fit"
            )
    return refused


def _unknown_features(experiment: Experiment, system: System) -> list[str]:
    """Faults on features that their target does not have, where the system file says which it has."""
    refused: list[str] = []
    for fault in experiment.faults:
        target = system.targets.get(fault.target)
        names = target.input.features if target is not None else []
        if not names or not isinstance(fault, InputFault):
            continue
        for feature in fault.acted_on():
            told = f"{fault.fault} acts on the feature {feature!r}, and {fault.target} has"
            if isinstance(feature, str) and feature not in names:
                refused.append(f"{told} none of this name under `input:`; {did_you_mean(feature, names)}")
            elif isinstance(feature, int) and feature >= len(names):
                refused.append(f"{told} {len(names)} of them; write a name, or a place from 0 to {len(names) - 1}")
    return refused


def _proxy_refusals(drawn: Plan, survey: Survey) -> list[str]:
    refused: list[str] = []
    used = {effect.target for effect in drawn.effects if effect.kind in ("hold", "proxy")}
    whole = drawn.whole_targets()
    for target in sorted(used):
        for proxy in survey.proxies.get(target, ()):
            if proxy.error is not None:
                refused.append(f"the fault proxy of `{target}` at {proxy.address} cannot be used: {proxy.error}")
            elif (held := _held(None if target in whole else drawn.where, proxy.holders)) is not None:
                refused.append(f"the fault proxy of `{target}` at {proxy.address} is held by {held}")
    return refused


def _held(where: str | None, holders: Sequence[Holder]) -> str | None:
    """The runs that this one cannot run beside, why, and what to do, after "is held by"; None when it can."""
    alone = next((one.run for one in holders if one.alone), None)
    if alone is not None:
        return f"the run {alone}; wait for it to end"
    theirs: dict[str, Slice | None] = {}
    for one in holders:
        try:
            theirs[one.run] = Slice.parse(one.where) if one.where is not None else None
        except ValueError:  # a newer proxy's: nothing is known of it
            return f"the run {one.run}, for a slice that cannot be read here; wait for it to end"
    return conflict(Slice.parse(where) if where is not None else None, theirs)


def _alert_refusals(drawn: Plan, survey: Survey) -> list[str]:
    refused: list[str] = []
    longest = max((effect.duration_s for effect in drawn.faults()), default=0.0)
    for alert in drawn.alerts:
        if longest and longest < alert.lower_bound_s:
            refused.append(
                f"{alert.alert} cannot fire in time: it needs at least {format_duration(alert.lower_bound_s)} (scrape "
                f"{survey.scrape_s:g}s + evaluation {survey.evaluation_s:g}s + for {alert.for_s:g}s + the rest of the way) and the fault "
                f"lasts {format_duration(longest)}; write a longer `duration:`"
            )
        elif alert.within_s is not None and alert.within_s < alert.lower_bound_s:
            refused.append(
                f"{alert.alert} is asked for within {format_duration(alert.within_s)} and cannot tell before "
                f"{format_duration(alert.lower_bound_s)} (scrape {survey.scrape_s:g}s + evaluation {survey.evaluation_s:g}s + for "
                f"{alert.for_s:g}s + the rest of the way); write a longer `within:`, or shorten the rule's `for:`"
            )
        if alert.delivered_to is not None:
            refused += _delivery_refusals(alert, survey)
        rule = matching_rule(ExpectedAlert(alert=alert.alert, labels=dict(alert.labels)), survey.rules)
        assert rule is not None, "an alert is planned only beside its rule"
        if rule.health not in ("ok", "unknown"):
            refused.append(f"the rule of {alert.alert} is broken: {rule.last_error or rule.health}; mend it first")
        if any(instance.state in ("firing", "pending") for instance in rule.alerts):
            refused.append(
                f"{alert.alert} is already {rule.state}; its firing would prove nothing. Wait until it is quiet"
            )
    if abs(survey.clock_offset_s) > 2:
        refused.append(
            f"Prometheus' clock is {survey.clock_offset_s:+.1f}s off this machine's, so that times cannot be compared; synchronise them"
        )
    return refused


def _delivery_refusals(alert: PlannedAlert, survey: Survey) -> list[str]:
    name = alert.delivered_to or ""
    if survey.sinks.get(name) is not None:
        return [f"the sink of the receiver `{name}` cannot be used: {survey.sinks[name]}"]
    if survey.route is not None and name not in alert.routed_to:
        to = ", ".join(alert.routed_to) or "nobody"
        return [f"{alert.alert} is routed to {to} and not to `{name}`; mend Alertmanager's route or `delivered_to`"]
    return []


def _radius_refusals(drawn: Plan) -> list[str]:
    touched = [effect for effect in drawn.faults() if effect.kind in ("proxy", "load") and not effect.whole]
    if touched and drawn.traffic <= 0:
        return ["the blast radius is `traffic: 0%`, so the fault would hit nothing; write at least `traffic: 1%`"]
    if touched and drawn.load is not None:
        longest = max(effect.duration_s for effect in touched)
        expected = drawn.load.rate_per_s * drawn.traffic * longest
        if expected < 1:
            return [
                (
                    f"at {drawn.load.rate_per_s:g}/s and {format_share(drawn.traffic)} traffic the fault would hit "
                    f"{expected:.2f} requests in {format_duration(longest)}; write more traffic, rate or duration"
                )
            ]
    return []


def _cap_refusals(drawn: Plan, survey: Survey) -> list[str]:
    part = drawn.most_of_a_target()
    targets = {effect.target for effect in drawn.faults() if effect.kind == "proxy"}
    most = max((len(survey.proxies.get(target, ())) for target in targets), default=0)
    if part is not None and targets and part.count < most:
        return [
            f"`most: {drawn.most}` is less than one for each fault proxy of each target ({most} at most); write more"
        ]
    return []


def _warnings(experiment: Experiment, system: System, alerts: tuple[PlannedAlert, ...]) -> tuple[str, ...]:
    told = [alert.foresight.warning for alert in alerts if alert.foresight and alert.foresight.warning]
    if not experiment.expect.alerts:
        told.append("no alert is expected, so only the resilience half is judged")
    if system.environment == "production" and system.announce is None:
        told.append(
            "nobody is told of runs against production; write `announce: {webhook: URL}` in the system file, "
            "so that those on call know who does this, and how to stop it"
        )
    return tuple(told)


SHADOW_NOTE = (
    "shadow: nobody is hurt. Clients get untouched answers; what would have changed is kept by the proxies, "
    "and posted to their --shadow-to"
)


EXTERNAL_NOTE = "leases do not apply: another tool does this, and must end it, too"


def _notes(experiment: Experiment, alerts: tuple[PlannedAlert, ...], survey: Survey) -> tuple[str, ...]:
    shadow = (SHADOW_NOTE,) if experiment.blast_radius.mode == "shadow" else ()
    outside = tuple(
        f"{fault.fault} at {fault.target}: {EXTERNAL_NOTE}" for fault in experiment.faults if fault.acts_on == "outside"
    )
    return (
        shadow
        + outside
        + tuple(
            f"{alert.alert} has no value now, so what dilution lets it see is not predicted"
            for alert in alerts
            if alert.threshold is not None and not has_value(survey.rule_values.get(alert.alert))
        )
    )
