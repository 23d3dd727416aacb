"""A real Prometheus with broken rules and right ones, over a page that has all kinds of metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import yaml

from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.lab.monitoring import Tools
from chaos.telemetry import RuleInfo
from tests.drivers.loopback import Asked, Said, eventually, ready, running, serving

PAGE = """\
# TYPE requests_total counter
requests_total{{code="200"}} {n}
requests_total{{code="500"}} {few}
# TYPE errors_total counter
errors_total{{kind="a"}} {few}
# TYPE unborn_total counter
# TYPE request_seconds histogram
request_seconds_bucket{{le="0.1"}} {few}
request_seconds_bucket{{le="1.0"}} {n}
request_seconds_bucket{{le="+Inf"}} {n}
request_seconds_sum {n}
request_seconds_count {n}
# TYPE model_accuracy gauge
model_accuracy{{model="a"}} 0.93
# TYPE queue_length gauge
queue_length{{queue="left"}} 3
queue_length{{queue="right"}} 4
# TYPE queue_limit gauge
queue_limit{{queue="up"}} 9
queue_limit{{queue="down"}} 9
"""
GONE = "# TYPE gone_gauge gauge\ngone_gauge 1\n"
"""What is exposed at first, and then no more."""

BROKEN = {
    # the broken rules that were read in public repositories, in this page's metrics
    "QuantileOfNoHistogram": ("histogram_quantile(0.95, request_seconds) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileOfSum": ("histogram_quantile(0.95, rate(request_seconds_sum[5s])) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileOfCounter": ("histogram_quantile(0.95, rate(requests_total[5s])) > 0.5", ["no_buckets: cannot fire"]),
    "QuantileWithoutRate": (
        "histogram_quantile(0.95, sum by (le) (request_seconds_bucket)) > 5",
        ["buckets_without_rate: doubtful"],
    ),
    "HighErrorRate": ("rate(errors_total[5s]) > 0.1", ["per_second_as_share: doubtful"]),
    "NoSuchMetric": ("model_acuracy < 0.5", ["unknown_metric: cannot fire"]),
    # the others
    "QuantileWithoutLe": (
        "histogram_quantile(0.95, sum by (job) (rate(request_seconds_bucket[5s]))) > 0.5",
        ["le_dropped: cannot fire"],
    ),
    "QuantileOfPercent": (
        "histogram_quantile(95, sum by (le) (rate(request_seconds_bucket[5s]))) > 0.5",
        ["quantile_out_of_range: always firing"],
    ),
    "NoSuchJob": ('up{job="exportre"} == 0', ["no_series: cannot fire"]),
    "NoSuchLabel": ('rate(requests_total{status="500"}[5s]) > 1', ["no_series: cannot fire"]),
    "NoSuchValue": ('rate(requests_total{code="418"}[5s]) > 1', ["no_series: doubtful"]),
    "NotYet": ("rate(unborn_total[5s]) > 1", ["no_series_yet: doubtful"]),
    "Gone": ("gone_gauge < 1", ["stale: cannot fire"]),
    "OtherLabels": ("rate(errors_total[5s]) / sum(rate(requests_total[5s])) > 2", ["no_match: cannot fire"]),
    "OtherLabelsOfAnd": ("model_accuracy < 0.5 and sum(rate(requests_total[5s])) > 1", ["no_match: cannot fire"]),
    "OtherValues": ("queue_length > on (queue) queue_limit", ["no_match: doubtful"]),
    "WindowTooShort": ("rate(requests_total[500ms]) > 1", ["window_too_short: cannot fire"]),
    "Percent": (
        'sum(rate(requests_total{code="500"}[5s])) / sum(rate(requests_total[5s])) > 5',
        ["share_as_percent: cannot fire"],
    ),
    "PercentOfAccuracy": ("model_accuracy < 85", ["share_as_percent: always firing"]),
    "Negative": ("rate(requests_total[5s]) < 0", ["negative_threshold: cannot fire"]),
    "RateOfGauge": ("rate(queue_length[5s]) > 100", ["rate_of_gauge: doubtful"]),
    "RawCounter": ("sum(errors_total) > 1e12", ["raw_counter: doubtful"]),
    "NothingCompared": ("sum(rate(errors_total[5s]))", ["no_comparison: always firing"]),
    "Bool": ("up == bool 0", ["bool_comparison: always firing"]),
    "ManyScalars": ("vector(5) > scalar(queue_length)", ["scalar_of_many: cannot fire"]),
    "AbsentOfNothing": ('absent(up{job="exportre"})', ["absent_of_nothing: always firing"]),
    "ManyToMany": ("queue_length * on () queue_limit > 0", ["unhealthy: cannot fire"]),
}
RIGHT = {
    "ErrorShare": 'sum(rate(requests_total{code=~"5.."}[5s])) / sum(rate(requests_total[5s])) > 0.9',
    "ErrorPercent": '100 * sum(rate(requests_total{code=~"5.."}[5s])) / sum(rate(requests_total[5s])) > 90',
    "Latency": "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5s]))) > 5",
    "Accuracy": "model_accuracy < 0.5 and on () sum(rate(requests_total[5s])) > 1",
    "Down": 'up{job="exporter"} == 0',
    "Absent": 'absent(requests_total{job="exporter"})',
    "AbsentOrFew": 'sum(rate(requests_total[5s])) < 0.001 or absent(requests_total{job="exporter"})',
    "Mean": "rate(request_seconds_sum[5s]) / rate(request_seconds_count[5s]) > 5",
    "LastWeek": "sum(rate(requests_total[5s])) > 10 + 2 * sum(rate(requests_total[5s] offset 1w))",
    "DownCount": "count(up == 0) > 5",
    "Queues": "queue_length > 100 unless on (queue) queue_limit < 5",
    "Limit": "sum(queue_length) > scalar(sum(queue_limit))",
    "Fallback": "(sum(rate(errors_total[5s])) or vector(0)) > 1e9",
    "Quiet": "ALERTS{alertname='NoSuchAlert', alertstate='firing'} > 0",
    'Od"d': r'queue_length{queue!~"\\d+\\.\""} offset 1s > 1e12',
}
FIRING = {"Fires": "sum(queue_length) > 1"}
MANY = 500


@dataclass(frozen=True, slots=True)
class Stand:
    """A Prometheus with good and bad rules."""

    prometheus: PrometheusDriver
    rules: dict[str, RuleInfo]
    many: list[RuleInfo]


def groups() -> str:
    named = [
        {"alert": name, "expr": expr, "labels": {"severity": "page"}}
        for name, expr in [*((name, one[0]) for name, one in BROKEN.items()), *RIGHT.items(), *FIRING.items()]
    ]
    bad, good = [one[0] for one in BROKEN.values()], list(RIGHT.values())
    many = [
        {"alert": f"Many{place}", "expr": expr, "labels": {"place": str(place)}}
        for place, expr in zip(range(MANY), itertools.cycle([*bad, *good]), strict=False)
    ]
    return yaml.safe_dump(
        {
            "groups": [
                {"name": "named", "interval": "1s", "rules": named},
                {"name": "many", "interval": "10s", "rules": many},
            ]
        }
    )


@pytest.fixture(scope="session")
def rule_stand(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """It has scraped for some seconds, and one metric is gone."""
    folder = tmp_path_factory.mktemp("stand")
    scraped = itertools.count(1)
    [port] = free_ports(1)

    def page(_: Asked) -> Said:
        n = next(scraped)
        text = PAGE.format(n=10 * n, few=2 * n) + (GONE if n <= 3 else "")
        return Said(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    with ExitStack() as stack:
        exporter = stack.enter_context(serving(page)).url.removeprefix("http://")
        (folder / "rules.yml").write_text(groups())
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}\n"
            f"rule_files: ['{folder}/rules.yml']\n"
            f"scrape_configs: [{{job_name: exporter, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
        )
        argv = [
            str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]  # fmt: skip
        stack.enter_context(running(argv, folder, "prometheus"))
        prometheus = PrometheusDriver(f"http://127.0.0.1:{port}", timeout_s=10.0)
        eventually(lambda: ready(prometheus), 20, f"{prometheus.url} is ready; its log is in {folder}")
        gone = "last_over_time(gone_gauge[1h]) unless gone_gauge"
        eventually(lambda: prometheus.query(gone), 30, "one metric has been there and is gone")
        # Prometheus remembers for ten scrapes what a target declared.
        eventually(lambda: "gone_gauge" not in prometheus.declared(), 30, "nobody declares it any more")

        def loaded() -> dict[str, RuleInfo]:
            found = {rule.name: rule for rule in prometheus.rules()}
            return found if found["ManyToMany"].health == "err" and found["Fires"].state == "firing" else {}

        rules = eventually(loaded, 20, "the rules are evaluated")
        eventually(lambda: prometheus.query('ALERTS{alertname="Fires"}'), 20, "the alert is recorded")
        many = [rule for rule in rules.values() if rule.group == "many"]
        yield Stand(prometheus, {name: rule for name, rule in rules.items() if rule.group == "named"}, many)
