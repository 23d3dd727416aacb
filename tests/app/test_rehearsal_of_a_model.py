"""A stated model, the whole way: a live Prometheus is recorded, its baseline altered as the fault says, and the rules of a file asked."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from chaos.app.files import load
from chaos.app.rehearsal_command import Asked, rehearsal
from chaos.drivers.throwaway import Programs, throwaway
from chaos.lab import monitoring
from chaos.rehearsal.report import RehearsalReport
from tests.values import EXPERIMENT, PROBES, SYSTEM, edited

SECONDS = 240
RATIO = 'sum(increase(seen_total{job="loan",result="right"}[20s])) / sum(increase(seen_total{job="loan"}[20s]))'
P99 = 'histogram_quantile(0.99, sum by (le) (rate(seconds_bucket{job="loan"}[20s])))'
PROBED = (
    'sum(increase(right{job="$job"}[$window])) / sum(increase(feedback{job="$job"}[$window]))',
    'sum(increase(seen_total{job="$job",result="right"}[$window])) / sum(increase(seen_total{job="$job"}[$window]))',
)
DELAY = ("wrong_predictions\n    target: loan-model", "delay\n    by: 400ms\n    target: loan-model")


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Prometheus and promtool, from PATH or unpacked below .chaos."""
    found = monitoring.find(Path(__file__).parents[2] / ".chaos")
    return Programs(found.prometheus, found.promtool)


def lived() -> list[str]:
    """Some minutes up to now at 40 answers a second: 94 in a hundred are right, all are faster than a tenth of a second."""
    chance, now = np.random.default_rng(1), int(time.time())
    right, wrong = (np.cumsum(chance.poisson(rate, SECONDS)) for rate in (37.6, 2.4))
    counters = {
        'seen_total{job="loan",result="right"}': right,
        'seen_total{job="loan",result="wrong"}': wrong,
        'seconds_bucket{job="loan",le="0.1"}': right + wrong,
        'seconds_bucket{job="loan",le="0.25"}': right + wrong,
        'seconds_bucket{job="loan",le="1.0"}': right + wrong,
        'seconds_bucket{job="loan",le="+Inf"}': right + wrong,
    }
    lines = [
        f"{name} {count} {now - SECONDS + place}\n"
        for name, counts in counters.items()
        for place, count in enumerate(counts)
    ]
    return [*lines, "# EOF\n"]


def rehearsed(tmp_path: Path, programs: Programs, expr: str, *edits: tuple[str, str]) -> RehearsalReport:
    """What a rule of this expression would do, by the stated model over what a live server holds."""
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "all.yaml").write_text(edited(PROBES, PROBED))
    (tmp_path / "traffic.jsonl").write_text("{}\n")
    rule = f"{{alert: ModelAccuracyLow, expr: '{expr}', labels: {{severity: page}}}}"
    (tmp_path / "rules.yml").write_text(f"groups: [{{name: a, rules: [{rule}]}}]")
    with throwaway(programs, 300.0) as live:
        live.put(lived())
        url = live.driver().url
        (tmp_path / "lab.yaml").write_text(edited(SYSTEM, ("http://127.0.0.1:9090", url)))
        (tmp_path / "experiment.yaml").write_text(edited(EXPERIMENT, ("system: lab", "system: lab.yaml"), *edits))
        loaded = load(tmp_path / "experiment.yaml", system=str(tmp_path / "lab.yaml"))
        asked = Asked(tmp_path / "runs", model=True, over_s=200.0, rules=tmp_path / "rules.yml", scenarios=5)
        return rehearsal(loaded, asked, programs, lambda said: None)


def test_wrong_predictions_are_told_where_the_rule_is_within_what_they_make_of_the_ratio(
    tmp_path: Path, programs: Programs
) -> None:
    made = rehearsed(tmp_path, programs, f"{RATIO} < 0.88")
    (alert,) = made.alerts
    assert not made.measured
    assert "a stated model of wrong_predictions (accuracy becomes 0.0" in made.source
    by_share = {row.severity: row.caught for row in alert.rows}
    assert by_share[0.0] == 0
    assert by_share[max(by_share)] == 5


def test_a_delay_is_told_by_a_rule_on_latency(tmp_path: Path, programs: Programs) -> None:
    made = rehearsed(tmp_path, programs, f"{P99} > 0.3", DELAY)
    (alert,) = made.alerts
    assert "answers come 0.4s later" in made.source
    assert alert.rows[0].caught == 0
    assert alert.rows[-1].caught == 5
