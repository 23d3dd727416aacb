"""A project that uses the plugin, without a lab: its experiment, and systems that nobody needs to reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chaos.app import one_fault, running, sweeping
from chaos.faults import catalogue
from chaos.pytest_plugin import items

IMPORTED = (np, one_fault, running, sweeping, items, catalogue())
"""A session inside of this process forgets what it has imported: numpy lets nobody import it twice, and the faults of the catalogue would
have lost the files that say what they do."""
ROOT = Path(__file__).parents[2]
SYSTEM = """\
name: nowhere
environment: staging
entry: http://127.0.0.1:1/score
request: {{json: {{a: $row.a}}, subject: header:x-id}}
data: {{rows: rows.jsonl}}
targets:
  model: {{proxies: ['http://127.0.0.1:1'], token: abcdefghijklmnop, protocol: oip}}
telemetry: {{prometheus: 'http://127.0.0.1:1', alertmanager: 'http://127.0.0.1:1'}}
calendar: {calendar}
"""
EXPERIMENT = """\
name: {name}
owner: nobody
tags: [{tags}]
system: system.yaml
steady_state:
  - {{name: works, promql: vector(1), unit: ratio, min: 50%}}
load: {{rate: 10/s, data: nowhere:rows}}
blast_radius: {{traffic: 10%, max_duration: 1m}}
faults:
  - {{fault: delay, target: model, by: 300ms, duration: 30s}}
expect:
  alerts:
    - {{alert: Slow, within: 30s}}
"""
ALWAYS = "{freeze: ['2000-01-01 - 2999-01-01']}"


def experiment(name: str = "slow-model", tags: str = "latency") -> str:
    return EXPERIMENT.format(name=name, tags=tags)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with one experiment, `slow.chaos.yaml`, and its system, whose servers do not answer."""
    monkeypatch.setenv("CHAOS_STATE", str(pytester.path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (pytester.path / "system.yaml").write_text(SYSTEM.format(calendar="{timezone: UTC}"))
    (pytester.path / "rows.jsonl").write_text('{"a": 1, "id": "x"}\n')
    (pytester.path / "slow.chaos.yaml").write_text(experiment())
    return pytester


def frozen(project: pytest.Pytester) -> None:
    (project.path / "system.yaml").write_text(SYSTEM.format(calendar=ALWAYS))
