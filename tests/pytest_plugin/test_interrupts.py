"""Ctrl-C while a sweep runs under pytest: what is on is undone, the session ends as interrupted, and nothing more is begun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab import monitoring
from tests.drivers.loopback import eventually
from tests.pytest_plugin.conftest import ROOT
from tests.safety.stand import Stand, nothing_left, standing

pytestmark = pytest.mark.timeout(180)
RULES = """\
groups:
  - name: stand
    rules:
      - {alert: SkyDark, expr: 'up{job="outsider"} > 0', labels: {severity: page}}
"""
EXPERIMENT = """\
name: {name}
system: {system}
steady_state:
  - {{name: sky, promql: vector(1), unit: ratio, min: 50%}}
blast_radius: {{traffic: 50%, by: header:x-user, max_duration: 60s, lease: 1s, subjects: users}}
baseline: 300ms
faults:
  - {{fault: http_error, target: model, duration: 50s}}
recovery: 2s
expect:
  alerts: [{{alert: SkyDark, within: 45s}}]
sweep: {{parameter: traffic, over: [10%, 20%, 50%]}}
"""


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Stand]:
    """The stand, with a rule that does not fire."""
    (tmp_path / "rules.yml").write_text(RULES)
    with standing(tmp_path, monitoring.find(ROOT / ".chaos"), "rule_files: [rules.yml]\n") as found:
        yield found


def sweeping(stand: Stand) -> subprocess.Popen[str]:
    """A session of two sweeps; where tests run in the background, SIGINT would be ignored from its start."""
    for name in ("a-first", "b-second"):
        (stand.folder / f"{name}.chaos.yaml").write_text(
            EXPERIMENT.format(name=name, system=stand.folder / "system.yaml")
        )
    code = "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(pytest.main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, "-p", "no:cacheprovider", "-v", str(stand.folder)],
        cwd=stand.folder,
        env={**stand.environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def hurting(stand: Stand) -> bool:
    """Whether the proxies have answered that a run's fault is on."""
    journals = (stand.folder / "runs").glob("*/journal.jsonl")
    return any('"state":"armed"' in path.read_text(errors="replace") for path in journals)


def test_the_session_ends_and_no_further_severity_and_no_further_experiment_begins(watched: Stand) -> None:
    process = sweeping(watched)
    try:
        eventually(lambda: hurting(watched) or process.poll() is not None, 90, "the first run hurts somebody")
        assert process.poll() is None, process.communicate()[0]
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "KeyboardInterrupt" in said
    nothing_left(watched, 5.0)
    (folder,) = (watched.folder / "runs").glob("*/verdict.json")
    assert json.loads(folder.read_text())["verdict"] == "interrupted"
    assert "b-second" not in said.split("collected", 1)[1]
