"""The lab's second target, a language model with a gateway of its own, as values. Pure; `chaos.lab.topology` has the first.

people ─▶ llm-gateway ─▶ llm-proxy ─▶ llm-server
              │              │            │
              └────────── metrics ────────┴──▶ the lab's Prometheus

It is a system of its own for whoever experiments: `lab-llm`, where the lab is called `lab`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

SERVICES = ("llm-server", "llm-proxy", "llm-gateway")
APP = {name: name for name in SERVICES}
"""Service → its `app` label."""
PORTS = ("llm-server", "llm-proxy-route", "llm-proxy-control", "llm-gateway")
CONTAINER_PORT = {"llm-server": 8080, "llm-proxy-route": 9001, "llm-proxy-control": 8474, "llm-gateway": 8000}
"""What listens where inside its container."""
INTERNAL = ("llm-proxy-route",)
"""What only the lab itself reaches."""
HEALTH = {"llm-server": "/health", "llm-proxy-control": "/healthz", "llm-gateway": "/healthz"}
"""What answers 200 when a service is there."""
SCRAPED = ("llm-server", "llm-proxy-control", "llm-gateway")
"""What Prometheus asks."""
RULES = "rules-llm.yml"
DATA = "prompts.jsonl"
SUFFIX = "-llm"
"""A lab's name with this behind it is the system of its language model."""
SYSTEM_FILE = f"system{SUFFIX}.yaml"


def arguments(
    service: str, inside: Mapping[str, str], listen: Mapping[str, str], state: str, tools: Mapping[str, str]
) -> list[str]:
    """The command line of a service, as in `chaos.lab.topology`."""
    python = tools["python"]
    match service:
        case "llm-server":
            return [python, "-m", "chaos.lab.llm_server", "--listen", listen[service]]
        case "llm-proxy":
            route = f"llm-server={listen['llm-proxy-route']}>{inside['llm-server']}"
            control = ["--control", listen["llm-proxy-control"], "--token-file", f"{state}/token"]
            return [python, "-m", "chaos.proxy", "--route", route, *control, "--protocol", "openai"]
        case "llm-gateway":
            upstream = f"http://{inside['llm-proxy-route']}"
            return [python, "-m", "chaos.lab.llm_gateway", "--listen", listen[service], "--upstream", upstream]
    raise ValueError(service)


def scrape_configs(inside: Mapping[str, str]) -> str:
    """Further items of Prometheus' `scrape_configs`."""
    return f"""\
  - job_name: llm-gateway
    static_configs: [{{targets: ['{inside["llm-gateway"]}']}}]
  - job_name: llm-server
    static_configs: [{{targets: ['{inside["llm-server"]}']}}]
  - job_name: llm-proxy
    static_configs: [{{targets: ['{inside["llm-proxy-control"]}']}}]
"""


def prompts_jsonl() -> str:
    """What people ask, as JSON lines: kind, prompt, neighbour."""
    from chaos.lab import llm_text

    return "".join(json.dumps(row) + "\n" for row in llm_text.prompts())


def system_yaml(lab: str, outside: Mapping[str, str]) -> str:
    """The system file of the language model of this lab."""
    return f"""\
# Written by `chaos lab up`; it goes with `chaos lab down`.
name: {json.dumps(lab + SUFFIX)}
environment: lab
opt_in: chaos.enabled=true
entry: http://{outside["llm-gateway"]}/assist
request:
  json: {{kind: $row.kind, prompt: $row.prompt, neighbour: $row.neighbour}}
  subject: header:x-user-id
data: {{prompts: {DATA}}}
targets:
  assistant:
    proxies: ['http://{outside["llm-proxy-control"]}']
    token: ${{file:token}}
    protocol: openai
    placement: behind gateway
telemetry:
  prometheus: http://{outside["prometheus"]}
  alertmanager: http://{outside["alertmanager"]}
alerts: {{match: {{service: llm}}}}
receivers:
  oncall: {{sink: 'http://{outside["sink"]}'}}
variables: {{job: llm-gateway, model_job: llm-server, window: 30s}}
"""
