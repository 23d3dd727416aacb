"""Broken rules, one for each thing that is checked: what the servers say of them, what must be found, and the sentence that people read.

docs/rules.md shows the first of each kind; test_rules_page.py holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chaos.rulecheck.checker import check, unanswered
from chaos.rulecheck.facts import RuleFacts, RuleProblem, Span, Verdict
from chaos.telemetry import RuleInfo

Labels = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Server:
    """What a Prometheus would answer. Expressions that are not named return `otherwise` series."""

    series: Mapping[str, int | None] = field(default_factory=dict)
    spans: Mapping[str, Span | None] = field(default_factory=dict)
    labels: Mapping[str, Labels | None] = field(default_factory=dict)
    otherwise: int | None = 3


NOTHING_KNOWN = RuleFacts()
EVERYTHING_THERE = Server()


def answered(rule: RuleInfo, facts: RuleFacts, server: Server) -> RuleFacts:
    """The facts with every question answered, round by round. Fails when the questions do not end."""
    for _ in range(20):
        asked = unanswered(rule, facts)
        if not asked:
            return facts
        facts = replace(
            facts,
            series={**facts.series, **{one: server.series.get(one, server.otherwise) for one in asked.series}},
            spans={**facts.spans, **{one: server.spans.get(one) for one in asked.spans}},
            labels={**facts.labels, **{one: server.labels.get(one) for one in asked.labels}},
        )
    raise AssertionError("the questions do not end")


def rule_of(expr: str, name: str = "Alert", summary: str = "", interval_s: float = 15.0) -> RuleInfo:
    """A loaded rule."""
    return RuleInfo(name, expr, 60.0, annotations={"summary": summary}, interval_s=interval_s)


@dataclass(frozen=True, slots=True)
class Case:
    """One broken rule."""

    kind: str
    verdict: Verdict
    expr: str
    sentence: str
    facts: RuleFacts = NOTHING_KNOWN
    server: Server = EVERYTHING_THERE
    name: str = "Alert"
    summary: str = ""
    change: Callable[[RuleInfo], RuleInfo] = lambda rule: rule

    def found(self) -> tuple[RuleProblem, ...]:
        """What the checker says."""
        rule = self.change(rule_of(self.expr, self.name, self.summary))
        return check(rule, answered(rule, self.facts, self.server))


HOUR = "[1h]"
CASES = (
    Case(
        "unknown_metric",
        "cannot fire",
        "rate(http_request_errors_total[5m]) > 1",
        "no series is called `http_request_errors_total`, and no target declares it; did you mean `http_requests_errors_total`?",
        RuleFacts(
            names={"http_request_errors_total": False},
            near={"http_request_errors_total": ("http_requests_errors_total",)},
        ),
        Server({"rate(http_request_errors_total[5m])": 0, "http_request_errors_total": 0}),
    ),
    Case(
        "no_series_yet",
        "doubtful",
        "rate(payments_failed_total[5m]) > 1",
        "`payments_failed_total` is declared and has no series yet; the rule is blind until its first event, so start it at 0",
        RuleFacts(names={"payments_failed_total": False}, types={"payments_failed_total": "counter"}),
        Server({"rate(payments_failed_total[5m])": 0, "payments_failed_total": 0}),
    ),
    Case(
        "no_series",
        "cannot fire",
        'up{job="modell"} == 0',
        'nothing that is scraped has `job="modell"`, so `up` never does; did you mean `"model"`?',
        RuleFacts(names={"up": True}, target_labels=("job", "instance")),
        Server(
            {'up{job="modell"}': 0, f'last_over_time(up{{job="modell"}}{HOUR})': 0},
            labels={"group by (job) (up)": ({"job": "model"}, {"job": "gateway"})},
        ),
    ),
    Case(
        "no_series",
        "cannot fire",
        'sum(rate(requests_total{status="500"}[5m])) > 1',
        '`requests_total` has no label `status`, so `status="500"` selects nothing; did you mean `state`?',
        RuleFacts(names={"requests_total": True}),
        Server(
            {
                'sum(rate(requests_total{status="500"}[5m]))': 0,
                'rate(requests_total{status="500"}[5m])': 0,
                'requests_total{status="500"}': 0,
                f'last_over_time(requests_total{{status="500"}}{HOUR})': 0,
            },
            labels={
                "group by (status) (requests_total)": ({},),
                "requests_total": ({"__name__": "requests_total", "state": "200"},),
            },
        ),
    ),
    Case(
        "no_series",
        "doubtful",
        'rate(requests_total{code=~"5.."}[5m]) > 1',
        'no series of `requests_total` has had `code=~"5.."`; if it has not happened yet, start it at 0, else mend it: '
        "there is 200, 404",
        RuleFacts(names={"requests_total": True}),
        Server(
            {
                'rate(requests_total{code=~"5.."}[5m])': 0,
                'requests_total{code=~"5.."}': 0,
                f'last_over_time(requests_total{{code=~"5.."}}{HOUR})': 0,
            },
            labels={"group by (code) (requests_total)": ({"code": "200"}, {"code": "404"})},
        ),
    ),
    Case(
        "stale",
        "cannot fire",
        "model_accuracy < 0.9",
        "`model_accuracy` had series and has none now, and no target declares it: it was renamed or its targets are gone; "
        "mend the name, or bring the targets back",
        RuleFacts(names={"model_accuracy": True}),
        Server({"model_accuracy": 0, f"last_over_time(model_accuracy{HOUR})": 2}),
    ),
    Case(
        "no_match",
        "cannot fire",
        "rate(errors_total[5m]) / sum(rate(requests_total[5m])) > 0.1",
        "the sides of `/` never match: the labels instance, job on the left and no labels on the right; "
        "write `on (…)` with the labels that both have, or aggregate both sides by the same labels",
        RuleFacts(names={"errors_total": True, "requests_total": True}),
        Server(
            {
                "rate(errors_total[5m]) / sum(rate(requests_total[5m]))": 0,
                "count_over_time((rate(errors_total[5m]) / sum(rate(requests_total[5m])))[1h:60s])": 0,
            },
            labels={
                "rate(errors_total[5m])": ({"job": "a", "instance": "a:1"},),
                "sum(rate(requests_total[5m]))": ({},),
            },
        ),
    ),
    Case(
        "no_buckets",
        "cannot fire",
        "histogram_quantile(0.95, request_seconds) > 0.5",
        "histogram_quantile needs buckets, which `request_seconds` does not have; "
        "write `histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))`",
        RuleFacts(names={"request_seconds": False}, near={"request_seconds": ("request_seconds_bucket",)}),
        Server({"histogram_quantile(0.95, request_seconds)": 0, "request_seconds": 0}),
    ),
    Case(
        "le_dropped",
        "cannot fire",
        "histogram_quantile(0.95, sum by (job) (rate(request_seconds_bucket[5m]))) > 0.5",
        "histogram_quantile returns nothing: `sum by (job) (rate(request_seconds_bucket[5m]))` drops the label `le` of the buckets; "
        "write `sum by (le, job) (…)`",
        RuleFacts(names={"request_seconds_bucket": True}),
        Server({"histogram_quantile(0.95, sum by (job) (rate(request_seconds_bucket[5m])))": 0}),
    ),
    Case(
        "buckets_without_rate",
        "doubtful",
        "histogram_quantile(0.95, sum by (le) (request_seconds_bucket)) > 0.5",
        "the quantile is that of everything since the process began, so it hardly moves; "
        "write `rate(request_seconds_bucket[5m])` instead of `request_seconds_bucket`",
    ),
    Case(
        "quantile_out_of_range",
        "always firing",
        "histogram_quantile(95, sum by (le) (rate(request_seconds_bucket[5m]))) > 0.5",
        "the quantile 95 of histogram_quantile is none, which makes it infinite, and the comparison is true for every series; write 0.95",
    ),
    Case(
        "window_too_short",
        "cannot fire",
        "rate(requests_total[10s]) > 5",
        "`rate(requests_total[10s])` is always empty: it needs two samples, and a scrape comes every 15 s; "
        "write a window of at least 60 s",
        RuleFacts(names={"requests_total": True}, scrape_s=15.0),
        Server({"rate(requests_total[10s])": 0}),
    ),
    Case(
        "interval_longer_than_window",
        "doubtful",
        "increase(requests_total[1m]) > 5",
        "the rule is evaluated every 300 s and looks back 60 s: what happens in between is never seen; "
        "write a window of at least 300 s, or a shorter interval of the group",
        change=lambda rule: replace(rule, interval_s=300.0),
    ),
    Case(
        "rate_of_gauge",
        "doubtful",
        "rate(queue_length[5m]) > 5",
        "`queue_length` is declared as a gauge, and rate takes each fall for a restart; write `deriv` instead",
        RuleFacts(types={"queue_length": "gauge"}),
    ),
    Case(
        "raw_counter",
        "doubtful",
        "sum(errors_total) > 100",
        "`errors_total` only grows until its process is started anew, so `sum(errors_total) > 100` says how long that runs; "
        "compare `increase(errors_total[5m])`",
        RuleFacts(types={"errors_total": "counter"}),
    ),
    Case(
        "share_as_percent",
        "cannot fire",
        'sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m])) > 5',
        '`sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m]))` is a share and never above 1, '
        "so `> 5` is never true; write `> 0.05` for 5 %",
    ),
    Case(
        "share_as_percent",
        "always firing",
        "min(model_accuracy) < 85",
        "`min(model_accuracy)` looks like a share of 1: it read at most 0.93 in the last 1h, so that `< 85` is always true; "
        "write `< 0.85` for 85 %",
        server=Server(spans={"min(model_accuracy)": Span(0.91, 0.93)}),
    ),
    Case(
        "percent_as_share",
        "doubtful",
        "disk_used_percent > 0.9",
        "`disk_used_percent` is a percentage: it read up to 61 in the last 1h; write `> 90` if 90 % is meant",
        server=Server(spans={"disk_used_percent": Span(20.0, 61.0)}),
    ),
    Case(
        "negative_threshold",
        "cannot fire",
        "rate(requests_total[5m]) < 0",
        "`rate(requests_total[5m])` is never negative, so `< 0` is never true; write a threshold that it can reach",
    ),
    Case(
        "out_of_range",
        "cannot fire",
        "up > 1",
        "`up` is always between 0 and 1, so `> 1` is never true; write a threshold that it can reach",
    ),
    Case(
        "always_true",
        "always firing",
        "increase(requests_total[5m]) >= 0",
        "`increase(requests_total[5m])` is never negative, so `>= 0` is true for every series; write a threshold that it does not always meet",
    ),
    Case(
        "no_comparison",
        "always firing",
        "rate(errors_total[5m])",
        "nothing is compared, so the rule fires for each of 3 series; compare it with a threshold",
    ),
    Case(
        "bool_comparison",
        "always firing",
        "up == bool 0",
        "`bool` makes the comparison return 0 instead of nothing, and an alert fires for any value: "
        "the rule fires for each of 3 series; leave `bool` out",
    ),
    Case(
        "watchdog",
        "always firing",
        "vector(1)",
        "`vector(1)` is always true: right for a watchdog, which proves that alerts arrive, and for nothing else",
    ),
    Case(
        "absent_of_nothing",
        "always firing",
        'absent(up{job="modell"})',
        '`absent(up{job="modell"})` is always true: no such series has been there in the recording; mend the selector',
        RuleFacts(names={"up": True}),
        Server({'up{job="modell"}': 0, f'last_over_time(up{{job="modell"}}{HOUR})': 0}),
    ),
    Case(
        "scalar_of_many",
        "cannot fire",
        "queue_length > scalar(queue_limit)",
        "`scalar(queue_limit)` reads 3 series and is then not a number, which no comparison meets; aggregate them into one",
    ),
    Case(
        "per_second_as_share",
        "doubtful",
        "sum(rate(prediction_errors_total[5m])) > 0.1",
        "`sum(rate(prediction_errors_total[5m]))` is errors a second and not a share of requests, and is compared with 0.1, which looks "
        "like 10 %; divide it by the rate of all requests",
        name="HighErrorRate",
        summary="More than 10% of predictions fail.",
    ),
    Case(
        "p_value_as_distance",
        "doubtful",
        "feature_ks_p_value > 0.05",
        "`feature_ks_p_value` is a p-value by its name, which is large when nothing has changed, so `> 0.05` fires without drift; "
        "write `< 0.05`",
    ),
    Case(
        "unhealthy",
        "cannot fire",
        "a * on () b > 0",
        "Prometheus cannot evaluate the rule: found duplicate series; mend the expression",
        change=lambda rule: replace(rule, health="err", last_error="found duplicate series"),
    ),
    Case(
        "always_fired",
        "always firing",
        "disk_free_bytes < 1e12",
        "it has been firing for the whole recording (7d); mend what it tells of, or its threshold",
        RuleFacts(recording_s=7 * 86400.0, fired_share=1.0),
    ),
    Case(
        "nobody_told",
        "doubtful",
        "up == 0",
        "nobody is told of it: it is routed to `null`, where no integration is configured; add one, or mend the route",
        RuleFacts(receivers={"null": False}),
    ),
    Case(
        "silenced",
        "doubtful",
        "up == 0",
        'a silence holds it back: {alertname="Alert"} by ada until 2030-01-01T00:00:00Z; expire the silence, or wait for its end',
        RuleFacts(silenced='{alertname="Alert"} by ada until 2030-01-01T00:00:00Z'),
    ),
)
"""The first of each kind and verdict is what the page shows."""
