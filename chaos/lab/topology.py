"""What the lab consists of, and every file it needs, as values: the same for local processes and for containers. Pure.

applicants ─▶ gateway ─▶ fault proxy ─▶ replica-1, replica-2        (loan-model-old: asked when a fault says so)
                 │            │              │
                 ▼            │              │
           scrape proxy       │              │
                 └────────────┴── metrics ───┴──▶ Prometheus ─▶ Alertmanager ─▶ webhook proxy ─▶ sink

Two more fault proxies stand in the way of monitoring itself: each is a target of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from chaos.lab import assistant

REPLICAS = ("replica-1", "replica-2")
OLD_MODEL = "loan-model-old"
MONITORED = {"scrape-proxy": "gateway", "webhook-proxy": "sink"}
"""Each fault proxy in the way of monitoring itself → what it stands in front of. Its ports are NAME-route and NAME-control."""
SERVICES = (
    *REPLICAS, OLD_MODEL, "fault-proxy", "gateway", "sink", *MONITORED, *assistant.SERVICES, "prometheus", "alertmanager",
)  # fmt: skip

FEATURES = (
    "occ", "loanamt", "msa", "suffolk", "appinc", "typur", "unit", "married", "dep", "emp", "yjob", "self", "atotinc",
    "cototinc", "hexp", "price", "other", "liq", "rep", "gdlin", "lines", "mortg", "cons", "pubrec", "hrat", "obrat",
    "fixadj", "term", "apr", "prop", "inss", "inson", "gift", "cosign", "unver", "review", "netw", "unem", "min30", "bd",
    "mi", "old", "vr", "sch", "male", "mortno", "mortperf", "mortlat1", "mortlat2", "chist", "multi", "loanprc", "thick",
)  # fmt: skip
"""What the loan model's features are called, in the order of its one tensor; `chaos.lab.dataset` has them from the data set."""

APP = {
    "replica-1": "loan-model", "replica-2": "loan-model", OLD_MODEL: "loan-model-old", "fault-proxy": "fault-proxy",
    "gateway": "loan-gateway", "prometheus": "prometheus", "alertmanager": "alertmanager", "sink": "sink",
    "scrape-proxy": "scrape-proxy", "webhook-proxy": "webhook-proxy", **assistant.APP,
}  # fmt: skip
"""Service → its `app` label."""

PORTS = (
    "replica-1", "replica-2", OLD_MODEL, "route-1", "route-2", "control", "gateway", "prometheus", "alertmanager", "sink",
    "scrape-proxy-route", "scrape-proxy-control", "webhook-proxy-route", "webhook-proxy-control", *assistant.PORTS,
)  # fmt: skip
"""Everything that listens: a proxy has one port per route and one for its control API."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything listens, as `host:port`: `inside` as the services see each other, `outside` as the runner does."""

    inside: Mapping[str, str]
    outside: Mapping[str, str]


def labels(service: str, lab: str) -> dict[str, str]:
    """A service's labels. Only replicas carry the opt-in: nothing else of the lab may be hurt."""
    found = {"chaos.lab": lab, "app": APP[service], "chaos.service": service}
    return {**found, "chaos.enabled": "true"} if service in REPLICAS else found


def arguments(
    service: str, inside: Mapping[str, str], listen: Mapping[str, str], state: str, tools: Mapping[str, str]
) -> list[str]:
    """The command line of a service. `listen` is where each port binds, `state` the folder of files, `tools` the binaries."""
    python = tools["python"]
    match service:
        case "replica-1" | "replica-2":
            around = ["--container", tools["container"]] if "container" in tools else []
            return [
                python,
                "-m",
                "chaos.lab.model_server",
                "--listen",
                listen[service],
                "--model",
                tools["model"],
                *around,
            ]
        case "loan-model-old":
            serves = ["--model", tools["old-model"], "--version", "0"]
            return [python, "-m", "chaos.lab.model_server", "--listen", listen[service], *serves]
        case "scrape-proxy" | "webhook-proxy":
            behind = MONITORED[service]
            route = f"{behind}={listen[f'{service}-route']}>{inside[behind]}"
            control = ["--control", listen[f"{service}-control"], "--token-file", f"{state}/token"]
            return [python, "-m", "chaos.proxy", "--route", route, *control]
        case "fault-proxy":
            routes = [f"{name}={listen[f'route-{place}']}>{inside[name]}" for place, name in enumerate(REPLICAS, 1)]
            flags = [flag for route in routes for flag in ("--route", route)]
            control = ["--control", listen["control"], "--token-file", f"{state}/token"]
            return [python, "-m", "chaos.proxy", *flags, *control, "--protocol", "oip"]
        case "gateway":
            routes = [flag for place in (1, 2) for flag in ("--route", f"http://{inside[f'route-{place}']}")]
            return [
                python,
                "-m",
                "chaos.lab.gateway",
                "--listen",
                listen[service],
                *routes,
                "--features",
                f"{state}/features.json",
            ]
        case "prometheus":
            return [
                tools["prometheus"], f"--config.file={state}/prometheus.yml", f"--storage.tsdb.path={tools['data']}/prometheus",
                f"--web.listen-address={listen[service]}", "--web.enable-lifecycle", "--storage.tsdb.retention.time=12h",
                "--rules.alert.resend-delay=5s", "--log.level=warn", *tools.get("consoles", "").split(),
            ]  # fmt: skip
        case "alertmanager":
            return [
                tools["alertmanager"], f"--config.file={state}/alertmanager.yml", f"--storage.path={tools['data']}/alertmanager",
                f"--web.listen-address={listen[service]}", "--cluster.listen-address=", "--log.level=warn",
            ]  # fmt: skip
        case "sink":
            return [
                python,
                "-m",
                "chaos.sink",
                "--listen",
                listen[service],
                "--log",
                f"{tools['data']}/notifications.jsonl",
            ]
    return assistant.arguments(service, inside, listen, state, tools)


ADDED_RULES = "added-*.yml"
"""Files of rules that somebody adds to the lab's own, in its folder."""


def prometheus_yml(inside: Mapping[str, str], state: str) -> str:
    """One second between scrapes and evaluations: a lesson takes a minute."""
    replicas = "\n".join(
        f"      - targets: ['{inside[name]}']\n        labels: {{replica: {name}}}" for name in REPLICAS
    )
    return f"""\
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: ['{state}/rules.yml', '{state}/{assistant.RULES}', '{state}/{ADDED_RULES}']
alerting:
  alertmanagers:
    - static_configs: [{{targets: ['{inside["alertmanager"]}']}}]
scrape_configs:
  - job_name: loan-gateway
    static_configs: [{{targets: ['{inside["scrape-proxy-route"]}']}}]
  - job_name: loan-model
    static_configs:
{replicas}
  - job_name: chaos-proxy
    static_configs: [{{targets: ['{inside["control"]}']}}]
  - job_name: alertmanager
    static_configs: [{{targets: ['{inside["alertmanager"]}']}}]
{assistant.scrape_configs(inside)}"""


def alertmanager_yml(inside: Mapping[str, str]) -> str:
    """Everything goes to the on-call's sink, one second after the first alert of a group; the Watchdog again and again, so that
    its silence says that notifications do not arrive.
    """
    return f"""\
route:
  receiver: oncall
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5s
  repeat_interval: 1h
  routes: [{{matchers: ['alertname="Watchdog"'], repeat_interval: 5s}}]
receivers:
  - name: oncall
    webhook_configs: [{{url: 'http://{inside["webhook-proxy-route"]}/', send_resolved: true}}]
"""


def system_yaml(name: str, outside: Mapping[str, str], selector: str) -> str:
    """The system file that `chaos run --system NAME` reads. `selector` says how containers are found."""
    return f"""\
# Written by `chaos lab up`; it goes with `chaos lab down`.
name: {json.dumps(name)}
environment: lab
opt_in: chaos.enabled=true
entry: http://{outside["gateway"]}/score
request:
  json: {{application: $row.application}}
  headers: {{x-applicant-group: $row.group}}
  subject: header:x-applicant-id
  answer: {{decision: $.decision, id: $.decision_id}}
  label: label
  positive: approve
  slice: group
feedback:
  post: http://{outside["gateway"]}/feedback
  json: {{decision_id: $answer.id, outcome: $label}}
data: {{applications: traffic.jsonl}}
targets:
  loan-model:
    proxies: ['http://{outside["control"]}']
    token: ${{file:token}}
    protocol: oip
    output: {{label: predict, scores: predict_proba, classes: [0, 1]}}
    input: {{features: [{", ".join(FEATURES)}]}}
    placement: behind gateway
    {selector}
  gateway-metrics:
    proxies: ['http://{outside["scrape-proxy-control"]}']
    token: ${{file:token}}
    placement: in monitoring
  oncall-webhook:
    proxies: ['http://{outside["webhook-proxy-control"]}']
    token: ${{file:token}}
    placement: in monitoring
telemetry:
  prometheus: http://{outside["prometheus"]}
  alertmanager: http://{outside["alertmanager"]}
alerts: {{match: {{service: loan}}}}
receivers:
  oncall: {{sink: 'http://{outside["sink"]}'}}
variables: {{job: loan-gateway, model_job: loan-model, window: 30s}}
"""
