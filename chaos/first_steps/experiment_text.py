"""One experiment file: the rule that it is for, the fault that should make it fire, and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.faults import catalogue
from chaos.faults.loads import LoadFault
from chaos.first_steps.clue_table import OUTCOMES
from chaos.first_steps.clues import Candidate
from chaos.first_steps.found import Found
from chaos.first_steps.rule_reading import RuleReading
from chaos.first_steps.servers import recognised
from chaos.first_steps.severity import CONTAINERS, NEEDS_ALL, Severity, Times, parameters, severity, times
from chaos.first_steps.system_text import REQUESTS, ROWS, Targets, Wish, variables_of
from chaos.first_steps.writing import comment, joined, name_of, prose, scalar
from chaos.telemetry import RuleInfo
from chaos.units import format_duration, format_share

RATE = 20
"""Requests a second of the load: enough for rules that ask for a minimum of events in half a minute or so."""


IN_FRONT = frozenset(("delay", "slow_tail", "http_error", "rate_limit"))
"""Faults that a server behind the proxy does not notice itself."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one file is about. `chosen` is what is written, `best` what the rule's reading points at; they differ where nothing
    that was found could do the best one.
    """

    rule: RuleInfo
    reading: RuleReading
    best: Candidate | None
    others: Sequence[Candidate]
    chosen: str
    why_not: str | None = None


def doable(fault: str, targets: Targets) -> str | None:
    """Why what was found cannot do this fault; None when it can, once its marks are filled in."""
    if fault in NEEDS_ALL and not targets.monitoring:
        return "no fault proxy stands in the way of monitoring: name one with `--monitoring-proxy URL`"
    if catalogue()[fault].acts_on == "container" and not targets.containers:
        return "no containers were found: write `docker:` under the target in system.yaml, or look with `--docker`"
    return None


def needs_outcomes(fault: str, reading: RuleReading) -> bool:
    """Whether the run's load must tell true outcomes: the rule reads them, or the fault changes them."""
    changes = fault in catalogue() and issubclass(catalogue()[fault], LoadFault)
    return changes or re.search(OUTCOMES, reading.text) is not None


def experiment_text(subject: Subject, found: Found, targets: Targets, wish: Wish, rules: Sequence[RuleInfo]) -> str:
    """The whole file. It satisfies `chaos check` beside its system file."""
    rule, reading, fault = subject.rule, subject.reading, subject.chosen
    now = found.values.get(found.rules.index(rule)) if rule in found.rules else None
    hard = severity(fault, reading, now) if fault != "external" else Severity(None, "")
    routes = found.route.routes_for({**rule.labels, "alertname": rule.name}) if found.route is not None else []
    wait_s = min((route.group_wait_s for route in routes), default=0.0)
    group_s = min((route.group_interval_s for route in routes), default=0.0)
    when = times(rule, reading, found.scrape_s, found.evaluation_s, wait_s, group_s)
    heard = next((route.receiver for route in routes if route.receiver in found.sinks), None)
    signal = _signal(subject)
    lines = [
        "# yaml-language-server: $schema=../experiment.schema.json",
        *_about(subject),
        f"name: {name_of(rule.name)}-tells",
        *_description(subject),
        "system: ../system.yaml",
        "",
        "steady_state:                     # must hold before anything is hurt, and again afterwards",
        *_steady(found, rules, signal, load=hard.traffic is not None),
        *_load(fault, hard, wish, told=needs_outcomes(fault, reading)),
        *_radius(hard, when, fault),
        "",
        f"baseline: {format_duration(max(10.0, 4 * found.scrape_s))}",
        "faults:",
        *_fault(subject, targets, when),
        f"recovery: {format_duration(when.recovery)}    # the rule's window and Alertmanager's group must pass before it is quiet again",
        "",
        "expect:",
        *(
            [f"  harms: [{_title(rule)}]    # else the fault was too weak to test anything"]
            if signal and signal[1]
            else []
        ),
        "  alerts:",
        f"    - alert: {scalar(rule.name)}",
        f"      within: {format_duration(when.within)}    # {_within(rule, reading, found, wait_s)}",
        f"      {'' if heard else '# '}delivered_to: {scalar(heard or (routes[0].receiver if routes else 'oncall'))}"
        + ("" if heard else "    # once system.yaml names its sink"),
        "",
        *_ending(subject),
    ]
    return joined(lines)


def _about(subject: Subject) -> list[str]:
    lines = comment(f"Would anybody be told? This should make {subject.rule.name} fire, which reads")
    lines += comment(f"  {subject.rule.expr}")
    if subject.best is None:
        lines += comment(
            "Nothing in the rule says which fault would make it fire, so another tool, or you, must do it: `fault: external` below. "
            "`chaos faults` lists what there is, in case one of them fits."
        )
        return lines
    lines += comment(f"{subject.best.fault} ({subject.best.how_sure}): {'; '.join(subject.best.reasons)}.")
    if subject.chosen in IN_FRONT and recognised(subject.reading.metrics) is not None:
        lines += comment(
            "Mind: this rule reads what the model server measures itself, and the fault proxy stands in front of it. If nobody is told, "
            "that is the finding: users would wait or fail, and the server would never know. A rule where users' traffic enters sees it."
        )
    if subject.others:
        said = "; ".join(f"{one.fault} ({one.how_sure}: {one.reasons[0]})" for one in subject.others[:2])
        lines += comment(f"It might also be {said}.")
    if subject.why_not is not None:
        lines += comment(
            f"{subject.best.fault} cannot be done yet: {subject.why_not}. Until then another tool may do it."
        )
    return lines


def _description(subject: Subject) -> list[str]:
    what = f"{subject.chosen.replace('_', ' ')}" if subject.chosen != "external" else "what another tool does"
    return [
        "description: >",
        f"  {prose(subject.rule.name)} tells in time of {what}, and everything is as before afterwards.",
    ]


def _title(rule: RuleInfo) -> str:
    return name_of(rule.name).replace("-", "_")


def _signal(subject: Subject) -> tuple[list[str], bool] | None:
    """What the rule itself reads, on the quiet side of its threshold, and whether it can be said to be harmed; None when nothing can."""
    compared = subject.reading.compared
    if compared is None or compared.threshold is None or subject.reading.shape in ("absent", "always"):
        return None
    if compared.operator in ("==", "!="):
        return None
    bound = ("min" if subject.reading.low_is_bad else "max", compared.threshold)
    lines = [
        f"  - name: {_title(subject.rule)}    # what the rule reads, on its quiet side",
        f"    promql: {scalar(' '.join(compared.left.split()))}",
        '    unit: ""',
        f"    {bound[0]}: {bound[1]:g}",
    ]
    if bound[0] == "max" and subject.reading.shape in ("ratio", "plain"):
        lines.append("    when_missing: zero    # what has never happened has no series yet, and the rule is quiet")
    harmed = subject.chosen != "external" and subject.reading.shape != "changes"
    return [*lines, *([] if harmed else ["    judged: [before, after]"])], harmed


def _steady(found: Found, rules: Sequence[RuleInfo], signal: tuple[list[str], bool] | None, *, load: bool) -> list[str]:
    job = variables_of(found, rules).get("job")
    lines = [*signal[0]] if signal is not None else []
    if load and found.metric(REQUESTS).type and job is not None:
        return [*lines, "  - {probe: availability, min: 99%}"]
    if job is not None:
        lines += [
            "  - name: targets_up",
            f"    promql: {scalar(f'min(up{{job={chr(34)}{job}{chr(34)}}})')}",
            '    unit: ""',
            "    min: 1",
            "    judged: [before, after]",
        ]
    elif not lines:
        lines += ["  - {name: targets_up, promql: min(up), unit: '', min: 1, judged: [before, after]}"]
    return lines


def _load(fault: str, hard: Severity, wish: Wish, *, told: bool) -> list[str]:
    if fault == "external" or hard.traffic is None:
        return []
    lines = [
        "",
        "load:                             # the run's own traffic; nobody else is hurt",
        f"  rate: {RATE}/s",
        f"  data: {scalar(wish.name)}:{ROWS}",
    ]
    if told:
        lines.append("  feedback: {after: 2s, share: 100%}    # true outcomes are told, as system.yaml says where")
    return lines


def _radius(hard: Severity, when: Times, fault: str) -> list[str]:
    lines = ["", "blast_radius:"]
    if hard.traffic is not None:
        lines += comment(f"{hard.why}.", "  ")
        lines.append(f"  traffic: {format_share(hard.traffic)}")
    elif fault in CONTAINERS:
        lines.append("  containers: 1                   # no more than one at a time")
    lines.append(f"  max_duration: {format_duration(when.most)}    # everything is undone by then, whatever happens")
    return lines


def _fault(subject: Subject, targets: Targets, when: Times) -> list[str]:
    fault, target = subject.chosen, targets.model
    if fault in NEEDS_ALL and targets.monitoring:
        target = next(
            (one for one in targets.monitoring if _hears(one) is (fault == "alert_delivery_loss")),
            targets.monitoring[0],
        )
    lines = [f"  - fault: {fault}", f"    target: {target}"]
    if fault == "external":
        job = next((value for name, sign, value in subject.reading.labels if name == "job" and sign == "="), None)
        shows = f'min(up{{job="{job}"}})' if job is not None else "min(up)"
        lines.append(
            f"    effect: {{promql: {scalar(shows)}, max: 0}}    # TODO: a query that shows that the fault is on"
        )
    else:
        lines += [f"    {line}" for line in parameters(fault, subject.reading)]
    lines.append(
        f"    duration: {format_duration(when.duration)}    # the most: it ends as soon as every expectation is decided"
    )
    if fault == "external" and subject.best is not None:
        written = [
            f"- fault: {subject.best.fault}",
            f"  target: {target}",
            *(f"  {line}" for line in parameters(subject.best.fault, subject.reading)),
        ]
        written = [line.replace("TODO: ", "") for line in written]
        lines += [
            "  # instead, once it can be done:",
            *(f"  # {line}" for line in written),
            f"  #   duration: {format_duration(when.duration)}",
        ]
    return lines


def _hears(name: str) -> bool:
    return any(word in name for word in ("sink", "webhook", "oncall", "receiver", "notif"))


def _within(rule: RuleInfo, reading: RuleReading, found: Found, wait_s: float) -> str:
    parts = [f"scrape {format_duration(found.scrape_s)}", f"evaluation {format_duration(found.evaluation_s)}"]
    parts += [f"for {format_duration(rule.for_s)}"] if rule.for_s else []
    parts += [f"window {format_duration(reading.window_s)}"] if reading.window_s else []
    parts += [f"group wait {format_duration(wait_s)}"] if wait_s else []
    return " + ".join(parts) + ", and some room"


def _ending(subject: Subject) -> list[str]:
    file = f"{name_of(subject.rule.name)}.yaml"
    how = (
        f"`chaos run experiments/{file} -- COMMAND…` begins and ends the other tool"
        if subject.chosen == "external"
        else f"`chaos run experiments/{file}`"
    )
    return comment(
        f"What to look at: fill in what is marked, then `chaos check experiments/{file}`; `chaos plan experiments/{file}` says who would "
        f"be hurt and told, what the rule would read, and why it must not run, if so; then {how}."
    )
