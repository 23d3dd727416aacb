"""Rules as people rightly write them, over metrics that are there: nothing is said of any of them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from chaos.promql_tree import names, tree
from chaos.rulecheck.checker import check
from chaos.rulecheck.facts import RuleFacts, Span
from chaos.units import parse_duration
from tests.rulecheck.cases import Server, answered, rule_of

RIGHT = {
    # SLO burn rates, in the form of the SRE workbook
    "ErrorBudgetBurn": """
        (sum(rate(http_requests_total{job="api", code=~"5.."}[1h])) / sum(rate(http_requests_total{job="api"}[1h])) > (14.4 * 0.001)
        and sum(rate(http_requests_total{job="api", code=~"5.."}[5m])) / sum(rate(http_requests_total{job="api"}[5m])) > (14.4 * 0.001))
        or
        (sum(rate(http_requests_total{job="api", code=~"5.."}[6h])) / sum(rate(http_requests_total{job="api"}[6h])) > (6 * 0.001)
        and sum(rate(http_requests_total{job="api", code=~"5.."}[30m])) / sum(rate(http_requests_total{job="api"}[30m])) > (6 * 0.001))""",
    "RecordedBurn": "job:slo_errors_per_request:ratio_rate1h > (14.4 * 0.001) and job:slo_errors_per_request:ratio_rate5m > (14.4 * 0.001)",
    "HighErrorRate": "sum by (job) (rate(http_requests_total{code=~'5..'}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05",
    "ErrorPercentage": "100 * sum(rate(http_requests_total{code=~'5..'}[5m])) / sum(rate(http_requests_total[5m])) > 5",
    "SuccessLow": "1 - sum(rate(http_requests_total{code=~'5..'}[5m])) / sum(rate(http_requests_total[5m])) < 0.99",
    "ErrorsOfAnotherMetric": "sum(rate(http_errors_total[5m])) / sum(rate(http_requests_total[5m])) > 0.01",
    # latency
    "LatencyHigh": "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 0.5",
    "LatencyOfRoute": "histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket[5m]))) > 2",
    "LatencyWithout": "histogram_quantile(0.9, sum without (instance, pod) (rate(http_request_duration_seconds_bucket[5m]))) > 1",
    "LatencyRecorded": "histogram_quantile(0.9, job_le:http_request_duration_seconds_bucket:rate5m) > 1",
    "LatencyMean": "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m]) > 2",
    "SlowShare": """1 - sum(rate(http_request_duration_seconds_bucket{le="0.5"}[5m]))
        / sum(rate(http_request_duration_seconds_count[5m])) > 0.05""",
    "SummaryHigh": 'rpc_duration_seconds{quantile="0.99"} > 0.5',
    # absence and health
    "TargetDown": "up == 0",
    "TargetsDown": "100 * (count by (job) (up == 0) / count by (job) (up)) > 10",
    "AnyDown": "count(up == 0) > 0",
    "MetricsAbsent": 'absent(up{job="api"})',
    "AbsentIsOne": 'absent(up{job="api"}) == 1',
    "AbsentOverTime": 'absent_over_time(http_requests_total{job="api"}[10m])',
    "NoTraffic": 'sum(rate(http_requests_total{job="api"}[5m])) == 0 or absent(http_requests_total{job="api"})',
    "ProbeFailed": "probe_success == 0",
    "CertificateExpires": "probe_ssl_earliest_cert_expiry - time() < 86400 * 14",
    "Flapping": "changes(up[15m]) > 4",
    # node exporter
    "DiskFull": "(1 - node_filesystem_avail_bytes{fstype!~'tmpfs|overlay'} / node_filesystem_size_bytes{fstype!~'tmpfs|overlay'}) * 100 > 90",
    "DiskFillsUp": """node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 15
        and predict_linear(node_filesystem_avail_bytes[6h], 24 * 3600) < 0 and node_filesystem_readonly == 0""",
    "MemoryLow": "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100 < 10",
    "CpuHigh": '100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80',
    "LoadHigh": "node_load1 > 5",
    "NetworkErrors": "rate(node_network_receive_errs_total[2m]) / rate(node_network_receive_packets_total[2m]) > 0.01",
    "ClockSkew": "abs(node_timex_offset_seconds) > 0.05 and deriv(node_timex_offset_seconds[5m]) >= 0",
    "OomKill": "increase(node_vmstat_oom_kill[1m]) > 0",
    "UnitFailed": 'node_systemd_unit_state{state="failed"} == 1',
    # kubernetes
    "CrashLooping": 'max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) >= 1',
    "Restarts": "increase(kube_pod_container_status_restarts_total[1h]) > 5",
    "NotReady": """sum by (namespace, pod) (max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown"})
        * on (namespace, pod) group_left (owner_kind) topk by (namespace, pod) (1, max by (namespace, pod, owner_kind)
        (kube_pod_owner{owner_kind!="Job"}))) > 0""",
    "ReplicasMismatch": """(kube_deployment_spec_replicas > kube_deployment_status_replicas_available)
        and (changes(kube_deployment_status_replicas_updated[10m]) == 0)""",
    "JobFailed": "kube_job_failed > 0",
    "VolumeFull": "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.03 and kubelet_volume_stats_used_bytes > 0",
    "Throttled": """sum(increase(container_cpu_cfs_throttled_periods_total[5m])) by (container, pod)
        / sum(increase(container_cpu_cfs_periods_total[5m])) by (container, pod) > (25 / 100)""",
    "NodeNotReady": 'kube_node_status_condition{condition="Ready", status="true"} == 0',
    # models
    "AccuracyLow": "avg_over_time(model_accuracy[10m]) < 0.85",
    "DriftHigh": "feature_drift_psi > 0.2",
    "PValueLow": "feature_ks_p_value < 0.05",
    "Stale": "time() - model_trained_timestamp_seconds > 7 * 86400",
    "PredictionsDropped": "sum(rate(predictions_total[5m])) < 0.5 * sum(rate(predictions_total[5m] offset 1w))",
    "ScoresShifted": "abs(avg_over_time(prediction_score_mean[10m]) - avg_over_time(prediction_score_mean[1d] offset 1d)) > 0.1",
    "QueueLong": "max_over_time(queue_length[5m]) > 100",
    "QueueBacklog": "sum(enqueued_total) - sum(processed_total) > 1000",
    "GpuIdle": "avg_over_time(gpu_utilization_percent[10m]) < 5",
    "BusinessHours": "sum(rate(predictions_total[10m])) < 0.01 and on () (hour() >= 8 and hour() < 18) and on () (day_of_week() > 0)",
    "FewErrorsASecond": "sum(rate(prediction_errors_total[5m])) > 0.1",
    "RelatedAlerts": 'count(ALERTS{alertstate="firing", severity="page"}) > 10',
    "Inhibitor": 'ALERTS{alertname="NodeDown", alertstate="firing"} == 1',
    "Subquery": "max_over_time(rate(http_requests_total[5m])[1h:1m]) > 1000",
    "Fallback": "(sum(rate(http_errors_total[5m])) or vector(0)) / (sum(rate(http_requests_total[5m])) > 0) > 0.01",
    "NotOften": "resets(process_start_time_seconds[1h]) > 3",
    "Unless": "up == 0 unless on (instance) maintenance_mode == 1",
    "Labelled": 'label_replace(rate(http_requests_total[5m]), "zone", "$1", "instance", "(.*):.*") > 100',
    "ComparedInside": "label_replace(up == 0, 'zone', '$1', 'instance', '(.*):.*')",
    "CountedInside": "count by (job) (up == 0)",
    "TopOfLarge": "topk(3, rate(http_requests_total[5m]) > 100)",
    "LargeTimesHundred": "(node_load1 > 5) * 100",
    "EverAny": "certificates_count > 0 and histogram_quantile(0.01, sum by (le) (rate(certificates_bucket[5m]))) < 604800",
    "Scalar": "sum(rate(http_requests_total[5m])) > scalar(sum(rate_limit))",
}  # fmt: skip
TOLD = {
    "ErrorsASecond": (
        "rate(http_errors_total[5m]) > 0.1",
        '{{ $value | printf "%.2f" }} errors a second, see http://wiki/a%20b',
    ),
    "OperationErrors": ("sum(rate(operation_errors_total[5m])) > 0.5", "The operation fails; its duration is shared."),
    "Growth": ("rate(switches_total[15m]) / rate(switches_total[1d]) > 2", "The ratio to a day ago is {{ $value }}."),
    "JobsDone": ("jobs_started_total / jobs_done_total > 2", "The generation of jobs is slower than their operation."),
}
LAB = {
    rule["alert"]: (rule["expr"], rule["annotations"]["summary"])
    for file in ("rules.yml", "rules-llm.yml")
    for group in yaml.safe_load(Path(str(files("chaos.lab") / file)).read_text())["groups"]
    for rule in group["rules"]
    if rule["alert"] != "Watchdog"
}
ALL = {**{name: (expr, f"{name}: {{{{ $value }}}}") for name, expr in RIGHT.items()}, **TOLD, **LAB}


def declared(expr: str) -> dict[str, str]:
    """What a well-behaved target declares these metrics as."""
    kinds = {"_total": "counter", "_bucket": "histogram", "_count": "histogram", "_sum": "histogram"}
    root = tree(expr)
    assert root is not None, expr
    return {
        name: next((kind for suffix, kind in kinds.items() if name.endswith(suffix)), "gauge") for name in names(root)
    }


@pytest.mark.parametrize("read", [Span(0.0, 0.5), Span(0.0, 60.0), Span(-3.0, 1e9)], ids=["small", "medium", "large"])
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_said_of_a_right_rule(name: str, read: Span) -> None:
    expr, summary = ALL[name]
    rule = rule_of(expr, name, summary)
    types = declared(expr) | {"node_vmstat_oom_kill": "unknown"}
    names_there = dict.fromkeys(types, True)
    spans = dict.fromkeys(_spans(expr), read)
    labels = ("job", "instance")
    facts = RuleFacts(names=names_there, types=types, scrape_s=1.0, target_labels=labels, spans=spans, fired_share=0.01)
    # `scalar()` wants one series, which is what an aggregation without labels returns.
    assert check(rule, answered(rule, facts, Server(otherwise=1))) == ()


def _spans(expr: str) -> list[str]:
    from chaos.rulecheck.thresholds import gates

    return [gate.left_text for gate in gates(tree(expr))]


def test_there_are_many_of_them() -> None:
    assert len(RIGHT) >= 30
    assert len(LAB) >= 30
    assert parse_duration("30s") == 30, "the lab's shortest window holds thirty scrapes"


def test_a_batch_job_that_only_counts_failures_when_there_are_some_is_doubtful_and_not_dead() -> None:
    """The metric is declared; what has never happened has no series."""
    expr = 'increase(jobs_total{outcome="failed"}[1h]) > 0'
    rule = rule_of(expr)
    selected = 'jobs_total{outcome="failed"}'
    empty = {f"increase({selected}[1h])": 0, selected: 0, f"last_over_time({selected}[1h])": 0}
    server = Server(empty, labels={"group by (outcome) (jobs_total)": ({"outcome": "done"},)})
    found = check(rule, answered(rule, RuleFacts(names={"jobs_total": True}, target_labels=("job",)), server))
    assert [one.verdict for one in found] == ["doubtful"]
