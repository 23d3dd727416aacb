"""What forbids a run, every reason at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.document import did_you_mean
from chaos.experiment import ExpectedAlert, Experiment
from chaos.faults.inputs import InputFault
from chaos.planning.alerts import matching_rule
from chaos.plans import (
    Plan,
    PlannedAlert,
)
from chaos.protocols import catalogue as protocols
from chaos.slices import Slice, conflict
from chaos.survey import Holder, Survey
from chaos.system import System
from chaos.units import format_duration, format_share


def refusals_of(experiment: Experiment, system: System, survey: Survey, drawn: Plan) -> list[str]:
    return [
        *_several_runs(experiment),
        *_law_9(experiment, system),
        *_cannot_exist(experiment, system),
        *_unknown_features(experiment, system),
        *_proxy_refusals(drawn, survey),
        *_alert_refusals(drawn, survey),
        *_radius_refusals(drawn),
        *_cap_refusals(drawn, survey),
    ]


def _several_runs(experiment: Experiment) -> list[str]:
    """A plan is of one run, so of one severity: whoever runs a sweep plans `chaos.experiment.at` each of them."""
    if experiment.sweep is None:
        return []
    return [
        "this experiment has a `sweep:`, and a run is at one severity; leave `sweep:` out to run it as its faults stand there"
    ]


def _wrong_for_real_people(experiment: Experiment, system: System) -> list[str]:
    """The faults that would change answers which real people receive."""
    radius = experiment.blast_radius
    real = radius.subjects == "users" and radius.mode == "live" and system.environment != "lab"
    return [fault.fault for fault in experiment.faults if fault.semantic] if real else []


def allowed(experiment: Experiment, system: System) -> str | None:
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
        if alert.silent_for_s is not None and longest and longest < alert.silent_for_s:
            refused.append(
                f"{alert.alert} tells by a silence of {format_duration(alert.silent_for_s)}, and the fault lasts "
                f"{format_duration(longest)}; write a longer `duration:`"
            )
        if alert.via != "prometheus":
            continue
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
    if alert.via == "prometheus" and survey.route is not None and name not in alert.routed_to:
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
