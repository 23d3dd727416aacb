"""Alert rules as people in the field write them, over metrics that their servers and exporters really have, with the faults that would
make each fire. An empty set: no fault of the catalogue would. They were written down before the clues were tried on them.
"""

from __future__ import annotations

from chaos.drivers.prometheus import _rule
from chaos.first_steps.found import Found, Metric
from chaos.telemetry import RuleInfo
from tests.first_steps.servers import LAB

FIELD: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("TimeToFirstTokenHigh", "histogram_quantile(0.99, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[5m]))) > 3", frozenset({"slow_first_token"})),
    ("TokensSlow", "histogram_quantile(0.95, sum by (le) (rate(vllm:time_per_output_token_seconds_bucket[5m]))) > 0.2", frozenset({"slow_tokens"})),
    ("VllmSlow", "histogram_quantile(0.95, sum by (le) (rate(vllm:e2e_request_latency_seconds_bucket[5m]))) > 10", frozenset({"delay"})),
    ("VllmQueueLong", "vllm:num_requests_waiting > 50", frozenset()),
    ("TritonFailures", "rate(nv_inference_request_failure[5m]) / (rate(nv_inference_request_success[5m]) + rate(nv_inference_request_failure[5m])) > 0.05", frozenset({"http_error"})),
    ("TritonSlow", "rate(nv_inference_request_duration_us[5m]) / rate(nv_inference_request_success[5m]) > 500000", frozenset({"delay"})),
    ("InferenceFailing", "sum(rate(model_infer_request_failure_total[5m])) > 1", frozenset({"http_error"})),
    ("ModelServer5xx", 'sum(rate(rest_server_requests_total{status_code=~"5.."}[5m])) / sum(rate(rest_server_requests_total[5m])) > 0.01', frozenset({"http_error"})),
    ("PredictSlow", "histogram_quantile(0.95, rate(request_predict_seconds_bucket[5m])) > 1", frozenset({"delay"})),
    ("DataDrift", "evidently_data_drift_share > 0.5", frozenset({"covariate_shift", "feature_shift"})),
    ("PredictionDrift", 'model_prediction_drift_psi{model="fraud"} > 0.2', frozenset({"score_shift", "class_collapse"})),
    ("FeatureNulls", 'feature_null_ratio{feature="income"} > 0.1', frozenset({"missing_feature"})),
    ("AucLow", "avg_over_time(model_auc[1h]) < 0.7", frozenset({"wrong_predictions", "score_noise", "shuffled_predictions"})),
    ("ParityGap", "demographic_parity_difference > 0.1", frozenset({"biased_outputs"})),
    ("FraudModelDown", 'up{job="fraud-model"} == 0', frozenset({"kill", "stop", "scrape_loss"})),
    ("FraudModelGone", 'absent(up{job="fraud-model"})', frozenset()),
    ("ModelRestarts", 'increase(kube_pod_container_status_restarts_total{container="model"}[15m]) > 3', frozenset({"restart", "crash", "kill"})),
    ("MemoryNearLimit", 'container_memory_working_set_bytes{container="model"} / container_spec_memory_limit_bytes > 0.9', frozenset({"memory_stress", "memory_limit"})),
    ("CpuThrottled", "rate(container_cpu_cfs_throttled_seconds_total[5m]) > 0.5", frozenset({"cpu_limit", "cpu_stress"})),
    ("DiskFull", "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1", frozenset({"disk_fill"})),
    ("MeshErrors", 'sum(rate(istio_requests_total{destination_service="model", response_code=~"5.*"}[1m])) / sum(rate(istio_requests_total[1m])) > 0.05', frozenset({"http_error"})),
    ("MeshSlow", "histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket[1m]))) > 1000", frozenset({"delay", "slow_tail"})),
    ("ProviderLimits", 'rate(openai_requests_total{status="429"}[5m]) > 0', frozenset({"rate_limit"})),
    ("NoPredictions", "time() - model_last_prediction_timestamp_seconds > 300", frozenset()),
    ("LabelsStale", "time() - label_last_ingested_timestamp > 86400", frozenset({"label_loss", "label_delay"})),
    ("GpuBusy", "DCGM_FI_DEV_GPU_UTIL > 95", frozenset()),
    ("PagerBroken", "rate(alertmanager_notifications_failed_total[5m]) > 0", frozenset({"alert_delivery_loss"})),
    ("RefusalsHigh", "sum(rate(llm_guardrail_refusals_total[5m])) / sum(rate(llm_requests_total[5m])) > 0.2", frozenset({"refusal"})),
    ("SuccessLow", 'sum(rate(bentoml_service_request_total{http_response_code="200"}[5m])) / sum(rate(bentoml_service_request_total[5m])) < 0.99', frozenset({"http_error"})),
    ("ScoresShifted", "abs(avg(model_score_mean) - avg(model_score_mean offset 1d)) > 0.1", frozenset({"score_shift"})),
)  # fmt: skip

LAB_RULES: tuple[RuleInfo, ...] = tuple(
    _rule(row, group)
    for group in LAB["/api/v1/rules"]["data"]["groups"]
    for row in group["rules"]
    if row["type"] == "alerting"
)
"""The lab's own, as its Prometheus says them."""
_DECLARED = {
    name: Metric(rows[0]["type"], rows[0]["help"]) for name, rows in LAB["/api/v1/metadata"]["data"].items() if rows
}


def lab_metric(name: str) -> Metric:
    """What the lab's targets declare of a metric."""
    return Found("", metrics=_DECLARED).metric(name)
