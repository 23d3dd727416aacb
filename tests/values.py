"""Experiments, systems, probes and surveys for tests of the pure part: small, without a mistake, and made anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.experiment import Experiment, parse
from chaos.planning import plan
from chaos.plans import Plan
from chaos.probe import Probe, parse_probes
from chaos.routes import Route
from chaos.survey import ContainerFound, ProxyFound, Survey
from chaos.system import System, parse_system
from chaos.telemetry import RuleInfo

EXPERIMENT = """\
name: wrong-predictions
system: lab
steady_state:
  - probe: accuracy
    min: 88%
  - probe: latency
    max: 2x baseline
load: {rate: 40/s, data: lab:applications, feedback: {after: 2s, share: 50%}}
blast_radius: {traffic: 10%, max_duration: 2m}
faults:
  - fault: wrong_predictions
    target: loan-model
    duration: 60s
expect:
  harms: [accuracy]
  alerts:
    - alert: ModelAccuracyLow
      labels: {severity: page}
      within: 60s
      delivered_to: oncall
"""

SYSTEM = """\
name: lab
environment: lab
entry: http://127.0.0.1:8080/score
request: {json: {application: $row.application}, answer: {decision: $.decision}, subject: header:x-applicant-id}
feedback: {post: 'http://127.0.0.1:8080/feedback', json: {outcome: $row.outcome}}
data: {applications: traffic.jsonl}
targets:
  loan-model:
    proxies: ['http://127.0.0.1:8474']
    process: {table: processes.json, labels: {app: loan-model}}
telemetry: {prometheus: 'http://127.0.0.1:9090'}
receivers: {oncall: {sink: 'http://127.0.0.1:9099'}}
variables: {job: loan, window: 30s}
"""

PROBES = """\
accuracy:
  query: sum(increase(right{job="$job"}[$window])) / sum(increase(feedback{job="$job"}[$window]))
  unit: ratio
  better: higher
  count: sum(increase(feedback{job="$job"}[$window]))
  needs: 60
  arms: load
  signal: accuracy
  doc: Share of answers that turned out right.
latency:
  query: histogram_quantile(0.99, sum by (le) (rate(seconds_bucket{job="$job"}[$window])))
  unit: s
  better: lower
  signal: latency
  doc: All but one request in a hundred are faster.
errors:
  query: sum(rate(failed{job="$job"}[$window])) / sum(rate(asked{job="$job"}[$window]))
  unit: ratio
  better: lower
  signal: error_ratio
  doc: Share of requests that failed.
"""

RULE = RuleInfo(
    name="ModelAccuracyLow",
    expr='sum(increase(right{job="loan"}[30s])) / sum(increase(feedback{job="loan"}[30s])) < 0.88',
    for_s=5.0,
    labels={"severity": "page", "service": "loan"},
)
ROUTE = Route("oncall", group_wait_s=1.0, group_interval_s=5.0)
SURVEY = Survey(
    at_wall_s=1_700_000_000.0,
    scrape_s=1.0,
    evaluation_s=1.0,
    rules=(RULE,),
    rule_values={"ModelAccuracyLow": 0.95},
    route=ROUTE,
    proxies={"loan-model": (ProxyFound("http://127.0.0.1:8474", "0.1.0"),)},
    driver={"loan-model": "process"},
    sinks={"oncall": None},
)


def edited(text: str, *edits: tuple[str, str]) -> str:
    """The text with each old part, which stands there exactly once, replaced by a new one."""
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text


def laid_out(folder: Path) -> Path:
    """The folder holds an experiment `e.yaml` with the system and the probes that it names; the data of its load is not there."""
    (folder / "system.yaml").write_text(SYSTEM)
    (folder / "probes").mkdir()
    (folder / "probes" / "all.yaml").write_text(PROBES)
    (folder / "e.yaml").write_text(EXPERIMENT.replace("system: lab", "system: system.yaml"))
    return folder


def experiment(*edits: tuple[str, str]) -> Experiment:
    """EXPERIMENT, edited."""
    return parse(edited(EXPERIMENT, *edits), "experiment.yaml", {})[0]


def system(*edits: tuple[str, str]) -> System:
    """SYSTEM, edited."""
    return parse_system(edited(SYSTEM, *edits), "system.yaml", {})[0]


def probes(*edits: tuple[str, str]) -> dict[str, Probe]:
    """PROBES, edited."""
    return parse_probes(edited(PROBES, *edits), "probes.yaml")


def survey(**changes: Any) -> Survey:
    """SURVEY with other fields."""
    return replace(SURVEY, **changes)


def containers(*names: str, opted_in: bool = True, status: str = "running") -> tuple[ContainerFound, ...]:
    """Containers of these names."""
    return tuple(ContainerFound(name, f"id-{name}", status, {"app": "loan-model"}, opted_in) for name in names)


def planned(*edits: tuple[str, str], of: System | None = None, found: Survey = SURVEY, seed: str = "seed") -> Plan:
    """The plan of the edited experiment."""
    return plan(experiment(*edits), of or system(), probes(), found, seed)


KILL = ("wrong_predictions\n    target", "kill\n    target")
"""Turns the experiment's fault into one on containers."""
