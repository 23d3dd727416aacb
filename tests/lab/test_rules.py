"""The lab's alert rules: accepted by promtool, silent at baseline by four standard errors, each fired by its own fault alone."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from math import sqrt
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from chaos.lab import compose, model
from chaos.lab.dataset import Applications, split
from chaos.lab.feature_statistics import FeatureStatistics, reference
from chaos.lab.gateway_metrics import BUCKETS
from chaos.lab.monitoring import Tools
from chaos.promql import left_side
from chaos.units import parse_duration
from tests.drivers.loopback import module
from tests.lab.conftest import Service, applications, service
from tests.lab.promtool import Expected, World, check

RULES_FILE = Path(str(files("chaos.lab") / "rules.yml"))
RULES = {rule["alert"]: rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]}
QUICKSTART = yaml.safe_load((Path(__file__).parents[2] / "experiments" / "quickstart.yaml").read_text())
RATE_PER_S = float(QUICKSTART["load"]["rate"].removesuffix("/s"))
FEEDBACK_SHARE = float(QUICKSTART["load"]["feedback"]["share"].removesuffix("%")) / 100
SCRAPE_TIMEOUT_S = 0.9
STANDARD_ERRORS = 4.0
REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the real gateway in front of a real replica did with 1,000 applications."""

    slow: float
    failed: float
    fallback: float
    failing: float
    scrapes_s: tuple[float, ...]
    memory_share: float
    """What the replica holds, of what it may in Docker."""


def at_most(count: int) -> float:
    """The share that `count` of REQUESTS events may really have: its upper 95 % bound (3 for none: the rule of three)."""
    return (count + 3 + 2 * sqrt(count)) / REQUESTS


@pytest.fixture(scope="module")
def baseline(
    replica: Service,
    features: Path,
    halves: tuple[Applications, Applications],
    tmp_path_factory: pytest.TempPathFactory,
) -> Baseline:
    folder = tmp_path_factory.mktemp("baseline")
    some = applications(halves[1])
    routes = ["--route", replica.url, "--route", replica.url]
    with module("chaos.lab.gateway", *routes, "--features", str(features), folder=folder) as ports:
        gateway = service(f"http://{ports['gateway']}")
        answers = [gateway.post("/score", {"application": some[place % len(some)]}) for place in range(REQUESTS)]
        scrapes_s = []
        for one in (gateway, replica) * 20:
            begun_s = time.perf_counter()
            one.metrics()
            scrapes_s.append(time.perf_counter() - begun_s)
        found = gateway.metrics()
    failing = sum(
        n for name, n in found.items() if name.startswith("ml_upstream_attempts_total") and '"ok"' not in name
    )
    slow = REQUESTS - found['ml_request_duration_seconds_bucket{le="0.25"}']
    return Baseline(
        slow=at_most(int(slow)),
        failed=at_most(sum(answer.status_code >= 500 for answer in answers)),
        fallback=at_most(sum(answer.json()["source"] == "fallback" for answer in answers if answer.ok)),
        failing=at_most(int(failing)),
        scrapes_s=tuple(scrapes_s),
        memory_share=held_by(replica) / (int(str(compose.REPLICA["mem_limit"]).removesuffix("m")) << 20),
    )


def held_by(replica: Service) -> int:
    """Bytes of memory of the process that listens there."""
    port = int(replica.url.rpartition(":")[2])
    [pid] = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    return int(psutil.Process(pid).memory_info().rss)


def threshold(alert: str) -> float:
    """The number that the rule's first comparison is with."""
    found = left_side(RULES[alert]["expr"])
    assert found is not None
    assert found.threshold is not None
    return found.threshold


def window_s(alert: str) -> float:
    """The shortest window that the rule looks at: the one of what it compares."""
    return min(parse_duration(found) for found in re.findall(r"\[(\w+)\]", RULES[alert]["expr"]))


def binomial(share: float, limit: float, count: float) -> float:
    """Standard errors between a share and its limit, over so many events: |limit - p| / sqrt(p (1 - p) / n)."""
    return abs(limit - share) / sqrt(share * (1 - share) / count)


def distance(alert: str, measured: Mapping[str, float], baseline: Baseline) -> float:
    """Standard errors between where the rule's left side stays without a fault, and where it fires.

    p: measured share, t: threshold, n: events in the window at the lab's rate.
    """
    match alert:
        case "ModelAccuracyLow":  # n = rate · window · share of feedback; (p - t) / sqrt(p (1 - p) / n)
            return binomial(measured["accuracy"], threshold(alert), RATE_PER_S * window_s(alert) * FEEDBACK_SHARE)
        case "FairnessGapHigh":  # difference of two shares; (t - (pw - pb)) / sqrt(pw (1 - pw) / nw + pb (1 - pb) / nb)
            variances = [
                measured[f"approval_{group}"] * (1 - measured[f"approval_{group}"])
                / (RATE_PER_S * window_s(alert) * measured[f"share_{group}"])
                for group in ("white", "black")
            ]  # fmt: skip
            gap = measured["approval_white"] - measured["approval_black"]
            return (threshold(alert) - gap) / sqrt(sum(variances))
        case "ApprovalRateShifted":  # n = rate · window; (p - t) / sqrt(p (1 - p) / n)
            return binomial(measured["approval_rate"], threshold(alert), RATE_PER_S * window_s(alert))
        case (
            "LatencyHigh"
        ):  # a 95 % quantile above 250 ms is a share of more than 5 % above it, since 250 ms bounds a bucket
            assert threshold(alert) in BUCKETS
            assert "histogram_quantile(0.95," in RULES[alert]["expr"]
            return binomial(baseline.slow, 1 - 0.95, RATE_PER_S * window_s(alert))
        case "AvailabilityLow":  # of failed requests, with the upper bound of none in 1,000
            return binomial(baseline.failed, 1 - threshold(alert), RATE_PER_S * window_s(alert))
        case "FallbackShareHigh":
            return binomial(baseline.fallback, threshold(alert), RATE_PER_S * window_s(alert))
        case (
            "FeedbackStale"
        ):  # outcomes come as a Poisson stream: λ = rate · share · t are expected before it fires, √λ apart from none
            return sqrt(RATE_PER_S * FEEDBACK_SHARE * threshold(alert))
        case (
            "ReplicaDown" | "MetricsAbsent"
        ):  # a scrape must take longer than its time-out, again and again during `for`
            assert parse_duration(RULES[alert]["for"]) >= 2.0, "one lost scrape is nobody's page"
            return (SCRAPE_TIMEOUT_S - statistics.mean(baseline.scrapes_s)) / statistics.stdev(baseline.scrapes_s)
        case "FeatureMissing" | "FeatureUnseen" | "FeatureDrift":  # the nearest of all features and bins
            return nearest(alert, RATE_PER_S * window_s(alert))
        case "ApprovalRateHigh":
            return binomial(measured["approval_rate"], threshold(alert), RATE_PER_S * window_s(alert))
        case "ScoreDistributionShifted":  # a deviation in either direction from what the rule calls usual
            usual = float(re.search(r"([\d.]+) - \(1 -", RULES[alert]["expr"])[1])  # type: ignore[index]
            off = abs(measured["certain"] - usual)
            return (threshold(alert) - off) / sqrt(usual * (1 - usual) / (RATE_PER_S * window_s(alert)))
        case "CalibrationOff":
            mean, deviation = calibration_error(int(RATE_PER_S * window_s(alert) * FEEDBACK_SHARE))
            return (threshold(alert) - mean) / deviation
        case "PredictionsRepeat":  # two applications in a row that are the same one, or get the same score
            return binomial(measured["repeats"], threshold(alert), RATE_PER_S * window_s(alert))
        case "RequestsRefused" | "ContractViolated" | "ModelVersionStale" | "LabelsLate":
            share = FEEDBACK_SHARE if alert == "LabelsLate" else 1.0
            return binomial(at_most(0), threshold(alert), RATE_PER_S * window_s(alert) * share)
        case "ModelCallsFailing":  # what falls back has failed twice
            return binomial(baseline.failing, threshold(alert), RATE_PER_S * window_s(alert))
        case "LabelsMissing":  # the share of feedback is drawn for each request
            return binomial(FEEDBACK_SHARE, threshold(alert), RATE_PER_S * window_s(alert))
        case "MetricsFrozen":  # as old as the last scrape, and the one before when that took too long
            return (threshold(alert) - 2.0) / statistics.stdev(baseline.scrapes_s)
        case (
            "ReplicaThrottled"
        ):  # ten periods a second; 5 % had to wait while the replicas of a lab in Docker were starting
            return binomial(0.05, threshold(alert), 10 * window_s(alert))
        case "ReplicaRestarted":  # a server that goes on was started once
            assert "changes(process_start_time_seconds" in RULES[alert]["expr"]
            return STANDARD_ERRORS
        case "ReplicaMemoryHigh":  # a level and no share: half as much again, and it is still below
            assert 1.5 * baseline.memory_share < threshold(alert)
            return STANDARD_ERRORS
        case "ReplicaDiskFull":  # a replica writes nothing there
            assert threshold(alert) > 0
            return STANDARD_ERRORS
        case "NotificationsFailing":  # the sink answers or it does not: no attempt fails by chance
            assert threshold(alert) >= 1, "one lost attempt is nobody's page"
            return STANDARD_ERRORS
    raise AssertionError(f"{alert} has no formula; write down how far its baseline is from its threshold")


def nearest(alert: str, count: float) -> float:
    """Standard errors between the traffic half's own shares and the rule's limit, at the feature that is nearest to it."""
    training, traffic = split()
    counted = FeatureStatistics(training.names, expected := reference(training.features))
    counted.count(traffic.features)
    samples = {(one.name, *one.labels.values()): one.value for family in counted.collect() for one in family.samples}
    rows, found = len(traffic.features), []
    for name, one in zip(training.names, expected, strict=True):
        given = rows - samples["model_feature_missing_total", name]
        match alert:
            case "FeatureMissing":
                shares = [(1 - given / rows, one["missing"])]
            case "FeatureUnseen":
                shares = [(samples["model_feature_unseen_total", name] / rows, 0.0)]
            case _:
                bins = enumerate(one["shares"])
                shares = [
                    (samples["model_feature_values_total", name, str(bin_)] / given, usual) for bin_, usual in bins
                ]
        for share, usual in shares:
            sure = max(share, 3 / rows)  # none in so many: the rule of three
            found.append((threshold(alert) - abs(share - usual)) / sqrt(sure * (1 - min(sure, 1 - 3 / rows)) / count))
    return min(found)


def calibration_error(count: int) -> tuple[float, float]:
    """Mean and deviation of the healthy model's expected calibration error over so many outcomes."""
    training, traffic = split()
    scores = model.train(training).predict_proba(traffic.features)[:, 1]
    tenths = np.minimum((scores * 10).astype(int), 9)
    draw, found = np.random.default_rng(0), []
    for _ in range(300):
        some = draw.integers(0, len(scores), count)
        apart = np.bincount(tenths[some], weights=(scores - traffic.approved)[some], minlength=10)
        found.append(float(np.abs(apart).sum() / count))
    return statistics.mean(found), statistics.stdev(found)


@pytest.mark.parametrize("alert", [name for name in RULES if name != "Watchdog"])
def test_every_rule_keeps_four_standard_errors_between_baseline_and_threshold(
    alert: str, measured: Mapping[str, float], baseline: Baseline
) -> None:
    assert distance(alert, measured, baseline) >= STANDARD_ERRORS


EVENTS = {
    "ModelAccuracyLow": RATE_PER_S * 30 * FEEDBACK_SHARE,
    "FairnessGapHigh": RATE_PER_S * 60 * 0.1015,
    "ApprovalRateShifted": RATE_PER_S * 60,
    "LatencyHigh": RATE_PER_S * 30,
    "AvailabilityLow": RATE_PER_S * 30,
    "FallbackShareHigh": RATE_PER_S * 30,
    "FeatureMissing": RATE_PER_S * 30,
    "FeatureUnseen": RATE_PER_S * 30,
    "FeatureDrift": RATE_PER_S * 30,
    "RequestsRefused": RATE_PER_S * 30,
    "ApprovalRateHigh": RATE_PER_S * 60,
    "ScoreDistributionShifted": RATE_PER_S * 30,
    "PredictionsRepeat": RATE_PER_S * 30,
    "CalibrationOff": RATE_PER_S * 60 * FEEDBACK_SHARE,
    "ContractViolated": RATE_PER_S * 30,
    "ModelVersionStale": RATE_PER_S * 30,
    "ModelCallsFailing": RATE_PER_S * 30,
    "LabelsLate": RATE_PER_S * 30 * FEEDBACK_SHARE,
    "LabelsMissing": RATE_PER_S * 180 * FEEDBACK_SHARE,
}
"""What the `and … > N` of a rule counts, at the lab's rate."""


@pytest.mark.parametrize("alert", EVENTS)
def test_the_least_number_of_events_is_reached_with_certainty_at_the_labs_rate(alert: str) -> None:
    least = float(RULES[alert]["expr"].rpartition("> ")[2])
    assert (EVENTS[alert] - least) / sqrt(EVENTS[alert]) >= STANDARD_ERRORS


def test_every_ratio_rule_asks_for_a_least_number_of_events() -> None:
    asking = {name for name, rule in RULES.items() if re.search(r"\n\s*and sum\(increase\(", rule["expr"])}
    assert asking == set(EVENTS)


def test_promtool_accepts_the_rules(tools: Tools) -> None:
    done = subprocess.run(
        [str(tools.promtool), "check", "rules", str(RULES_FILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_every_rule_says_whom_it_tells_and_what() -> None:
    for name, rule in RULES.items():
        if name != "Watchdog":
            assert rule["labels"]["service"] == "loan"
            assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def series(**changed: str | None) -> list[tuple[str, str]]:
    """A healthy lab, a sample a second, with some series changed; None takes one away."""
    gateway, served = 'job="loan-gateway"', 'job="loan-model", replica="replica-1"'
    decisions = {
        f"{decision}_{group}": (f'ml_decisions_total{{{gateway}, decision="{decision}", source="model", group="{group}"}}', f"0+{count}x200")
        for group, counts in {"white": (31, 2), "black": (3, 1), "hispanic": (2, 1)}.items()
        for decision, count in zip(("approve", "deny"), counts, strict=True)
    }  # fmt: skip
    healthy = decisions | {
        "fallback": (f'ml_decisions_total{{{gateway}, decision="approve", source="fallback", group="white"}}', "0x200"),
        "ok": (f'ml_requests_total{{{gateway}, code="200"}}', "0+40x200"),
        "failed": (f'ml_requests_total{{{gateway}, code="500"}}', "0x200"),
        "correct": (f'ml_feedback_total{{{gateway}, outcome="correct", source="model"}}', "0+19x200"),
        "wrong": (f'ml_feedback_total{{{gateway}, outcome="wrong", source="model"}}', "0+1x200"),
        "fast": (f'ml_request_duration_seconds_bucket{{{gateway}, le="0.25"}}', "0+40x200"),
        "half": (f'ml_request_duration_seconds_bucket{{{gateway}, le="0.5"}}', "0+40x200"),
        "all": (f'ml_request_duration_seconds_bucket{{{gateway}, le="+Inf"}}', "0+40x200"),
        "last": (f"ml_feedback_last_timestamp_seconds{{{gateway}}}", "0+1x200"),
        "missing": (f'model_feature_missing_total{{{served}, feature="min30"}}', "0+2x200"),
        "usually_missing": (f'model_feature_missing_expected{{{served}, feature="min30"}}', "0.1x200"),
        "unseen": (f'model_feature_unseen_total{{{served}, feature="rep"}}', "0x200"),
        "values_0": (f'model_feature_values_total{{{served}, feature="rep", bin="0"}}', "0+10x200"),
        "values_1": (f'model_feature_values_total{{{served}, feature="rep", bin="1"}}', "0+10x200"),
        "usual_0": (f'model_feature_values_expected{{{served}, feature="rep", bin="0"}}', "0.5x200"),
        "usual_1": (f'model_feature_values_expected{{{served}, feature="rep", bin="1"}}', "0.5x200"),
        "rows": (f"model_rows_total{{{served}}}", "0+20x200"),
        "served": (f'model_requests_total{{{served}, code="200"}}', "0+20x200"),
        "refused": (f'model_requests_total{{{served}, code="400"}}', "0x200"),
        "deployed": (f'model_info{{{served}, name="loan", version="1"}}', "1x200"),
        "answers": (f'ml_model_answers_total{{{gateway}, version="1"}}', "0+40x200"),
        "old_answers": (f'ml_model_answers_total{{{gateway}, version="0"}}', "0x200"),
        "violations": (f'ml_contract_violations_total{{{gateway}, kind="sum"}}', "0x200"),
        "low_scores": (f'ml_prediction_score_bucket{{{gateway}, le="0.9"}}', "0+6.8x200"),
        "scores": (f"ml_prediction_score_count{{{gateway}}}", "0+40x200"),
        "repeats": (f"ml_prediction_repeats_total{{{gateway}}}", "0x200"),
        "promised": (f'ml_calibration_score_total{{{gateway}, tenth="9"}}', "0+18x200"),
        "came": (f'ml_calibration_outcome_total{{{gateway}, tenth="9"}}', "0+18x200"),
        "tried": (f'ml_upstream_attempts_total{{{gateway}, route="replica-1", outcome="ok"}}', "0+40x200"),
        "timed_out": (f'ml_upstream_attempts_total{{{gateway}, route="replica-1", outcome="timeout"}}', "0x200"),
        "soon": (f'ml_feedback_age_seconds_bucket{{{gateway}, le="10.0"}}', "0+20x200"),
        "ages": (f"ml_feedback_age_seconds_count{{{gateway}}}", "0+20x200"),
        "exposed": (f"ml_exposed_timestamp_seconds{{{gateway}}}", "0+1x200"),
        "undelivered": (
            'alertmanager_notification_requests_failed_total{job="alertmanager", integration="webhook"}',
            "0x200",
        ),
        "started": (f"process_start_time_seconds{{{served}}}", "1000x200"),
        "periods": (f"container_cpu_cfs_periods_total{{{served}}}", "0+10x200"),
        "throttled": (f"container_cpu_cfs_throttled_periods_total{{{served}}}", "0x200"),
        "memory": (f"container_memory_working_set_bytes{{{served}}}", "150000000x200"),
        "memory_limit": (f"container_spec_memory_limit_bytes{{{served}}}", "500000000x200"),
        "disk": (f"container_fs_usage_bytes{{{served}}}", "0x200"),
        "disk_size": (f"container_fs_limit_bytes{{{served}}}", "32000000x200"),
        "up_1": ('up{job="loan-model", replica="replica-1"}', "1x200"),
        "up_2": ('up{job="loan-model", replica="replica-2"}', "1x200"),
    }
    assert set(changed) <= set(healthy)
    return [
        (name, changed.get(key, values) or "") for key, (name, values) in healthy.items() if changed.get(key, values)
    ]


FAULTS: Mapping[str, Mapping[str, str | None]] = {
    "ModelAccuracyLow": {"correct": "0+17x200", "wrong": "0+3x200"},
    "FairnessGapHigh": {"approve_black": "0+1x200", "deny_black": "0+3x200"},
    "LatencyHigh": {"fast": "0+37x200"},
    "AvailabilityLow": {"ok": "0+39x200", "failed": "0+1x200"},
    "FallbackShareHigh": {"approve_white": "0+28x200", "fallback": "0+3x200"},
    "ApprovalRateShifted": {"approve_white": "0+25x200", "deny_white": "0+8x200"},
    "ReplicaDown": {"up_2": "0x200"},
    "FeatureMissing": {"missing": "0+4x200"},
    "FeatureUnseen": {"unseen": "0+1x200"},
    "FeatureDrift": {"values_0": "0+13x200", "values_1": "0+7x200"},
    "RequestsRefused": {"refused": "0+1x200"},
    "ApprovalRateHigh": {"approve_white": "0+33x200", "deny_white": "0x200"},
    "ScoreDistributionShifted": {"low_scores": "0+13x200"},
    "PredictionsRepeat": {"repeats": "0+4x200"},
    "CalibrationOff": {"promised": "0+16x200"},
    "ContractViolated": {"violations": "0+1x200"},
    "ModelVersionStale": {"old_answers": "0+1x200"},
    "ModelCallsFailing": {"timed_out": "0+3x200"},
    "LabelsLate": {"soon": "0+15x200"},
    "LabelsMissing": {"correct": "0+9x200"},
    "MetricsFrozen": {"exposed": "0+0x200"},
    "ReplicaRestarted": {"started": "1000x130 1060x68"},
    "ReplicaThrottled": {"throttled": "0+3x200"},
    "ReplicaMemoryHigh": {"memory": "400000000x200"},
    "ReplicaDiskFull": {"disk": "30000000x200"},
    "NotificationsFailing": {"undelivered": "0+1x200"},
    "FeedbackStale": {"last": "0x200"},
    "MetricsAbsent": {"ok": None, "failed": None},
}
"""Alert → the smallest change of a healthy lab that should fire it."""
FIRING = 'count by (alertname) (ALERTS{alertstate="firing", alertname!="Watchdog"})'


def test_a_healthy_lab_is_silent_and_an_idle_one_too(tools: Tools, tmp_path: Path) -> None:
    lasting = ("up", "ml_exposed", "model_info")
    idle = [(name, values if name.startswith(lasting) else "0x200") for name, values in series()]
    worlds = [
        World(name, "1s", given, [Expected(FIRING, at, {}) for at in ("5s", "40s", "160s")])
        for name, given in (("healthy", series()), ("idle", idle))
    ]
    assert check(tools, tmp_path, worlds, RULES_FILE) == ""


def test_every_rule_fires_on_its_own_fault_and_no_other_does(tools: Tools, tmp_path: Path) -> None:
    assert set(FAULTS) == set(RULES) - {"Watchdog"}
    worlds = [
        World(alert, "1s", series(**changed), [Expected(FIRING, "160s", {f'{{alertname="{alert}"}}': 1})])
        for alert, changed in FAULTS.items()
    ]
    assert check(tools, tmp_path, worlds, RULES_FILE) == ""


def test_what_one_alert_says_well_another_does_not_say_again(tools: Tools, tmp_path: Path) -> None:
    causes = {
        "FallbackShareHigh": {"timed_out": "0+6x200", "approve_white": "0+28x200", "fallback": "0+3x200"},
        "ModelAccuracyLow": {"correct": "0+17x200", "wrong": "0+3x200", "promised": "0+15x200"},
    }
    worlds = [
        World(alert, "1s", series(**changed), [Expected(FIRING, "160s", {f'{{alertname="{alert}"}}': 1})])
        for alert, changed in causes.items()
    ]
    assert check(tools, tmp_path, worlds, RULES_FILE) == ""


def test_the_watchdog_always_fires(tools: Tools, tmp_path: Path) -> None:
    expected = [
        Expected('count(ALERTS{alertname="Watchdog", alertstate="firing"})', at, {"{}": 1}) for at in ("1s", "100s")
    ]
    assert check(tools, tmp_path, [World("nothing", "1s", [("nothing", "0x200")], expected)], RULES_FILE) == ""
