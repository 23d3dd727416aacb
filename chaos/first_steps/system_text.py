"""The system file, from what was found: what is known stands there, what was guessed says so, what is left is marked. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaos.first_steps.found import Found, ProxySeen
from chaos.first_steps.servers import recognised
from chaos.first_steps.writing import comment, joined, scalar
from chaos.promql import longest_window_s, selected
from chaos.telemetry import RuleInfo
from chaos.units import format_duration

PROXY = "http://127.0.0.1:8474"
"""Where a fault proxy's control listens that nobody has set up otherwise."""
ENTRY = "http://127.0.0.1:8080/predict"
SINK = "http://127.0.0.1:9099"
ROWS = "rows"
"""What the load's data is called in the system file."""
REQUESTS = "ml_requests_total"
"""The metric that the shipped probe `availability` reads."""
LONGEST_WINDOW_S = 300.0
COMMON = 0.9
"""The share of rules that must carry a label before it is taken for this system's."""
NEVER_COMMON = frozenset(("severity", "priority", "team"))


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody said beyond what can be found."""

    name: str = "staging"
    entry: str | None = None
    data: str | None = None
    columns: tuple[str, ...] = ()
    """The columns of the data's first row."""
    match: Mapping[str, str] | None = None
    token: str | None = None
    """How the proxy's token is written, such as `${CHAOS_PROXY_TOKEN}`."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the targets of the system file are called, and what can be done to each."""

    model: str = "model"
    monitoring: tuple[str, ...] = ()
    containers: bool = False
    proxied: bool = False
    """Whether a fault proxy of the model was found."""


def targets_of(found: Found) -> Targets:
    """The model's target, and one for each proxy that only monitoring asks."""
    behind = [one for one in found.proxies if not one.in_monitoring]
    watching = [one for one in found.proxies if one.in_monitoring]
    names = tuple(_named(one, place) for place, one in enumerate(watching, 1))
    return Targets("model", names, bool(found.containers), bool(behind))


def _named(proxy: ProxySeen, place: int) -> str:
    return f"{proxy.routes[0]}-in-monitoring" if len(proxy.routes) == 1 else f"monitoring-{place}"


def match_of(rules: Sequence[RuleInfo]) -> dict[str, str]:
    """The labels with their values that nearly all rules carry; none when there are too few rules to say."""
    counted = Counter(
        (name, value) for rule in rules for name, value in rule.labels.items() if name not in NEVER_COMMON
    )
    return {name: value for (name, value), count in counted.items() if len(rules) >= 3 and count >= COMMON * len(rules)}


def candidates_to_match(rules: Sequence[RuleInfo]) -> list[tuple[str, str, int]]:
    """Labels that several rules carry, the most common first: what may part one system's rules from another's."""
    counted = Counter(
        (name, value) for rule in rules for name, value in rule.labels.items() if name not in NEVER_COMMON
    )
    return [(name, value, count) for (name, value), count in counted.most_common(4) if count >= 2]


def variables_of(found: Found, rules: Iterable[RuleInfo]) -> dict[str, str]:
    """What probes' names become: the job that rules read most, the next one as the model's, and the usual window."""
    rules = [*rules]
    jobs: Counter[str] = Counter()
    windows: Counter[float] = Counter()
    for rule in rules:
        named = {
            value
            for one in selected(rule.expr)
            for name, sign, value in one.conditions
            if name == "job" and sign == "="
        }
        jobs.update(named & found.jobs.keys() if found.jobs else named)
        window = longest_window_s(rule.expr)
        windows.update([window] if 0 < window <= LONGEST_WINDOW_S else [])
    made = dict(zip(("job", "model_job"), [job for job, _ in jobs.most_common(2)], strict=False))
    if not made and found.jobs:
        made = {"job": max(found.jobs, key=lambda job: (job not in ("prometheus", "alertmanager"), found.jobs[job]))}
    if windows:
        made["window"] = format_duration(max(windows, key=lambda window: (windows[window], -window)))
    return made


def system_text(found: Found, rules: Sequence[RuleInfo], wish: Wish, *, outcomes: bool) -> str:
    """The whole file. `outcomes`: some experiment tells the system true outcomes."""
    lines = [
        "# yaml-language-server: $schema=./system.schema.json",
        "# Written by `chaos init` from what it found running. Places that only you can fill in are marked; `chaos check` lists them.",
        f"name: {scalar(wish.name)}",
        "environment: staging              # lab, staging or production; production asks for --yes",
        "opt_in: chaos.enabled=true        # containers without this label are never touched",
        *_entry(wish, outcomes=outcomes),
        "targets:",
        *_model(found, wish),
        *_watching(found, wish),
        "telemetry:",
        f"  prometheus: {_address(found.prometheus, 'PROMETHEUS_URL')}",
    ]
    if found.alertmanager is not None:
        lines.append(f"  alertmanager: {_address(found.alertmanager, 'ALERTMANAGER_URL')}")
    else:
        lines.append(
            "  # alertmanager: http://127.0.0.1:9093    # TODO: none was found; without it nobody can say who is told"
        )
    lines += _alerts(rules, wish) + _receivers(found) + _variables(found, rules)
    return joined(lines)


def _entry(wish: Wish, *, outcomes: bool) -> list[str]:
    if wish.entry is None:
        lines = [f"entry: {ENTRY}    # TODO: where users' traffic enters: the run's own load goes there"]
    else:
        lines = [f"entry: {_address(wish.entry, 'ENTRY_URL')}"]
    mark = "" if wish.columns else "    # TODO: how a row of your data becomes a request; $row.NAME is a column"
    if any(not _sayable(name) for name in wish.columns):
        mark = "    # TODO: where null stands, name the data's column with letters, digits and _ only, so that $row.NAME can say it"
    lines += ["request:", f"  json: {_body(wish.columns)}{mark}"]
    lines.append("  subject: header:x-request-id    # the header by which a request says whose it is")
    data = f"data: {{{ROWS}: {scalar(wish.data or 'rows.jsonl')}}}"
    where = (
        ""
        if wish.data is not None
        else "    # TODO: rows like your users' requests, JSON lines or CSV, beside this file"
    )
    return [*lines, *(_outcomes(wish) if outcomes else []), data + where]


def _outcomes(wish: Wish) -> list[str]:
    """Where the truth stands in a row, where an answer says what was decided, and where outcomes are told.

    An outcome is told by the row's own id where rows have one, and else by that of the answer.
    """
    named = next((name for name in ("label", "target", "outcome", "y") if name in wish.columns), None)
    mark = "" if named is not None else "    # TODO: the column of your data with the truth"
    where = urlsplit(wish.entry or ENTRY)
    post = f"{where.scheme}://{where.netloc.rpartition('@')[2]}/feedback"
    if "id" in wish.columns:
        answer, told_by = "{decision: $.decision}    # TODO: where in an answer the decision stands", "$row.id"
    else:
        answer = "{decision: $.decision, id: $.id}    # TODO: where in an answer stand the decision, and the id that its outcome is told by"
        told_by = "$answer.id"
    return [
        f"  answer: {answer}",
        f"  label: {named or 'label'}{mark}",
        f"feedback: {{post: {scalar(post)}, json: {{id: {told_by}, outcome: $label}}}}    # TODO: where true outcomes are told",
    ]


def _body(columns: Sequence[str]) -> str:
    places = (f"{scalar(name)}: {f'$row.{name}' if _sayable(name) else 'null'}" for name in columns or ("inputs",))
    return "{" + ", ".join(places) + "}"


def _sayable(column: str) -> bool:
    """Whether `$row.NAME` can say this column."""
    return re.fullmatch(r"\w+", column) is not None


def _address(url: str, variable: str) -> str:
    """The address; the variable that is to have it, where it holds who logs in and with what: no secret stands in the file."""
    return f'"${{{variable}}}"' if "@" in urlsplit(url).netloc else scalar(url)


def _proxy_address(proxy: ProxySeen, found: Found) -> str:
    return _address(proxy.address, f"PROXY_URL_{found.proxies.index(proxy) + 1}")


def _token(wish: Wish) -> str:
    if wish.token is not None:
        return f"    token: {scalar(wish.token) if '$' not in wish.token else wish.token}"
    return "    # token: ${CHAOS_PROXY_TOKEN}    # TODO: the proxy asks for it; set the variable, and take the first # away"


def _model(found: Found, wish: Wish) -> list[str]:
    behind = [one for one in found.proxies if not one.in_monitoring]
    lines = [f"  {targets_of(found).model}:"]
    if behind:
        lines.append(f"    proxies: [{', '.join(_proxy_address(one, found) for one in behind)}]")
    else:
        lines.append(
            f"    proxies: [{scalar(PROXY)}]    # TODO: no fault proxy was found; docs/your-system.md says how to put one there"
        )
    lines.append(_token(wish))
    server = recognised(found.metrics)
    spoken = (
        f"    # guessed: {server.name} is scraped"
        if server is not None
        else "    # the proxy tells it by the path; see `chaos protocols`"
    )
    lines.append(f"    protocol: {server.protocol if server is not None else 'auto'}{spoken}")
    lines.append("    placement: behind gateway    # or `before gateway`, if users see the proxy's answers as they are")
    if found.containers:
        best = max(found.containers, key=lambda one: (one.opted_in, one.serves, len(one.names)))
        name, value = best.label
        lines.append(f"    docker: {{labels: {{{scalar(name)}: {scalar(value)}}}}}    # {', '.join(best.names)[:60]}")
        if best.opted_in < len(best.names):
            lines += comment(
                "TODO: containers are only touched with the label chaos.enabled=true; start them with it", "    "
            )
        lines += [
            f"    # or: docker: {{labels: {{{scalar(one.label[0])}: {scalar(one.label[1])}}}}}"
            for one in found.containers
            if one is not best
        ][:5]
    return lines


def _watching(found: Found, wish: Wish) -> list[str]:
    lines: list[str] = []
    watching = [one for one in found.proxies if one.in_monitoring]
    for name, proxy in zip(targets_of(found).monitoring, watching, strict=True):
        lines += [
            f"  {name}:",
            f"    proxies: [{_proxy_address(proxy, found)}]",
            _token(wish),
            "    placement: in monitoring",
        ]
    return lines


def _alerts(rules: Sequence[RuleInfo], wish: Wish) -> list[str]:
    labels = dict(wish.match) if wish.match is not None else match_of(rules)
    if labels:
        how = "as you said" if wish.match is not None else "guessed: nearly all rules carry it"
        inside = ", ".join(f"{scalar(name)}: {scalar(value)}" for name, value in labels.items())
        return [f"alerts: {{match: {{{inside}}}}}    # which alerts are this system's; {how}"]
    near = candidates_to_match(rules)
    said = "; ".join(
        f"{{{scalar(name)}: {scalar(value)}}} has {count} of {len(rules)} rules" for name, value, count in near
    )
    return [
        "# alerts: {match: {service: NAME}}    # TODO: which alerts are this system's; no label is common to all rules",
        *(comment(said) if said else []),
    ]


def _receivers(found: Found) -> list[str]:
    if found.sinks:
        sinks = ((name, _address(url, f"SINK_URL_{place}")) for place, (name, url) in enumerate(found.sinks.items(), 1))
        return ["receivers:", *(f"  {scalar(name)}: {{sink: {address}}}" for name, address in sinks)]
    known = [name for name, tells in found.integrations.items() if tells] or ["oncall"]
    return [
        "# TODO: only a sink beside your receiver knows what was delivered: run `chaos sink --listen 127.0.0.1:9099`,",
        "# add this to Alertmanager in front of its other routes, and take the # of `receivers:` away.",
        *[f"#   {line}" for line in sink_route(found)],
        "# receivers:",
        *[f"#   {scalar(name)}: {{sink: {scalar(SINK)}}}" for name in known],
    ]


def sink_route(found: Found) -> list[str]:
    """What Alertmanager needs so that a sink hears what the receiver of its root hears, with the same grouping."""
    route = found.route
    groups = ", ".join(scalar(name) for name in route.group_by) if route is not None else "alertname"
    wait = format_duration(route.group_wait_s) if route is not None else "30s"
    interval = format_duration(route.group_interval_s) if route is not None else "5m"
    return [
        "route:",
        "  routes:",
        f"    - {{receiver: chaos-sink, continue: true, group_by: [{groups}], group_wait: {wait}, group_interval: {interval}}}",
        "receivers:",
        f"  - {{name: chaos-sink, webhook_configs: [{{url: {scalar(SINK + '/')}, send_resolved: true}}]}}",
    ]


def _variables(found: Found, rules: Sequence[RuleInfo]) -> list[str]:
    made = variables_of(found, rules)
    inside = ", ".join(f"{name}: {scalar(value)}" for name, value in made.items())
    said = "what probes' $names become; guessed: the jobs and the window that your rules read most"
    return [f"variables: {{{inside}}}    # {said}"] if made else []
